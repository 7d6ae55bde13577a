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
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuzzing import inline_workers
from longlag import cli, files
from longlag.kernel import load_kernel
from longlag.learning.stopping import Stop
from longlag.statistics import bootstrap_mean, clopper_pearson
from longlag.studies import stops, table7, table8
from longlag.studies.cases import Case, Outcome
from longlag.studies.declaration import run
from longlag.sweeps import bundles, executor
from longlag.sweeps import slices as sweep_slices
from longlag.sweeps.ledger import Ledger
from longlag.tasks.score import Score
from test_sweeps import surroundings

LOCK = "ledger.sqlite.lock"
needs_kernel = pytest.mark.skipif(load_kernel() is None, reason="the kernel was not built")
TINY = ("--quick", "--trials", "2", "--max-sequences", "30")


@pytest.fixture(autouse=True)
def _inline() -> Iterator[None]:
    """Trials are carried out in this process, but for those of a test that starts a command."""
    with inline_workers():
        yield


def call(capsys: pytest.CaptureFixture[str], *args: Any) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    status = cli.main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    return status, out, err


# -- arithmetic --------------------------------------------------------------------------------


def made(sequences: int, reached: bool, wrong: int, status: str = "target") -> dict[str, Any]:
    """A trial's row of the ledger."""
    mse = wrong * 1e-5
    fresh = Score(n=2560, mse=mse, rmse=mse**0.5, mae=mse / 2, wrong=wrong, max_error=0.3)
    window = (4e-4, 0.015) if reached else (math.nan, math.nan)
    stop = {**asdict(Stop(140, reached, sequences, *window, fresh)), "score": asdict(fresh)}
    del stop["fresh"]
    return {"status": status, "stops": [stop, {**stop, "n_seq": 13}]}


def rows(*trials: dict[str, Any]) -> list[dict[str, Any]]:
    return stops.rows(Outcome(Case({}, "paper", {}, 10, published=table8.PAPER), trials, 0))


def test_a_row_of_trials_that_all_stopped() -> None:
    row = rows(*(made(n, True, w) for n, w in [(100, 10), (400, 30), (250, 20)]))[0]
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


def test_trials_that_did_not_stop_count_with_the_whole_budget() -> None:
    trials = [
        made(1_000_000, True, 10),
        made(3_000_000, False, 900, "max_iterations"),
        made(50, False, 2000, "diverged"),
    ]
    row = rows(*trials)[1]
    assert (row["n_seq"], row["solved"], row["unsolved"], row["diverged"]) == (13, 1, 2, 1)
    seen = row["sequences"]
    assert seen["restricted"]
    assert seen["mean"] == pytest.approx((1 + 3 + 3) * 1e6 / 3)
    assert (seen["median"], seen["max"], seen["mean_of_solved"]) == (3e6, 3_000_000, 1e6)
    assert row["wrong"]["mean"] == 10, "errors are those of trials that stopped"


def test_a_row_without_a_stop_has_no_errors() -> None:
    row = rows(made(7, False, 9, "max_iterations"))[0]
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
    reading = {
        "error": "squared",
        "gradient": "truncated",
        "reads": "previous",
        "output": "sigmoid",
        "biases": "all",
    }
    assert content["reading"] == reading | {"first_mark": "hidden", "check_every": 1}
    assert [row["n_seq"] for row in content["rows"]] == [140, 13]
    assert [row["paper"]["sequences"] for row in content["rows"]] == [482_000, 1_273_000]
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
    assert names == {"trials.csv", "table.md", "solved.png", "ledger.sqlite", LOCK}
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


def test_table_7_has_a_row_a_length() -> None:
    lengths = [case.made().task.min_length for case in table7.cases(table7.STUDY.request({}))]
    assert lengths == [100, 500, 1000]
    assert len(table7.cases(table7.STUDY.request({"quick": True}))) == 1


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
    variant |= {"output": "linear", "biases": "gates"}
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
        (("--workers", "0"), "workers must be a whole number from 1"),
        (("--scheduler", "here"), "scheduler must be an address with a port"),
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


Slices = list[list[tuple[int, bool]]]


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> Slices:
    """Slices of a round; of every one its trials' seeds, and whether they had begun before."""
    performed: Slices = []
    perform = executor.perform_slice

    def noted(work: Any, seeds: list[int], states: list[bytes | None], seconds: float) -> Any:
        begun = [state is not None for state in states]
        performed.append(list(zip(seeds, begun, strict=True)))
        return perform(work, seeds, states, seconds)

    monkeypatch.setattr(executor, "perform_slice", noted)
    monkeypatch.setattr(bundles, "SLICE_SECONDS", 0.0)
    return performed


