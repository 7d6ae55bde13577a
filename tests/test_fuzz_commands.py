"""Every command, given anything at all: a result or one sentence."""

from __future__ import annotations

import subprocess
import sys
from argparse import Action
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fuzzing import (
    LEDGER,
    SWEEP,
    TINY,
    TRIALS,
    call,
    check,
    copied,
    digests,
)
from longlag import cli
from longlag.cli.flags import HELP, Parser
from longlag.learning.recipe import Recipe
from reliability import Tally

PATHS = (
    *("run", "other", "unfinished", "empty", "foreign", "new", "deep/er", "run/weights.npz"),
    *("foreign/notes.txt", "foreign/notes.txt/below", "sweep/ledger.sqlite", "sweep", "trials"),
    *("online", "exports/run.safetensors", "exports/run.torch", "exports/run.onnx"),
    *("", ".", "..", "-", "é💥", "a b", "a\nb", "n" * 300, "d/" * 3000, "\udcff", "%s{0}"),
)
WORDS = (
    *("-1", "0", "1", "2", "3", "11", "12", "13", "100", "1000", "4294967296", "-4294967296"),
    *(
        "9223372036854775807",
        "9223372036854775808",
        "1" * 300,
        "1" * 5000,
        "1e3",
        "1e-320",
        "1e400",
    ),
    *("nan", "inf", "-inf", "NaN", "-0.0", "0.5", ".5", "5.", "1_000", "0x10", "١٢", "1,2", "1,,2"),
    *(
        "",
        " ",
        "\n",
        "\t",
        "-",
        "--",
        "None",
        "null",
        "True",
        "False",
        "é",
        "💥",
        "\u202e",
        "\udcff",
    ),
    *("x" * 20_000, "[]", "{}", "%s", "{0}", "$(touch executed)", "`touch executed`", "'", '"'),
    *("auto", "native", "numpy", "torch", "tcp://", "csv", "a;b", "../..", "\u2028", "\x1b[31m"),
)
# What keeps a valid command short; what is drawn comes after it and overrides it.
BASES: dict[str, tuple[str, ...]] = {
    "train": (*TINY, "--save-dir", "new"),
    "evaluate": ("run", "--n", "50"),
    "compare": ("run", "other", "--n", "50"),
    "animate": ("run", "--n-frames", "2"),
    "study table8": (*TRIALS, "--out", "new"),
    "study table7": (*TRIALS, "--out", "new"),
    "study seeds": (*SWEEP, "--lengths", "30", "--out", "new"),
    "study forget-gate": (*SWEEP, "--out", "new"),
    "study lag": (*SWEEP, "--lengths", "30", "--out", "new"),
    "study register": (*SWEEP, "--out", "new"),
    "study movement": ("--quick", "--out", "new"),
    "ledger show": ("sweep/ledger.sqlite",),
    "ledger export": ("sweep/ledger.sqlite",),
    "export": ("run", "--format", "safetensors", "--out", "new.safetensors"),
    "import": ("exports/run.safetensors", "--out", "new"),
    "doctor": (),
    "tasks": ("reber",),
    "bench": (),
    "completion": ("bash",),
}
SLOW = (
    "figures",
    "explore",
    "study movement",
    "study register",
)  # seconds, where they are given nothing wrong
READERS = (
    "evaluate",
    "compare",
    "figures",
    "animate",
    "explore",
    "export",
    "ledger",
    "doctor",
    "tasks",
)


@dataclass(frozen=True)
class Option:
    """A flag; with no values it stands alone."""

    flag: str
    values: st.SearchStrategy[str] | None


def options(command: Parser) -> list[Option]:
    """The flags of a command."""
    return [
        Option(name, None if action.nargs == 0 else _values(action))
        for name, action in command.flags.items()
        if name not in HELP
    ]


def _values(action: Action) -> st.SearchStrategy[str]:
    """What may stand after a flag: its words, the ends of its range, and what is none of them."""
    if action.metavar == "PATH":
        return st.sampled_from(PATHS)
    strategies = [st.sampled_from(WORDS), st.text(st.characters(exclude_characters="\0"))]
    strategies += [st.integers().map(str), st.floats().map(str), st.integers(0, 40).map(str)]
    if action.choices:
        strategies.append(st.sampled_from([str(choice) for choice in action.choices]))
    limits = next((f.metadata for f in fields(Recipe) if f.name == action.dest), {})
    if limits.get("low") is not None:
        low, high = limits["low"], limits["high"]
        ends = (low, high, low - 1, high + 1, high * 2, low / 2, -high)
        strategies.append(st.sampled_from([str(end) for end in ends]))
    return st.one_of(strategies)


