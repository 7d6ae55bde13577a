"""The command line, `longlag ...`: a dataclass a command, its fields the flags.

Words and progress go to standard error; standard output carries the result, with `--json` exactly
one JSON object. Exit status: 0 done, 1 it failed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Sequence

import tyro

import longlag
from longlag import words as report
from longlag.cli.flags import Settings, subcommands
from longlag.cli.ledger_commands import LedgerCommand
from longlag.cli.machine_commands import Bench, Doctor
from longlag.cli.messages import one_sentence
from longlag.cli.run_commands import (
    Animate,
    Compare,
    Evaluate,
    Explore,
    Export,
    Figures,
    Import,
    Train,
)
from longlag.cli.study_commands import STUDIES, Study

__all__ = ["COMMANDS", "STUDIES", "Settings", "main", "parse"]

COMMANDS: dict[str, type] = {
    "train": Train,
    "evaluate": Evaluate,
    "compare": Compare,
    "figures": Figures,
    "animate": Animate,
    "explore": Explore,
    "study": Study,
    "ledger": LedgerCommand,
    "export": Export,
    "import": Import,
    "bench": Bench,
    "doctor": Doctor,
}


def parse(args: Sequence[str]) -> Callable[[], int]:
    """The command that the arguments ask for.

    Raises:
        ValueError: in one sentence, what is wrong with them.
    """
    for word in args:
        _check_text(word)
    if list(args) == ["--version"]:
        return _version
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(
                subcommands(COMMANDS),
                prog="longlag",
                description="A laboratory for long-time-lag learning; --version says which.",
                args=list(args),
                config=(
                    tyro.conf.FlagCreatePairsOff,
                    tyro.conf.OmitArgPrefixes,
                    tyro.conf.OmitSubcommandPrefixes,
                ),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ValueError(one_sentence(errors.getvalue())) from None


def _version() -> int:
    print(f"longlag {longlag.__version__}")
    return 0


def _check_text(word: str) -> None:
    try:
        word.encode()
    except UnicodeEncodeError:
        raise ValueError(f"an argument must be UTF-8, not {word!r}") from None


def main(args: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    given = sys.argv[1:] if args is None else args
    return report.exit_status("longlag", lambda: parse(given)())
