"""Bring your own: the PyTorch side, with the recipe's own LSTM as the oracle of the protocol."""

from __future__ import annotations

import contextlib
import copy
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import longlag
from longlag import words as report
from longlag.judging import evaluate
from longlag.learning.recipe import Recipe, recipe
from longlag.learning.training import Run
from longlag.networks.lstm import LSTM
from longlag.training import train
from toys import toy

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402
from torch.utils.data import DataLoader, default_collate  # noqa: E402

from longlag.learning.streams import DATASET, stream  # noqa: E402
from longlag.networks.registry import NETWORKS  # noqa: E402
from longlag.networks.torch import answers, check_module  # noqa: E402
from longlag.torch import JudgedTorchBatch, Sequences, TorchBatch, train_torch  # noqa: E402

KINDS = ("LSTM", "GRU", "RNN")
DOCS = Path(__file__).parents[1] / "docs"


class Peer(nn.Module):
    """PyTorch's own LSTM with a network's weights, one of its two biases zero and frozen."""

    def __init__(self, network: LSTM) -> None:
        super().__init__()
        self.output = network.output
        self.cell = nn.LSTM(2, network.hidden, batch_first=True)
        self.read = nn.Linear(network.hidden, 1)
        self.cell.bias_hh_l0.requires_grad_(False)
        p = network.parameters
        with torch.no_grad():
            self.cell.weight_ih_l0.copy_(torch.from_numpy(self.order(p.Wx).T.copy()))
            self.cell.weight_hh_l0.copy_(torch.from_numpy(self.order(p.Wh).T.copy()))
            self.cell.bias_ih_l0.copy_(torch.from_numpy(self.order(p.b)))
            self.cell.bias_hh_l0.zero_()
            self.read.weight.copy_(torch.from_numpy(p.Wy.T.copy()))
            self.read.bias.copy_(torch.from_numpy(p.by))

    @staticmethod
    def order(array: np.ndarray) -> np.ndarray:
        """Gates i, f, o, g as PyTorch has them: i, f, g, o."""
        i, f, o, g = np.split(array, 4, axis=-1)
        return np.concatenate([i, f, g, o], axis=-1)

    def forward(self, inputs: Any, lengths: Any) -> Any:
        hidden, _ = self.cell(inputs)
        y = self.read(hidden[torch.arange(len(lengths)), lengths - 1])[:, 0]
        return torch.sigmoid(y) if self.output == "sigmoid" else y


class Small(nn.Module):
    """A mean over the steps and a layer, with what a module can have: dropout, a loose end."""

    def __init__(self, shape: str = "(B,)", dtype: Any = torch.float32) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.read = nn.Linear(2, 1, dtype=dtype)
        self.unused = nn.Parameter(torch.ones(2, dtype=dtype))
        self.frozen = nn.Parameter(torch.ones(1, dtype=dtype), requires_grad=False)
        self.drop, self.shape = nn.Dropout(0.5), shape

    def forward(self, inputs: Any, lengths: Any) -> Any:
        mask = torch.arange(inputs.shape[1]) < lengths[:, None]
        y = self.read(self.drop((inputs * mask[:, :, None]).sum(1) / lengths[:, None]))
        if self.shape == "(B,)":
            return y[:, 0] * self.frozen
        numbers = y[:, 0].tolist()
        return {
            "(B, 1)": y,
            "none": None,
            "detached": y[:, 0].detach(),
            "tuple": (y[:, 0], y),
            "list": numbers,
            "array": np.array(numbers),
            "complex": y[:, 0] + 0j,
        }[self.shape]


class Complex(Small):
    def __init__(self) -> None:
        super().__init__()
        self.phase = nn.Parameter(torch.ones(2, dtype=torch.complex64))


def weights(module: nn.Module) -> list[np.ndarray]:
    return [p.detach().numpy().copy() for p in module.parameters()]


# -- the protocol, against the recipe's own training ----------------------------------------------

