"""`train` of the paper's regime: a study's trial, bit for bit, in a run directory of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import longlag
from longlag import cli, files
from longlag.figures import training_curve
from longlag.judging import evaluate
from longlag.kernel import load_kernel
from longlag.learning.engine import choose
from longlag.learning.native import NativeEngine
from longlag.learning.recipe import Recipe, recipe
from longlag.learning.side_by_side import Trials
from longlag.learning.streams import stream
from longlag.learning.training import Training
from longlag.networks.lstm1997 import LSTM1997, unflatten
from longlag.runs import checkpoint as checkpoints
from longlag.runs import directory as runs
from longlag.runs import session
from longlag.tasks.score import score

NATIVE = load_kernel() is not None
needs_kernel = pytest.mark.skipif(not NATIVE, reason="the kernel was not built")
ENGINES = ["numpy", pytest.param("native", marks=needs_kernel)]
# Short sequences and an easy rule. SOLVED passes both stopping points, OPEN the first alone.
SOLVED, OPEN = 18, 10
EASY: dict[str, Any] = {
    "min_length": 12, "window": 40, "first_stop": 34, "last_stop": 26, "tolerance": 0.1,
    "max_sequences": 400, "test_size": 50,
}  # fmt: skip
WRITTEN = {"weights.npz", "history.json", "snapshots.npz", "checkpoint.npz"}


def easy(**changes: Any) -> Recipe:
    return recipe("paper", **{**EASY, **changes})


def begun(r: Recipe, seed: int, who: str = "auto") -> Training:
    return Training(r, seed, choose(who, recipe=r))


def flags(**settings: Any) -> list[str]:
    named = {**EASY, **settings}
    return [word for k, v in named.items() for word in ("--" + k.replace("_", "-"), str(v))]


def same_bits(a: longlag.Run, b: longlag.Run) -> None:
    """All but the time that they took."""
    assert (a.recipe, a.seed, a.score, a.stopped_by) == (b.recipe, b.seed, b.score, b.stopped_by)
    assert repr(a.stops) == repr(b.stops)  # a NaN is itself here
    assert a.history.tests == b.history.tests
    np.testing.assert_array_equal(a.history.train_losses, b.history.train_losses)
    np.testing.assert_array_equal(a.network.weights.W, b.network.weights.W)
    np.testing.assert_array_equal(a.network.weights.Wk, b.network.weights.Wk)
    assert list(a.snapshots) == list(b.snapshots)
    for iteration, vector in a.snapshots.items():
        np.testing.assert_array_equal(vector, b.snapshots[iteration])


# -- the bits of a study -------------------------------------------------------------------------


@pytest.mark.parametrize("who", ENGINES)
@pytest.mark.parametrize("seed", [OPEN, SOLVED])
def test_it_is_the_studys_trial_of_that_seed(who: str, seed: int) -> None:
    study = Trials(easy(), [5, seed], who, 2)
    for _ in study.rounds():
        pass
    trial, run = study.trainings[1], longlag.train(easy(), seed, engine=who)
    same_bits(study.runs()[1], run)
    assert run.iterations == run.sequences == trial.iteration
    vector = np.concatenate([array.ravel() for array in run.network.weights])
    np.testing.assert_array_equal(vector, trial.learner.weights)
    assert (run.engine, run.seed, run.score) == (who, seed, trial.stops[-1].fresh)
    assert run.stopped_by == {OPEN: "max_iterations", SOLVED: "target"}[seed]
    reached = [stop for stop in run.stops if stop.reached]
    assert len(reached) == {OPEN: 1, SOLVED: 2}[seed]
    for k, stop in enumerate(reached):
        there = run.snapshots[stop.sequences]
        np.testing.assert_array_equal(there, trial.learner.stop_weights[k])
        fresh = run.recipe.task.sample(50, stream(seed, 2, k))
        answers = run.network_at(stop.sequences).predict(fresh.inputs, fresh.lengths)
        assert score(answers, fresh.targets).wrong == stop.fresh.wrong


@needs_kernel
def test_a_loss_is_the_mean_over_a_thousand_sequences() -> None:
    training = begun(easy(max_sequences=2300, window=2300), OPEN)
    while training.stopped_by is None:
        training.advance()
    run, squares = training.run(), training.learner.recent.astype(float) ** 2
    means = [squares[:1000].mean(), squares[1000:2000].mean(), squares[2000:].mean()]
    np.testing.assert_allclose(run.history.train_losses, means, rtol=1e-12)
    assert run.loss_iterations.tolist() == [1000, 2000, 2300]
    assert run.history.test_curve == [(2300, run.score.mse)]
    assert [stop.reached for stop in run.stops] == [False, False]


@needs_kernel
def test_snapshots_lie_evenly_in_the_log_of_sequences() -> None:
    r = easy(max_sequences=100_000, window=100_001, test_size=1)
    moments = list(longlag.train(r, 0).snapshots)
    assert moments[:3] == [0, 4096, 8192]
    assert moments[-1] == 100_000
    ratios = np.array(moments[11:-1]) / moments[10:-2]
    assert np.all((ratios > 1.0) & (ratios < 1.2))
    assert 20 < len(moments) < 30


def test_every_online_recipe_trains(tmp_path: Path) -> None:
    r = recipe("paper-adding", min_length=20, max_sequences=10, test_size=20)
    run = longlag.train(r, 3, engine="numpy")
    assert [stop.n_seq for stop in run.stops] == [1]
    assert (run.iterations, len(run.history.train_losses), run.score.n) == (10, 1, 20)


# -- the run directory ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that passed both stopping points."""
    directory = tmp_path_factory.mktemp("online") / "run"
    session.start(session.Request("paper", EASY, SOLVED), directory)
    return directory


