"""The cells that come with longlag: each against an oracle, on every kind of task."""

from __future__ import annotations

import dataclasses
import importlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import longlag
import toys
from longlag.learning.recipe import recipe
from longlag.networks.registry import NETWORKS

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from longlag.networks.cells import mingru, minlstm, scan  # noqa: E402
from longlag.networks.cells.attention import Blocks, positions  # noqa: E402
from longlag.networks.cells.lru import LRULayer  # noqa: E402
from longlag.networks.torch import _in_use, _prototype, check_module  # noqa: E402
from longlag.studies import cells  # noqa: E402

CELLS = (
    *("torch-lstm", "torch-gru", "torch-rnn", "torch-irnn", "chrono-lstm"),
    *("mingru", "minlstm", "lru", "attention"),
)


def cell(name: str, task: Any, **settings: Any) -> Any:
    """A module of a cell, in evaluation mode."""
    torch.manual_seed(0)
    return NETWORKS[name].with_settings(settings).built(task).eval()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_answers_each_sequence_by_itself(name: str) -> None:
    task = longlag.task("adding", min_length=20, max_length=24)
    check_module(cell(name, task, hidden=6), task)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(("K", "answered", "symbols"), [(3, "every", True), (2, "last", False)])
def test_a_cell_takes_any_kind_of_task(name: str, K: int, answered: Any, symbols: bool) -> None:
    task = toys.toy(4, K, answered, symbols)(min_length=5, max_length=9)
    made = dataclasses.replace(
        recipe("robust", max_iterations=2, test_every=1, test_size=20, network=name, hidden=5),
        task=task,
    )
    run = longlag.train(made, 0)
    assert run.stopped_by == "max_iterations"
    assert np.isfinite(run.score.mse)
    network, batch = made.network, task.sample(6, np.random.default_rng(0))
    model = network.of(network.start(task, np.random.default_rng(1)), task)
    answers = model.predict(batch.inputs, batch.lengths)
    assert answers.shape == batch.targets.shape
    n = int(batch.lengths[0])
    alone = model.predict(batch.inputs[:1, :n], batch.lengths[:1])
    mine = answers[:1, :n] if answered == "every" else answers[:1]
    np.testing.assert_allclose(alone, mine, rtol=1e-4, atol=1e-5)


# -- cells of the user's --------------------------------------------------------------------------


def forgotten() -> None:
    """As in a new process: no module is at hand."""
    _prototype.cache_clear()
    _in_use.cache_clear()


def test_what_a_cell_draws_and_does_not_train_is_the_same_in_every_process() -> None:
    made = recipe(
        "robust", max_iterations=3, test_every=3, test_size=50, network="mycells:PartlyFixed",
        hidden=5, min_length=12,
    )  # fmt: skip
    scores = []
    for number, seeds in enumerate([(1,), (0, 1)]):
        forgotten()
        torch.manual_seed(number)
        runs = [longlag.train(made, seed) for seed in seeds]
        scores.append(runs[-1].score)
    assert scores[0] == scores[1]
    batch = made.task.sample(4, np.random.default_rng(0))
    answers = runs[-1].network.predict(batch.inputs, batch.lengths)
    forgotten()
    later = made.network_of(runs[-1].snapshots[3])
    np.testing.assert_array_equal(later.predict(batch.inputs, batch.lengths), answers)


def test_a_cell_whose_file_was_imported_anew_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    task = longlag.task("adding", min_length=12, max_length=14)
    batch = task.sample(4, np.random.default_rng(0))
    answers, refusals = {}, {}
    for change in ("- inputs.mean()", "+ 0", "+ 100"):
        (tmp_path / "renewed.py").write_text(toys.OWN_CELL.format(behind=change))
        importlib.invalidate_caches()
        if "renewed" in sys.modules:
            importlib.reload(sys.modules["renewed"])
        network: Any = NETWORKS["renewed:Own"]
        model = network.of(network.start(task, np.random.default_rng(0)), task)
        answers[change] = model.predict(batch.inputs, batch.lengths)
        asked = cells.STUDY.request({"cell": ["renewed:Own", "lstm"], "task": ["adding"]})
        refusals[change] = cells.cases(asked)[0].refused
    np.testing.assert_allclose(answers["+ 100"], answers["+ 0"] + 100, rtol=1e-5)
    assert "is left out: the model" in refusals["- inputs.mean()"]
    assert refusals["+ 0"] == refusals["+ 100"] == ""


# -- recurrences in blocks are recurrences --------------------------------------------------------


