"""The command line: what it prints, what it refuses, and with which exit status."""

from __future__ import annotations

import fcntl
import importlib
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import longlag
from longlag import cli, progress
from longlag import words as report
from longlag.cli.settings import settings as settings_by_part
from longlag.kernel import load_kernel
from longlag.learning.recipe import PARTS
from longlag.runs import checkpoint as checkpoints
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
        *("stopped_by", "elapsed_sec", "threads", "run_dir", "score"),
    }
    assert set(result["score"]) == SCORE
    assert (result["iterations"], result["sequences"]) == (20, 80)
    assert (result["recipe"], result["stopped_by"]) == ("robust", "max_iterations")
    assert result["run_dir"] == str(directory)


def test_train_takes_every_setting_as_a_flag(tmp_path: Path, capsys) -> None:
    changed = {
        "task": "adding",
        "network": "lstm",
        "rule": "minibatch",
        "rules": "catalog",
        "min_length": 14,
        "max_length": 19,
        "first_mark": "shown",
        "hidden": 2,
        "forget_gate": False,
        "output": "sigmoid",
        "gate_biases": "constant",
        "forget_bias": 2.0,
        "input_bias": -1.0,
        "output_bias": 0.5,
        "draw_order": "published",
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
    known = longlag.recipe("robust", stop="mse").settings()
    assert set(changed) == set(known), "a setting is not tried here"
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
    assert "seed 0: 20 of at most 20" in err
    assert err.count("\n") == 1, "it is one bar"


@pytest.mark.parametrize("terminal", [True, False])
def test_before_the_first_test_progress_tells_of_the_iteration(
    terminal: bool, tmp_path: Path, capsys, monkeypatch
) -> None:
    if load_kernel() is None:
        pytest.skip("no native kernel")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(progress, "LOG_SECONDS", -1.0)
    one = ("--hidden", "128", "--batch-size", "512", "--min-length", "400")
    few = ("--max-iterations", "1", "--test-size", "1", "--save-dir", tmp_path)
    status, _, err = call(capsys, "train", *one, *few)
    assert status == 0
    shares = [int(share) for share in re.findall(r"(\d+)% of iteration 1\b", err)]
    assert len(shares) > 1
    assert shares == sorted(shares)
    assert min(shares) < 50 <= max(shares) <= 100


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


@pytest.mark.parametrize(
    ("flags", "length"),
    [((), 19), (("--min-length", "40"), 44), (("--max-length", "30"), 30)],
)
def test_catalog_is_judged_at_the_longest_length_as_the_library_does(
    tmp_path: Path, capsys, flags: tuple[str, ...], length: int
) -> None:
    few = ("--hidden", "3", "--max-iterations", "2", "--test-size", "10")
    own = ("--min-length", "14", "--max-length", "19", "--save-dir", tmp_path, "--quiet")
    call(capsys, "train", "--recipe", "catalog", *few, *own)
    result = json.loads(call(capsys, "evaluate", tmp_path, "--n", "40", *flags, "--json")[1])
    assert (result["min_length"], result["max_length"]) == (length, length)
    loaded = runs.load(tmp_path)
    given = {k[2:].replace("-", "_"): int(v) for k, v in zip(flags[::2], flags[1::2], strict=True)}
    score = longlag.evaluate(loaded, 40, task=loaded.recipe.with_settings(given))
    assert result["score"]["mse"] == pytest.approx(score.mse, rel=1e-5)
    compared = call(capsys, "compare", tmp_path, tmp_path, "--n", "40", *flags, "--json")[1]
    assert {row["score"]["mse"] for row in json.loads(compared)["rows"]} == {result["score"]["mse"]}


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


def test_a_comparison_names_no_rules_where_a_task_has_but_one_set() -> None:
    few = {"max_iterations": 1, "hidden": 2, "test_size": 10}
    made = longlag.recipe("robust", task="xor", min_length=10, **few)
    run = longlag.train(made, engine="numpy")
    text = report.comparison(["a", "b"], [run, run], made.task, [run.score] * 2)
    assert text.startswith("the same 10 sequences of 10 to 11 steps, chance MSE ")


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
    assert set(result) >= {"version", "engine", "isa", "cores", "threads_used", "extras"}
    assert result["version"] == longlag.__version__
    assert re.search(rf"^version +{longlag.__version__}$", call(capsys, "doctor")[1], re.MULTILINE)


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


# -- refusals ---------------------------------------------------------------------------------


def test_a_wide_table_stands_in_parts_on_a_terminal(capsys, monkeypatch) -> None:
    rows = [("case", "T", *(f"column {k}" for k in range(9))), ("a", 30, *range(9))]
    rows.append(("b", 40, *range(9, 18)))
    whole = report.table(rows)
    assert report.table(rows, keys=2) == whole, "not for a terminal"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    parts = [part.splitlines() for part in report.table(rows, keys=2).split("\n\n")]
    assert [len(part) for part in parts] == [3, 3, 3]
    assert max(len(line) for part in parts for line in part) <= 40
    lines = [line.split()[:2] for line in (*parts[0], *parts[2])]
    assert lines == [["case", "T"], ["a", "30"], ["b", "40"]] * 2
    shown = [cell for _, line, _ in parts for cell in line.split()[2:]]
    assert shown == [str(k) for k in range(9)]
    monkeypatch.setenv("COLUMNS", "14")
    parts = [part.splitlines() for part in report.table(rows, keys=2).split("\n\n")]
    assert parts[0] == ["   case  T", "1  a     30", "2  b     40"], (
        "the keys leave no room: lines have numbers"
    )
    assert parts[1] == ["   column 0", "1  0", "2  9"]
    monkeypatch.setenv("COLUMNS", "3")
    assert len(report.table(rows, keys=2).split("\n\n")) == 11, "a part has a column at least"


def test_a_cell_that_is_too_wide_for_a_terminal_takes_several_lines(monkeypatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    words = "some words that need more than a line of these"
    lines = report.table([("key", "text"), ("a", words), ("b", "few")], keys=1).splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[-1] == "b    few"
    assert " ".join(line[5:] for line in lines[1:-1]) == words
    assert [line[:1] for line in lines[1:]] == ["a", " ", "b"]


def test_what_every_line_of_a_wide_table_has_stands_above_it(monkeypatch) -> None:
    rows = [("case", "task", "rate", "solved"), ("a", "copy", 1, "none"), ("b", "copy", 2, "none")]
    monkeypatch.setenv("COLUMNS", "23")
    assert "in every line" not in report.table(rows, keys=3), "not for a terminal"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "24")
    assert "in every line" not in report.table(rows, keys=3)
    monkeypatch.setenv("COLUMNS", "23")
    said, table = report.table(rows, keys=3).split("\n\n")
    assert said == "in every line: task copy"
    assert table.splitlines() == ["case  rate  solved", "a     1     none", "b     2     none"]
    said, table = report.table(rows[:2], keys=1).split("\n\n")
    assert said == "in every line: case a"
    assert table.splitlines() == ["task  rate  solved", "copy  1     none"], "no key: the result"


def test_long_keys_of_a_wide_table_lose_their_middle(monkeypatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "30")
    rows = [
        ("cell", "solved"),
        ("a_rather_long_name_of_a_cell", 1),
        ("another_long_name_of_one", 2),
    ]
    assert report.table(rows, keys=1).splitlines() == [
        *("cell                    solved", "a_rather_lo…_of_a_cell  1"),
        "another_lon…ame_of_one  2",
    ]
    assert rows[1][0] in report.table(rows), "no keys: all of it"
    alike = [("cell", "solved"), *((f"the_same_beginning_{k}_and_the_same_end", k) for k in "xy")]
    shown = report.table(alike, keys=1)
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 30


def test_a_table_of_keys_alone_is_shown_on_a_terminal(monkeypatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert report.table([("a",), ("1",)], keys=1) == "a\n1"
    assert report.table([("a", "b"), ("1", "2")], keys=4) == "a  b\n1  2"


def test_bold_words_of_a_remark_are_plain_on_the_screen() -> None:
    result = Result("A title", {"out": "here", "rows": []}, [("a",), ("1",)], ("**Found**: b",))
    assert "\nFound: b\n" in str(result)


def test_each_part_of_a_studys_table_says_what_its_lines_are_about(monkeypatch) -> None:
    table = [("recipe", "T", "rule", "seeds", "rate"), *(("a", "30", r, "1", "2") for r in "xy")]
    result = Result("A title", {"out": "here", "rows": []}, table, ())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "24")
    lines = str(result).splitlines()
    assert lines[0] == "in every line: recipe a"
    assert lines[2:5] == ["T   rule  seeds  rate", "30  x     1      2", "30  y     1      2"]
    monkeypatch.setenv("COLUMNS", "10")
    lines = str(result).splitlines()
    assert [line.split() for line in lines if line.startswith(("x", "y"))] == [
        ["x", "2"],
        ["y", "2"],
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        *((0.0, "0.0 ms"), (0.00042, "0.4 ms"), (0.048, "48 ms"), (0.9994, "999 ms")),
        *((0.9996, "1.0 s"), (3.21, "3.2 s"), (99.94, "99.9 s"), (99.96, "100 s")),
        (4321.0, "4,321 s"),
    ],
)
def test_times_in_words(value: float, said: str) -> None:
    assert report.seconds(value) == said


