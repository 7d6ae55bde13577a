"""A study as data: a question, its options, its cases, and the table and figure of their
outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from longlag import checks
from longlag.learning import engine
from longlag.learning.streams import check_seed
from longlag.settings import Option, imported
from longlag.studies.cases import Case, Outcome, Row, lines
from longlag.studies.result import Result

FIRST_SEED = 1000  # no recipe was tuned on these seeds
FRAME = "longlag.studies.frame:carry_out"

# Options that studies share, in the order of the help.
OWN = "the study's own"
TRIALS = Option("trials", int, "trials of every case, a seed each", high=100_000, otherwise=OWN)
BUDGET = Option("max_sequences", int, "limit on the training sequences of a trial", otherwise=OWN)
SEED = Option("seed", int, "seed of the first trial; the others follow", FIRST_SEED, 0, 2**63 - 1)
LENGTHS = Option("lengths", list[int], "values of T", (), otherwise=OWN, metavar="T,T,...")
OUT = Option("out", Path, "directory of the results", otherwise="study/ and the study's name")
LEDGER = Option("ledger", Path, "file that holds the trials", otherwise="ledger.sqlite in --out")
WORKERS = Option(
    "workers", int, "worker processes on this machine", high=1024, otherwise="one per core"
)
SCHEDULER = Option(
    "scheduler",
    str,
    "address of the scheduler of a Dask cluster to use instead, such as tcp://host:8786",
    metavar="ADDRESS",
)
QUICK = Option("quick", bool, "a small form, to see in seconds whether everything runs", False)
FULL = Option("full", bool, "the largest form, where the study has one", False)
ENGINE = Option("engine", engine.Choice, engine.CHOICE, "auto")
COMMON = (TRIALS, BUDGET, SEED, OUT, LEDGER, WORKERS, SCHEDULER, ENGINE, QUICK, FULL)
WITH_LENGTHS = (*COMMON[:3], LENGTHS, *COMMON[3:])


def worded(options: Sequence[Option], **otherwise: str) -> tuple[Option, ...]:
    """Options, of which some say, by their names, what holds where they are not given."""
    return tuple(
        replace(one, otherwise=otherwise[one.name]) if one.name in otherwise else one
        for one in options
    )


Columns = Mapping[str, Callable[[Row], str]]  # a table's heads, and what a row has below them
Observer = Callable[[Any], None]


@dataclass(frozen=True)
class Study:
    """A question, its options, and how it is answered.

    `longlag study NAME`, its flags and its help are made from this, and so is `longlag.study`.

    name: of the study, as users type it
    title: of its page and its figure
    help: what it asks, in one sentence
    takes: how long it takes on two cores, about, such as `10 minutes`; takes_full: with --full
    options: of the command and the call
    cases: the grid
    rows: those of the table that an outcome gives, its case's `about` apart
    columns: of the table; where a head depends on the rows, made from them
    published: what the line below a row has of `paper`, which is its case's `published`
    remarks: conclusions from the numbers, a sentence each
    notes: what to know to read them; where they depend on the request, made from it
    lead: what was run, where the title does not say it
    about: what the JSON has besides, from outcomes and rows
    lines: of trials.csv
    figure: the `module:function` that draws it from title, outcomes and rows, and picture, its file
    needless: whether a case of a later stage need not be tried, from the outcomes so far
    untried: what to say of the cases that were not, a sentence each
    partial: whether a case that is refused, or whose trials all failed, is left out in a sentence
    more_files: what it writes besides, by name, made from what the JSON has
    seed: of the first trial, from the other options, where its option has no default
    function: the `module:function` of (request, observe) that carries it all out
    """

    name: str
    title: str
    help: str
    takes: str = ""
    takes_full: str = ""
    options: Sequence[Option] = COMMON
    cases: Callable[[Request], Sequence[Case]] = lambda request: ()
    rows: Callable[[Outcome], Sequence[Row]] = lambda outcome: ()
    columns: Columns | Callable[[Sequence[Row]], Columns] = field(default_factory=dict)
    published: Columns = field(default_factory=dict)
    remarks: Callable[[Sequence[Row]], Sequence[str]] = lambda rows: ()
    notes: Sequence[str] | Callable[[Request], Sequence[str]] = ()
    lead: Callable[[Mapping[str, Any]], str] = lambda content: ""
    about: Callable[[Sequence[Outcome], Sequence[Row]], Row] = lambda outcomes, rows: {}
    lines: Callable[[Outcome], Iterable[Row]] = lines
    figure: str = ""
    picture: str = "figure.png"
    needless: Callable[[Case, Sequence[Outcome]], bool] = lambda case, outcomes: False
    untried: Callable[[Sequence[Case]], Sequence[str]] = lambda cases: ()
    partial: bool = False
    more_files: Callable[[Mapping[str, Any]], Mapping[str, bytes]] = lambda content: {}
    seed: Callable[[Mapping[str, Any]], int] = lambda values: FIRST_SEED
    function: str = FRAME

    @property
    def duration(self) -> str:
        """How long it takes, in a sentence; empty where that is not known."""
        if not self.takes:
            return ""
        full = f", with --full about {self.takes_full}" if self.takes_full else ""
        return f"It takes about {self.takes} on two cores{full}."

    def request(self, given: Mapping[str, Any], command: str = "") -> Request:
        """The request, checked; an option that is None or absent has its default.

        Raises:
            ValueError: an unknown option (the nearest is suggested), a value that is not allowed
                or is given twice in a list, or quick and full at once.
        """
        known = {one.name: one for one in self.options}
        for name in given:
            if name not in known:
                hint = checks.nearest(name, sorted(known))
                raise ValueError(f"study {self.name} has no option {name!r}{hint}")
        values = {name: one.checked(given.get(name)) for name, one in known.items()}
        for name, value in values.items():
            if isinstance(value, (list, tuple)) and len({*value}) < len(value):
                shown = ",".join(map(str, value))
                raise ValueError(f"{name} must be different ones, not {shown}")
        if "seed" in values and values["seed"] is None:
            values["seed"] = self.usual_seed(values)
        if values.get("quick") and values.get("full"):
            raise ValueError("--quick and --full exclude each other: give one of them")
        return Request(self, values, command)

    def usual_seed(self, values: Mapping[str, Any]) -> int:
        """The seed of the first trial where none is given, from the values of the other options."""
        (own,) = (one for one in self.options if one.name == "seed")
        return self.seed(values) if own.default is None else own.default

    def table(self, rows: Sequence[Row]) -> list[tuple[str, ...]]:
        """The table in words, its head first; below a row with a `paper`, what that has."""
        columns = self.columns(rows) if callable(self.columns) else self.columns
        found = [tuple(columns)]
        for row in rows:
            found.append(tuple(cell(row) for cell in columns.values()))
            if paper := row.get("paper"):
                found.append(tuple(self.published.get(head, _nothing)(paper) for head in columns))
        return found


def _nothing(row: Row) -> str:
    return ""


@dataclass(frozen=True)
class Request:
    """What the user asked of a study: a value for each of its options, which is an attribute."""

    study: Study
    options: Mapping[str, Any]
    command: str = ""

    def __getattr__(self, name: str) -> Any:
        try:
            return vars(self)["options"][name]
        except KeyError:
            raise AttributeError(f"the study has no option {name!r}") from None

    @property
    def directory(self) -> Path:
        """Where the files go: --out, or below study/ one for every form, reading and seed."""
        parts = [self.study.name.replace("-", "_")]
        for one in self.study.options:
            value = self.options[one.name]
            if one.part != "options" and value is not None:
                parts.append(f"{one.name}-{value}")
        switches = (
            one.name for one in self.study.options if one.kind is bool and one.part == "options"
        )
        parts += [name for name in switches if self.options[name] is True]
        if "seed" in self.options and self.seed != self.study.usual_seed(self.options):
            parts.append(f"seed-{self.seed}")
        return self.out or Path("study") / "_".join(parts)

    def seeds(self, trials: int, most: int | None = None) -> range:
        """Of as many trials as the user gave, or so many; `most` at most.

        Raises:
            ValueError: the last one is out of range.
        """
        n = trials if self.trials is None else self.trials
        n = n if most is None else min(n, most)
        return range(self.seed, check_seed(self.seed + n - 1) + 1)

    def iterations(self, batch: int, most: int) -> int:
        """Iterations at most: so many, or as many as --max-sequences makes."""
        return most if self.max_sequences is None else max(1, self.max_sequences // batch)


def run(request: Request, observe: Observer = lambda progress: None) -> Result:
    """Carries a study out.

    Args:
        observe: called with the progress, a `longlag.sweeps.sweep.Progress`.

    Raises:
        ValueError: options that contradict each other, a ledger that is damaged or in use, a
            directory that cannot be written to.
        KeyboardInterrupt: by Ctrl-C or a termination signal; what is finished is in the ledger.
    """
    return imported(request.study.function)(request, observe)
