"""A training of a PyTorch module in a run directory: saved, resumed, loaded, drawn; optimisers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import longlag
from longlag import cli, figures
from longlag.files import DamagedFile
from longlag.learning.recipe import Recipe, recipe
from longlag.learning.training import Run, Training, begin
from longlag.runs import directory as runs
from longlag.runs.contents import Edited, Refused
from longlag.signals import Ended

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import mycells  # noqa: E402
import toys  # noqa: E402
from longlag.networks.torch import TorchModule  # noqa: E402
from longlag.torch import _with_optimizer, train_torch  # noqa: E402

SHORT: dict[str, Any] = {
    **{"min_length": 12, "batch_size": 8, "learning_rate": 0.01, "clip": 1.0},
    **{"max_iterations": 40, "test_every": 10, "test_size": 100},
}


class Changing(nn.Module):
    """What can change while a module learns: dropout draws, BatchNorm counts, a part is frozen."""

    def __init__(self, hidden: int = 6) -> None:
        super().__init__()
        self.cells = nn.GRU(2, hidden, batch_first=True)
        self.norm, self.drop = nn.BatchNorm1d(hidden), nn.Dropout(0.2)
        self.read = nn.Linear(hidden, 1)
        self.scale = nn.Parameter(torch.full((1,), 0.5), requires_grad=False)

    def forward(self, inputs: Any, lengths: Any) -> Any:
        last = self.cells(inputs)[0][torch.arange(len(lengths)), lengths - 1]
        return self.scale * self.read(self.drop(self.norm(last)))[:, 0]


class Another(Changing):
    pass


def changing(seed: int = 0) -> Changing:
    torch.manual_seed(seed)
    return Changing()


def short(**more: Any) -> Recipe:
    return recipe("robust", **{**SHORT, **more})


def adamw(params: Any) -> Any:
    return torch.optim.AdamW(params, lr=0.01, amsgrad=True)


def one_cycle(optimizer: Any) -> Any:
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=60)


def halved(optimizer: Any) -> Any:
    return torch.optim.lr_scheduler.StepLR(optimizer, 10, 0.5)


def ctrl_c(training: Training) -> None:
    """Presses it at the second test."""
    if len(training.tests) == 2:
        os.kill(os.getpid(), signal.SIGINT)


def assert_same(one: Run, other: Run) -> None:
    """To the bit."""
    assert one.score == other.score
    assert one.history.tests == other.history.tests
    np.testing.assert_array_equal(one.history.train_losses, other.history.train_losses)
    assert list(one.snapshots) == list(other.snapshots)
    for iteration, weights in one.snapshots.items():
        np.testing.assert_array_equal(weights, other.snapshots[iteration])
    for mine, theirs in zip(*(r.network.module.state_dict().values() for r in (one, other))):  # noqa: B905
        assert torch.equal(mine, theirs)


# -- saved and resumed ----------------------------------------------------------------------------

HOW: dict[str, dict[str, Any]] = {
    "the recipe's Adam": {},
    "AdamW and a schedule": {"optimizer": adamw, "schedule": one_cycle},
    "momentum": {"optimizer": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)},
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_a_training_stopped_by_ctrl_c_goes_on_to_the_same_bits(
    how: dict[str, Any], tmp_path: Path
) -> None:
    whole = train_torch(changing(), short(), 3, **how)
    with pytest.raises(Ended, match=r"is saved in .* and continues with resume=True"):
        train_torch(changing(), short(), 3, directory=tmp_path, callback=ctrl_c, **how)
    with pytest.raises(Refused, match="holds an unfinished training"):
        train_torch(changing(), short(), 3, directory=tmp_path, **how)
    torch.manual_seed(99)  # what others draw meanwhile is no matter
    resumed = train_torch(changing(7), short(), 3, directory=tmp_path, resume=True, **how)
    assert_same(whole, resumed)
    assert_same(whole, longlag.load(tmp_path, changing(8)))


@pytest.mark.parametrize("after", ["the gradient", "the update"])
def test_an_interruption_within_a_step_leaves_the_state_from_before(after: str) -> None:
    """As Ctrl-C does where a step takes long."""
    whole = train_torch(changing(), short(), 3, optimizer=adamw, schedule=halved)
    with_module = replace(short(), network=TorchModule(module=changing()))
    made, own = _with_optimizer(with_module, adamw, halved)
    training = begin(made, 3, engine="numpy", own=own)
    training.advance()
    update, calls = training.learner.optimizer.update, []

    def stop(*given: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            if after == "the update":
                update(*given)
            raise KeyboardInterrupt
        update(*given)

    training.learner.optimizer.update = stop
    with pytest.raises(KeyboardInterrupt):
        training.advance()
    training.learner.optimizer.update = update
    assert_same(whole, training.to_end())


def test_a_cell_by_its_name_is_resumed_too_and_its_dropout_depends_on_the_seed(
    tmp_path: Path,
) -> None:
    made = short(network="mycells:Drops", hidden=5)
    torch.manual_seed(1)  # not that of PyTorch's own stream
    whole = longlag.train(made, 2)
    with pytest.raises(Ended):
        train_torch("mycells:Drops", made, 2, directory=tmp_path, callback=ctrl_c)
    assert cli.main(["train", "--resume", "--quiet", "--save-dir", str(tmp_path)]) == 0
    assert_same(whole, longlag.load(tmp_path))


def test_a_cell_whose_file_was_edited_is_neither_resumed_nor_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    file, where = tmp_path / "edited_in_between.py", tmp_path / "run"
    source = Path(mycells.__file__).read_text()
    file.write_text(source)
    made = short(network="edited_in_between:Mine", hidden=5)
    with pytest.raises(Ended):
        train_torch("edited_in_between:Mine", made, 2, directory=where, callback=ctrl_c)
    file.write_text(f"{source}\n# edited\n")
    resume = ["train", "--resume", "--quiet", "--save-dir", str(where)]
    assert cli.main(resume) == 2
    assert "was started with file of edited_in_between '" in capsys.readouterr().err
    file.write_text(source)
    assert cli.main(resume) == 0
    file.write_text(f"{source}\n# edited\n")
    with pytest.raises(Refused, match=r"holds a finished run .*: its file of edited_in_between is"):
        train_torch("edited_in_between:Mine", made, 2, directory=where)
    with pytest.warns(Edited, match=r"the file of edited_in_between was edited after the run in"):
        longlag.load(where)
    capsys.readouterr()
    assert cli.main(["evaluate", str(where), "--n", "20", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["score"]["n"] == 20
    assert printed.err.startswith("longlag: the file of edited_in_between was edited after")
    file.write_text(source)
    assert longlag.load(where).seed == 2  # without a warning


def test_what_a_cell_prints_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("LONGLAG_PARTS", "cell_that_prints")
    source = toys.OWN_CELL.format(behind="").replace("return", "print('asked')\n        return")
    (tmp_path / "cell_that_prints.py").write_text(source)
    where, settings = str(tmp_path / "run"), ["--max-iterations", "2", "--test-size", "20"]
    train = ["train", "--network", "cell_that_prints:Own", *settings, "--save-dir", where]
    for command in (
        [*train, "--json"],
        ["evaluate", where, "--n", "20", "--json"],
        ["compare", where, where, "--n", "20", "--json"],
    ):
        assert cli.main(command) == 0
        printed = capsys.readouterr()
        assert json.loads(printed.out)
        assert "asked" in printed.err
    for command in ("figures", "animate"):
        assert cli.main([command, where]) == 0
        assert "asked" not in capsys.readouterr().out


def test_dropout_depends_on_the_seed_alone_on_line_too() -> None:
    changes = {"rule": "online", "stop": "recent", "min_length": 12, "max_sequences": 40}
    made = recipe("robust", network="mycells:Drops", hidden=5, test_size=20, **changes)
    whole = longlag.train(made, 2)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    first, second = (begin(made, 2, engine="numpy") for _ in range(2))
    first.advance()
    second.restore(first.state())
    assert 0 < second.iteration < 40
    assert_same(whole, second.to_end())
    assert torch.equal(torch.get_rng_state(), before)


def test_an_optimiser_of_ones_own_does_what_the_recipes_does() -> None:
    ours = train_torch(changing(), short(), 1)
    theirs = train_torch(
        changing(), short(), 1, optimizer=lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-12)
    )
    assert theirs.recipe.settings()["optimizer"] == "own"
    np.testing.assert_allclose(
        ours.history.train_losses, theirs.history.train_losses, rtol=1e-3, atol=1e-6
    )


def test_a_schedule_is_stepped_after_every_update() -> None:
    rates: list[float] = []

    class Plain(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    train_torch(changing(), short(), 1, optimizer=lambda p: Plain(p, lr=0.1), schedule=halved)
    assert rates == [0.1 * 0.5 ** (k // 10) for k in range(40)]


# -- what is refused ------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no function": ({"optimizer": 3}, "optimizer must be a function that makes one, not 3"),
    "no optimiser": (
        {"optimizer": lambda p: None},
        "must make an optimiser .* None",
    ),
    "a closure": ({"optimizer": torch.optim.LBFGS}, "that needs no closure"),
    "no schedule": (
        {"optimizer": adamw, "schedule": lambda o: 3},
        "schedule must make a schedule of torch.optim.lr_scheduler .* not 3",
    ),
    "a metric": (
        {"optimizer": adamw, "schedule": torch.optim.lr_scheduler.ReduceLROnPlateau},
        "that is stepped without a metric",
    ),
    "a schedule alone": ({"schedule": halved}, "give optimizer, too"),
    "no directory": ({"resume": True}, "give directory, too"),
    "both": ({"resume": True, "overwrite": True, "directory": "x"}, "exclude each other"),
    "no callback": ({"callback": 3}, "callback must be a callable, not 3"),
    "no progress": ({"progress": 3}, "progress must be True or False, not 3"),
    "own by its name": ({"recipe": short(optimizer="own")}, "one that is given in Python"),
}


def test_progress_is_shown_in_memory_into_a_directory_and_resumed(tmp_path: Path, capsys) -> None:
    def enough(training: Training) -> None:
        if training.iteration == 20:
            raise ArithmeticError

    quiet = train_torch(changing(), short())
    assert not capsys.readouterr().err
    kept: dict[str, Any] = {"directory": tmp_path, "progress": True}
    with pytest.raises(ArithmeticError):
        train_torch(changing(), short(), callback=enough, **kept)
    for how in ({"progress": True}, {**kept, "resume": True}):
        capsys.readouterr()
        assert train_torch(changing(), short(), **how).score == quiet.score
        assert "iteration 40: train MSE" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(("given", "says"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused_in_one_sentence(given: dict[str, Any], says: str) -> None:
    named = {"recipe": short(), **given}
    with pytest.raises(ValueError, match=says):
        train_torch(changing(), **named)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("Mixes", "mixes sequences"),
        ("MixesInTraining", "the model mixes the sequences of a batch in training mode"),
        ("Complex", "module has complex parameters"),
        ("Empty", "module has no parameters that can be trained"),
        ("Pads", "reads padding"),
        ("Carries", "it must draw no random numbers and keep no state from call to call"),
        ("Remembers", "the model changes norm.running_mean in training"),
        ("OtherArguments", r"must be made by OtherArguments\(D, K, size\)"),
        ("Missing", "has no attribute 'Missing'"),
    ],
)
def test_a_cell_that_will_not_do_is_not_trained(cell: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        longlag.train(short(network=f"mycells:{cell}"))
    with pytest.raises(ValueError, match=says):
        train_torch(f"mycells:{cell}", short())


def test_a_cell_that_answers_nan_ends_at_once() -> None:
    run = longlag.train(short(network="mycells:NaN"))
    assert (run.stopped_by, run.iterations) == ("diverged", 0)


@pytest.mark.parametrize("made", [None, 3])
def test_a_schedule_function_that_makes_none_is_refused(made: Any) -> None:
    with pytest.raises(ValueError, match="schedule must make a schedule"):
        train_torch(changing(), short(), optimizer=adamw, schedule=lambda optimizer: made)


def test_a_network_that_is_not_pytorchs_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a PyTorch module or network, not network lstm"):
        train_torch("lstm", short())


def test_another_module_seed_or_size_is_no_resumption(tmp_path: Path) -> None:
    with pytest.raises(Ended):
        train_torch(changing(), short(), 3, directory=tmp_path, callback=ctrl_c)
    cases: list[tuple[Any, int, dict[str, Any], str]] = [
        (changing(), 4, {}, "seed 3, not 4: resume it with the same seed, or .* overwrite=True"),
        (Another(), 3, {}, "was started with network 'torch-module:Changing', not"),
        (Changing(7), 3, {}, r"trains weights of shape \(\d+,\), and what is given has"),
        (changing(), 3, {"optimizer": adamw}, "was started with optimizer 'adam', not 'own'"),
    ]
    for module, seed, more, says in cases:
        with pytest.raises(ValueError, match=says):
            train_torch(module, short(), seed, directory=tmp_path, resume=True, **more)


def test_another_optimiser_or_schedule_is_no_resumption(tmp_path: Path) -> None:
    how = {"optimizer": adamw, "schedule": halved}
    with pytest.raises(Ended):
        train_torch(changing(), short(), 3, directory=tmp_path, callback=ctrl_c, **how)
    was = r"AdamW\(lr=0.01, .*amsgrad=True.*\), StepLR\(step_size=.*\)', not '"
    cases = {
        "SGD": {"optimizer": lambda p: torch.optim.SGD(p, lr=0.01), "schedule": halved},
        r"AdamW\(lr=99, ": {"optimizer": lambda p: torch.optim.AdamW(p, 99), "schedule": halved},
        r"AdamW\(lr=0.01, [^;]*; lr=0.5, ": {"optimizer": by_groups, "schedule": halved},
        r"AdamW\(lr=0.01, .*\), StepLR\(step_size=77, gamma=0.1": {
            "optimizer": adamw,
            "schedule": lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 77),
        },
        r"AdamW\(lr=0.01, [^)]*\)[^)]*\)': resume": {"optimizer": adamw},
    }
    for given, other in cases.items():
        with pytest.raises(ValueError, match=was + given):
            train_torch(changing(), short(), 3, directory=tmp_path, resume=True, **other)


@pytest.mark.parametrize(
    ("module", "more", "says"),
    [
        (lambda: changing(1), {}, "its initial weights is '"),
        (lambda: Changing(7), {}, "its initial weights is '"),
        (changing, {"optimizer": lambda p: torch.optim.AdamW(p, 99)}, r"AdamW\(lr=99, "),
        (changing, {"schedule": halved}, r"its own optimizer is 'AdamW\(.*', not 'AdamW\(.*StepLR"),
    ],
    ids=["other start", "larger", "other rate", "schedule"],
)
def test_a_finished_run_is_not_replaced_by_another_training(
    module: Any, more: dict[str, Any], says: str, tmp_path: Path
) -> None:
    made, plain = short(max_iterations=2, test_every=1), {"optimizer": adamw}
    first = train_torch(changing(), made, 3, directory=tmp_path, **plain)
    assert_same(train_torch(changing(), made, 3, directory=tmp_path, **plain), first)
    with pytest.raises(ValueError, match=f"{says}.*; choose another directory"):
        train_torch(module(), made, 3, directory=tmp_path, **{**plain, **more})
    assert_same(longlag.load(tmp_path, changing()), first)
    train_torch(module(), made, 3, directory=tmp_path, overwrite=True, **{**plain, **more})


def by_groups(parameters: list[Any]) -> Any:
    """The last parameter has a rate of its own."""
    groups = [{"params": parameters[:-1]}, {"params": parameters[-1:], "lr": 0.5}]
    return torch.optim.AdamW(groups, lr=0.01, amsgrad=True)


def test_a_schedule_of_schedules_is_told_apart_by_theirs(tmp_path: Path) -> None:
    def warmed(rate: float, steps: int) -> Any:
        kinds = torch.optim.lr_scheduler
        return lambda optimizer: kinds.SequentialLR(
            optimizer,
            [kinds.LinearLR(optimizer, rate), kinds.CosineAnnealingLR(optimizer, 60)],
            [steps],
        )

    def train(schedule: Any, **how: Any) -> Run:
        how |= {"optimizer": adamw, "schedule": schedule, "directory": tmp_path}
        return train_torch(changing(), short(), 3, **how)

    with pytest.raises(Ended):
        train(warmed(0.1, 5), callback=ctrl_c)
    for other in (warmed(0.2, 5), warmed(0.1, 6)):
        with pytest.raises(ValueError, match=r"was started .* of LinearLR\(start_factor=0\.1, "):
            train(other, resume=True)
    assert train(warmed(0.1, 5), resume=True).score.n


def test_an_optimiser_of_the_modules_own_parameters_is_refused() -> None:
    module = changing()
    with pytest.raises(ValueError, match="must be made of the parameters that it is given"):
        train_torch(module, short(), optimizer=lambda p: torch.optim.SGD(module.parameters(), 0.1))


# -- a run directory ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """A run of a module that only Python has."""
    directory = tmp_path_factory.mktemp("module")
    return train_torch(changing(), short(), directory=directory), directory


def test_a_loaded_module_answers_as_the_saved_one(saved: tuple[Run, Path]) -> None:
    run, directory = saved
    mine = changing(5)
    before = [p.detach().clone() for p in mine.parameters()]
    again = longlag.load(directory, mine)
    assert_same(run, again)
    assert longlag.evaluate(again, 100) == longlag.evaluate(run, 100)
    assert longlag.judge(again.network.module, run, 100).n == 100
    assert all(torch.equal(a, b) for a, b in zip(before, mine.parameters(), strict=True))


def test_what_a_directory_cannot_build_is_refused_in_one_sentence(
    saved: tuple[Run, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, directory = saved
    for words in (["evaluate"], ["figures"], ["animate"], ["explore"], ["compare", str(directory)]):
        assert cli.main([*words, str(directory)]) == 2
        message = capsys.readouterr().err
        assert "torch-module:Changing, which was given in Python" in message
        assert "longlag.load(directory, Changing(...))" in message
        assert "--network module:name" in message
    assert cli.main(["train", "--resume", "--save-dir", str(directory)]) == 2
    assert "train_torch(Changing(...), ..., resume=True)" in capsys.readouterr().err
    assert cli.main(["train", "--save-dir", str(directory), "--engine", "numpy"]) == 2
    assert "holds a finished run (robust, seed 0: its min_length is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (lambda: Another(), "is of torch-module:Changing, not of torch-module:Another"),
        (lambda: Changing(7), "is not of the Changing given: .* does not fit"),
        (lambda: 3, "module must be a PyTorch module, not 3"),
    ],
)
def test_another_module_is_no_matter_for_a_directory(
    module: Callable[[], Any], says: str, saved: tuple[Run, Path]
) -> None:
    with pytest.raises(ValueError, match=says):
        longlag.load(saved[1], module())


def test_what_a_module_keeps_must_be_all_there(saved: tuple[Run, Path], tmp_path: Path) -> None:
    for file in saved[1].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with np.load(tmp_path / "kept.npz") as kept:
        fewer = {name: kept[name] for name in kept.files if name != "norm.running_mean"}
    np.savez(tmp_path / "kept.npz", **fewer)  # type: ignore[arg-type]
    with pytest.raises(DamagedFile, match=r"kept\.npz is damaged"):
        longlag.load(tmp_path, changing())
    (tmp_path / "kept.npz").unlink()
    with pytest.raises(DamagedFile, match=r"kept\.npz is missing"):
        longlag.load(tmp_path, changing())


def test_a_module_is_for_runs_of_modules(tmp_path: Path) -> None:
    runs.put(longlag.train(short(), 0), tmp_path)
    with pytest.raises(ValueError, match="is of network lstm: load it without a module"):
        longlag.load(tmp_path, changing())


def test_a_run_of_a_module_is_drawn(saved: tuple[Run, Path], tmp_path: Path) -> None:
    run = longlag.load(saved[1], changing())
    written = figures.write_figures(run, tmp_path)
    assert {path.name for path in written} >= {"training_curve.png", "pred_vs_target.png"}
    assert figures.write_animation(run, tmp_path / "a.gif", n_frames=2).stat().st_size > 1000


def test_a_run_of_a_cell_by_its_name_is_for_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its optimiser is its own: with that alone it could not go on from the command line."""
    made, here = short(hidden=5), str(tmp_path / "mine")
    run = train_torch("mycells:Drops", made, directory=here, optimizer=adamw)
    train_torch("torch-gru", made, directory=tmp_path / "gru")
    assert cli.main(["compare", here, str(tmp_path / "gru")]) == 0
    assert "mycells:Drops" in capsys.readouterr().out
    assert cli.main(["figures", here]) == 0
    assert cli.main(["animate", here, "--n-frames", "2"]) == 0
    assert longlag.load(here).score == run.score
    capsys.readouterr()
    assert cli.main(["train", "--resume", "--save-dir", here]) == 2
    assert "optimizer own is one that is given in Python" in capsys.readouterr().err