def test_a_short_training_took_milliseconds(run: Path) -> None:
    loaded = runs.load(run)
    loaded = replace(loaded, history=replace(loaded.history, elapsed_sec=0.048))
    assert "80 sequences (20 iterations, 48 ms, numpy)" in report.score_card(loaded, run)


# -- how a command line is written ------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["train", "--min-length", "30"], "min_length", 30),
        (["train", "--min-length=30"], "min_length", 30),
        (["train", "--min_length", "30"], "min_length", 30),
        (["train", "--min_length=30"], "min_length", 30),
        (["train", "--seed", "1", "--seed", "2"], "seed", 2),
        (["train", "--input-bias", "-4"], "input_bias", -4.0),
        (["train", "--input-bias", "-1e-3"], "input_bias", -0.001),
        (["train", "--input-bias=-inf"], "input_bias", -math.inf),
        (["train", "--forget-gate", "False"], "forget_gate", False),
        (["train", "--save-dir", "-"], "save_dir", Path("-")),
        (["train", "--save-dir", "-x"], "save_dir", Path("-x")),
        (["train", "--save-dir=--x y"], "save_dir", Path("--x y")),
        (["train", "--save-dir=a=b"], "save_dir", Path("a=b")),
        (["compare", "--n", "5", "a", "--json", "b"], "runs", [Path("a"), Path("b")]),
        (["evaluate", "--json", "--", "--n"], "run", Path("--n")),
        (["evaluate", "-1.5"], "run", Path("-1.5")),
        (["study", "lag", "--lengths", "30,100"], "lengths", [30, 100]),
        (["ledger", "rates", "x", "--by", "recipe,clip"], "by", ["recipe", "clip"]),
    ],
)
def test_ways_to_write_an_argument(words: list[str], name: str, value: object) -> None:
    assert getattr(cli.parse(words), name) == value


