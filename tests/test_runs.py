"""Run directories: round trips, refusals, damage, locks, and training that survives."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import longlag
from longlag import files
from longlag.kernel import load_kernel
from longlag.learning import engine as engines
from longlag.learning.training import Training
from longlag.runs import checkpoint as checkpoints
from longlag.runs import directory as runs
from longlag.runs import session
from longlag.version import REVISION

TINY = {"hidden": 3, "batch_size": 4, "max_iterations": 40, "test_every": 10, "test_size": 20}
REQUEST = session.Request("robust", {**TINY, "min_length": 12}, seed=5, engine="numpy")


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A run directory with a finished run."""
    session.start(REQUEST, tmp_path / "run")
    return tmp_path / "run"


def same_run(a: longlag.Run, b: longlag.Run) -> bool:
    """Whether two runs agree to the last bit in all but the time they took."""
    return (
        a.recipe == b.recipe
        and a.seed == b.seed
        and a.score == b.score
        and a.stopped_by == b.stopped_by
        and a.history.test_curve == b.history.test_curve
        and np.array_equal(a.history.train_losses, b.history.train_losses)
        and all(map(np.array_equal, a.network.parameters, b.network.parameters))
        and list(a.snapshots) == list(b.snapshots)
        and all(np.array_equal(a.snapshots[k], b.snapshots[k]) for k in a.snapshots)
    )


def unfinished(directory: Path, steps: int = 2) -> None:
    """Leaves a training in a directory as a killed process would."""
    recipe = longlag.recipe("robust", **REQUEST.settings)
    training = Training(recipe, 5, engines.choose("numpy"))
    for _ in range(steps):
        training.advance()
    directory.mkdir(exist_ok=True)
    checkpoints.save(training, directory)


# -- round trips ------------------------------------------------------------------------------


def test_a_saved_run_comes_back_to_the_bit(tmp_path: Path) -> None:
    run = session.start(REQUEST, tmp_path)
    assert same_run(run, runs.load(tmp_path))


def test_the_files_are_those_of_the_contract(finished: Path) -> None:
    with np.load(finished / "weights.npz", allow_pickle=False) as weights:
        shapes = {name: weights[name].shape for name in weights.files}
        assert all(weights[name].dtype == np.float32 for name in weights.files)
    assert shapes == {"Wx": (2, 12), "Wh": (3, 12), "b": (12,), "Wy": (3, 1), "by": (1,)}
    history = json.loads((finished / "history.json").read_text())
    assert len(history["train_losses"]) == 40
    assert [k for k, _ in history["test_curve"]] == [10, 20, 30, 40]
    assert history["final_test_mse"] == history["score"]["mse"]
    assert history["config"]["min_length"] == 12
    assert {"train_losses", "test_curve", "elapsed_sec", "config", "env"} <= set(history)
    with np.load(finished / "snapshots.npz", allow_pickle=False) as snapshots:
        assert snapshots["iterations"][[0, -1]].tolist() == [0, 40]
        assert snapshots["parameters"].shape == (len(snapshots["iterations"]), 76)


def test_a_fixed_forget_gate_is_told_by_the_config(tmp_path: Path) -> None:
    request = session.Request("robust", {**REQUEST.settings, "forget_gate": False}, 0, "numpy")
    session.start(request, tmp_path)
    assert json.loads((tmp_path / "history.json").read_text())["config"]["forget_gate"] is False
    assert runs.load(tmp_path).network.forget_gate is False


def test_no_temporary_file_is_left(finished: Path) -> None:
    assert sorted(p.name for p in finished.iterdir()) == sorted(runs.RUN_FILES)