def test_what_is_written_reads_back(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} >= WRITTEN
    same_bits(runs.load(finished), longlag.train(easy(), SOLVED))


def test_weights_have_the_rows_and_columns_that_were_promised(finished: Path) -> None:
    with np.load(finished / "weights.npz", allow_pickle=False) as weights:
        W, Wk = weights["W"], weights["Wk"]
        assert set(weights.files) == {"W", "Wk"}
    assert (W.shape, Wk.shape, W.dtype, Wk.dtype) == ((8, 11), (5,), np.float32, np.float32)
    # One step by hand: rows cells, input gates, output gates; the first two columns the inputs.
    x = np.array([0.7, -1.0])
    net = W[:, :2] @ x + W[:, -1]
    f = 1 / (1 + np.exp(-net))
    y_in, y_out = np.repeat(f[4:6], 2), np.repeat(f[6:8], 2)
    s = y_in * (4 * f[:4] - 2)
    states = runs.load(finished).network.states(x[None, None])
    np.testing.assert_allclose(states["cell"][0, 0], s, rtol=1e-5)
    hidden = y_out * (2 / (1 + np.exp(-s)) - 1)
    np.testing.assert_allclose(states["hidden"][0, 0], hidden, rtol=1e-5)
    assert {name: a.shape for name, a in states.items()} == {
        "cell": (1, 1, 4), "hidden": (1, 1, 4), "input_gate": (1, 1, 2), "output_gate": (1, 1, 2),
    }  # fmt: skip


def test_the_history_says_how_it_went(finished: Path) -> None:
    history = json.loads((finished / "history.json").read_text())
    run = runs.load(finished)
    assert history["config"] == easy().settings()
    assert (history["recipe"], history["seed"]) == ("paper", SOLVED)
    assert history["stopped_by"] == "target"
    first, last = history["stops"]
    assert (first["n_seq"], last["n_seq"]) == (34, 26)
    assert 40 <= first["sequences"] < last["sequences"] == history["sequences"]
    assert history["iterations"] == history["sequences"]
    curve = [[stop["sequences"], stop["score"]["mse"]] for stop in (first, last)]
    assert history["test_curve"] == curve
    assert history["final_test_mse"] == last["score"]["mse"] == run.score.mse
    assert last["score"] == history["score"] == run.score.as_dict()
    assert len(history["train_losses"]) == 1
    assert history["elapsed_sec"] > 0
    assert history["env"]["longlag"] == longlag.__version__


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("history.json", lambda text: text.replace(b'"n_seq"', b'"n_sec"')),
        ("history.json", lambda text: text.replace(b'"stops"', b'"stop"')),
        ("history.json", lambda text: text.replace(b'"blocks": 2', b'"blocks": 3')),
        ("history.json", lambda text: text.replace(b'"iterations": ', b'"iterations": 1')),
        ("weights.npz", lambda text: text[:-40]),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, finished: Path, name: str, change: Any) -> None:
    for path in finished.iterdir():
        if path.name in WRITTEN:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    data = change((finished / name).read_bytes())
    assert data != (finished / name).read_bytes()
    (tmp_path / name).write_bytes(data)
    with pytest.raises(files.DamagedFile, match=r"history\.json|weights\.npz"):
        runs.load(tmp_path)