def test_a_command_line_is_kept_to_be_given_again() -> None:
    words = ["study", "seeds", "--json", "--out", "a b"]
    assert cli.parse(words).command == "longlag study seeds --out 'a b'"


def test_what_argparse_alone_refuses_is_a_sentence_too() -> None:
    (doctor,) = (command for command in cli.parser().leaves() if command.prog == "longlag doctor")
    with pytest.raises(ValueError, match=r"^unrecognized arguments: --what$"):
        doctor.parse_args(["--what"])


def test_every_setting_of_every_recipe_is_a_flag_in_one_part_of_the_help() -> None:
    shown = [one.name for part in settings_by_part().values() for one in part]
    assert len(set(shown)) == len(shown)
    parts = [kinds[name] for kinds in PARTS.values() for name in kinds.ready()]
    assert set(shown) == {*PARTS, *(name for part in parts for name in part.settings())}


def test_every_command_has_its_function_and_examples_that_are_right() -> None:
    for command in cli.parser().leaves():
        module, _, name = command.get_default("function").partition(":")
        assert callable(getattr(importlib.import_module(f"longlag.cli.{module}"), name))
        assert command.examples
        for example in command.examples:
            line = re.search(r"longlag ([^|#)]*)", example)
            assert line is not None
            assert cli.parse(shlex.split(line[1]))