COMMANDS = {command.prog.partition(" ")[2]: command for command in cli.parser().leaves()}
OPTIONS = {name: options(command) for name, command in COMMANDS.items()}
QUICKLY_DRAWN = [name for name in COMMANDS if name not in SLOW]


@st.composite
def typed(draw: st.DrawFn) -> list[str]:
    """A command line: a command, what it needs, and some options with anything behind them."""
    slow = draw(st.integers(0, 23)) == 23
    name = draw(st.sampled_from(SLOW if slow else QUICKLY_DRAWN))
    base = BASES.get(name, ("--quick", "--out", "new") if name.startswith("study") else ("run",))
    if not draw(st.integers(0, 4)):
        base = tuple(draw(st.lists(st.sampled_from(PATHS), max_size=3)))
    words = [*name.split(), *base]
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        if not OPTIONS[name]:
            break
        option = draw(st.sampled_from(OPTIONS[name]))
        words.append(option.flag)
        if option.values is not None:
            words.append(draw(option.values))
    if not draw(st.integers(0, 15)):
        words.insert(draw(st.integers(0, len(words))), draw(st.sampled_from(WORDS)))
    if not draw(st.integers(0, 3)):
        words.append("--json")
    return words


def test_every_command_and_study_is_tried() -> None:
    commands = cli.parser().commands
    assert {name.split()[0] for name in COMMANDS} == set(commands)
    tried = {name.split()[1] for name in COMMANDS if name.startswith("study ")}
    assert tried == set(commands["study"].commands)
    assert [name for name in COMMANDS if not OPTIONS[name]] == ["completion"]
    flags = {option.flag for option in OPTIONS["train"]}
    assert {"--hidden", "--min-length", "--save-dir", "--resume", "--engine", "--seed"} <= flags


def attempt(furnished: Path, words: list[str], tally: Tally) -> None:
    with copied(furnished):
        before = digests(".")
        outcome = call(words)
        tally.add()
        check(words, outcome)
        if outcome.status == 2 or words[0] in READERS:
            after = digests(".")
            if outcome.status != 2:
                _leave_out_what_was_asked_for(before, words)
            assert {path: after.get(path) for path in before} == before, f"{words}: {outcome}"


def _leave_out_what_was_asked_for(before: dict[str, str], words: list[str]) -> None:
    """An existing file behind --out is written over, unless the command reads it."""
    behind = {k + 1 for k, word in enumerate(words[:-1]) if word == "--out"}
    asked = {words[k] for k in behind}
    read = [word for k, word in enumerate(words) if k not in behind and not word.startswith("--")]
    inputs = {Path(word).resolve() for word in read}
    for path in [path for path in before if path in asked]:
        if not inputs & {Path(path).resolve(), Path(path).parent.resolve()}:
            del before[path]


SURVIVES = pytest.mark.survives(
    "a command line with anything behind its options: huge, negative, NaN, no number, no text",
    "a result, or one sentence and status 1 or 2; Ctrl-C ends what would take long",
)


@SURVIVES
@settings(max_examples=80)
@given(words=typed())
def test_whatever_is_given_is_a_result_or_one_sentence(
    furnished: Path, words: list[str], tally: Tally
) -> None:
    attempt(furnished, words, tally)


@SURVIVES
@pytest.mark.long
@settings(max_examples=700, phases=(Phase.generate,))
@given(words=typed())
def test_many_more_command_lines(furnished: Path, words: list[str], tally: Tally) -> None:
    attempt(furnished, words, tally)


@pytest.mark.survives("some of these command lines as processes", "the same")
def test_the_same_as_processes(furnished: Path, tally: Tally) -> None:
    for words in (
        ["evaluate", "run", "--n", "1" * 5000],
        ["train", "--learning-rate", "-inf"],
        ["ledger", "show", "run/weights.npz"],
        ["compare", "a\nb", "\udcff"],
        ["figures", "d/" * 3000],
    ):
        command = [sys.executable, "-m", "longlag", *words]
        done = subprocess.run(command, cwd=furnished, capture_output=True, text=True)
        assert done.returncode in (1, 2), done.stderr
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        tally.add()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["animate", "run", "--out", "other/../run/weights.npz"], "is the input itself"),
        (["ledger", "export", LEDGER, "--format", "csv", "--out", LEDGER], "is the input itself"),
        (["evaluate", "a\nb"], r"a\nb is not a run directory"),
        (["evaluate", "\x1b[31m"], r"\x1b[31m is not a run directory"),
        (["figures", "run", "--out", "\udcff"], r"an argument must be UTF-8, not '\udcff'"),
    ],
)
def test_what_was_found_so_must_not_come_back(
    furnished: Path, words: list[str], said: str, tally: Tally
) -> None:
    attempt(furnished, words, tally)
    with copied(furnished):
        assert said in call(words).err
