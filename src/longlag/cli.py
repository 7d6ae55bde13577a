"""The command line, `longlag ...`: a dataclass a command, its fields the flags.

Words and progress go to standard error; standard output carries the result, with `--json` exactly
one JSON object. Exit status: 0 done, 1 it failed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_type_hints

import tyro
from tyro.constructors import PrimitiveConstructorSpec

import longlag
from longlag import checks, files, interop, ledger, rates, report, runs, session
from longlag import engine as engines
from longlag.criteria import Score
from longlag.networks.lstm1997 import Reads
from longlag.recipes import RECIPES, ErrorTerm, GradientTerm, OnlineRecipe, Recipe, recipe
from longlag.steps import Run
from longlag.tasks import FirstMark, Kind, MarkedPairs, Rules
from longlag.training import evaluate


def _reader(kind: Any, default: str | None = None) -> PrimitiveConstructorSpec[Any]:
    """How a flag is read: a number, or one of some words; a bad one is refused in plain words.

    default: what the help shows for None, where None stands for a flag that was not given.
    """
    choices = {"True": True, "False": False} if kind is bool else {w: w for w in get_args(kind)}
    what = f"one of {', '.join(choices)}" if choices else NUMBERS[kind][0]

    def read(args: list[str]) -> Any:
        try:
            return choices[args[0]] if choices else kind(args[0])
        except (KeyError, ValueError):
            raise ValueError(f"must be {what}, not {args[0]!r}") from None

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(choices) + "}" if choices else NUMBERS[kind][1],
        instance_from_str=read,
        is_instance=lambda value: True,
        str_from_instance=lambda value: [default or "" if value is None else str(value)],
    )


NUMBERS = {
    **{int: ("a whole number", "N"), float: ("a number", "X")},
    **{str: ("a name", "NAME"), Path: ("a path", "PATH")},
}
# `Any`, since None, for a flag that was not given, is no mistake.
Whole = Annotated[Any, _reader(int)]
OptionalWhole = Annotated[Any, _reader(int, "by-run")]
Seed = Annotated[Any, _reader(int, "0")]
Name = Annotated[Any, _reader(str, "robust")]
Engine = Annotated[Any, _reader(engines.Choice)]
Names = Annotated[Any, _reader(str), tyro.conf.arg(metavar="NAME,NAME,...")]
Named = Annotated[Any, _reader(str), tyro.conf.arg(metavar="NAME,NAME,...", help_behavior_hint="")]
Lengths = Annotated[Any, _reader(str), tyro.conf.arg(metavar="T,T,...", help_behavior_hint="")]
Address = Annotated[Any, _reader(str), tyro.conf.arg(metavar="ADDRESS", help_behavior_hint="")]
ByStudy = Annotated[Any, _reader(int, "by-study")]
Error = Annotated[Any, _reader(ErrorTerm, "squared")]
Gradient = Annotated[Any, _reader(GradientTerm, "truncated")]
ReadCells = Annotated[Any, _reader(Reads, "previous")]
Mark = Annotated[Any, _reader(FirstMark, "hidden")]
CheckEvery = Annotated[Any, _reader(int, "1")]
ExportFormat = Annotated[Any, _reader(Literal["csv", "markdown", "parquet"])]
RunFormat = Annotated[Any, _reader(interop.Format)]
Directory = tyro.conf.Positional[Path]
Directories = tyro.conf.Positional[
    Annotated[
        tuple[Path, ...], tyro.conf.arg(metavar="RUN RUN ...", help_behavior_hint="(required)")
    ]
]
OptionalPath = Annotated[Path | None, _reader(Path), tyro.conf.arg(help_behavior_hint="")]


def _settings_type() -> type:
    """A dataclass with a flag for every setting of any recipe; None where it was not given.

    What two kinds of recipes both have is one flag; whether the recipe that was chosen has it, the
    recipe itself knows.
    """
    texts: dict[str, str] = {}
    hints: dict[str, Any] = {}
    for kind, whose in ((OnlineRecipe, "on-line: "), (Recipe, "")):
        own = {f.name: f.metadata["help"] for f in fields(kind) if "help" in f.metadata}
        texts |= {name: whose + text for name, text in own.items()}
        hints |= {name: hint for name, hint in get_type_hints(kind).items() if name in own}
    texts |= {
        "task": "what the answer is",
        "rules": "where the marks fall",
        "min_length": "T, steps of the shortest sequence; alone it implies --max-length 1.1 T",
        "max_length": "steps of the longest sequence",
        "first_mark": "whether a mark on the first pair, whose value is neutral, can be seen",
    }
    hints |= {"task": Kind, "rules": Rules, "min_length": int, "max_length": int}
    hints["first_mark"] = FirstMark
    order = recipe("robust").settings() | recipe("paper").settings()
    rows = []
    for name in order:
        shown = tyro.conf.arg(help=texts[name], help_behavior_hint=f"({_default(name)})")
        rows.append((name, Annotated[Any, _reader(hints[name]), shown], field(default=None)))
    return make_dataclass("Settings", rows)


def _default(name: str) -> str:
    """What the recipes set a setting to, in words."""
    having: dict[str, list[str]] = {}
    for known in RECIPES.values():
        if name in (settings := known.settings()):
            value = settings[name]
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            having.setdefault(shown, []).append(known.name)
    if len(having) == 1:
        return f"default: {next(iter(having))}"
    values = (f"{value} in {', '.join(who)}" for value, who in having.items())
    return f"by recipe: {'; '.join(values)}"


Settings = _settings_type()


@dataclass
class Train:
    """Train a recipe into a run directory."""

    settings: Annotated[Any, tyro.conf.arg(constructor=Settings, prefix_name=False)]
    recipe: Name = None
    """Registered recipe: robust, catalog (the described system), paper, paper-adding (of 1997)."""
    seed: Seed = None
    """With the recipe and the engine it determines every bit."""
    save_dir: Path = Path("run")
    """Run directory."""
    engine: Engine = "auto"
    """Who does the arithmetic; auto takes the native kernel where there is one."""
    threads: Whole = 1
    """Threads of the native kernel."""
    resume: bool = False
    """Continue the unfinished training in the directory."""
    overwrite: bool = False
    """Discard the unfinished training in the directory."""
    quiet: bool = False
    """No progress."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        if self.resume and self.overwrite:
            raise ValueError("--resume and --overwrite exclude each other: give one of them")
        given = {name: value for name, value in vars(self.settings).items() if value is not None}
        request = session.Request(self.recipe, given, self.seed, self.engine, self.threads)
        try:
            run = report.train(
                request, self.save_dir, self.resume, self.overwrite, quiet=self.quiet
            )
        except session.Interrupted as stop:
            if self.json:
                content = report.interrupted_json(stop.training)
                print(runs.to_json({**content, "run_dir": str(self.save_dir)}))
            raise
        if self.json:
            print(runs.to_json({**report.training_json(run), "run_dir": str(self.save_dir)}))
        else:
            print(report.score_card(run, self.save_dir))
        return 0


