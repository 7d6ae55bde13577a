"""JAX: jit, lax.scan and optax; one seed, or many side by side under vmap."""

# pyright: reportMissingImports=false
# (JAX is optional.)

from __future__ import annotations

from itertools import cycle

import jax
import jax.numpy as jnp
import optax

from longlag.learning.recipe import Recipe

from .data import Train, batches, hidden_of

optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(5e-3))


def initial(key: jax.Array, hidden: int, inputs: int = 2, outputs: int = 1) -> dict[str, jax.Array]:
    """Parameters; gate columns in the order input, forget, output, candidate."""
    keys = jax.random.split(key, 3)
    bound = hidden**-0.5

    def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    return {
        "Wx": uniform(keys[0], (inputs, 4 * hidden)),
        "Wh": uniform(keys[1], (hidden, 4 * hidden)),
        "b": jnp.zeros(4 * hidden),
        "Wy": uniform(keys[2], (hidden, outputs)),
        "by": jnp.zeros(outputs),
    }


def predict(parameters: dict, inputs: jax.Array, lengths: jax.Array) -> jax.Array:
    """Answers (B,) or (B, K) for padded inputs (B, T, D), or symbols (B, T), each at its
    sequence's own last step."""

    steps, Wx = inputs.swapaxes(0, 1), parameters["Wx"]
    symbols = jnp.issubdtype(steps.dtype, jnp.integer)
    driven = (Wx[steps] if symbols else steps @ Wx) + parameters[
        "b"
    ]  # (T, B, 4 H), outside the scan

    def step(carry, x):
        h, c = carry
        z = x + h @ parameters["Wh"]
        i, f, o, g = jnp.split(z, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((inputs.shape[0], parameters["Wh"].shape[0]))
    _, states = jax.lax.scan(step, (zeros, zeros), driven)
    last = states[lengths - 1, jnp.arange(inputs.shape[0])]
    answers = last @ parameters["Wy"] + parameters["by"]
    return answers[:, 0] if answers.shape[1] == 1 else answers


def loss(parameters: dict, inputs: jax.Array, lengths: jax.Array, targets: jax.Array) -> jax.Array:
    return jnp.mean((predict(parameters, inputs, lengths) - targets) ** 2)


def update(parameters: dict, state, batch):
    """One iteration: parameters, the optimiser's state and the loss."""
    value, gradient = jax.value_and_grad(loss)(parameters, *batch)
    updates, state = optimizer.update(gradient, state, parameters)
    return optax.apply_updates(parameters, updates), state, value


def prepare(recipe: Recipe, threads: int = 1, seeds: int = 1, variant: str = "") -> Train:
    """Threads are XLA's own, by the environment."""
    key, sizes = jax.random.key(0), (hidden_of(recipe), recipe.task.inputs, recipe.task.outputs)
    if seeds > 1:
        parameters = jax.vmap(lambda key: initial(key, *sizes))(jax.random.split(key, seeds))
        state = jax.vmap(optimizer.init)(parameters)
        step = jax.jit(jax.vmap(update))
        streams = [batches(recipe, seed) for seed in range(seeds)]
        drawn = [
            tuple(jnp.stack(arrays) for arrays in zip(*of_seeds, strict=True))
            for of_seeds in zip(*streams, strict=True)
        ]
    else:
        parameters = initial(key, *sizes)
        state = optimizer.init(parameters)
        step = jax.jit(update)
        drawn = [tuple(map(jnp.asarray, batch)) for batch in batches(recipe)]
    data = cycle(drawn)

    def train(iterations: int) -> None:
        nonlocal parameters, state
        for _ in range(iterations):
            parameters, state, _ = step(parameters, state, next(data))
        jax.block_until_ready(parameters)

    return train