VARIANTS: dict[str, dict[str, Any]] = {
    "robust": {"min_length": 20},
    "clipped, no average": {"min_length": 20, "clip": 0.01, "average_decay": 0.0},
    "plain descent": {"min_length": 14, "optimizer": "sgd", "learning_rate": 0.3},
    "adding": {"task": "adding", "min_length": 20, "beta1": 0.5, "beta2": 0.9},
    "catalog": {"test_every": 20, "test_size": 64},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_module_is_trained_as_the_recipes_network_is(name: str) -> None:
    changes = {"max_iterations": 50, "test_every": 20, "test_size": 100, **VARIANTS[name]}
    made: Recipe = recipe("catalog" if name == "catalog" else "robust", **changes)
    ours = train(made, 3, engine="numpy")
    theirs = train_torch(Peer(made.network_of(made.learner(3).weights)), made, 3)
    close = {"rtol": 2e-4, "atol": 1e-6}
    np.testing.assert_allclose(theirs.history.train_losses, ours.history.train_losses, **close)
    np.testing.assert_allclose(theirs.history.test_curve, ours.history.test_curve, **close)
    assert [k for k, _ in theirs.history.test_curve] == [20, 40, 50]
    assert theirs.score.mse == pytest.approx(ours.score.mse, rel=2e-4)
    assert (theirs.stopped_by, theirs.sequences) == ("max_iterations", ours.sequences)
    batch = made.task.sample(20, np.random.default_rng(0))
    answers = ours.network.predict(batch.inputs, batch.lengths)
    got = theirs.network.module(torch.from_numpy(batch.inputs), torch.from_numpy(batch.lengths))
    np.testing.assert_allclose(got.detach().numpy(), answers, rtol=1e-3, atol=1e-4)


def test_it_stops_when_two_successive_tests_are_strict() -> None:
    made = recipe("robust", min_length=14, test_every=100, batch_size=8)
    run = train_torch(Peer(made.network_of(made.learner(0).weights)), made, 0)
    ours = train(made, 0, engine="numpy")
    assert run.stopped_by == ours.stopped_by == "target"
    assert run.sequences == pytest.approx(ours.sequences, abs=2 * 8 * 100)
    assert run.score.wrong <= 2 * 16  # a third set: it took no part in stopping
    assert longlag.judge(run.network.module, made, seed=1).wrong <= 2 * 16


def test_a_loss_that_is_not_finite_ends_it() -> None:
    made = recipe("robust", min_length=14, optimizer="sgd", learning_rate=1e3, clip=1e30)
    run = train_torch(Peer(made.network_of(made.learner(0).weights)), made)
    assert run.stopped_by == "diverged"
    assert run.iterations < made.rule.max_iterations


# -- modules of all kinds -------------------------------------------------------------------------


def short(**changes: Any) -> Recipe:
    given = {"min_length": 12, "batch_size": 4, "max_iterations": 6, "test_every": 3}
    return recipe("robust", **{**given, "test_size": 20, **changes})


def test_the_module_stays_as_it_is_and_a_training_can_be_repeated() -> None:
    module = Small()
    module.drop.eval()
    before, stream = weights(module), torch.get_rng_state()
    runs: list[Run] = [train_torch(module, short(), seed) for seed in (1, 1, 2)]
    assert torch.equal(stream, torch.get_rng_state())
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(module), strict=True))
    assert (module.training, module.drop.training) == (True, False)
    losses = [run.history.train_losses for run in runs]
    np.testing.assert_array_equal(losses[0], losses[1])  # the dropout's draws too
    assert runs[0].score == runs[1].score
    assert not np.array_equal(losses[0], losses[2])
    trained = runs[0].network.module
    assert not np.array_equal(weights(trained.read)[0], weights(module.read)[0])
    assert trained.unused.tolist() == [1, 1]
    assert (trained.frozen.item(), trained.frozen.requires_grad) == (1, False)


def test_the_judged_module_has_the_averaged_weights() -> None:
    plain, averaged = (
        train_torch(Small(), short(average_decay=decay)).network.module for decay in (0.0, 0.9)
    )
    start = weights(Small().read)[0]
    far = [np.abs(weights(one.read)[0] - start).max() for one in (plain, averaged)]
    assert 0 < far[1] < far[0]


def test_a_module_of_double_precision_is_trained_too() -> None:
    run = train_torch(Small(dtype=torch.float64), short())
    assert run.network.module.read.weight.dtype == torch.float64
    assert np.isfinite(run.score.mse)