@dataclass
class Evaluate:
    """Score a run on fresh sequences."""

    run: Directory
    """Run directory."""
    n: Whole = 2560
    """Sequences."""
    seed: Whole = 0
    """Of the sequences: the same seed gives the same ones to every run."""
    min_length: OptionalWhole = None
    """T, steps of the shortest sequence; alone it implies --max-length 1.1 T."""
    max_length: OptionalWhole = None
    """Steps of the longest sequence."""
    engine: Engine = "auto"
    """Who does the arithmetic."""
    threads: Whole = 1
    """Threads of the native kernel."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        run = runs.load(self.run)
        task = _task(run, self.min_length, self.max_length)
        chosen = engines.choose(self.engine, self.threads)
        judged = evaluate(
            run, self.n, self.seed, task=task, engine=self.engine, threads=self.threads
        )
        content = {
            "recipe": run.recipe.name,
            "run_seed": run.seed,
            "seed": self.seed,
            "engine": chosen.name,
            "isa": chosen.isa,
            "min_length": task.min_length,
            "max_length": task.max_length,
            "chance_mse": task.chance_mse,
            "score": judged.as_dict(),
        }
        print(runs.to_json(content) if self.json else report.evaluation(run, task, judged))
        return 0


@dataclass
class Compare:
    """Show where runs differ, and their scores on the same sequences."""

    runs: Directories
    """Two or more run directories; sequences are of the first one's task."""
    n: Whole = 2560
    """Sequences."""
    seed: Whole = 0
    """Of the sequences."""
    min_length: OptionalWhole = None
    """T, steps of the shortest sequence; alone it implies --max-length 1.1 T."""
    max_length: OptionalWhole = None
    """Steps of the longest sequence."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        if len(self.runs) < 2:
            raise ValueError(f"compare needs at least two run directories, not {len(self.runs)}")
        loaded = [runs.load(path) for path in self.runs]
        task = _task(loaded[0], self.min_length, self.max_length)
        scores: list[Score] = [evaluate(r, self.n, self.seed, task=task) for r in loaded]
        names = [str(path) for path in self.runs]
        if self.json:
            print(runs.to_json(report.comparison_json(names, loaded, task, scores)))
        else:
            print(report.comparison(names, loaded, task, scores))
        return 0


@dataclass
class Figures:
    """Draw the four figures of a run and write its curves as CSV."""

    run: Directory
    """Run directory."""
    out: OptionalPath = None
    """Where to; the run directory where not given."""

    def __call__(self) -> int:
        from longlag import figures

        run = runs.load(self.run)
        for path in figures.write_figures(run, runs.writable(self.out or self.run)):
            print(path)
        return 0


@dataclass
class Animate:
    """Animate a run's training as a GIF."""

    run: Directory
    """Run directory."""
    out: OptionalPath = None
    """The file; animation.gif in the run directory where not given."""
    n_frames: Whole = 30
    """Frames, 2 to 500."""
    fps: Whole = 8
    """Frames a second, 1 to 50."""
    length: OptionalWhole = None
    """Steps of the sequence shown, at most four times the longest of the training."""

    def __call__(self) -> int:
        from longlag import figures

        run = runs.load(self.run)
        if not run.snapshots:
            raise ValueError(f"{self.run} has no {runs.SNAPSHOTS}, which the animation is made of")
        out = _output(self.out or self.run / "animation.gif", *_files(self.run))
        print(
            figures.write_animation(
                run, out, n_frames=self.n_frames, fps=self.fps, length=self.length
            )
        )
        return 0