@pytest.mark.parametrize("T", [1, 2, 3, 7, 64, 65])
@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("constant", [True, False])
def test_a_scan_is_the_recurrence(T: int, real: bool, constant: bool) -> None:
    numbers = torch.Generator().manual_seed(T)
    made = torch.float64 if real else torch.complex128
    a = torch.randn((4,) if constant else (2, T, 4), dtype=made, generator=numbers)
    b = torch.randn(2, T, 4, dtype=made, generator=numbers)
    h, want = torch.zeros(2, 4, dtype=made), []
    for t in range(T):
        h = (a if constant else a[:, t]) * h + b[:, t]
        want.append(h)
    torch.testing.assert_close(scan.scan(a, b), torch.stack(want, dim=1))
    if T < 10:
        assert torch.autograd.gradcheck(scan.scan, (a.requires_grad_(), b.requires_grad_()))


@pytest.mark.parametrize("T", [40, 1000])
def test_mingru_is_its_equations(T: int) -> None:
    torch.manual_seed(1)
    layer, x = mingru.MinGRULayer(3, 5), torch.randn(2, T, 3)
    h, want = torch.zeros(2, 5), []
    for t in range(T):
        z, candidate = torch.sigmoid(layer.gate(x[:, t])), layer.candidate(x[:, t])
        g = torch.where(candidate >= 0, candidate + 0.5, torch.sigmoid(candidate))
        h = (1 - z) * h + z * g
        want.append(h)
    torch.testing.assert_close(layer(x), torch.stack(want, dim=1))


def test_minlstm_is_its_equations() -> None:
    torch.manual_seed(1)
    layer, x = minlstm.MinLSTMLayer(3, 5), torch.randn(2, 40, 3)
    h, want = torch.zeros(2, 5), []
    for t in range(40):
        f, i = torch.sigmoid(layer.forget(x[:, t])), torch.sigmoid(layer.input(x[:, t]))
        candidate = layer.candidate(x[:, t])
        g = torch.where(candidate >= 0, candidate + 0.5, torch.sigmoid(candidate))
        h = f / (f + i) * h + i / (f + i) * g
        want.append(h)
    torch.testing.assert_close(layer(x), torch.stack(want, dim=1))


def test_the_linear_unit_is_a_dense_recurrence() -> None:
    torch.manual_seed(2)
    layer, u = LRULayer(4, 0.9, 0.999, math.pi / 10), torch.randn(2, 30, 4)
    Lambda = layer.coefficients().detach().numpy()
    assert ((np.abs(Lambda) >= 0.9 - 1e-6) & (np.abs(Lambda) <= 0.999 + 1e-6)).all()
    assert (np.angle(Lambda) <= math.pi / 10 + 1e-6).all()
    np.testing.assert_allclose(
        layer.log_gamma.exp().detach() ** 2, 1 - np.abs(Lambda) ** 2, rtol=1e-3
    )
    A = np.diag(Lambda)
    B = np.diag(layer.log_gamma.exp().detach().numpy()) @ (layer.B.detach().numpy() @ [1, 1j])
    C, D = layer.C.detach().numpy() @ [1, 1j], layer.D.detach().numpy()
    s, want = np.zeros((4, 2), complex), []
    for t in range(30):
        x = u[:, t].numpy().T
        s = A @ s + B @ x
        want.append(((C @ s).real + D[:, None] * x).T)
    got = layer(u).detach().numpy()
    np.testing.assert_allclose(got, np.stack(want, axis=1), rtol=1e-3, atol=1e-4)


def test_attention_sees_no_later_step_and_tells_places_apart() -> None:
    torch.manual_seed(3)
    blocks, x = Blocks(2, 6, 2), torch.randn(1, 12, 2)
    other = x.clone()
    other[:, 7:] += 1
    torch.testing.assert_close(blocks(x)[:, :7], blocks(other)[:, :7])
    swapped = x[:, [1, 0, *range(2, 12)]]
    assert (blocks(x)[:, -1] - blocks(swapped)[:, -1]).abs().max() > 1e-4
    assert positions(5, 7).shape == (5, 7)


# -- where cells start ----------------------------------------------------------------------------


def test_chrono_biases_are_drawn_from_the_tasks_lags() -> None:
    task, H = longlag.task("adding", min_length=100, max_length=100), 400
    units = cell("chrono-lstm", task, hidden=H).units
    assert isinstance(units, nn.LSTM)
    *_, ours, other = units.all_weights[0]
    i, f, *_ = (ours + other).detach().chunk(4)
    torch.testing.assert_close(i, -f)
    times = f.exp()
    assert 1 <= times.min() < 10
    assert 90 < times.max() <= 99
    assert abs(float(times.mean()) - 50) < 8  # uniform on [1, 99], 400 draws


def test_a_device_that_is_not_there_is_named() -> None:
    made = recipe("robust", network="torch-gru", device="cuda:93", max_iterations=1)
    with pytest.raises(ValueError, match="PyTorch has no device 'cuda:93' here"):
        longlag.train(made, 0)
