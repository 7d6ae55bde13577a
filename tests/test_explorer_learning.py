"""Learning on the explorer's page, in a real browser: the reference's arithmetic, and its panels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import longlag
from browser import chromium, numbers, opened
from longlag import explorer
from longlag.learning.optimizers import Adam, clip_by_global_norm
from longlag.learning.training import Run
from longlag.networks.lstm import LSTM, flatten, unflatten

SETTINGS = (
    "({length: 23, hidden: 5, output: 'linear', forget_gate: true, input_bias: -3,"
    " forget_bias: 3, output_bias: 0.25, learning_rate: 0.025, seed: 4})"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def run() -> Run:
    short = {"max_iterations": 60, "test_every": 20, "test_size": 32, "batch_size": 4}
    return longlag.train(longlag.recipe("robust", **short), engine="numpy")


@pytest.fixture(scope="module")
def file(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explorer.write_page({"run": run}, tmp_path_factory.mktemp("page") / "page.html")


@pytest.fixture(scope="module")
def calculator(browser: Any, file: Path) -> Iterator[Any]:
    """A page that tests leave as it is."""
    with opened(browser, file) as made:
        yield made


# -- the arithmetic ---------------------------------------------------------------------------


def batches(page: Any, source: str, n: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The next n batches of a source of sequences: inputs (8, T, 2), lengths and targets (8,)."""
    told = page.evaluate(
        f"(() => {{ const source = {source};"
        f" return Array.from({{length: {n}}}, () => source.batch(RULE.batch).map((s) => ({{...s,"
        " values: [...s.values], markers: [...s.markers]}))); })()"
    )
    found = []
    for batch in told:
        lengths = np.array([s["length"] for s in batch])
        inputs = np.zeros((len(batch), lengths.max(), 2))
        for row, s in zip(inputs, batch, strict=True):
            row[: s["length"]] = np.stack([s["values"], s["markers"]], axis=-1)
        found.append((inputs, lengths, np.array([s["target"] for s in batch])))
    return found


@pytest.mark.parametrize("forget_gate", [True, False])
@pytest.mark.parametrize("output", ["linear", "sigmoid"])
def test_gradients_are_the_references(calculator, output: str, forget_gate: bool) -> None:
    variant = {"output": output, "forget_gate": forget_gate}
    ours = numbers(
        calculator,
        "...(() => { const source = new Source(app.task, 23, makeRandom(9));"
        f" const settings = {{...{SETTINGS}, ...{longlag.files.to_json(variant)}}};"
        " const tape = makeTape(5, source.range[1]);"
        " return Array.from({length: 20}, (_, k) => {"
        "  const weights = startWeights(settings, makeRandom(k));"
        "  const sums = new Float64Array(weights.length);"
        "  const [network, gradient] = [weights, sums].map((v) => makeNetwork(v, settings));"
        "  const loss = batchGradient(network, source.batch(RULE.batch), tape, gradient, sums);"
        "  return [...weights, ...sums, loss]; }); })()",
    ).reshape(20, -1)
    size = (ours.shape[1] - 1) // 2
    data = batches(calculator, "new Source(app.task, 23, makeRandom(9))", 20)
    for row, batch in zip(ours, data, strict=True):
        network = LSTM(unflatten(row[:size], 5), **variant)  # type: ignore[arg-type]
        loss, gradient = network.gradient(*batch)
        np.testing.assert_allclose(row[size:-1], flatten(gradient), rtol=0, atol=1e-9)
        assert row[-1] == pytest.approx(loss, abs=1e-12)


def test_a_hundred_iterations_are_the_references(calculator) -> None:
    told = numbers(
        calculator,
        f"...(() => {{ const training = new LiveTraining(app.task, {SETTINGS}, 0.04);"
        " const start = training.descent.weights.slice();"
        " const losses = Array.from({length: 100}, () => training.iterate());"
        " return [start, training.descent.average, losses]; })()",
    )
    weights, average, losses = np.split(told, [(len(told) - 100) // 2, len(told) - 100])
    weights, mean = weights.copy(), weights.copy()
    adam = Adam(len(weights), epsilon=1e-12, dtype=np.float64)
    data = batches(calculator, "new Source(app.task, 23, makeRandom(3 * 4 + 1))", 100)
    for batch, expected in zip(data, losses, strict=True):
        loss, gradient = LSTM(unflatten(weights, 5)).gradient(*batch)
        assert expected == pytest.approx(loss, rel=1e-9)
        adam.update(weights, clip_by_global_norm(flatten(gradient), 0.1)[0], 0.025)
        mean = 0.99 * mean + 0.01 * weights
    np.testing.assert_allclose(average, mean, rtol=0, atol=1e-9)


def test_weights_start_as_the_references(calculator) -> None:
    found = unflatten(numbers(calculator, f"startWeights({SETTINGS}, makeRandom(1))"), 5)
    assert found.b.tolist() == [-3.0] * 5 + [3.0] * 5 + [0.0] * 10
    assert found.by.tolist() == [0.25]
    for array, limit in ((found.Wx, 2**-0.5), (found.Wh, 5**-0.5), (found.Wy, 5**-0.5)):
        assert 0.5 * limit < np.abs(array).max() <= limit
