"""The traced training steps compute what the references compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from longlag.learning.optimizers import Adam, clip_by_global_norm
from longlag.movement import lstm as traced
from longlag.movement import lstm1997 as traced1997
from longlag.movement import measure
from longlag.movement.tracing import Recorder
from longlag.networks.lstm import LSTM, Parameters, flatten, parameter_count, unflatten
from longlag.networks.lstm1997 import LSTM1997, initial_weights
from longlag.networks.lstm1997 import flatten as flatten1997


def problem(H: int, B: int, T: int) -> tuple[Parameters, np.ndarray, np.ndarray]:
    rng = np.random.default_rng([H, B, T])
    parameters = unflatten(rng.normal(0, 0.7, parameter_count(H)), H)
    return parameters, rng.uniform(-1, 1, (B, T, 2)), rng.uniform(0, 1, B)


def lists(parameters: Any) -> list[Any]:
    return [array.tolist() for array in parameters]


@pytest.mark.parametrize("group", [None, 1, 2, 16])
@pytest.mark.parametrize(("H", "B", "T", "clip"), [(3, 4, 5, 1e-3), (9, 3, 19, 1e3), (1, 1, 1, 1)])
def test_a_training_step_is_the_references(
    group: int | None, H: int, B: int, T: int, clip: float
) -> None:
    parameters, inputs, targets = problem(H, B, T)
    network = LSTM(parameters, output="sigmoid")
    gradient = flatten(network.gradient(inputs, np.full(B, T), targets)[1])
    clipped, norm = clip_by_global_norm(gradient, clip)
    assert norm > clip or clip >= 1  # the first case is clipped
    rng = np.random.default_rng(1)
    adam = Adam(len(gradient), dtype=np.float64)
    adam.step = 3
    for moment in adam.moments.values():
        moment[:] = rng.uniform(0, 0.1, len(gradient))
    old = [moment.tolist() for moment in adam.moments.values()]
    wanted = flatten(parameters)
    adam.update(wanted, clipped, 0.005)

    hyper = traced.Hyper(rate=0.005, clip=clip, step=4)
    step = traced.reference_step if group is None else traced.fused_step
    options = {} if group is None else {"group": group}
    data = inputs.tolist(), targets.tolist()
    made = step(lists(parameters), old, *data, hyper, **options)
    for ours, theirs in zip(made, (wanted, *adam.moments.values()), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("H", "B", "T"), [(3, 4, 5), (9, 3, 19), (1, 1, 1)])
def test_answers_and_gradients_are_the_references(H: int, B: int, T: int) -> None:
    parameters, inputs, targets = problem(H, B, T)
    network = LSTM(parameters, output="sigmoid")
    wanted = flatten(network.gradient(inputs, np.full(B, T), targets)[1])
    p, x, t = lists(parameters), inputs.tolist(), targets.tolist()
    kept = traced.forward(p, x)
    np.testing.assert_allclose(kept.y, network.predict(inputs), rtol=1e-12)
    ours = traced.flatten(traced.backward(p, kept, t))
    np.testing.assert_allclose(ours, wanted, rtol=1e-9, atol=1e-13)
    steps, y = traced.fused_forward(p, x)
    np.testing.assert_allclose(y, network.predict(inputs), rtol=1e-12)
    ours = traced.fused_backward(p, x, steps, y, t, B)
    np.testing.assert_allclose(ours, wanted, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("step", [traced1997.traces_step, traced1997.sums_step])
@pytest.mark.parametrize(("blocks", "size", "T"), [(2, 2, 9), (1, 3, 5), (3, 1, 1)])
def test_a_step_of_the_network_of_1997_is_the_references(
    step: Any, blocks: int, size: int, T: int
) -> None:
    rng = np.random.default_rng(T)
    W, Wk = (10 * a.astype(np.float64) for a in initial_weights(rng, blocks, size))
    network = LSTM1997(type(initial_weights(rng))(W, Wk), blocks)
    sequence = rng.uniform(-1, 1, (T, 2))
    gradient = flatten1997(network.truncated_gradient(sequence, 0.3))
    new = step(W.tolist(), Wk.tolist(), sequence.tolist(), 0.3, 0.5, blocks)
    ours = np.concatenate([np.ravel(new[0]), new[1]])
    wanted = flatten1997(network.weights) - 0.5 * gradient
    np.testing.assert_allclose(ours, wanted, rtol=1e-10, atol=1e-14)


def test_the_traced_step_computes_with_the_same_numbers() -> None:
    parameters, inputs, targets = problem(2, 3, 4)
    zero = [[0.0] * parameter_count(2)] * 2
    hyper = traced.Hyper(rate=0.1, clip=0.01)
    plain = traced.reference_step(lists(parameters), zero, inputs.tolist(), targets.tolist(), hyper)
    recorder = Recorder()
    loaded = recorder.load(lists(parameters), zero, inputs, targets)
    made = traced.reference_step(*loaded, hyper, recorder.mark)
    assert [[x.value for x in row] for row in made] == plain
    assert [name for name, _ in recorder.marks] == ["forward", "backward"]


def test_a_batch_sequence_by_sequence_costs_less_than_array_by_array() -> None:
    parameters, inputs, targets = problem(3, 4, 6)
    zero = np.zeros((2, parameter_count(3)))
    hyper = traced.Hyper(rate=0.1, clip=1e9)
    arguments = (lists(parameters), zero, inputs, targets)
    reference = measure(lambda *a: traced.reference_step(*a, hyper), *arguments).cost
    fused = measure(lambda *a: traced.fused_step(*a, hyper, group=1), *arguments).cost
    assert fused < reference