# -- resumption ----------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ENGINES)
@pytest.mark.parametrize("seed", [OPEN, SOLVED])
def test_a_resumed_training_goes_on_to_the_same_bits(
    tmp_path: Path, who: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NativeEngine, "most", 64)
    whole = longlag.train(easy(), seed, engine=who)
    training = begun(easy(), seed, who)
    half = False
    while training.stopped_by is None:
        training.advance()
        if not half and training.iteration >= 200:  # between the two stopping points
            half = len(training.stops) == 1
            assert half
            checkpoints.save(training, tmp_path)
            same_bits(session.resume(session.Request(), tmp_path), whole)
    checkpoints.save(training, tmp_path)
    same_bits(session.resume(session.Request(seed=seed), tmp_path), whole)
    same_bits(runs.load(tmp_path), whole)


def test_a_checkpoint_of_another_trial_is_refused(tmp_path: Path) -> None:
    training = begun(easy(), SOLVED)
    state = training.state() | {"iteration": 7, "waiting": np.zeros(7)}
    with pytest.raises(ValueError, match="not at iteration 7"):
        begun(easy(), SOLVED).restore(state)
    checkpoints.save(training, tmp_path)
    with pytest.raises(ValueError, match="was started with recipe 'paper', not 'robust'"):
        session.resume(session.Request("robust"), tmp_path)


def test_an_interrupt_saves_and_a_kill_loses_little(tmp_path: Path) -> None:
    """On the slow engine: Ctrl-C, then kill -9, then on to the end."""
    settings = flags(max_sequences=250, window=3000)  # no stopping point
    command = [sys.executable, "-m", "longlag.cli", "train", "--recipe", "paper", *settings]
    command += ["--engine", "numpy", "--save-dir", str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "checkpoint.npz").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert b"interrupted at sequence" in err
    told = json.loads(out)
    assert told["stopped_by"] == "interrupted"
    assert 0 < told["sequences"] == told["iterations"] < 250
    with subprocess.Popen([*command, "--resume"], stderr=subprocess.DEVNULL) as process:
        time.sleep(0.5)
        process.kill()
    run = session.resume(session.Request(), tmp_path)
    same_bits(run, longlag.train(run.recipe, 0, engine="numpy"))


# -- commands ------------------------------------------------------------------------------------


def test_json_of_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "run"
    arguments = ["--recipe", "paper", "--seed", str(SOLVED), "--save-dir", str(directory), "--json"]
    assert cli.main(["train", *arguments, *flags()]) == 0
    out, err = capsys.readouterr()
    told, run = json.loads(out), runs.load(directory)
    contract = "recipe seed engine isa iterations sequences stopped_by elapsed_sec run_dir score"
    assert set(told) == {*contract.split(), "threads", "stops"}
    assert (told["recipe"], told["seed"], told["run_dir"]) == ("paper", SOLVED, str(directory))
    assert told["iterations"] == told["sequences"] == run.sequences
    assert (told["stopped_by"], told["score"]) == ("target", run.score.as_dict())
    assert [stop["n_seq"] for stop in told["stops"]] == [34, 26]
    assert [stop["reached"] for stop in told["stops"]] == [True, True]
    assert "of the latest 40 wrong" in err