@dataclass
class Explore:
    """Write the page on which to see a network think, or two side by side."""

    runs: Directories
    """One run directory or two; sequences are of the first one's task."""
    out: OptionalPath = None
    """The file; explorer.html in the first run directory where not given."""

    def __call__(self) -> int:
        from longlag import explorer

        if not 1 <= len(self.runs) <= 2:
            raise ValueError(f"explore takes one run directory or two, not {len(self.runs)}")
        loaded = {str(path): runs.load(path) for path in self.runs}
        if len(loaded) < len(self.runs):
            raise ValueError(f"explore sets two runs side by side, not {self.runs[0]} twice")
        out = self.out or self.runs[0] / runs.EXPLORER
        if out.is_dir():
            raise ValueError(f"--out must be a file, and {out} is a directory")
        _output(out, *(file for path in self.runs for file in _files(path)))
        print(explorer.write_page(loaded, out))
        return 0


@dataclass
class Export:
    """Write a run's weights and history as a file that other programs read."""

    run: Directory
    """Run directory."""
    format: RunFormat
    """safetensors, torch (a state_dict) or onnx."""
    out: Path
    """The file to write."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        run = runs.load(self.run)
        _output(self.out, *_files(self.run))
        interop.write(run, self.out, self.format)
        content = {"file": str(self.out), "format": self.format, **report.training_json(run)}
        print(runs.to_json(content) if self.json else self.out)
        return 0


@dataclass
class Import:
    """Make a run directory of a file that `longlag export` wrote."""

    file: Directory
    """A safetensors, PyTorch or ONNX file; its content tells which."""
    out: Path
    """Run directory to write."""
    overwrite: bool = False
    """Discard the unfinished training in the directory."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        run = interop.read(self.file)
        replaces = (self.out / runs.HISTORY).exists()
        runs.put(run, self.out, overwrite=self.overwrite)
        if replaces:
            report.say(f"the run that {self.out} held is replaced")
        if self.json:
            print(runs.to_json({**report.training_json(run), "run_dir": str(self.out)}))
        else:
            print(report.score_card(run, self.out))
        return 0


