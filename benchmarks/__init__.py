"""The contestants of `longlag bench`: one file each, one process each.

All train the same network (an LSTM with a forget gate, a linear output) on the same task, batch,
loss (mean squared error), clipping (global norm 1) and optimiser (Adam, 5e-3), in float32. Each
peer is written as its own users would write it. `longlag_kernel` draws its data by the paper's
rules within the time measured; the peers get theirs for nothing: batches drawn beforehand by the
same sampler, used in turn.

The on-line contestants (`online_*`) train the network of 1997, as the paper does: one sequence, one
update by the truncated gradient, plain gradient descent at a rate of 0.1, in float32. Ours takes
16 trials side by side, with the drawing of their data or (variant `drawn`) without; the peers
train one trial.

`evaluation_kernel` answers fresh sequences and learns nothing, as a test does.

A module offers `prepare(recipe, threads, seeds, variant)`, which returns a function that trains for
a given number of iterations. Seeds are trainings side by side, for those that can do it.
"""