@pytest.mark.parametrize("network", ["mycells:Drops", "torch-lstm", "lru"])
def test_states_that_a_module_offers_are_seen(network: str) -> None:
    made = short(network=network, hidden=5)
    model = made.network_of(made.learner(0).weights)
    batch = made.task.sample(4, np.random.default_rng(0))
    ((name, seen),) = model.states(batch.inputs, batch.lengths).items()
    assert name == "hidden"
    assert seen.shape == (*batch.inputs.shape[:2], 5)
    for sequence, length in zip(seen, batch.lengths, strict=True):
        assert np.all(sequence[length:] == 0)
        assert np.any(sequence[:length] != 0)
    without = model.states(batch.inputs[:1, : batch.lengths[0]])[name]
    np.testing.assert_allclose(without[0], seen[0, : batch.lengths[0]], rtol=1e-5, atol=1e-6)


class Embedded(nn.Module):
    def __init__(self, sparse: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(10, 4, sparse=sparse)
        self.read = nn.Linear(4, 9)

    def forward(self, inputs: Any, lengths: Any) -> Any:
        return self.read(self.embedding(inputs))


def test_sparse_gradients_are_those_of_a_dense_embedding() -> None:
    made = recipe("robust", task="copy", lag=5, max_iterations=3, test_every=3, test_size=10)
    sparse, dense = (train_torch(Embedded(one), made).weights for one in (True, False))
    for name, weights in dense.items():
        np.testing.assert_allclose(sparse[name], weights, rtol=1e-6, atol=1e-7)


HIDDEN = {"hidden": "States"}


@pytest.mark.parametrize(
    ("titles", "given", "says"),
    [
        (HIDDEN | {"cell": "Cells"}, lambda s: {"hidden": s}, "'cell', which is in titles, and gi"),
        (
            HIDDEN,
            lambda s: {"hidden": s[:, -1]},
            r"'hidden' of shape \(1, \d+, units\), not \(1, 5",
        ),
        (
            HIDDEN,
            lambda s: {"hidden": s.transpose(0, 1)},
            r"of shape \(1, \d+, units\), not \(1\d, 1",
        ),
        (HIDDEN, lambda s: s, "states must give a dict of arrays, not a Tensor"),
        (
            ["hidden"],
            lambda s: {"hidden": s},
            r"titles must be a dict of words .*, not \['hidden'\]",
        ),
    ],
)
def test_states_that_titles_do_not_describe_are_refused(
    titles: Any, given: Any, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mycells

    monkeypatch.setattr(mycells.Drops, "titles", titles)
    monkeypatch.setattr(mycells.Drops, "states", lambda own, x, n: given(own.cells(x)[0]))
    monkeypatch.setattr(mycells.Drops, "forward", mycells.Mine.forward)
    made = short(network="mycells:Drops", hidden=5, max_iterations=2)
    with pytest.raises(ValueError, match=says):
        figures.write_figures(longlag.train(made), tmp_path)


def test_titles_without_states_offer_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import mycells

    monkeypatch.setattr(mycells.Mine, "titles", ["of something else"], raising=False)
    made = short(network="mycells:Mine", hidden=5)
    model = made.network_of(made.learner(0).weights)
    assert model.titles == {}
    assert model.states(np.ones((1, 12, 2), np.float32)) == {}


# -- loggers --------------------------------------------------------------------------------------


class Writer:
    """Stands in for TensorBoard's writer and for wandb."""

    def __init__(self, *_: Any) -> None:
        self.noted: list[tuple[float, int]] = []

    def add_scalar(self, name: str, value: float, iteration: int) -> None:
        self.noted.append((value, iteration))

    def init(self, project: str, config: dict[str, Any]) -> None:
        assert config["batch_size"] == SHORT["batch_size"]

    def log(self, values: dict[str, float], step: int) -> None:
        self.noted.append((values["loss"], step))


@pytest.mark.parametrize("name", ["torch.utils.tensorboard", "wandb"])
def test_the_loggers_of_the_manual_hear_of_every_step(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "howto" / "logging.md").read_text()
    (code,) = (c for c in re.findall(r"```text\n(.*?)```", page, re.DOTALL) if name in c)
    module: Any = types.ModuleType(name)
    wandb = Writer()
    module.SummaryWriter, module.init, module.log = Writer, wandb.init, wandb.log
    monkeypatch.setitem(sys.modules, name, module)
    names: dict[str, Any] = {"longlag": longlag, "module": changing(), "recipe": short()}
    exec(compile(code, "logging.md", "exec"), names)
    noted = (wandb if name == "wandb" else names["writer"]).noted
    run = train_torch(changing(), short())
    assert [step for _, step in noted] == [10, 20, 30, 40]
    assert [loss for loss, _ in noted] == run.history.train_losses[9::10].tolist()


TELLS = """
import torch

class Tells(torch.nn.GRU):
    def __init__(self, D, K, size):
        super().__init__(D, size, batch_first=True)
        print("threads", torch.get_num_threads())

    def forward(self, inputs, lengths):
        return super().forward(inputs)[0][..., :1]
"""


@pytest.mark.skipif(os.cpu_count() == 1, reason="PyTorch has one thread anyway")
@pytest.mark.parametrize(("asked", "threads"), [(None, 1), ("2", 2)])
def test_a_command_computes_with_one_thread_of_pytorchs_unless_more_are_asked_for(
    tmp_path: Path, asked: str | None, threads: int
) -> None:
    (tmp_path / "tells.py").write_text(TELLS)
    rest = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    few = ["--min-length", "12", "--max-iterations", "1", "--test-size", "10", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "longlag", "train", "--network", "tells:Tells", *few],
        cwd=tmp_path,
        env=rest | ({"OMP_NUM_THREADS": asked} if asked else {}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = {line for line in done.stderr.splitlines() if line.startswith("threads")}
    assert told == {f"threads {threads}"}
