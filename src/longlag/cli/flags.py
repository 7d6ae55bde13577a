"""Flags: how they are read, and the files that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_type_hints

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from longlag import interop
from longlag.learning import engine as engines
from longlag.learning.recipe import RECIPES, ErrorTerm, GradientTerm, OnlineRecipe, Recipe, recipe
from longlag.networks.lstm1997 import Reads
from longlag.runs import directory as runs
from longlag.tasks.marked_pairs import FirstMark, Kind, Rules


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


def subcommands(kinds: Mapping[str, type]) -> Any:
    """The type of one of several commands."""
    return Union[  # noqa: UP007
        tuple(Annotated[kind, tyro.conf.subcommand(name)] for name, kind in kinds.items())
    ]


def group(about: str, kinds: Mapping[str, type]) -> type:
    """A command that is one of several."""
    made = make_dataclass("Group", [("command", subcommands(kinds))])
    made.__doc__ = about
    made.__call__ = lambda self: self.command()  # type: ignore[attr-defined]
    return made


def output(path: Path, *inputs: Path) -> Path:
    """A file to write, whose directory is made; refused where it is one of the files read."""
    if path.resolve() in [given.resolve() for given in inputs]:
        raise ValueError(f"{path} is what is read: choose another --out")
    runs.writable(path.parent)
    return path