@pytest.mark.parametrize(
    ("module", "asked", "seed", "says"),
    [
        (Small("(B, 1)"), short(), 0, r"\(4,\), not with shape \(4, 1\): squeeze the last axis"),
        (Small("none"), short(), 0, r"\(4,\), not with None: return the answers alone"),
        (Small("tuple"), short(), 0, r"\(4,\), not with a tuple of 2: .* nn.LSTM"),
        (Small("list"), short(), 0, r"\(4,\), not with a list: "),
        (Small("array"), short(), 0, "must answer with a tensor, not with a ndarray"),
        (Small("complex"), short(), 0, "complex64 of shape .*: return real numbers"),
        (Small("detached"), short(), 0, "answers with a gradient"),
        (Complex(), short(), 0, "module has complex parameters"),
        (lambda x, n: x, short(), 0, "module must be a PyTorch module"),
        (nn.ReLU(), short(), 0, "no parameters that can be trained"),
        (nn.LazyLinear(1), short(), 0, "lazy parameters"),
        (Small(), "robusd", 0, "unknown recipe 'robusd'; did you mean 'robust'?"),
        (Small(), recipe("paper"), 0, "learns on-line"),
        (Small(), short(), -1, "seed must be a whole number"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(
    module: Any, asked: Any, seed: int, says: str
) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        train_torch(module, asked, seed)
    assert "\n" not in str(caught.value)


# -- judging --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["robust", "catalog"])
def test_a_callable_and_a_module_are_judged_as_a_run_is(name: str, capsys: Any) -> None:
    made: Recipe = recipe(name, max_iterations=5, test_size=50)
    run = train(made, 0, engine="numpy")
    want = evaluate(run, 1000, 7, engine="numpy")
    got = longlag.judge(run.network.predict, made, 1000, 7, batch_size=300, show=True)
    assert got.wrong == want.wrong
    assert got.mse == pytest.approx(want.mse, rel=1e-6)  # matrix products, by batch size
    assert capsys.readouterr().out.strip() == report.scores(made.task.tested, got)
    assert report.scores(made.task.tested, got) in report.evaluation(run, made.task.tested, got)
    module = longlag.judge(Peer(run.network), made.task.tested, 1000, 7)
    assert module.mse == pytest.approx(want.mse, rel=1e-5)


def test_a_judge_gives_the_model_bounded_batches() -> None:
    seen: list[tuple[int, ...]] = []

    def predict(inputs: np.ndarray, lengths: np.ndarray) -> list[float]:
        seen.append(inputs.shape)
        assert lengths.shape == inputs.shape[:1]
        return [0.25] * len(lengths)

    checks = [4, 4, 4, 4, 8, 1]  # see test_checking.py
    got = longlag.judge(predict, longlag.MarkedPairs(min_length=5000, max_length=5000), 300)
    assert got.n == 300
    assert [n for n, _, _ in seen] == [*checks, 209, 91]  # a million values are drawn at a time
    seen.clear()
    again = longlag.judge(
        predict, longlag.MarkedPairs(min_length=5000, max_length=5000), 300, batch_size=100
    )
    assert [n for n, _, _ in seen] == [*checks, 100, 100, 9, 91]
    assert again == got


@pytest.mark.parametrize(("B", "T"), [(1, 20), (64, 1000), (128, 1000), (300, 400), (3000, 20)])
def test_a_module_answers_in_parts_what_it_answers_at_once(B: int, T: int) -> None:
    task = longlag.MarkedPairs(min_length=T, max_length=T)
    network = NETWORKS["torch-gru"].with_settings({"hidden": 3})
    model = network.of(network.start(task, stream(0)), task)
    seen: list[int] = []
    hook = lambda module, given: seen.append(len(given[0]))  # noqa: E731
    batch = task.sample(B, stream(1))
    with model.module.register_forward_pre_hook(hook):
        got = model.predict(batch.inputs, batch.lengths)
        with torch.no_grad():
            want = model.module.eval()(*map(torch.from_numpy, batch[:2])).numpy()
    assert seen[-1] == B == sum(seen[:-1])
    assert all(n == 64 * max(1, 512 // T) for n in seen[:-2])
    assert seen[-2] < 128 * max(1, 512 // T)
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_the_best_constant_answer_scores_chance() -> None:
    task = recipe("robust").task
    got = longlag.judge(lambda x, n: np.full(len(n), task.mean_target), n=25_600)
    assert got.mse == pytest.approx(task.chance_mse, rel=0.02)


def test_a_module_is_judged_in_evaluation_mode() -> None:
    module = Small()
    assert longlag.judge(module, n=50) == longlag.judge(module, n=50)
    assert module.drop.training
    assert longlag.judge(LastValue(), n=50).n == 50  # one without parameters


class LastValue(nn.Module):
    def forward(self, inputs: Any, lengths: Any) -> Any:
        return inputs[torch.arange(len(lengths)), lengths - 1, 0]


@pytest.mark.parametrize(
    ("predict", "more", "says"),
    [
        (3, {}, r"predict must be a callable, such as .* or a PyTorch module, not int"),
        (nn.GRU, {}, r"predict must be a callable, .* PyTorch module, not the class GRU"),
        (lambda x, n: x[:, 0], {}, r"shape \(4,\), not with shape \(4, 2\): read one number out"),
        (lambda x, n: 0.25, {}, r"not with shape \(\): return one for each"),
        (lambda x, n: x[:, 0, 0].squeeze(), {}, r"\(1,\), not with shape \(\): .* squeeze\(\)"),
        (lambda x, n: ["a"] * len(n), {}, "not with str.* return real numbers"),
        (lambda x, n: [[0.25]] * len(n), {}, r"shape \(4, 1\): squeeze the last axis"),
        (lambda x, n: [[0.25], [0.5, 1.0]], {}, "not with a list: return the answers alone"),
        (lambda x, n: (x[:, 0, 0], x[:, 0]), {}, "not with a tuple of 2: return the answers alone"),
        (lambda x, n: (x[:, 0], x[:, 0]), {}, "not with a tuple of 2: return the answers alone"),
        (lambda x, n: {"answers": x[:, 0, 0]}, {}, "not with a dict: return the answers alone"),
        (lambda x, n: None, {}, "not with None: return the answers alone"),
        (lambda x, n: torch.ones(len(n), requires_grad=True), {}, "a Tensor, are no array: .*grad"),
        (lambda x, n: torch.ones(len(n), 1, requires_grad=True), {}, "squeeze the last axis"),
        (lambda x, n: n, {"n": 0}, "n must be a whole number from 1"),
        (lambda x, n: n, {"seed": -1}, "seed must be a whole number from 0"),
        (lambda x, n: n, {"batch_size": 0}, "batch_size must be a whole number from 1"),
        (
            lambda x, n: n,
            {"task": "robusd"},
            "a recipe's name or .* did you mean 'robust'",
        ),
        (Small("(B, 1)"), {}, r"shape \(4,\), not with shape \(4, 1\): squeeze the last axis"),
        (Small("tuple"), {}, "not with a tuple of 2: return the answers alone; nn.LSTM"),
    ],
)
def test_what_cannot_be_judged_is_refused(predict: Any, more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        longlag.judge(predict, **more)


# -- traps, and who is in none of them; see also test_checking.py --------------------------------


class Reader(nn.Module):
    """A recurrent network and how its states (B, T, H) become answers (B,)."""

    def __init__(self, cells: nn.RNNBase, how: str) -> None:
        super().__init__()
        width = cells.hidden_size * (1 + cells.bidirectional)
        self.cells, self.how, self.read = cells, how, nn.Linear(width, 1)
        self.norm = nn.BatchNorm1d(width)
        self.mixing = nn.BatchNorm1d(width, track_running_stats=False)
        self.drop = nn.Dropout(0.5)

    def forward(self, inputs: Any, lengths: Any) -> Any:
        if self.how == "packed":
            packed = pack_padded_sequence(
                inputs, lengths, batch_first=self.cells.batch_first, enforce_sorted=False
            )
            h, _ = pad_packed_sequence(self.cells(packed)[0], batch_first=True)
        else:
            h, _ = self.cells(inputs)
        last = h[torch.arange(len(lengths)), lengths - 1]
        if self.how == "last padded step":
            last = h[:, -1]
        elif self.how in ("norm", "mixing", "drop"):
            last = getattr(self, self.how)(last)
        elif self.how == "noise":
            last = last * torch.rand_like(last)
        return self.read(last)[:, 0]


class Attending(nn.Module):
    """A layer of PyTorch's transformer; no sequence but its own, and no padding, where masked."""

    def __init__(self, masked: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.into, self.read, self.masked = nn.Linear(2, 8), nn.Linear(8, 1), masked
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.places = nn.Embedding(22, 8)  # for the longest sequence, and no more

    def forward(self, inputs: Any, lengths: Any) -> Any:
        steps = torch.arange(inputs.shape[1])
        behind = steps >= lengths[:, None]
        x = self.into(inputs) + self.places(steps)
        h = self.layer(x, src_key_padding_mask=behind if self.masked else None)
        return self.read(h[torch.arange(len(lengths)), lengths - 1])[:, 0]


def cells(kind: str = "LSTM", *, time_first: bool = False, **more: Any) -> nn.RNNBase:
    torch.manual_seed(0)
    return getattr(nn, kind)(2, 8, batch_first=not time_first, **more)


TRAPS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "time first": (lambda: Reader(cells(time_first=True), ""), "takes time first"),
    "GRU, time first": (lambda: Reader(cells("GRU", time_first=True), ""), "takes time first"),
    "last step": (lambda: Reader(cells(), "last padded step"), "reads padding"),
    "backwards": (lambda: Reader(cells(bidirectional=True), ""), "reads padding"),
    "attention": (lambda: Attending(masked=False), "reads padding"),
    "batch": (lambda: Reader(cells(), "mixing"), "mixes sequences"),
    "noise": (lambda: Reader(cells(), "noise"), "not deterministic in evaluation mode"),
}
RIGHT: dict[str, Callable[[], nn.Module]] = {
    **{f"{kind}, own step": lambda kind=kind: Reader(cells(kind), "") for kind in KINDS},
    **{f"{kind}, packed": lambda kind=kind: Reader(cells(kind), "packed") for kind in KINDS},
    "both ways": lambda: Reader(cells(bidirectional=True, num_layers=2), "packed"),
    "transformer": Attending,
    "BatchNorm": lambda: Reader(cells(), "norm"),
    "dropout": lambda: Reader(cells("GRU", num_layers=2, dropout=0.5), "drop"),
    "double": lambda: Reader(cells(), "").double(),
    "bfloat16": lambda: Reader(cells(), "").bfloat16(),
    "float16": lambda: Reader(cells("GRU"), "").half(),
}
SHORT = {"min_length": 20, "max_length": 22}


@pytest.mark.parametrize("name", TRAPS)
def test_a_module_in_a_trap_is_neither_judged_nor_trained(name: str) -> None:
    make, trap = TRAPS[name]
    for ask in (
        lambda: longlag.judge(make(), longlag.MarkedPairs(**SHORT), 10),
        lambda: longlag.judge(wrapped(make().eval()), longlag.MarkedPairs(**SHORT), 10),
        lambda: train_torch(make(), short(**SHORT)),
    ):
        with pytest.raises(ValueError, match=f"the model.*{trap}") as caught:
            ask()
        assert "\n" not in str(caught.value)


class Embedded(nn.Module):
    """A GRU over embedded symbols, one way or both, and how its states become answers."""

    def __init__(self, task: Any, how: str, *, both_ways: bool = False, **more: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.how, self.every = how, task.answered == "every"
        self.into = nn.Embedding(task.inputs, 8)
        self.cells = nn.GRU(8, 8, bidirectional=both_ways, **{"batch_first": True, **more})
        self.norm = nn.BatchNorm1d(8 * (1 + both_ways), track_running_stats=False)
        self.read = nn.Linear(8 * (1 + both_ways), task.outputs)

    def forward(self, inputs: Any, lengths: Any) -> Any:
        h, _ = self.cells(self.into(inputs))
        if self.how == "norm":
            h = self.norm(h.transpose(1, 2)).transpose(1, 2)
        if self.every:
            return self.read(h)
        last = h[:, -1] if self.how == "padded" else h[torch.arange(len(lengths)), lengths - 1]
        return self.read(last)


class Convolved(nn.Module):
    """A window of three symbols: those before, or one on either side."""

    def __init__(self, task: Any, *, causal: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.into, self.sides = nn.Embedding(task.inputs, 8), (2, 0) if causal else (1, 1)
        self.seen, self.read = nn.Conv1d(8, 8, 3), nn.Linear(8, task.outputs)

    def forward(self, inputs: Any, lengths: Any) -> Any:
        x = nn.functional.pad(self.into(inputs).transpose(1, 2), self.sides)
        return self.read(torch.relu(self.seen(x)).transpose(1, 2))


SYMBOL_TRAPS: dict[str, tuple[str, Callable[[Any], nn.Module], str]] = {
    "time first": (
        "temporal-order",
        lambda task: Embedded(task, "", batch_first=False),
        "takes time first",
    ),
    "last step": (
        "temporal-order",
        lambda task: Embedded(task, "padded", both_ways=True),
        "reads padding",
    ),
    "batch": ("temporal-order", lambda task: Embedded(task, "norm"), "mixes sequences"),
    "time first, every step": (
        "reber",
        lambda task: Embedded(task, "", batch_first=False),
        "takes time first",
    ),
    "batch, every step": ("reber", lambda task: Embedded(task, "norm"), "mixes sequences"),
    "both ways": ("reber", lambda task: Embedded(task, "", both_ways=True), "reads the future"),
    "convolution": ("copy", lambda task: Convolved(task, causal=False), "reads the future"),
}


def of_symbols(name: str) -> Any:
    size = {"lag": 5} if name == "copy" else {} if name == "reber" else {"min_length": 20}
    return recipe("robust", task=name, max_iterations=2, test_every=1, test_size=10, **size)


@pytest.mark.parametrize("trap", SYMBOL_TRAPS)
def test_a_module_in_a_trap_is_refused_on_tasks_with_symbols(trap: str) -> None:
    name, make, says = SYMBOL_TRAPS[trap]
    made = of_symbols(name)
    for ask in (
        lambda: longlag.judge(make(made.task), made.task, 10),
        lambda: train_torch(make(made.task), made),
    ):
        with pytest.raises(ValueError, match=f"the model {says}") as caught:
            ask()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("temporal-order", lambda task: Embedded(task, "")),
        ("reber", lambda task: Embedded(task, "")),
        ("reber", lambda task: Convolved(task, causal=True)),
        ("copy", lambda task: Convolved(task, causal=True)),
    ],
)
def test_a_module_that_answers_by_itself_is_trained_on_tasks_with_symbols(
    name: str, make: Callable[[Any], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = of_symbols(name)
    assert longlag.judge(make(made.task), made.task, 10).n == 10
    looked = train_torch(make(made.task), made)
    monkeypatch.setattr("longlag.networks.torch.check_module", lambda module, task: None)
    not_looked = train_torch(make(made.task), made)
    assert np.isfinite(looked.score.mse)
    assert looked.score == not_looked.score


def wrapped(module: nn.Module) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A plain callable that asks a module, in whatever mode it is."""
    return lambda x, n: module(torch.from_numpy(x), torch.from_numpy(n)).detach().numpy()


@pytest.mark.parametrize("name", RIGHT)
def test_a_module_that_answers_each_sequence_by_itself_is_not_suspected(name: str) -> None:
    for task in (longlag.MarkedPairs(**SHORT), longlag.MarkedPairs("adding", **SHORT)):
        assert longlag.judge(RIGHT[name](), task, 10).n == 10
    run = train_torch(RIGHT[name](), short(**SHORT))
    assert np.isfinite(run.score.mse)


@pytest.mark.parametrize(("how", "trap"), [("norm", "mixes sequences"), ("drop", "determin")])
def test_a_callable_around_a_module_in_training_mode_is_refused(how: str, trap: str) -> None:
    module = Reader(cells(), how)
    with pytest.raises(ValueError, match=f"{trap}.*eval"):
        longlag.judge(wrapped(module), n=10)
    assert longlag.judge(wrapped(module.eval()), n=10) == longlag.judge(module, n=10)


def test_what_reads_the_last_step_is_right_where_there_is_no_padding() -> None:
    made = recipe("catalog", max_iterations=2, test_size=20)  # a batch has one length
    run = train_torch(Reader(cells(), "last padded step"), made)
    assert longlag.judge(run.network.module, made, 10).n == 10


def test_a_read_out_that_starts_at_zero_hides_no_trap() -> None:
    module = Reader(cells(time_first=True), "")
    nn.init.zeros_(module.read.weight)
    with pytest.raises(ValueError, match="takes time first"):
        train_torch(module, short())
    assert not module.read.weight.any()
    right = Reader(cells(), "")
    nn.init.zeros_(right.read.weight)
    assert train_torch(right, short()).iterations == 6


class Busy(Small):
    """Changes whatever it can in a call, but not its answers."""

    calls: Any
    seen: Any

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(2))
        self.norm = nn.BatchNorm1d(2)

    def forward(self, inputs: Any, lengths: Any) -> Any:
        self.calls += 1
        self.seen = inputs[0, 0].clone()
        torch.rand(1)
        self.norm(inputs[:, 0])
        y = super().forward(inputs, lengths)
        inputs.zero_()
        lengths.zero_()
        return y


def test_a_look_at_a_module_leaves_no_trace(monkeypatch: Any) -> None:
    module = Busy().train()
    module.drop.eval()
    before, stream = copy.deepcopy(module.state_dict()), torch.get_rng_state()
    seen, norm = module.seen, module.norm.running_mean
    check_module(module, recipe("robust").task)
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert module.seen is seen
    assert module.norm.running_mean is norm
    assert (module.training, module.drop.training) == (True, False)
    assert torch.equal(stream, torch.get_rng_state())

    looked = train_torch(module, short(), 1)
    monkeypatch.setattr("longlag.networks.torch.check_module", lambda module, task: None)
    not_looked = train_torch(module, short(), 1)
    np.testing.assert_array_equal(looked.history.train_losses, not_looked.history.train_losses)
    assert looked.score == not_looked.score
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            looked.network.module.state_dict().values(),
            not_looked.network.module.state_dict().values(),
            strict=True,
        )
    )


def test_inputs_have_the_type_of_the_first_real_parameter() -> None:
    class Counting(LastValue):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.zeros(3, dtype=torch.int64), requires_grad=False)

    assert longlag.judge(Counting(), n=50) == longlag.judge(LastValue(), n=50)


def test_a_callback_hears_of_every_block_and_changes_nothing() -> None:
    torch.manual_seed(0)
    module, heard = Small(), []
    run = train_torch(
        module, short(), 1, callback=lambda t: heard.append((t.iteration, len(t.losses)))
    )
    assert heard == sorted(set(heard))
    assert heard[-1] == (run.iterations, run.iterations)
    silent = train_torch(module, short(), 1)
    np.testing.assert_array_equal(run.history.train_losses, silent.history.train_losses)


# -- data -----------------------------------------------------------------------------------------


def arrays(loader: Any) -> list[list[np.ndarray]]:
    return [[part.numpy() for part in batch] for batch in loader]


def same(a: list[list[np.ndarray]], b: list[list[np.ndarray]]) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True)
    )


@pytest.mark.filterwarnings("ignore:This DataLoader")
def test_the_batches_do_not_depend_on_the_number_of_workers() -> None:
    data = Sequences(recipe("robust", min_length=20), seed=4, batch_size=3, batches=7)
    alone = arrays(data)
    assert same(alone, arrays(data))
    assert len({batch[0].tobytes() for batch in alone}) == 7
    for workers in (1, 2):
        loader = DataLoader(
            data, batch_size=None, num_workers=workers, multiprocessing_context="forkserver"
        )
        assert same(alone, arrays(loader))
    other = Sequences(recipe("robust", min_length=20), seed=5, batch_size=3, batches=7)
    assert not same(alone, arrays(other))


def first(items: list[TorchBatch]) -> TorchBatch:
    return items[0]


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set")
def test_a_loader_that_would_make_batches_of_batches_is_refused() -> None:
    data = Sequences(recipe("robust", min_length=20), batch_size=3, batches=4)
    # A fork of this process itself, which has the threads of several libraries, is not safe.
    ways = ("forkserver", "spawn")
    fork, spawn = ({"num_workers": 1, "multiprocessing_context": how} for how in ways)
    whole, collating = {"batch_size": None}, {"batch_size": 2, "collate_fn": default_collate}
    for more in ({}, {"batch_size": 4}, {"pin_memory": True}, collating, fork, spawn):
        with pytest.raises(ValueError, match=r"whole batches already: .* batch_size=None"):
            next(iter(DataLoader(data, **more)))
    only = Sequences(recipe("robust", min_length=20), batch_size=3, batches=1)
    own = {"collate_fn": first}
    for more in (whole, {**whole, "pin_memory": True}, {**whole, **spawn}, own):
        (got,) = DataLoader(only, **more)  # to its end: a worker is not stopped at its work
        assert isinstance(got, TorchBatch)
        assert same([[part.numpy() for part in got]], arrays(data)[:1])


@pytest.mark.filterwarnings("ignore:This DataLoader")
@pytest.mark.parametrize("workers", [0, 1])
def test_batches_have_what_answers_are_judged_by(workers: int) -> None:
    def got(task: Any) -> Any:
        how = {"num_workers": workers}
        how |= {"multiprocessing_context": "forkserver"} if workers else {}
        data = Sequences(task, 3, batch_size=4, batches=1)
        (batch,) = DataLoader(data, batch_size=None, **how)
        return batch

    def drawn(task: Any) -> Any:
        return task.sample(4, stream(3, DATASET, 0))

    memorization = longlag.task("memorization", lag=5, counts="recall")
    reber = longlag.task("reber", max_symbols=30)
    for task, name in ((reber, "truth"), (memorization, "counted")):
        batch = got(task)
        assert isinstance(batch, JudgedTorchBatch)
        inputs, _, targets = batch[:3]
        want = drawn(task)
        assert same([[inputs.numpy(), targets.numpy()]], [[want.inputs, want.targets]])
        np.testing.assert_array_equal(getattr(batch, name).numpy(), getattr(want, name))
    assert got(reber).counted is None
    assert got(memorization).truth is None
    assert type(got(longlag.task("adding", min_length=12))) is TorchBatch


@given(
    kind=st.sampled_from(["multiplication", "adding"]), T=st.integers(11, 40), B=st.integers(1, 9)
)
@settings(max_examples=15)
def test_batches_are_the_tasks(kind: Any, T: int, B: int) -> None:
    task = longlag.MarkedPairs(kind, min_length=T, max_length=T + 4)
    inputs, lengths, targets = next(iter(Sequences(task, batch_size=B)))
    assert (inputs.shape, lengths.shape, targets.shape) == ((B, T + 4, 2), (B,), (B,))
    assert (inputs.dtype, lengths.dtype) == (torch.float32, torch.int64)
    for x, n, target in zip(inputs.numpy(), lengths.tolist(), targets.tolist(), strict=True):
        assert T <= n <= T + 4
        assert not x[n:].any()
        shown = x[x[:, 1] == 1, 0]
        neutral = [1.0 if kind == "multiplication" else 0.0] * (2 - len(shown))
        a, b = [*shown, *neutral]
        want = a * b if kind == "multiplication" else 0.5 + (a + b) / 4
        assert target == pytest.approx(want, abs=1e-6)


def test_the_data_of_recipes() -> None:
    assert Sequences().task == recipe("robust").task
    assert next(iter(Sequences()))[0].shape == (recipe("robust").batch_size, 110, 2)
    assert next(iter(Sequences(recipe("paper"))))[0].shape == (32, 110, 2)
    lengths = [set(batch[1].tolist()) for batch in Sequences(recipe("catalog"), batches=20)]
    assert all(len(one) == 1 for one in lengths)  # the catalogue's: one length a batch
    assert len(set.union(*lengths)) > 5


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({"task": 3}, "task must be a task, a recipe or its name, not 3"),
        ({"seed": -1}, "seed must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"batches": 0}, "batches must be"),
    ],
)
def test_bad_data_sets_are_refused(given_: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Sequences(**given_)


# -- without PyTorch, and the page of the manual -------------------------------------------------

WITHOUT = """
import sys
sys.modules["torch"] = None
import longlag
from longlag import *
print(longlag.judge(lambda x, n: x[:, 0, 0], n=10).n)
for name in ("train_torch", "torch"):
    try:
        getattr(longlag, name)
    except ImportError as error:
        print(error)
print(hasattr(longlag, "nothing"))
"""


def test_everything_else_works_without_pytorch() -> None:
    words = [sys.executable, "-W", "error", "-c", WITHOUT]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    says = "longlag.torch needs PyTorch: pip install 'longlag[torch]'"
    assert done.stdout.splitlines() == ["10", says, says, "False"]


def test_the_names_of_the_package() -> None:
    assert longlag.train_torch is train_torch
    assert longlag.torch.Sequences is Sequences


def test_the_worked_example_of_the_manual(capsys: Any) -> None:
    page = (DOCS / "bring_your_own.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(code.splitlines()) <= 40
    names: dict[str, Any] = {}
    with contextlib.chdir(DOCS):
        exec(compile(code, "bring_your_own.md", "exec"), names)
    out = capsys.readouterr().out
    assert out.count("this network") == 2
    assert names["run"].stopped_by == "target"


def test_a_loss_has_all_answers_where_there_are_as_many_outputs_as_steps() -> None:
    task = toy(2, K=5)(min_length=2, max_length=5)  # answers (B, 5), inputs (B, 5, 2)
    network, rng = NETWORKS["torch-gru"], np.random.default_rng(0)
    model, batch = network.of(network.start(task, rng), task), task.sample(6, rng)
    loss, _ = model.gradient(*batch)
    assert loss == pytest.approx(np.mean((model.predict(*batch[:2]) - batch.targets) ** 2))


def test_models_of_a_network_share_no_weights() -> None:
    """They share the module that computes, but not the one that is given away."""
    task = longlag.task("adding", min_length=20, max_length=22)
    network, rng = NETWORKS["torch-rnn"], np.random.default_rng(0)
    batch = task.sample(3, rng)
    first, second = (network.of(network.start(task, rng), task) for _ in range(2))
    wanted = [model.predict(batch.inputs, batch.lengths) for model in (first, second)]
    assert not np.allclose(*wanted)
    modules = [model.module for model in (first, second)]
    with torch.no_grad():
        for parameter in modules[1].parameters():
            parameter.fill_(7)
    for model, want in zip((first, second), wanted, strict=True):
        np.testing.assert_array_equal(model.predict(batch.inputs, batch.lengths), want)
    assert first.module is modules[0]
    np.testing.assert_array_equal(answers(modules[0], batch.inputs, batch.lengths, task), wanted[0])


def test_models_of_one_form_compute_in_several_threads() -> None:
    made = longlag.recipe("robust", network="torch-gru", min_length=12, hidden=4)
    models = [made.network.of(made.learner(seed).weights, made.task) for seed in range(3)]
    batch = made.task.sample(8, np.random.default_rng(0))
    wanted = [model.predict(batch.inputs, batch.lengths) for model in models]

    def answered(k: int) -> list[np.ndarray]:
        return [models[k].predict(batch.inputs, batch.lengths) for _ in range(100)]

    with ThreadPoolExecutor(3) as pool:
        for given, want in zip(pool.map(answered, range(3)), wanted, strict=True):
            for one in given:
                np.testing.assert_array_equal(one, want)
