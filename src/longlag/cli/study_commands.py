"""The commands that ask one question with many trials."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from longlag import files, studies
from longlag import words as report
from longlag.cli.flags import (
    Address,
    ByStudy,
    CheckEvery,
    Engine,
    Error,
    Gradient,
    Lengths,
    Mark,
    OptionalPath,
    ReadCells,
    Whole,
    group,
)
from longlag.studies.result import Result


@dataclass
class OnlineStudy:
    """Options of a study of the LSTM of 1997; a reading of the paper is a choice of five."""

    trials: ByStudy = None
    """Trials, a seed each; 10 where not given."""
    max_sequences: ByStudy = None
    """Training sequences of a trial at most; 3,000,000 where not given."""
    seed: Whole = 0
    """Of the first trial."""
    out: OptionalPath = None
    """Directory of the results; under study/ where not given."""
    threads: ByStudy = None
    """Threads; as many as there are cores where not given."""
    engine: Engine = "auto"
    """Who does the arithmetic."""
    error: Error = None
    """The error is (t - y)² (squared, eq. 16) or half of it (halved, eq. 19)."""
    gradient: Gradient = None
    """The paper's truncated gradient, or the full one."""
    reads: ReadCells = None
    """The output unit reads this step's (current) or the previous step's cells."""
    first_mark: Mark = None
    """Whether a mark on the first pair, whose value is neutral, can be seen."""
    check_every: CheckEvery = None
    """Sequences between two looks at the stopping rule: 1, or any other number."""
    quick: bool = False
    """Short sequences, few trials: shows in seconds that everything runs."""
    full: bool = False
    """The study's largest form."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        from longlag.studies.online_study import READING, Request, run

        names = (*READING, "max_sequences")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        names = ("trials", "seed", "out", "threads", "engine", "quick", "full")
        common = {name: getattr(self, name) for name in names}
        request = Request(settings=given, command=_command_line(self), **common)
        return _printed(run(_module(self).STUDY, request, report.say), self.json)


@dataclass
class Table8(OnlineStudy):
    """Table 8 of the paper, the multiplication problem: both stopping points, any number of trials.

    Stopped and started again it goes on, to the same table.
    """


@dataclass
class Table7(OnlineStudy):
    """Table 7 of the paper, the adding problem: T = 100 and 500, with --full also 1000.

    Stopped and started again it goes on, to the same table.
    """


@dataclass
class Movement:
    """What moving its data costs an LSTM: the data movement distance of training steps."""

    out: OptionalPath = None
    """Directory of the results; under study/ where not given."""
    quick: bool = False
    """Short sequences: shows in seconds that everything runs."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        from longlag.studies import movement

        request = movement.Request(self.out, self.quick)
        return _printed(movement.run(request, report.say), self.json)


@dataclass
class SweepStudy:
    """Options of a study that is a sweep; stopped and started again it goes on."""

    trials: ByStudy = None
    """Trials of every case, a seed each."""
    max_sequences: ByStudy = None
    """Training sequences of a trial at most."""
    seed: Whole = 1000
    """Of the first trial."""
    lengths: Lengths = ""
    """Values of T, separated by commas; the study's own where not given."""
    out: OptionalPath = None
    """Directory of the results; under study/ where not given."""
    ledger: OptionalPath = None
    """The file that holds the trials; ledger.sqlite in --out where not given."""
    workers: ByStudy = None
    """Processes; as many as there are cores where not given."""
    scheduler: Address = ""
    """Address of a Dask cluster that does the work instead, such as tcp://host:8786."""
    engine: Engine = "auto"
    """Who does the arithmetic."""
    quick: bool = False
    """A small form: shows in seconds that everything runs."""
    full: bool = False
    """The study's largest form."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        from longlag.cli import sweep_progress as progress
        from longlag.studies.frame import Request

        names = ("trials", "max_sequences", "seed", "out", "ledger", "workers", "engine")
        given = {name: getattr(self, name) for name in (*names, "quick", "full")}
        given |= {"lengths": _lengths(self.lengths), "scheduler": self.scheduler or None}
        with progress.shown() as observe:
            result = self.carry_out(Request(**given, command=_command_line(self)), observe)
        return _printed(result, self.json)

    def carry_out(self, request: Any, observe: Any) -> Result:
        """Runs the study."""
        from longlag.studies import frame as sweep_study

        return sweep_study.run(_module(self).STUDY, request, observe)


@dataclass
class Seeds(SweepStudy):
    """Stuck seeds: the described recipe and robust at T = 30 and 100, by three rules."""


@dataclass
class ForgetGate(SweepStudy):
    """Which factor unsticks the seeds: forget gates and outputs at T = 30, with --full also 100."""


@dataclass
class Lag(SweepStudy):
    """Sequences and seconds to success from T = 30 to 10,000, with --full to 100,000."""


@dataclass
class Register(SweepStudy):
    """Inside trained networks: which cells carry the first value, which the product, since when.

    robust at T = 30, 100 and 300, with --full also 1000, and the described recipe's solved seeds.
    """

    def carry_out(self, request: Any, observe: Any) -> Result:
        """Runs the study."""
        return _module(self).run(request, observe)


def _lengths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(",")) if text else ()
    except ValueError:
        raise ValueError(f"lengths must be whole numbers with commas, not {text!r}") from None


def _name(command: Any) -> str:
    """How the study is called."""
    return next(name for name, kind in STUDIES.items() if kind is type(command))


def _module(command: Any) -> Any:
    """The study's own module."""
    return studies.module(_name(command))


def _command_line(study: Any) -> str:
    """The command line that asks for the same."""
    words = ["longlag", "study", _name(study)]
    for f in fields(study):
        value = getattr(study, f.name)
        if value != f.default and f.name != "json":
            flag = "--" + f.name.replace("_", "-")
            words += [flag] if value is True else [flag, str(value)]
    return " ".join(words)


def _printed(result: Result, as_json: bool) -> int:
    print(files.to_json(result.content) if as_json else result)
    return 0


STUDIES: dict[str, type] = {
    "table8": Table8,
    "table7": Table7,
    "seeds": Seeds,
    "forget-gate": ForgetGate,
    "lag": Lag,
    "register": Register,
    "movement": Movement,
}

Study = group("Ask one question with many trials: its table, its figure, its data.", STUDIES)
