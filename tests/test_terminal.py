"""The command line on a real terminal: 80 columns, with and without colour."""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from longlag import cli
from longlag.cli.flags import Parser
from longlag.learning.recipe import RECIPES
from longlag.studies import STUDIES
from longlag.tasks.registry import TASKS

COLOURS = ({}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1", "PYTHON_COLORS": "1"})
CALLS = """
import json, sys
from longlag import cli
for words in json.loads(sys.argv[1]):
    status = cli.main(words)
    print(f"\\x1e{status}\\x1f", flush=True)
"""


def on_terminal(
    command: list[str], columns: int = 80, environment: dict[str, str] | None = None
) -> str:
    """What a program prints on a terminal of so many columns, both of its outputs."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    own = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PYTHON_COLORS")
    base = {name: value for name, value in os.environ.items() if name not in own}
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**base, "TERM": "xterm-256color", **(environment or {})},
    ):
        os.close(theirs)
        printed = b"".join(_read(ours))
    os.close(ours)
    return printed.decode().replace("\r\n", "\n")


def _read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            return
        yield part


def answers(calls: list[list[str]], columns: int = 80, **environment: str) -> list[tuple[str, int]]:
    """What each command prints on a terminal, and its status, from one process."""
    command = [sys.executable, "-c", CALLS, json.dumps(calls)]
    printed = on_terminal(command, columns, environment)
    found = re.findall(r"(.*?)\x1e(\d+)\x1f\n", printed, re.DOTALL)
    assert len(found) == len(calls), printed
    return [(text, int(status)) for text, status in found]


MISTAKES = {
    "": "a command is missing: give one of train, tasks, evaluate, compare, figures, animate, "
    "explore, study, sweep, ledger, export, import, bench, doctor, completion",
    "trian": "unknown command 'trian'; did you mean 'train'?",
    "study sed": "unknown study 'sed'; did you mean 'seeds'?",
    "study table8 --by x": "study table8 has no flag --by; it is a flag of ledger rates, "
    "ledger plot",
    "train --sed 3": "train has no flag --sed; did you mean --seed?",
    "train --seed": "--seed is missing its value",
    "train --seed x": "--seed must be a whole number, not 'x'",
    "train --engine gpu": "--engine must be one of auto, native, numpy, not 'gpu'",
    "train --hidden 0": "hidden must be a whole number from 1 to 128, not 0",
    "train --recipe nope": f"unknown recipe 'nope'; known are {', '.join(RECIPES)}",
    "--json train": "--json must come after the command: longlag COMMAND --json",
    "evaluate": "evaluate is missing its RUN; usage: longlag evaluate RUN [options]",
    "evaluate nowhere": "nowhere is not a run directory: there is no such directory",
    "ledger show a b": "'b' is one argument too many; usage: longlag ledger show FILE [options]",
}


@pytest.mark.parametrize("colour", COLOURS, ids=lambda colour: next(iter(colour), "as it is"))
def test_a_mistake_is_one_plain_sentence(colour: dict[str, str]) -> None:
    found = answers([words.split() for words in MISTAKES], **colour)
    for (printed, status), said in zip(found, MISTAKES.values(), strict=True):
        assert (printed, status) == (f"longlag: {said}\n", 2)


def test_a_mistake_in_a_process_of_its_own() -> None:
    for module in ("longlag", "longlag.cli"):
        command = [sys.executable, "-m", module, "train", "--sed", "3"]
        printed = on_terminal(command, environment={"FORCE_COLOR": "1"})
        assert printed == "longlag: train has no flag --sed; did you mean --seed?\n"


def everything(command: Parser) -> Iterator[Parser]:
    """A command, and all below it."""
    yield command
    for below in command.commands.values():
        yield from everything(below)


@pytest.mark.parametrize("colour", COLOURS, ids=lambda colour: next(iter(colour), "as it is"))
def test_every_help_fits_and_is_plain(colour: dict[str, str]) -> None:
    commands = list(everything(cli.parser()))
    found = answers([[*command.prog.split()[1:], "--help"] for command in commands], **colour)
    for command, (printed, status) in zip(commands, found, strict=True):
        assert status == 0
        assert printed.isprintable() or set(re.findall(r"[^ -~µ²§–…]", printed)) == {"\n"}
        assert max(map(len, printed.splitlines())) <= 80
        assert printed.startswith(f"usage: {command.synopsis()}\n\n")
        words = set(re.findall(r"[\w-]+", printed))
        assert {*command.flags, *command.commands} <= words
        if command.examples:
            assert printed.splitlines()[-1] == f"  {command.examples[-1]}"


def test_every_default_that_a_help_shows_can_be_given() -> None:
    """Each value, and of a setting the recipes that have it: `8; 32 in catalog; others in ...`."""
    checked = 0
    for command in cli.parser().leaves():
        for argument in command.arguments:
            name = argument.written.split()[0]
            if argument.default in ("", "required"):
                continue
            for told in argument.default.split("; "):
                value, _, owners = told.partition(" in ")
                if value != "others":
                    needed = [word for flag in needs(command, name) for word in (flag, "1")]
                    places = ["x" for _ in command.positional]
                    command.read([*places, *needed, f"{name}={value}"])
                    checked += 1
                assert {*owners.split(", ")} - {""} <= {*RECIPES, "paper-NAME"}, told
    assert checked > 200


def needs(command: Parser, but: str) -> list[str]:
    """The flags that a command cannot do without."""
    return [flag for flag, action in command.flags.items() if action.required and flag != but]


def test_help_uses_the_room_that_there_is() -> None:
    ((wide, _),) = answers([["train", "--help"]], columns=200)
    ((narrow, _),) = answers([["train", "--help"]], columns=44)
    assert 80 < max(map(len, wide.splitlines())) <= 100
    assert len(narrow.splitlines()) > len(wide.splitlines())
    texts = [line for line in narrow.splitlines() if not line.startswith("  longlag train")]
    assert max(map(len, texts)) <= 44


def test_help_says_what_recipes_set() -> None:
    ((shown, _),) = answers([["train", "--help"]])
    text = " ".join(shown.split())
    for said in (
        "paper-temporal-order, paper-temporal-order-b (default: robust)",
        "--hidden N memory cells (lstm, gru) (default: 8)",
        "(default: 0.025; 0.005 in catalog; 0.1 in paper; others in paper-NAME)",
        "temporal-order, two-sequence, xor) (default: 110; 30 in catalog)",
        "0: no first stop (recent, fresh) (default: 140; others in paper-NAME)",
    ):
        assert said in text
    parts = re.findall(r"^(\S.*):$", shown, re.MULTILINE)
    assert parts[:3] == ["options", "task", "network"]
    assert parts[-1] == "examples"


def test_a_reader_that_has_seen_enough_of_the_help_is_no_error() -> None:
    command = f"{sys.executable} -m longlag train --help | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("usage: longlag train [options]\n", "")


def test_an_output_that_is_full_is_said() -> None:
    command = f"{sys.executable} -m longlag --help > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "longlag: a file could not be used: No space left on device\n"


def test_a_name_with_control_characters_is_escaped_in_results_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "a\x1b[31mb"
    words = "--engine numpy --min-length 12 --batch-size 4 --max-iterations 4 --test-every 2"
    for command in (
        ["train", *words.split(), "--save-dir", run],
        ["evaluate", run, "--n", "10"],
        ["compare", run, run, "--n", "10"],
        ["figures", run],
        ["explore", run],
        ["export", run, "--format", "safetensors", "--out", tmp_path / "c\x1b[31m"],
        ["import", tmp_path / "c\x1b[31m", "--out", tmp_path / "d\x1b[31m"],
        ["import", tmp_path / "c\x1b[31m", "--out", tmp_path / "d\x1b[31m", "--overwrite"],
        ["study", "seeds", "--trials", "1", "--quick", "--out", tmp_path / "s\x1b[31m"],
    ):
        status = cli.main([str(word) for word in command])
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err, command
        assert status == 0, err


# -- tables ---------------------------------------------------------------------------------------

SHORT = "--max-iterations 4 --test-every 2 --test-size 64 --batch-size 4 --quiet"
BRIEF = "--max-sequences 300 --test-size 64 --quiet"
LONG = "a-directory-with-a-name-that-is-longer-than-others/and-another-directory-in-it/run"
TRAINED = [
    f"train {SHORT} --min-length 12 --save-dir run",
    f"train {SHORT} --min-length 12 --recipe catalog --save-dir {LONG}",
    f"train {SHORT} --min-length 12 --hidden 4 --seed 7 --save-dir third",
    f"train {SHORT} --task reber --save-dir reber",
    f"train {BRIEF} --recipe paper --save-dir paper",
    f"train {BRIEF} --recipe paper-temporal-order --save-dir order",
]
PRINTING = [
    *(f"evaluate {run} --n 50" for run in ("run", LONG, "reber", "paper", "order")),
    f"compare run {LONG} third --n 50",
    "tasks",
    *(f"tasks {name} --n 1" for name in TASKS if name != "very-long-lag"),
    "doctor",
    "study seeds --quick --trials 1 --workers 1 --out seeds",
    "study table7 --quick --trials 1 --workers 1 --out table7",
    "sweep grid.toml --workers 1",
    *(f"ledger {command} seeds" for command in ("show", "rates", "rates --by recipe", "export")),
    *(f"ledger {command} grid.sqlite" for command in ("show", "rates", "export")),
]
MARKDOWN = re.compile(r"^\s*(\||#|- |```)|\*\*|\]\(", re.MULTILINE)


def test_what_commands_print_fits_the_terminal_and_is_no_markdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    grid = 'recipe = "robust"\nseeds = 2\n[settings]\nmax_iterations = 4\n'
    Path("grid.toml").write_text(
        f"{grid}[grid]\nmin_length = [{', '.join(map(str, range(12, 23)))}]\n"
    )
    check_printed([*TRAINED, *PRINTING])


@pytest.mark.long
def test_what_studies_print_fits_the_terminal_and_is_no_markdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    few = "--quick --trials 1 --workers 1"
    check_printed(
        f"study {name} {'--quick' if name == 'movement' else few} --out {name}" for name in STUDIES
    )


def check_printed(calls: Iterable[str]) -> None:
    lines = list(calls)
    for call, (printed, status) in zip(lines, answers([c.split() for c in lines]), strict=True):
        assert status == 0, (call, printed)
        shown = [line.split("\r")[-1] for line in printed.splitlines()]
        wide = [line for line in shown if len(line) > 80 and line != f"saved in {LONG}"]
        assert not wide, call
        assert not MARKDOWN.search("\n".join(shown)), call


def test_an_export_to_a_terminal_is_one_page(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("grid.toml").write_text('recipe = "robust"\nseeds = 24\n[settings]\nmax_iterations = 2\n')
    calls = ["sweep grid.toml --workers 1", "ledger export grid.sqlite"]
    _, (printed, status) = answers([call.split() for call in calls])
    assert status == 0
    table, said = printed.rsplit("\n", 2)[0], printed.splitlines()[-1]
    assert said == "the first 20 of 24 trials; --out FILE writes all of them to a file"
    assert len(table.split("\n\n")[0].splitlines()) == 21
    assert cli.main(["ledger", "export", "grid.sqlite", "--out", "all.csv"]) == 0
    assert len(Path("all.csv").read_text().splitlines()) == 25
    _, (printed, status) = answers([c.split() for c in [calls[0], f"{calls[1]} --format csv"]])
    assert status == 0
    assert len(printed.splitlines()) == 25
    assert printed.startswith("key,")
    Path("few.toml").write_text('recipe = "robust"\nseeds = 3\n[settings]\nmax_iterations = 2\n')
    calls = ["sweep few.toml --workers 1", "ledger export few.sqlite"]
    _, (printed, status) = answers([call.split() for call in calls])
    assert status == 0
    assert len(printed.splitlines()) == 4  # nothing but the table