@dataclass
class Bench:
    """Time longlag beside its peers: one process each, one run of some minutes."""

    against: Names = "numpy,torch,jax,numba"
    """Peers, separated by commas; one that is not installed is skipped."""
    quick: bool = False
    """The smallest case alone, in half a minute."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        from longlag import bench

        result = bench.run(bench.parse_against(self.against), self.quick)
        print(runs.to_json(result) if self.json else bench.render(result))
        return 0


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

    def request(self) -> Any:
        """The study's request."""
        from longlag.studies.online_study import READING, Request

        names = (*READING, "max_sequences")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        common = {
            name: getattr(self, name)
            for name in ("trials", "seed", "out", "threads", "engine", "quick", "full")
        }
        return Request(settings=given, command=self.command(), **common)

    def command(self) -> str:
        """The command line that asks for the same."""
        words = ["longlag", "study", type(self).__name__.lower()]
        for f in fields(self):
            value = getattr(self, f.name)
            if value != f.default and f.name != "json":
                flag = "--" + f.name.replace("_", "-")
                words += [flag] if value is True else [flag, str(value)]
        return " ".join(words)

    def carry_out(self, study: Any) -> int:
        """Runs the study and prints its table."""
        from longlag.studies import online_study

        result = online_study.run(study, self.request(), report.say)
        print(runs.to_json(result.content) if self.json else result)
        return 0


@dataclass
class Table8(OnlineStudy):
    """Table 8 of the paper, the multiplication problem: both stopping points, any number of trials.

    Stopped and started again it goes on, to the same table.
    """

    def __call__(self) -> int:
        from longlag.studies import table8

        return self.carry_out(table8.STUDY)


@dataclass
class Table7(OnlineStudy):
    """Table 7 of the paper, the adding problem: T = 100 and 500, with --full also 1000.

    Stopped and started again it goes on, to the same table.
    """

    def __call__(self) -> int:
        from longlag.studies import table7

        return self.carry_out(table7.STUDY)


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

        result = movement.run(movement.Request(self.out, self.quick), report.say)
        print(runs.to_json(result.content) if self.json else result)
        return 0


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

    def request(self, name: str) -> Any:
        """The request to the study of that name."""
        from longlag.studies.sweep_study import Request

        names = ("trials", "max_sequences", "seed", "out", "ledger", "workers", "engine")
        given = {name: getattr(self, name) for name in (*names, "quick", "full")}
        return Request(
            **given,
            lengths=_lengths(self.lengths),
            scheduler=self.scheduler or None,
            command=_command_line(self, name),
        )

    def carry_out(self, study: Any) -> int:
        """Runs a study that is a table of cases, and prints its table."""
        from longlag.studies import sweep_study

        return self.show(study.name, functools.partial(sweep_study.run, study))

    def show(self, name: str, run: Callable[[Any, Any], Any]) -> int:
        """Prints the result of the study of that name, with its progress meanwhile."""
        from longlag import progress

        with progress.shown() as observe:
            result = run(self.request(name), observe)
        print(runs.to_json(result.content) if self.json else result)
        return 0


