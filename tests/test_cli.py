"""The command line: what it prints, what it refuses, and with which exit status."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import longlag
from longlag import cli
from longlag import words as report
from longlag.runs import directory as runs
from longlag.studies.result import Result

TINY = (
    *("--min-length", "12", "--hidden", "3", "--batch-size", "4"),
    *("--max-iterations", "20", "--test-every", "10", "--test-size", "20", "--engine", "numpy"),
)
SCORE = {"n", "mse", "rmse", "mae", "wrong", "max_error"}


def call(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    status = cli.main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The directory of a tiny finished run."""
    directory = tmp_path / "run"
    assert call(capsys, "train", *TINY, "--save-dir", directory, "--quiet")[0] == 0
    return directory


# -- results ----------------------------------------------------------------------------------


def test_train_prints_one_json_object(tmp_path: Path, capsys) -> None:
    directory = tmp_path / "run"
    status, out, _ = call(capsys, "train", *TINY, "--save-dir", directory, "--json")
    assert status == 0
    result = json.loads(out)
    assert set(result) == {
        *("recipe", "seed", "engine", "isa", "iterations", "sequences"),
        *("stopped_by", "elapsed_sec", "run_dir", "score"),
    }
    assert set(result["score"]) == SCORE
    assert (result["iterations"], result["sequences"]) == (20, 80)
    assert (result["recipe"], result["stopped_by"]) == ("robust", "max_iterations")
    assert result["run_dir"] == str(directory)


def test_train_takes_every_setting_as_a_flag(tmp_path: Path, capsys) -> None:
    changed = {
        "task": "adding",
        "rules": "catalog",
        "min_length": 14,
        "max_length": 19,
        "first_mark": "shown",
        "draw_order": "published",
        "hidden": 2,
        "forget_gate": False,
        "output": "sigmoid",
        "gate_biases": "constant",
        "forget_bias": 2.0,
        "input_bias": -1.0,
        "output_bias": 0.5,
        "batch_size": 3,
        "optimizer": "sgd",
        "learning_rate": 0.5,
        "beta1": 0.8,
        "beta2": 0.9,
        "epsilon": 1e-6,
        "clip": 2.0,
        "average_decay": 0.5,
        "max_iterations": 4,
        "stop": "mse",
        "target_test_mse": 0.001,
        "test_every": 2,
        "test_size": 10,
    }
    assert set(changed) == set(longlag.recipe("robust").settings()), "a setting is not tried here"
    flags = [word for k, v in changed.items() for word in (f"--{k.replace('_', '-')}", str(v))]
    status, _, err = call(capsys, "train", *flags, "--engine", "numpy", "--save-dir", tmp_path)
    assert status == 0, err
    assert runs.load(tmp_path).recipe.settings() == changed


def test_min_length_alone_implies_the_rest(tmp_path: Path, capsys) -> None:
    call(capsys, "train", *TINY, "--min-length", "57", "--save-dir", tmp_path, "--quiet")
    task = runs.load(tmp_path).recipe.task
    assert (task.min_length, task.max_length) == (57, 62)


def test_what_train_says_shows_chance_and_the_papers_figures(tmp_path: Path, capsys) -> None:
    _, out, _ = call(capsys, "train", *TINY, "--save-dir", tmp_path / "run")
    chance = longlag.recipe("robust", min_length=12).task.chance_mse
    assert f"{chance:.5f}" in out
    for printed in ("0.0223", "0.0139", "139 of 2560", "14 of 2560", str(tmp_path / "run")):
        assert printed in out


def test_progress_goes_to_standard_error_as_plain_lines(tmp_path: Path, capsys) -> None:
    _, out, err = call(capsys, "train", *TINY, "--save-dir", tmp_path, "--json")
    json.loads(out)
    assert "iteration 20: train MSE" in err
    assert "\r" not in err