def test_files_have_the_permissions_of_ordinary_files(finished: Path) -> None:
    plain = finished / "plain"
    plain.touch()
    assert (finished / "weights.npz").stat().st_mode == plain.stat().st_mode


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "file"
    files.write_bytes(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_without_snapshots_loads_with_none(finished: Path) -> None:
    (finished / "snapshots.npz").unlink()
    assert runs.load(finished).snapshots == {}


# -- what may be written to -------------------------------------------------------------------


def test_the_same_training_again_replaces_its_run(finished: Path) -> None:
    before = runs.load(finished)
    (finished / "training_curve.png").touch()
    (finished / "checkpoint.npz").unlink()
    history = (finished / "history.json").stat().st_ino
    again = session.start(REQUEST, finished)
    assert (finished / "history.json").stat().st_ino != history, "nothing was written"
    assert same_run(runs.load(finished), before)
    assert same_run(again, before)
    assert not (finished / "training_curve.png").exists(), "a picture of the old run was kept"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 6}, r"robust, seed 5: its seed is 5, not 6"),
        ({"settings": {**REQUEST.settings, "hidden": 4}}, "its hidden is 3, not 4"),
        ({"settings": {**REQUEST.settings, "max_iterations": 41}}, "its max_iterations is 40"),
        ({"recipe": "catalog"}, "its recipe is 'robust', not 'catalog'"),
        ({"recipe": "paper", "settings": {"max_sequences": 20}}, "its recipe is 'robust', not 'pa"),
    ],
)
def test_another_finished_run_asks_for_overwrite(
    finished: Path, changes: dict[str, Any], named: str
) -> None:
    (finished / "training_curve.png").touch()
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    other = replace(REQUEST, **changes)
    with pytest.raises(
        runs.Refused, match=rf"{named}.*; choose another .* with --overwrite \(overwrite=True\)$"
    ):
        session.start(other, finished)
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before
    run = session.start(other, finished, overwrite=True)
    assert same_run(runs.load(finished), run)
    assert not (finished / "training_curve.png").exists(), "a picture of the old run was kept"


def test_a_run_of_another_engine_asks_for_overwrite(tmp_path: Path) -> None:
    if load_kernel() is None:
        pytest.skip("there is no kernel")
    session.start(replace(REQUEST, engine="auto"), tmp_path)
    session.start(replace(REQUEST, engine="native"), tmp_path)
    with pytest.raises(runs.Refused, match="its engine is 'native', not 'numpy'"):
        session.start(REQUEST, tmp_path)