@needs_kernel
def test_ctrl_c_and_once_more_gives_the_same_table(
    tmp_path: Path, capsys, monkeypatch, slices: Slices
) -> None:
    words = ("study", "table8", "--quick", "--max-sequences", "20000", "--out")
    assert call(capsys, *words, tmp_path / "whole")[0] == 0
    once, perform = len(slices), executor.perform_slice
    assert once > 5

    def interrupted(*asked: Any) -> Any:
        if len(slices) == once + 3:
            os.kill(os.getpid(), signal.SIGINT)
        return perform(*asked)

    monkeypatch.setattr(executor, "perform_slice", interrupted)
    status, out, err = call(capsys, *words, tmp_path / "cut")
    assert (status, out) == (130, "")
    assert "the same command continues" in err
    assert len(slices) < once + 6
    assert not (tmp_path / "cut" / "trials.csv").exists()
    assert call(capsys, *words, tmp_path / "cut")[0] == 0
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    assert len(slices) < 2 * once + 3, "it goes on in mid-trial"
    before = len(slices)
    assert call(capsys, *words, tmp_path / "cut")[0] == 0
    assert len(slices) == before, "finished trials are not learned again"


@needs_kernel
@pytest.mark.survives(
    "`kill -9` of study table8 in mid-trial", "it continues from there to the same table"
)
def test_killed_and_once_more_gives_the_same_table(
    tmp_path: Path, capsys, monkeypatch, slices: Slices
) -> None:
    monkeypatch.setattr(bundles, "SLICE_SECONDS", 5.0)
    words = ("study", "table8", "--quick", "--max-sequences", "400000", "--out")
    code = (
        "import sys; from longlag import cli; from longlag.sweeps import bundles; "
        "bundles.SLICE_SECONDS = 0.02; sys.exit(cli.main(sys.argv[1:]))"
    )
    cut = tmp_path / "cut"
    child = subprocess.Popen(
        [sys.executable, "-c", code, *words, str(cut), "--max-sequences", "200000000"],
        env=surroundings(),
        stderr=subprocess.DEVNULL,
    )
    ledger, deadline = cut / "ledger.sqlite", time.monotonic() + 120
    while not (ledger.exists() and any(far(ledger))) and time.monotonic() < deadline:
        time.sleep(0.005)
    child.kill()
    child.wait()
    assert not (cut / "trials.csv").exists(), "it was killed in the middle"
    assert all(0 < at < 400_000 for at in far(ledger))
    assert call(capsys, *words, cut)[0] == 0
    assert slices[0] == [(seed, True) for seed in range(4)]
    assert call(capsys, *words, tmp_path / "whole")[0] == 0
    assert results(cut) == results(tmp_path / "whole")


def far(ledger: Path) -> list[int]:
    """How many sequences unfinished trials have learned."""
    with Ledger.read(ledger) as book:
        return [row["sequences"] for row in book.rows() if row["status"] == "unfinished"]


def study(out: Path, trials: int, budget: int, **reading: Any) -> dict[str, Any]:
    asked = {"trials": trials, "max_sequences": budget, "out": out, "quick": True, **reading}
    return dict(run(table8.STUDY.request(asked)))


def test_fewer_and_more_trials_share_a_directory(tmp_path: Path, slices: Slices) -> None:
    study(tmp_path, 3, 40)
    slices.clear()
    two = study(tmp_path, 2, 40)
    assert (two["trials"], slices) == (2, [])
    five = study(tmp_path, 5, 50)
    assert five["trials"] == 5
    begun = dict(pair for one in reversed(slices) for pair in one)
    assert begun == {0: True, 1: True, 2: True, 3: False, 4: False}
    whole = study(tmp_path / "whole", 5, 50)
    assert files.to_json(five["rows"]) == files.to_json(whole["rows"])
    assert results(tmp_path) == results(tmp_path / "whole")


def test_a_smaller_budget_and_another_reading_have_trials_of_their_own(tmp_path: Path) -> None:
    asked: list[tuple[int, dict[str, Any]]] = [(30, {}), (20, {}), (30, {"error": "halved"})]
    for k, (budget, reading) in enumerate(asked):
        shared = study(tmp_path / "shared", 2, budget, **reading)
        assert files.to_json(shared["rows"]) == files.to_json(
            study(tmp_path / str(k), 2, budget, **reading)["rows"]
        )
    with Ledger.read(tmp_path / "shared" / "ledger.sqlite") as ledger:
        assert ledger.counts() == {"paper": {"max_iterations": 6}}


def test_a_trial_that_fails_is_left_out_and_tried_again(tmp_path: Path, monkeypatch) -> None:
    outcome = sweep_slices.outcome

    def failing(run: Any, fresh: int) -> Any:
        if run.seed == 1:
            raise MemoryError("too little of it")
        return outcome(run, fresh)

    monkeypatch.setattr(sweep_slices, "outcome", failing)
    content = study(tmp_path, 3, 20)
    assert (content["trials"], content["failed"]) == (2, 1)
    page = (tmp_path / "table.md").read_text()
    assert "Left out: 1 trial that failed; start again to retry." in page
    monkeypatch.undo()
    with inline_workers():
        assert study(tmp_path, 3, 20)["trials"] == 3


def test_a_ledger_with_stops_that_are_none_is_named(tmp_path: Path) -> None:
    study(tmp_path, 2, 20)
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.record([{**row, "stops": [{"n_seq": 140}]} for row in list(ledger.rows())])
    with pytest.raises(files.DamagedFile, match=r"ledger\.sqlite is damaged"):
        study(tmp_path, 2, 20)