def test_on_a_terminal_progress_is_a_bar(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, _, err = call(capsys, "train", *TINY, "--save-dir", tmp_path)
    assert "robust seed 0: 100%" in err


def test_quiet_says_nothing(tmp_path: Path, capsys) -> None:
    _, out, err = call(capsys, "train", *TINY, "--save-dir", tmp_path, "--json", "--quiet")
    assert json.loads(out)
    assert err == ""


def test_replacing_a_finished_run_is_said(run: Path, capsys) -> None:
    other = ("train", *TINY, "--seed", "1", "--save-dir", run)
    status, out, err = call(capsys, *other, "--json")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "its seed is 0, not 1" in err
    status, _, err = call(capsys, *other, "--overwrite")
    assert status == 0
    assert f"the run that {run} held is replaced" in err
    assert runs.load(run).seed == 1


def test_evaluate(run: Path, capsys) -> None:
    status, out, _ = call(capsys, "evaluate", run, "--n", "300", "--seed", "4", "--json")
    assert status == 0
    result = json.loads(out)
    assert {"recipe", "seed", "engine", "isa", "min_length", "max_length"} <= set(result)
    assert set(result["score"]) == SCORE
    assert result["score"]["n"] == 300
    loaded = runs.load(run)
    assert result["chance_mse"] == loaded.recipe.task.chance_mse
    again = longlag.evaluate(loaded, 300, 4)
    assert result["score"]["wrong"] == again.wrong
    assert result["score"]["mse"] == pytest.approx(again.mse, rel=1e-5)


def test_evaluate_at_another_length(run: Path, capsys) -> None:
    _, out, _ = call(capsys, "evaluate", run, "--min-length", "50", "--json")
    result = json.loads(out)
    assert (result["min_length"], result["max_length"]) == (50, 55)
    assert result["chance_mse"] == pytest.approx(longlag.MarkedPairs(min_length=50).chance_mse)
    assert "50 to 55 steps" in call(capsys, "evaluate", run, "--min-length", "50")[1]


def test_compare_shows_what_differs_and_scores(run: Path, tmp_path: Path, capsys) -> None:
    other = tmp_path / "other"
    call(capsys, "train", *TINY, "--learning-rate", "0.5", "--save-dir", other, "--quiet")
    status, out, _ = call(capsys, "compare", run, other, "--n", "100")
    assert status == 0
    assert "learning_rate" in out
    assert "hidden" not in out
    result = json.loads(call(capsys, "compare", run, other, "--n", "100", "--json")[1])
    assert set(result["differences"]) == {"learning_rate"}
    assert [row["run"] for row in result["rows"]] == [str(run), str(other)]
    assert {row["score"]["n"] for row in result["rows"]} == {100}


def test_figures_animation_and_page(run: Path, capsys) -> None:
    status, out, err = call(capsys, "figures", run)
    assert status == 0, err
    written = {Path(line).name for line in out.split("\n") if line}
    assert {f"{name}.png" for name in runs.FIGURES} <= written
    status, out, err = call(capsys, "animate", run, "--n-frames", "3")
    assert status == 0, err
    assert Path(out.strip()).read_bytes()[:3] == b"GIF"
    assert call(capsys, "explore", run)[0] == 0
    assert {p.name for p in run.iterdir()} == {*runs.RUN_FILES, *runs.DERIVED}
    assert call(capsys, "train", *TINY, "--save-dir", run, "--overwrite", "--quiet")[0] == 0


def test_doctor(capsys) -> None:
    result = json.loads(call(capsys, "doctor", "--json")[1])
    assert set(result) >= {"version", "engine", "isa", "cores", "extras"}
    assert result["version"] == longlag.__version__
    assert f"version  {longlag.__version__}" in call(capsys, "doctor")[1]


def test_a_diverged_training_is_a_result(tmp_path: Path, capsys) -> None:
    wild = ("--optimizer", "sgd", "--learning-rate", "1000", "--clip", "1e30")
    status, out, _ = call(capsys, "train", *TINY, *wild, "--save-dir", tmp_path, "--json")
    assert status == 0
    assert json.loads(out)["stopped_by"] == "diverged"


@pytest.mark.parametrize(
    "words",
    [
        ("train", "--save-dir", "new"),
        ("evaluate", "run", "--n", "20"),
        ("compare", "run", "run", "--n", "20"),
        ("doctor",),
    ],
    ids=lambda words: words[0],
)
def test_the_reference_names_what_json_holds(
    words: tuple[str, ...], run: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(run.parent)
    extra = TINY if words[0] == "train" else ()
    content = json.loads(call(capsys, *words, *extra, "--json")[1])
    page = (Path(__file__).parent.parent / "docs" / "reference" / "cli.md").read_text()
    (line,) = re.findall(rf"^\| `{words[0]}`.* \| (.*) \|$", page, re.MULTILINE)
    outside = re.sub(r"\([^)]*\)|;.*", "", line)  # what is within, and what on-line adds
    assert set(re.findall(r"`(\w+)`", outside)) == set(content)


def test_help_names_every_command_and_flag() -> None:
    for command in (None, *cli.COMMANDS):
        words = [*filter(None, [command]), "--help"]
        shown = subprocess.run(
            [sys.executable, "-m", "longlag.cli", *words], capture_output=True, text=True
        )
        assert shown.returncode == 0
        expected = cli.COMMANDS if command is None else ["--help"]
        assert all(word in shown.stdout for word in expected)


# -- refusals ---------------------------------------------------------------------------------


def test_help_says_what_recipes_set_and_shows_no_python(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    shown = {}
    for words in (["train"], ["compare"], ["explore"], ["figures"], ["study", "seeds"]):
        with pytest.raises(SystemExit):
            cli.main([*words, "--help"])
        shown[words[-1]] = capsys.readouterr().out
        assert not re.search(r"None|\[\[|\(default: (''|\"\")?\)", shown[words[-1]])
    for said in (
        r"memory cells \(default: 8\)",
        r"\(by recipe: 0.005 in catalog; 0.025 in robust; 0.1 in paper; 0.5 in paper-adding\)",
        r"\(by recipe: 30 in catalog; 110 in robust, paper, paper-adding\)",
    ):
        assert re.search(said, shown["train"])


def test_a_wide_table_stands_in_parts_on_a_terminal(capsys, monkeypatch) -> None:
    rows = [("case", "T", *(f"column {k}" for k in range(9))), ("a", 30, *range(9))]
    whole = report.table(rows)
    assert report.table(rows, keys=2) == whole, "not for a terminal"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    parts = [part.splitlines() for part in report.table(rows, keys=2).split("\n\n")]
    assert [len(part) for part in parts] == [2, 2, 2]
    assert max(len(line) for part in parts for line in part) <= 40
    assert [line.split()[:2] for line in (*parts[0], *parts[2])] == [["case", "T"], ["a", "30"]] * 2
    shown = [cell for _, line in parts for cell in line.split()[2:]]
    assert shown == [str(k) for k in range(9)]
    monkeypatch.setenv("COLUMNS", "3")
    assert report.table(rows, keys=2).count("case") == 9, "a part has one column at least"


def test_each_part_of_a_studys_table_says_what_its_lines_are_about(monkeypatch) -> None:
    table = [("recipe", "T", "rule", "seeds", "rate"), *(("a", "30", r, "1", "2") for r in "xy")]
    result = Result("A title", {"out": "here", "rows": []}, table, ())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "22")
    lines = str(result).splitlines()
    assert [line for line in lines if line.startswith("a")].count("a       30  x     1") == 1
    assert "a       30  y     2" in lines


def test_version(capsys) -> None:
    assert call(capsys, "--version") == (0, f"longlag {longlag.__version__}\n", "")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "a command is missing"),
        (["trian"], "unrecognized: trian; known commands are train"),
        (["study", "sed"], "table8, table7, seeds, forget-gate, lag, register, movement"),
        (["train", "--sed", "3"], "did you mean --seed?"),
        (["train", "--seed"], "--seed is missing its value"),
        (["train", "--seed", "x"], "--seed must be a whole number, not 'x'"),
        (["train", "--seed", "-1"], "seed must be a whole number from 0 to 2**63 - 1, not -1"),
        (["train", "--engine", "abacus"], "--engine must be one of auto, native, numpy"),
        (["train", "--threads", "0"], "threads must be a whole number from 1 to 1,024, not 0"),
        (["train", "--recipe", "robst"], "unknown recipe 'robst'; did you mean 'robust'?"),
        (["train", "--recipe", "catalogue"], "did you mean 'catalog'?"),
        (["train", "--min-length", "10"], "min_length must be at least 11 steps"),
        (["train", "--recipe", "catalog", "--min-length", "11"], "at least 12 steps"),
        (["train", "--max-length", "50"], "max_length must be at least min_length (100), not 50"),
        (["train", "--min-length", "ten"], "--min-length must be a whole number, not 'ten'"),
        (["train", "--hidden", "0"], "hidden must be a whole number from 1 to 128, not 0"),
        (["train", "--hidden", "129"], "hidden must be a whole number from 1 to 128, not 129"),
        (["train", "--batch-size", "0"], "batch_size must be a whole number from 1 to"),
        (["train", "--learning-rate", "-1"], "learning_rate must be a number from 0 to 1000"),
        (["train", "--learning-rate", "nan"], "learning_rate must be a number from 0 to 1000"),
        (["train", "--learning-rate", "fast"], "--learning-rate must be a number, not 'fast'"),
        (["train", "--beta1", "1"], "beta1 must be a number from 0 to"),
        (["train", "--clip", "0"], "clip must be a number from"),
        (["train", "--max-iterations", "0"], "max_iterations must be a whole number from 1"),
        (["train", "--task", "division"], "--task must be one of multiplication, adding"),
        (["train", "--forget-gate", "maybe"], "--forget-gate must be one of True, False"),
        (["train", "--resume", "--overwrite"], "exclude each other"),
        (["train", "--resume", "--save-dir", "nowhere"], "there is nothing to resume in nowhere"),
        (["evaluate"], "longlag evaluate is missing its PATH"),
        (["ledger", "show"], "longlag ledger show is missing its PATH"),
        (["evaluate", "nowhere"], "nowhere is not a run directory: there is no such directory"),
        (["evaluate", "."], ". is not a run directory: it has no history.json"),
        (["compare", "nowhere"], "compare needs at least two run directories, not 1"),
        (["figures", "nowhere"], "nowhere is not a run directory"),
        (["animate", "nowhere"], "nowhere is not a run directory"),
        (["doctor", "now"], "unrecognized: now"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(
    args: list[str], said: str, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = call(capsys, *args)
    assert status == 2
    assert said in err
    assert err.count("\n") == 1
    assert out == ""
    assert list(tmp_path.iterdir()) == [], "something was written before the refusal"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["evaluate", "--n", "0"], "n must be a whole number from 1 to 1,000,000,000, not 0"),
        (["evaluate", "--seed", "-1"], "seed must be a whole number from 0"),
        (["evaluate", "--min-length", "3"], "min_length must be at least 11 steps"),
        (["evaluate", "--engine", "x"], "--engine must be one of"),
        (["animate", "--n-frames", "0"], "n_frames must be"),
        (["animate", "--fps", "0"], "fps must be"),
        (["animate", "--length", "5"], "length must be a whole number from 11"),
        (["animate", "--length", "1000000"], "length must be a whole number from 11 to"),
    ],
)
def test_bad_input_about_a_run_is_refused(args: list[str], said: str, run: Path, capsys) -> None:
    held = {p.name: p.read_bytes() for p in run.iterdir()}
    status, _, err = call(capsys, args[0], run, *args[1:])
    assert status == 2
    assert said in err
    assert err.count("\n") == 1
    assert {p.name: p.read_bytes() for p in run.iterdir()} == held