def test_a_run_that_another_process_finished_meanwhile_is_not_replaced(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = runs.load(finished)
    locked = runs.locked

    @contextmanager
    def late(directory: Path) -> Iterator[None]:
        with locked(directory):
            runs.save(other, directory)
            yield

    monkeypatch.setattr(runs, "locked", late)
    with pytest.raises(runs.Refused, match="its seed is 5, not 6"):
        session.start(replace(REQUEST, seed=6), finished.parent / "new")


def test_a_run_put_where_its_training_was_keeps_the_snapshots_there(finished: Path) -> None:
    run = runs.load(finished)
    imported = replace(run, snapshots={})
    with pytest.raises(runs.Refused, match=r"holds this run with its snapshots.*--overwrite"):
        runs.put(imported, finished, overwrite=False)
    runs.put(run, finished, overwrite=False)
    assert same_run(runs.load(finished), run)
    runs.put(imported, finished, overwrite=True)
    runs.put(imported, finished, overwrite=False)
    assert runs.load(finished).snapshots == {}
    with pytest.raises(runs.Refused, match="its seed is 5, not 6"):
        runs.put(replace(imported, seed=6), finished, overwrite=False)


def test_a_finished_run_stays_until_its_successor_is_complete(finished: Path) -> None:
    before = runs.load(finished)
    unfinished(finished)
    assert same_run(runs.load(finished), before)


def test_an_unfinished_training_asks_what_to_do(tmp_path: Path) -> None:
    unfinished(tmp_path)
    held = (tmp_path / "checkpoint.npz").read_bytes()
    with pytest.raises(runs.Refused, match=r"iteration 20.*--resume.*--overwrite"):
        session.start(REQUEST, tmp_path)
    assert (tmp_path / "checkpoint.npz").read_bytes() == held
    session.start(REQUEST, tmp_path, overwrite=True)
    assert runs.load(tmp_path).iterations == 40


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_directory_is_refused(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis.tex").write_text("chapter 1")
    with pytest.raises(runs.Refused, match=r"holds no longlag run \(thesis.tex is there\)"):
        session.start(REQUEST, tmp_path, overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_foreign_history_is_refused(tmp_path: Path) -> None:
    (tmp_path / "history.json").write_text('{"visits": 3}')
    (tmp_path / "notes.txt").touch()
    for overwrite in (False, True):
        with pytest.raises(files.DamagedFile, match=r"history\.json"):
            session.start(REQUEST, tmp_path, overwrite=overwrite)
    assert (tmp_path / "history.json").read_text() == '{"visits": 3}'


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(runs.Refused, match="cannot write into"):
        session.start(REQUEST, tmp_path / "file" / "run")


def test_a_second_training_in_one_directory_is_refused(tmp_path: Path) -> None:
    with runs.locked(tmp_path), pytest.raises(runs.Refused, match="another process"):
        session.start(REQUEST, tmp_path)
    session.start(REQUEST, tmp_path, overwrite=True)


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(runs.Refused, match="nothing to resume"):
        session.resume(session.Request(), tmp_path)


# -- resumption -------------------------------------------------------------------------------


@settings(max_examples=8)
@given(steps=st.integers(0, 3), decay=st.sampled_from([0.0, 0.9]), sgd=st.booleans())
def test_resumed_anywhere_a_training_ends_in_the_same_bits(
    tmp_path_factory: pytest.TempPathFactory, steps: int, decay: float, sgd: bool
) -> None:
    changed = {"average_decay": decay, "optimizer": "sgd" if sgd else "adam"}
    request = session.Request("robust", {**REQUEST.settings, **changed}, 5, "numpy")
    whole = session.start(request, tmp_path_factory.mktemp("whole"))
    directory = tmp_path_factory.mktemp("cut")
    training = Training(longlag.recipe("robust", **request.settings), 5, engines.choose("numpy"))
    for _ in range(steps):
        training.advance()
    checkpoints.save(training, directory)
    assert same_run(session.resume(session.Request(), directory), whole)


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (session.Request(seed=6), "seed 5, not 6"),
        (session.Request("catalog"), "recipe 'robust', not 'catalog'"),
        (session.Request(settings={"hidden": 4}), "hidden 3, not 4"),
        (session.Request(engine="native"), "engine 'numpy', not 'native'"),
    ],
)
def test_a_resumption_that_asks_for_another_training_is_refused(
    tmp_path: Path, request_: session.Request, named: str
) -> None:
    unfinished(tmp_path)
    with pytest.raises(ValueError, match=named):
        session.resume(request_, tmp_path)


def test_a_training_of_the_kernel_is_not_resumed_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(longlag.recipe("robust", **REQUEST.settings), 5, engines.choose("numpy"))
    training.engine.name = "native"
    checkpoints.save(training, tmp_path)
    monkeypatch.setattr(session, "load_kernel", lambda: None)
    with pytest.raises(ValueError, match=r"native kernel, which is not built here.*--overwrite"):
        session.resume(session.Request(), tmp_path)


def test_a_training_of_another_revision_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished(tmp_path)
    monkeypatch.setattr(checkpoints, "REVISION", REVISION + 1)
    words = f"revision {REVISION} of longlag's results, this is revision {REVISION + 1}"
    with pytest.raises(runs.Refused, match=f"{words}.*--overwrite"):
        session.resume(session.Request(), tmp_path)


def test_resuming_a_finished_run_changes_nothing(finished: Path) -> None:
    before = runs.load(finished)
    (finished / runs.EXPLORER).write_text("drawn from it")
    held = {path.name: path.read_bytes() for path in finished.iterdir()}
    assert same_run(session.resume(session.Request(seed=5), finished), before)
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == held


@pytest.mark.parametrize("written", range(3))
def test_a_run_stays_where_its_successor_cannot_be_written(
    finished: Path, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {path.name: path.read_bytes() for path in finished.iterdir()}
    left = [written]

    def full(handle: int) -> None:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1

    successor = runs.load(finished)
    monkeypatch.setattr("longlag.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        runs.put(successor, finished, overwrite=True)
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == held


def command(directory: Path) -> list[str]:
    numbers = [
        "--min-length",
        "30",
        "--batch-size",
        "4",
        "--max-iterations",
        "800",
        "--test-every",
        "10",
    ]
    return [
        *(sys.executable, "-m", "longlag.cli", "train", "--engine", "numpy", "--seed", "1"),
        *("--save-dir", str(directory), "--json", *numbers),
    ]


def wait_for_checkpoint(directory: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while not (directory / "checkpoint.npz").exists():
        assert process.poll() is None, "the training ended early"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of that training, never interrupted."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    assert subprocess.run(command(directory), capture_output=True).returncode == 0
    return directory


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_saves_and_resumption_gives_the_same_bits(
    tmp_path: Path, whole: Path, stop: signal.Signals
) -> None:
    cut = tmp_path / "cut"
    process = subprocess.Popen(command(cut), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for_checkpoint(cut, process)
    time.sleep(0.5)
    process.send_signal(stop)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + stop, err
    report = json.loads(out)
    assert report["stopped_by"] == "interrupted"
    assert 0 < report["iterations"] < 800
    assert b"Traceback" not in err
    resume = [*command(cut)[:4], "--resume", "--save-dir", str(cut), "--quiet"]
    assert subprocess.run(resume, capture_output=True).returncode == 0
    assert same_run(runs.load(cut), runs.load(whole))


# -- damage -----------------------------------------------------------------------------------

READERS = {
    "weights.npz": runs.load,
    "history.json": runs.load,
    "snapshots.npz": runs.load,
    "checkpoint.npz": lambda directory: session.resume(session.Request(), directory),
}


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run, not to be written to."""
    directory = tmp_path_factory.mktemp("intact")
    session.start(REQUEST, directory)
    return directory


def altered(intact: Path, directory: Path, name: str, data: bytes) -> Path:
    """A copy of a run directory with one file's content changed."""
    shutil.copytree(intact, directory, dirs_exist_ok=True)
    (directory / name).write_bytes(data)
    return directory


@pytest.mark.parametrize("name", runs.RUN_FILES)
@pytest.mark.parametrize("damage", ["empty", "truncated", "noise", "other", "pickle"])
def test_a_damaged_file_is_named(tmp_path: Path, intact: Path, name: str, damage: str) -> None:
    data = (intact / name).read_bytes()
    if damage == "pickle":
        buffer = io.BytesIO()
        np.savez(buffer, about=np.array([{"a": 1}], dtype=object), allow_pickle=True)
        other = buffer.getvalue()
    else:
        other = (intact / ("history.json" if name.endswith("npz") else "weights.npz")).read_bytes()
    damaged = {
        "empty": b"",
        "truncated": data[: len(data) // 2],
        "noise": np.random.default_rng(0).bytes(len(data)),
        "other": other,
        "pickle": other,
    }[damage]
    directory = altered(intact, tmp_path, name, damaged)
    with pytest.raises(files.DamagedFile, match=name) as caught:
        READERS[name](directory)
    assert "\n" not in str(caught.value)
    assert (directory / name).read_bytes() == damaged, "the damaged file was changed"


@settings(max_examples=400)
@given(
    name=st.sampled_from(runs.RUN_FILES),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1),
)
def test_no_mutation_of_a_file_escapes_as_anything_but_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory,
    intact: Path,
    name: str,
    changes: list[tuple[float, int]],
) -> None:
    content = bytearray((intact / name).read_bytes())
    for place, byte in changes:
        content[int(place * len(content))] = byte
    directory = altered(intact, tmp_path_factory.mktemp("mutant"), name, bytes(content))
    try:
        READERS[name](directory)
    except ValueError as error:
        assert name in str(error)  # noqa: PT017 - a mutation may also do no harm


def test_files_of_another_format_version_are_refused(tmp_path: Path, intact: Path) -> None:
    history = json.loads((intact / "history.json").read_text())
    history["format"] = "longlag run 99"
    directory = altered(intact, tmp_path, "history.json", json.dumps(history).encode())
    with pytest.raises(files.DamagedFile, match="longlag run 99"):
        runs.load(directory)


@pytest.mark.parametrize("origin", [5, [1], "ab", {"initial weights": ["a"]}])
def test_an_origin_of_another_form_is_no_traceback(
    origin: Any, tmp_path: Path, intact: Path
) -> None:
    history = json.loads((intact / "history.json").read_text())
    changed = json.dumps({**history, "origin": origin}).encode()
    directory = altered(intact, tmp_path, "history.json", changed)
    if isinstance(origin, dict):
        assert runs.load(directory).origin == {"initial weights": "['a']"}
    else:
        with pytest.raises(files.DamagedFile, match=r"history\.json"):
            runs.load(directory)


def test_weights_that_do_not_fit_the_recipe_are_refused(tmp_path: Path, intact: Path) -> None:
    other = tmp_path / "other"
    session.start(session.Request("robust", {**REQUEST.settings, "hidden": 4}, 0, "numpy"), other)
    weights = (other / "weights.npz").read_bytes()
    mixed = altered(intact, tmp_path / "mixed", "weights.npz", weights)
    with pytest.raises(files.DamagedFile, match=r"weights\.npz.*3 cells"):
        runs.load(mixed)


def test_a_diverged_run_is_kept_with_nulls_for_what_is_no_number(tmp_path: Path) -> None:
    wild = {**REQUEST.settings, "optimizer": "sgd", "learning_rate": 1000.0, "clip": 1e30}
    run = session.start(session.Request("robust", wild, 0, "numpy"), tmp_path)
    assert run.stopped_by == "diverged"
    again = runs.load(tmp_path)
    assert again.stopped_by == "diverged"
    assert all(np.all(np.isfinite(array)) for array in again.network.parameters)