@dataclass
class Seeds(SweepStudy):
    """Stuck seeds: the described recipe and robust at T = 30 and 100, by three rules."""

    def __call__(self) -> int:
        from longlag.studies import seeds

        return self.carry_out(seeds.STUDY)


@dataclass
class ForgetGate(SweepStudy):
    """Which factor unsticks the seeds: forget gates and outputs at T = 30, with --full also 100."""

    def __call__(self) -> int:
        from longlag.studies import forget_gate

        return self.carry_out(forget_gate.STUDY)


@dataclass
class Lag(SweepStudy):
    """Sequences and seconds to success from T = 30 to 10,000, with --full to 100,000."""

    def __call__(self) -> int:
        from longlag.studies import lag

        return self.carry_out(lag.STUDY)


@dataclass
class Register(SweepStudy):
    """Inside trained networks: which cells carry the first value, which the product, since when.

    robust at T = 30, 100 and 300, with --full also 1000, and the described recipe's solved seeds.
    """

    def __call__(self) -> int:
        from longlag.studies import register

        return self.show("register", register.run)


def _lengths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(",")) if text else ()
    except ValueError:
        raise ValueError(f"lengths must be whole numbers with commas, not {text!r}") from None


def _command_line(study: SweepStudy, name: str) -> str:
    """The command line that asks for the same."""
    words = ["longlag", "study", name]
    for f in fields(study):
        value = getattr(study, f.name)
        if value != f.default and f.name != "json":
            flag = "--" + f.name.replace("_", "-")
            words += [flag] if value is True else [flag, str(value)]
    return " ".join(words)


STUDIES: dict[str, type] = {
    "table8": Table8,
    "table7": Table7,
    "seeds": Seeds,
    "forget-gate": ForgetGate,
    "lag": Lag,
    "register": Register,
    "movement": Movement,
}


def _subcommands(kinds: Mapping[str, type]) -> Any:
    """The type of one of several commands."""
    return Union[  # noqa: UP007
        tuple(Annotated[kind, tyro.conf.subcommand(name)] for name, kind in kinds.items())
    ]


def _study_type() -> type:
    """The `study` command: a subcommand a study."""
    made = make_dataclass("Study", [("study", _subcommands(STUDIES))])
    made.__doc__ = "Ask one question with many trials: its table, its figure, its data."
    made.__call__ = lambda self: self.study()  # type: ignore[attr-defined]
    return made


Study = _study_type()


@dataclass
class LedgerShow:
    """Show how many trials a ledger holds, and the latest of them."""

    file: Directory
    """Ledger."""
    last: Whole = 20
    """Trials to list, the newest first."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        last = checks.whole("last", self.last, 0)
        with ledger.Ledger.read(self.file) as book:
            counts, latest = book.counts(), book.latest(last)
        if self.json:
            rows = [{name: row[name] for name in (*ledger.LISTED, "error")} for row in latest]
            print(runs.to_json({"file": str(self.file), "trials": counts, "rows": rows}))
        else:
            print(report.trials(counts, latest))
        return 0


@dataclass
class LedgerRates:
    """Show how many trials of each kind were solved, with exact 95 % intervals of the rates.

    Two kinds are also compared seed by seed.
    """

    file: Directory
    """Ledger."""
    by: Named = ""
    """What tells kinds apart: settings, recipe, engine, version; whatever does where not given."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        with ledger.Ledger.read(self.file) as book:
            found = rates.groups(book.rows(), [name for name in self.by.split(",") if name])
        alone = len(found) != 2 or not all(group.distinct for group in found)
        pairs = None if alone else rates.pairs(*found)
        if self.json:
            content = {"groups": [group.as_dict() for group in found]}
            paired = None if pairs is None else pairs.as_dict()
            print(runs.to_json({"file": str(self.file), **content, "pairs": paired}))
        else:
            print(report.rates(found, pairs))
        return 0