def test_a_damaged_run_is_named_by_every_command(run: Path, capsys) -> None:
    path = run / "weights.npz"
    path.write_bytes(path.read_bytes()[:100])
    for command in (["evaluate"], ["compare", run], ["figures"], ["animate"], ["train"]):
        flags = ["--save-dir"] if command[0] == "train" else []
        status, out, err = call(capsys, *command, *flags, run)
        assert (status, out) == (2, "")
        assert "weights.npz is damaged" in err
        assert err.count("\n") == 1
    assert path.stat().st_size == 100


def test_without_snapshots_there_is_no_animation(run: Path, capsys) -> None:
    (run / "snapshots.npz").unlink()
    status, _, err = call(capsys, "animate", run)
    assert status == 2
    assert "snapshots.npz" in err
    assert call(capsys, "evaluate", run)[0] == 0


def test_an_unwritable_output_is_refused(run: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "file").touch()
    for args in (["figures", run], ["animate", run]):
        status, _, err = call(capsys, *args, "--out", tmp_path / "file" / "below")
        assert status == 2
        assert "cannot write into" in err


def test_a_full_disk_fails_with_one_sentence(run: Path, capsys, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(runs, "save_checkpoint", full)
    status, _, err = call(capsys, "train", *TINY, "--save-dir", run, "--overwrite", "--quiet")
    assert status == 1
    assert err == "longlag: somewhere could not be used: No space left on device\n"
    assert runs.load(run).iterations == 20


def test_a_reader_that_goes_away_is_no_traceback(run: Path) -> None:
    command = f"{sys.executable} -m longlag.cli compare {run} {run} | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert "Traceback" not in done.stderr


WORDS = st.one_of(
    st.sampled_from([*cli.COMMANDS, "--json", "--quiet", "--seed", "--n", "--hidden", "--resume"]),
    st.sampled_from(
        [f"--{name.replace('_', '-')}" for name in longlag.recipe("robust").settings()]
    ),
    st.integers().map(str),
    st.floats().map(str),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
)


@settings(max_examples=120)
@given(words=st.lists(WORDS, max_size=6))
def test_whatever_is_typed_is_a_command_or_refused_in_one_sentence(words: list[str]) -> None:
    said, code = "", None
    try:
        cli.parse(words)
    except ValueError as error:
        said = str(error) or "\n"
    except SystemExit as stop:
        code = stop.code
    assert "\n" not in said
    assert code in (0, None), "only --help ends the program"
