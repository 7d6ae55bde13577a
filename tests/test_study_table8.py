"""The studies of tables 7 and 8: their arithmetic, their JSON, their files, what they refuse."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from longlag import cli, files
from longlag.kernel import load_kernel
from longlag.learning import side_by_side as online
from longlag.learning.recipe import recipe
from longlag.learning.stopping import Stop
from longlag.learning.training import Run
from longlag.statistics import bootstrap_mean, clopper_pearson
from longlag.studies import online_rows, online_study, table7, table8
from longlag.studies.online_study import Request
from longlag.tasks.score import Score

needs_kernel = pytest.mark.skipif(load_kernel() is None, reason="the kernel was not built")
TINY = ("--quick", "--trials", "2", "--max-sequences", "30", "--threads", "1")


def call(capsys: pytest.CaptureFixture[str], *args: Any) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    status = cli.main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    return status, out, err


# -- arithmetic --------------------------------------------------------------------------------


def made(seed: int, sequences: int, reached: bool, wrong: int, ended_by: str = "target") -> Run:
    mse = wrong * 1e-5
    fresh = Score(n=2560, mse=mse, rmse=mse**0.5, mae=mse / 2, wrong=wrong, max_error=0.3)
    window = (4e-4, 0.015) if reached else (math.nan, math.nan)
    stop = Stop(140, reached, sequences, *window, fresh)
    known = {"seed": seed, "stopped_by": ended_by, "sequences": sequences, "stops": (stop, stop)}
    return cast(Run, SimpleNamespace(**known))


def test_a_row_of_trials_that_all_stopped() -> None:
    trials = [made(k, n, True, w) for k, (n, w) in enumerate([(100, 10), (400, 30), (250, 20)])]
    row = online_rows.row(recipe("paper"), trials, 0, table8.PAPER[0])
    assert (row["n_seq"], row["solved"], row["unsolved"]) == (140, 3, 0)
    seen = row["sequences"]
    assert (seen["mean"], seen["median"], seen["min"], seen["max"]) == (250, 250, 100, 400)
    assert seen["mean_of_solved"] == 250
    assert not seen["restricted"]
    assert seen["interval"] == bootstrap_mean([100, 400, 250])
    assert row["solved_interval"] == clopper_pearson(3, 3)
    assert {k: row["wrong"][k] for k in ("mean", "min", "max")} == {
        "mean": 20,
        "min": 10,
        "max": 30,
    }
    assert row["mse"] == pytest.approx(2e-4)
    assert row["rmse"] == pytest.approx(np.mean(np.sqrt([1e-4, 3e-4, 2e-4])))
    assert row["window"]["rmse"] == pytest.approx(0.02)
    assert row["paper"] == {"sequences": 482_000, "wrong": 139, "mse": 0.0223}


def test_trials_that_did_not_stop_count_with_the_whole_budget() -> None:
    trials = [
        made(0, 1_000_000, True, 10),
        made(1, 3_000_000, False, 900, "max_iterations"),
        made(2, 50, False, 2000, "diverged"),
    ]
    row = online_rows.row(recipe("paper"), trials, 1, table8.PAPER[1])
    assert (row["n_seq"], row["solved"], row["unsolved"], row["diverged"]) == (13, 1, 2, 1)
    seen = row["sequences"]
    assert seen["restricted"]
    assert seen["mean"] == pytest.approx((1 + 3 + 3) * 1e6 / 3)
    assert (seen["median"], seen["max"], seen["mean_of_solved"]) == (3e6, 3_000_000, 1e6)
    assert row["wrong"]["mean"] == 10, "errors are those of trials that stopped"


def test_a_row_without_a_stop_has_no_errors() -> None:
    row = online_rows.row(
        recipe("paper"), [made(0, 7, False, 9, "max_iterations")], 0, table8.PAPER[0]
    )
    assert row["solved"] == 0
    assert math.isnan(row["mse"])
    assert math.isnan(row["wrong"]["mean"])
    assert math.isnan(row["sequences"]["mean_of_solved"])


# -- the command -------------------------------------------------------------------------------


def test_the_json_has_the_contracts_shape(tmp_path: Path, capsys) -> None:
    status, out, err = call(capsys, "study", "table8", *TINY, "--out", tmp_path, "--json")
    assert status == 0, err
    content = json.loads(out)
    assert {"trials", "max_sequences", "reading", "rows"} <= set(content)
    assert (content["trials"], content["max_sequences"]) == (2, 30)
    reading = {"error": "squared", "gradient": "truncated", "reads": "previous"}
    assert content["reading"] == reading | {"first_mark": "hidden", "check_every": 1}
    assert [row["n_seq"] for row in content["rows"]] == [140, 13]
    for row in content["rows"]:
        assert {"solved", "sequences", "wrong", "mse", "rmse", "mae", "paper"} <= set(row)
        assert {"mean", "median", "min", "max", "interval"} <= set(row["sequences"])
        assert {"mean", "min", "max"} <= set(row["wrong"])
        assert set(row["paper"]) == {"sequences", "wrong", "mse"}
        assert (row["solved"], row["sequences"]["mean"], row["mse"]) == (0, 30, None)


@needs_kernel
def test_the_quick_form_stops_trials_and_draws_them(tmp_path: Path, capsys) -> None:
    status, out, _ = call(capsys, "study", "table8", "--quick", "--out", tmp_path, "--json")
    assert status == 0
    content = json.loads(out)
    first = content["rows"][0]
    assert first["solved"] >= 2
    assert 0.018 < first["rmse"] < 0.03
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"trials.csv", "table.md", "solved.png", "state.npz"}
    lines = list(csv.DictReader((tmp_path / "trials.csv").read_text().splitlines()))
    assert len(lines) == 2 * content["trials"]
    reached = [line for line in lines if line["n_seq"] == "140" and line["reached"] == "1"]
    assert len(reached) == first["solved"]
    mean = np.mean([float(line["fresh_rmse"]) for line in reached])
    assert mean == pytest.approx(first["rmse"], rel=1e-12)
    page = (tmp_path / "table.md").read_text()
    assert "longlag study table8" in page
    assert "solved.png" in page
    assert '"0.0223"' in page


def test_the_words_say_what_did_not_stop(tmp_path: Path, capsys) -> None:
    status, out, _ = call(capsys, "study", "table8", *TINY, "--out", tmp_path)
    assert status == 0
    assert "2 of 2 trials did not stop within 30 sequences" in out
    assert "≥ 30" in out


@pytest.mark.parametrize("full", [False, True])
def test_table_7_has_a_row_a_length(full: bool) -> None:
    lengths = [c.recipe.task.min_length for c in table7.cases({}, quick=False, full=full)]
    assert lengths == ([100, 500, 1000] if full else [100, 500])


def test_table_7_prints_its_rows(tmp_path: Path, capsys) -> None:
    status, out, err = call(capsys, "study", "table7", *TINY, "--out", tmp_path, "--json")
    assert status == 0, err
    content = json.loads(out)
    assert content["recipe"] == "paper-adding"
    assert [row["n_seq"] for row in content["rows"]] == [1]


def test_variants_reach_the_recipe_and_have_directories_of_their_own(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    variant = {"error": "halved", "gradient": "full", "reads": "current", "first_mark": "shown"}
    flags = [w for k, v in variant.items() for w in (f"--{k.replace('_', '-')}", v)]
    words = ("study", "table8", *TINY, *flags, "--check-every", "2000", "--json")
    status, out, err = call(capsys, *words)
    assert status == 0, err
    content = json.loads(out)
    assert content["reading"] == variant | {"check_every": 2000}
    assert call(capsys, "study", "table8", *TINY)[0] == 0
    assert len(list((tmp_path / "study").iterdir())) == 2
    written = (tmp_path / content["out"] / "table.md").read_text()
    assert "--error halved" in written


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--trials", "0"), "trials must be a whole number from 1 to 100,000, not 0"),
        (("--trials", "x"), "--trials must be a whole number, not 'x'"),
        (("--max-sequences", "0"), "max_sequences must be a whole number from 1"),
        (("--seed", "-1"), "seed must be a whole number from 0"),
        (("--seed", str(2**63 - 1)), "seed must be a whole number from 0"),
        (("--threads", "0"), "threads must be a whole number from 1"),
        (("--error", "cubed"), "--error must be one of squared, halved, not 'cubed'"),
        (("--check-every", "0"), "check_every must be a whole number from 1"),
        (("--engine", "gpu"), "--engine must be one of auto, native, numpy"),
        (("--full",), "--quick and --full exclude each other"),
        (("--out", __file__), "cannot write into"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    words: tuple[str, ...], sentence: str, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = call(capsys, "study", "table8", "--quick", *words)
    assert (status, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_unknown_study_is_refused(capsys) -> None:
    status, _, err = call(capsys, "study", "tabel8")
    assert status == 2
    assert "unknown study 'tabel8'; did you mean 'table8'?" in err


# -- going on ----------------------------------------------------------------------------------


def results(directory: Path) -> list[bytes]:
    return [(directory / name).read_bytes() for name in ("trials.csv", "solved.png")]


@needs_kernel
def test_ctrl_c_and_once_more_gives_the_same_table(tmp_path: Path, capsys, monkeypatch) -> None:
    words = ("study", "table8", "--quick", "--max-sequences", "20000", "--out")
    assert call(capsys, *words, tmp_path / "whole")[0] == 0
    one_round, rounds = online._round, []

    def interrupted(trainings: Any, pool: Any) -> None:
        one_round(trainings, pool)
        rounds.append(1)
        if len(rounds) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(online, "_round", interrupted)
    status, out, err = call(capsys, *words, tmp_path / "cut")
    assert (status, out) == (130, "")
    assert "the same command goes on" in err
    assert len(rounds) < 10
    assert not (tmp_path / "cut" / "trials.csv").exists()
    assert call(capsys, *words, tmp_path / "cut")[0] == 0
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    once_more = len(rounds)
    assert call(capsys, *words, tmp_path / "cut")[0] == 0
    assert len(rounds) == once_more, "finished trials are not learned again"


@needs_kernel
def test_killed_and_once_more_gives_the_same_table(tmp_path: Path, capsys) -> None:
    words = ("study", "table8", "--quick", "--max-sequences", "60000", "--out")
    code = (
        "import sys; from longlag import cli; from longlag.runs import session; "
        "session.CHECKPOINT_SECONDS = 0.01; "
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    cut = tmp_path / "cut"
    child = subprocess.Popen(
        [sys.executable, "-c", code, *words, str(cut), "--max-sequences", "2000000"],
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (cut / "state.npz").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    child.kill()
    child.wait()
    assert not (cut / "trials.csv").exists(), "it was killed in the middle"
    seen = int(files.read_arrays(cut / "state.npz")["seen"].max())
    assert 0 < seen < 60_000
    assert call(capsys, *words, cut)[0] == 0
    assert call(capsys, *words, tmp_path / "whole")[0] == 0
    assert results(cut) == results(tmp_path / "whole")


def study(out: Path, trials: int, budget: int, **reading: Any) -> dict[str, Any]:
    settings = {"max_sequences": budget} | reading
    request = Request(trials=trials, settings=settings, out=out, threads=1, quick=True)
    return online_study.run(table8.STUDY, request)


def test_fewer_and_more_trials_share_a_directory(tmp_path: Path) -> None:
    study(tmp_path, 3, 40)
    two = study(tmp_path, 2, 40)
    assert two["trials"] == 2
    kept = files.read_arrays(tmp_path / "state.npz")["seeds"]
    assert sorted(kept.tolist()) == [0, 1, 2]
    five = study(tmp_path, 5, 50)
    assert five["trials"] == 5
    whole = study(tmp_path / "whole", 5, 50)
    assert files.to_json(five["rows"]) == files.to_json(whole["rows"])
    assert results(tmp_path) == results(tmp_path / "whole")


def test_a_directory_of_another_reading_is_refused(tmp_path: Path) -> None:
    study(tmp_path, 2, 20)
    with pytest.raises(ValueError, match="holds trials with error 'squared', not 'halved'"):
        study(tmp_path, 2, 20, error="halved")


def test_a_directory_of_a_larger_budget_is_refused(tmp_path: Path) -> None:
    study(tmp_path, 2, 30)
    with pytest.raises(ValueError, match="30 sequences, more than max_sequences"):
        study(tmp_path, 2, 20)


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_damaged_state_is_named(content: bytes | None, tmp_path: Path) -> None:
    study(tmp_path, 2, 20)
    path = tmp_path / "state.npz"
    path.write_bytes(path.read_bytes()[:-500] if content is None else content)
    with pytest.raises(files.DamagedFile, match=r"state\.npz is damaged"):
        study(tmp_path, 2, 20)