def test_it_starts_without_what_only_some_commands_need() -> None:
    heavy = [
        "matplotlib",
        "shtab",
        "sqlite3",
        "tqdm",
        "torch",
        "distributed",
        "longlag.studies.frame",
    ]
    code = (
        "import sys; from longlag import cli; assert cli.main(sys.argv[1:]) == 0; "
        f"print(*({set(heavy)} & set(sys.modules)), file=sys.stderr)"
    )
    for words in (["--help"], ["study", "seeds", "--help"], ["--version"]):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "\n")


# -- completion in the shell ------------------------------------------------------------------

ASK = r"""
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
function=$(complete -p longlag | sed 's/.*-F \([^ ]*\).*/\1/')
"$function" longlag "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
echo "${COMPREPLY[*]}"
"""


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("tr", "train"),
        ("train --min-l", "--min-length"),
        ("train --engine n", "native numpy"),
        ("train --json --se", "--seed"),
        ("study se", "seeds"),
        ("study seeds --led", "--ledger"),
        ("evaluate ru", "run"),
        ("train --save-dir ru", "run"),
        ("completion f", "fish"),
    ],
)
def test_bash_completes(words: str, completed: str, tmp_path: Path, capsys) -> None:
    script = tmp_path / "script"
    script.write_text(call(capsys, "completion", "bash")[1])
    (tmp_path / "run").mkdir()
    asked = ["bash", "-c", ASK, "bash", str(script), "longlag", *words.split()]
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{completed}\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_reads_its_completion(shell: str, tmp_path: Path, capsys) -> None:
    status, out, err = call(capsys, "completion", shell)
    assert (status, err) == (0, "")
    assert "min-length" in out
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(out)
    subprocess.run([shell, "-n", "script"], cwd=tmp_path, check=True)


def test_version(capsys) -> None:
    assert call(capsys, "--version") == (0, f"longlag {longlag.__version__}\n", "")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "a command is missing: give one of train, tasks, evaluate, compare"),
        (["trian"], "unknown command 'trian'; did you mean 'train'?"),
        (["xyz"], "unknown command 'xyz'; known are train, tasks, evaluate"),
        ([""], "unknown command ''; known are train, tasks, evaluate"),
        (["--foo"], "there is no flag --foo; see longlag --help"),
        (["--json", "train"], "--json must come after the command: longlag COMMAND --json"),
        (["study"], "a study is missing: give one of table1, table2, table3"),
        (["study", "sed"], "unknown study 'sed'; did you mean 'seeds'?"),
        (
            ["study", "xyz"],
            "table7, table8, table9, seeds, forget-gate, lag, tasks, cells, register, movement",
        ),
        (["study", "--trials", "3", "lag"], "--trials must come after the study: longlag study"),
        (["ledger", "shw"], "unknown ledger command 'shw'; did you mean 'show'?"),
        (["train", "--sed", "3"], "train has no flag --sed; did you mean --seed?"),
        (["train", "--hid", "3"], "train has no flag --hid; did you mean --hidden?"),
        (["train", "--min", "3"], "train has no flag --min; did you mean --min-length?"),
        (["train", "--last", "3"], "train has no flag --last; it is a flag of ledger show"),
        (["train", "--xyz", "3"], "train has no flag --xyz; see longlag train --help"),
        (["train", "-s", "3"], "train has no flag -s; see longlag train --help"),
        (["train", "--seed"], "--seed is missing its value"),
        (["train", "--seed", "--json"], "--seed is missing its value"),
        (["train", "--json=1"], "--json takes no value, not '1'"),
        (["train", "--recipe", ""], "--recipe must be a name, not ''"),
        (["train", "--save-dir", ""], "--save-dir must be a path, not ''"),
        (["train", "--seed", "x"], "--seed must be a whole number, not 'x'"),
        (["train", "--min_length=x"], "--min-length must be a whole number, not 'x'"),
        (["train", "--seed", "7" * 5000], f"--seed must be a whole number, not '{'7' * 90}"),
        (["train", "--seed", "-1"], "seed must be a whole number from 0 to 2**63 - 1, not -1"),
        (["train", "--engine", "abacus"], "--engine must be one of auto, native, numpy, not 'ab"),
        (["train", "--engine", "nativ"], "not 'nativ'; did you mean 'native'?"),
        (["train", "--threads", "0"], "threads must be a whole number from 1 to 1,024, not 0"),
        (["train", "--recipe", "robst"], "unknown recipe 'robst'; did you mean 'robust'?"),
        (["train", "--recipe", "catalogue"], "did you mean 'catalog'?"),
        (["train", "--recipe", "nope"], "unknown recipe 'nope'; known are catalog, robust, paper"),
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
        (
            ["train", "--task", "division"],
            "unknown task 'division'; known are multiplication, adding",
        ),
        (["train", "--task", "ading"], "unknown task 'ading'; did you mean 'adding'?"),
        (["train", "--forget-gate", "maybe"], "--forget-gate must be one of True, False"),
        (["train", "--resume", "--overwrite"], "exclude each other"),
        (["train", "--resume", "--save-dir", "nowhere"], "there is nothing to resume in nowhere"),
        (["train", "--input-bias", "-1e9"], "input_bias must be a number from -1000"),
        (["evaluate"], "evaluate is missing its RUN; usage: longlag evaluate RUN [options]"),
        (["ledger", "show"], "ledger show is missing its FILE; usage: longlag ledger show FILE"),
        (["ledger", "show", "."], ". holds no ledger.sqlite: name a ledger, or the directory"),
        (["export", "run"], "export is missing its --format and --out; usage: longlag export RUN"),
        (
            ["evaluate", "a", "b"],
            "'b' is one argument too many; usage: longlag evaluate RUN [options]",
        ),
        (["evaluate", "-1"], "-1 is not a run directory"),
        (["evaluate", "--", "--n"], "--n is not a run directory"),
        (["evaluate", "--", "--help"], "--help is not a run directory"),
        (["completion", "fis"], "SHELL must be one of bash, zsh, fish, not 'fis'; did you mean"),
        (["evaluate", "nowhere"], "nowhere is not a run directory: there is no such directory"),
        (["evaluate", "."], ". is not a run directory: it has no history.json"),
        (["compare", "nowhere"], "compare needs at least two run directories, not 1"),
        (["figures", "nowhere"], "nowhere is not a run directory"),
        (["animate", "nowhere"], "nowhere is not a run directory"),
        (["doctor", "now"], "'now' is one argument too many; usage: longlag doctor [options]"),
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