def test_words_of_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--recipe", "paper", "--save-dir", str(tmp_path), "--quiet", *flags()]
    arguments += ["--seed", str(OPEN)]
    assert cli.main(["train", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "budget was used up before the target after 400 sequences" in out
    assert "fewer than 26 of the latest 40 wrong  not by 400" in out
    assert cli.main(["train", *arguments[:-1], str(SOLVED)]) == 2
    assert f"its seed is {OPEN}, not {SOLVED}" in capsys.readouterr().err
    assert cli.main(["train", *arguments[:-1], str(SOLVED), "--overwrite"]) == 0
    assert "the target was reached" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--recipe paper --hidden 4", "recipe paper has no setting 'hidden'"),
        ("--recipe paper-adding --max-iterations 9", "recipe paper-adding has no .*'max_iter"),
        ("--recipe robust --max-sequences 9", "recipe robust has no setting 'max_sequences'"),
        ("--window 9", "recipe robust has no setting 'window'"),
        ("--recipe paper --blocks 9", "blocks must be a whole number from 1 to 8, not 9"),
        ("--recipe paper --first-stop 13", "first_stop must be 0 or above last_stop"),
        ("--recipe paper --reads nothing", "reads must be one of current, previous"),
        ("--recipe paper --max-sequences few", "max-sequences must be a whole number"),
        ("--recipe paper --threads 0", "threads must be a whole number from 1"),
        ("--recipe paper --seed -1", "seed must be a whole number from 0"),
        ("--recipe paper --engine cuda", "engine must be one of auto, native, numpy"),
    ],
)
def test_bad_flags_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str, said: str
) -> None:
    directory = tmp_path / "never"
    assert cli.main(["train", *given.split(), "--save-dir", str(directory)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert re.search(said, err), err
    assert not directory.exists()


def test_a_trial_that_diverges_is_a_result(tmp_path: Path) -> None:
    training = begun(easy(learning_rate=1000), 0)
    # Cells without input: the answer is 1/2, and the first one's error is huge.
    training.learner.weights[:] = 0
    training.learner.weights[-5] = 1e38
    while training.stopped_by is None:
        training.advance()
    run = training.run()
    assert (run.stopped_by, run.score.n) == ("diverged", 50)
    assert run.iterations < 40
    runs.save(run, tmp_path)
    same_bits(runs.load(tmp_path), run)
    title = training_curve.draw(run).texts[0].get_text()
    assert title == f"Training diverged after {run.iterations} sequences"


@pytest.mark.parametrize("who", ENGINES)
def test_evaluate_asks_the_network(finished: Path, who: str) -> None:
    run = runs.load(finished)
    assert isinstance(run.network, LSTM1997)
    task = run.recipe.task
    stream = np.random.SeedSequence(5, spawn_key=(4,))
    batch = task.sample(100, np.random.default_rng(stream))
    exact = LSTM1997(
        unflatten(run.snapshots[run.iterations].astype(float), 2, 2), reads="previous"
    ).predict(batch.inputs, batch.lengths)
    judged, oracle = evaluate(run, 100, 5, engine=who), score(exact, batch.targets)
    np.testing.assert_allclose(judged.mse, oracle.mse, rtol=1e-5)
    assert judged.wrong == oracle.wrong


def test_evaluate_and_compare(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(finished), "--n", "64", "--min-length", "30", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["recipe"], told["min_length"], told["score"]["n"]) == ("paper", 30, 64)
    small = {"hidden": 2, "batch_size": 4, "max_iterations": 4, "test_size": 8, "min_length": 12}
    session.start(session.Request("robust", small), tmp_path)
    assert cli.main(["compare", str(finished), str(tmp_path), "--n", "64", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["sequences"] for row in told["rows"]] == [runs.load(finished).sequences, 16]
    differences = told["differences"]
    assert differences["blocks"] == [2, None]
    assert differences["hidden"] == [None, 2]
    assert "min_length" not in differences
    assert cli.main(["compare", str(finished), str(tmp_path), "--n", "64"]) == 0


@pytest.mark.parametrize("format", ["torch", "onnx"])
def test_no_other_format_has_such_a_network(finished: Path, tmp_path: Path, format: str) -> None:
    pytest.importorskip(format)
    with pytest.raises(ValueError, match="recipe paper trains network lstm1997, for which"):
        longlag.interop.write(runs.load(finished), tmp_path / "file", format)
    assert not list(tmp_path.iterdir())


def test_the_card_of_a_notebook(finished: Path) -> None:
    card = runs.load(finished)._repr_html_()
    assert "2 blocks of 2 cells, no forget gate, sigmoid output" in card
    assert f"{runs.load(finished).sequences:,} sequences" in card


def test_figures_and_animation(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "drawn"
    assert cli.main(["figures", str(finished), "--out", str(out)]) == 0
    film = out / "film.gif"
    assert cli.main(["animate", str(finished), "--out", str(film), "--n-frames", "3"]) == 0
    for name in runs.FIGURES:
        with Image.open(out / f"{name}.png") as picture:
            assert picture.width == 1660
    with Image.open(film) as picture:
        assert picture.n_frames == 3
    run = runs.load(finished)
    header, *rows = (row.split(",") for row in (out / "training_curve.csv").read_text().split())
    assert header == ["iteration", "sequences", "train_mse", "test_mse"]
    first, last = run.stops
    assert [(int(row[1]), row[2] != "") for row in rows] == [
        (first.sequences, False), (last.sequences, True),
    ]  # fmt: skip
    assert [float(row[3]) for row in rows] == [first.fresh.mse, last.fresh.mse]