@dataclass
class LedgerExport:
    """Write all trials of a ledger as csv, markdown, or parquet where pyarrow is installed."""

    file: Directory
    """Ledger."""
    format: ExportFormat = "csv"
    """How they are written."""
    out: OptionalPath = None
    """The file to write; standard output where not given (parquet needs a file)."""

    def __call__(self) -> int:
        if self.out is not None:
            _output(self.out, self.file)
        with ledger.Ledger.read(self.file) as book:
            if self.format == "parquet":
                if self.out is None:
                    raise ValueError("--format parquet needs a file: give --out FILE")
                ledger.write_parquet(book, self.out)
                return 0
            text = ledger.export(book, self.format)
        if self.out is None:
            print(text, end="")
        else:
            files.write_bytes(self.out, text.encode())
        return 0


@dataclass
class Doctor:
    """Show the version, who does the arithmetic, and which extras are found."""

    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        content = report.doctor()
        print(runs.to_json(content) if self.json else report.table(content.items()))
        return 0


def _ledger_type() -> type:
    """The `ledger` command."""
    kinds = {"show": LedgerShow, "rates": LedgerRates, "export": LedgerExport}
    made = make_dataclass("LedgerCommand", [("command", _subcommands(kinds))])
    made.__doc__ = "Look into the ledger of a sweep."
    made.__call__ = lambda self: self.command()  # type: ignore[attr-defined]
    return made


LedgerCommand = _ledger_type()


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


def _files(run: Path) -> list[Path]:
    return [run / name for name in runs.RUN_FILES]


def _output(path: Path, *inputs: Path) -> Path:
    """A file to write, whose directory is made; refused where it is one of the files read."""
    if path.resolve() in [given.resolve() for given in inputs]:
        raise ValueError(f"{path} is what is read: choose another --out")
    runs.writable(path.parent)
    return path


def _task(run: Run, min_length: int | None, max_length: int | None) -> MarkedPairs:
    """The task to judge on: the run's own, or of other lengths."""
    lengths = {"min_length": min_length, "max_length": max_length}
    given = {name: value for name, value in lengths.items() if value is not None}
    return run.recipe.with_settings(given).task if given else run.recipe.evaluation_task


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
                _subcommands(COMMANDS),
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
        raise ValueError(_one_sentence(errors.getvalue())) from None


def _version() -> int:
    print(f"longlag {longlag.__version__}")
    return 0


def _check_text(word: str) -> None:
    try:
        word.encode()
    except UnicodeEncodeError:
        raise ValueError(f"an argument must be UTF-8, not {word!r}") from None


def _one_sentence(box: str) -> str:
    """What tyro's error box says, as one sentence."""
    lines = [line.strip(" │") for line in box.splitlines()]
    lines = [line for line in lines if line and line[0] not in "╭╰"]
    if len(lines) > 1 and set(lines[1]) == {"-"}:  # a title, where the box is plain ASCII
        lines = lines[2:]
    rules = (k for k, line in enumerate(lines) if set(line) <= set("─-"))
    end = next(rules, len(lines))
    text, rest = " ".join(lines[:end]).rstrip("."), " ".join(lines[end:])
    for pattern, words in (
        (r"^Error parsing (\S+): ", r"\1 "),
        (r"^Expected one of \{(.*)\}$", r"a command is missing: give one of \1"),
        (r"^Missing from (longlag [\w -]+): (\S+) .*", r"\1 is missing its \2"),
        (r"^Missing value for argument '(\S+)'.*", r"\1 is missing its value"),
        (r"^Unrecognized or misplaced options: (\S+) .*", r"\1 stands in the wrong place"),
        (r"^Unrecognized options: ", "unrecognized: "),
    ):
        text = re.sub(pattern, words, text)
    if hint := re.search(r"Perhaps you meant: (--\S+)", rest):
        text += f"; did you mean {hint[1]}?"
    elif known := re.search(r"Available subcommands: ([\w, -]*)", rest):
        text += f"; known commands are {known[1].strip()}"
    return text


def main(args: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    given = sys.argv[1:] if args is None else args
    return report.exit_status("longlag", lambda: parse(given)())


if __name__ == "__main__":
    sys.exit(main())