def test_a_refused_command_makes_no_directory(run: Path, tmp_path: Path, capsys) -> None:
    there = sorted(tmp_path.rglob("*"))
    for words in (
        ["animate", run, "--n-frames", "1", "--out", tmp_path / "new" / "a.gif"],
        ["ledger", "export", tmp_path / "none", "--out", tmp_path / "new" / "a.csv"],
        ["ledger", "plot", tmp_path / "none", "--x", "seed", "--out", tmp_path / "new" / "a.svg"],
        ["study", "seeds", "--lengths", "12", "--out", tmp_path / "new"],
    ):
        assert call(capsys, *words)[0] == 2
    assert sorted(tmp_path.rglob("*")) == there


def test_a_pipe_may_be_the_output(tmp_path: Path, capsys, monkeypatch) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    monkeypatch.setattr(runs, "writable", lambda path: pytest.fail("its directory is touched"))
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 2**20)  # room for the whole picture
    assert call(capsys, "tasks", "copy", "--out", pipe)[0] == 0
    assert os.read(reader, 4) == b"\x89PNG"
    os.close(reader)


def test_an_unwritable_output_is_refused(run: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "file").touch()
    for args in (["figures", run], ["animate", run]):
        status, _, err = call(capsys, *args, "--out", tmp_path / "file" / "below")
        assert status == 2
        assert "cannot write into" in err
    _, _, err = call(capsys, "figures", run, "--out", tmp_path / "file")
    assert err.endswith("file: it is a file, no directory\n")


def test_a_full_disk_fails_with_one_sentence(run: Path, capsys, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(checkpoints, "save", full)
    status, _, err = call(capsys, "train", *TINY, "--save-dir", run, "--overwrite", "--quiet")
    assert status == 1
    assert err == "longlag: somewhere could not be used: No space left on device\n"
    assert runs.load(run).iterations == 20


def test_a_reader_that_goes_away_is_no_traceback(run: Path) -> None:
    command = f"{sys.executable} -m longlag compare {run} {run} | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert "Traceback" not in done.stderr


WORDS = st.one_of(
    st.sampled_from(
        [*cli.parser().commands, "--json", "--quiet", "--seed", "--n", "--hidden", "--resume"]
    ),
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
