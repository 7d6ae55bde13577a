"""A command line: what a command takes, its help, and one sentence for every mistake.

`argparse` holds the arguments and converts their values. What is wrong with the words themselves (a
flag that there is not, a value that is missing, an argument too many) is found by `Parser.read`,
which knows all commands and can say what was meant; the help is laid out here, the same on every
Python.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, get_args, get_origin

from longlag import checks
from longlag.settings import Option

HELP = ("-h", "--help")
WIDEST = 100  # columns of a help text
REQUIRED, PLACES = "required", "arguments"
TAKEN = ("function", "name", "settings", "command")  # what else a command line is read into

# What a value must be, and how the help calls it.
KINDS: dict[Any, tuple[str, str]] = {
    int: ("a whole number", "N"),
    float: ("a number", "X"),
    str: ("a name", "NAME"),
    Path: ("a path", "PATH"),
    list[int]: ("whole numbers separated by commas", "N,N,..."),
    list[str]: ("names separated by commas", "NAME,NAME,..."),
}


class Argument(NamedTuple):
    """An argument in words: how it is written, what it means, its default, in which part of the
    help it stands, and what holds where it has no default and is not given."""

    written: str
    text: str
    default: str
    part: str
    otherwise: str = ""


class Parser(argparse.ArgumentParser):
    """A command with its flags and positional arguments, or a group of commands.

    examples: command lines, which stand below the help; member: what one of a group is called, such
    as `study`; members: names of commands that `make` adds when they are asked for, as it does one
    that is given as module:NAME.
    """

    def __init__(
        self,
        prog: str,
        about: str,
        examples: Sequence[str] = (),
        *,
        member: str = "",
        members: Iterable[str] = (),
        make: Callable[[Parser, str], None] | None = None,
        parent: Parser | None = None,
        **layout: Any,  # argparse hands on how its own help looks
    ) -> None:
        super().__init__(
            prog, description=about, allow_abbrev=False, exit_on_error=False, add_help=False
        )
        self.about, self.examples, self.member, self.parent = about, examples, member, parent
        self._commands: dict[str, Parser] = {}
        self._members, self._make = members, make
        self.arguments: list[Argument] = []
        self.positional: list[argparse.Action] = []
        self.flags: dict[str, argparse.Action] = {}
        self._part = "options"
        if member:
            self._below = self.add_subparsers(metavar=self._member(), prog=prog)
        self._add(*HELP, action="help", text="show this help")

    # -- what there is ------------------------------------------------------------------------

    def command(self, name: str, about: str, examples: Sequence[str] = (), **more: Any) -> Parser:
        """Adds a command to a group; with `member` it is a group itself."""
        options = {"about": about, "examples": examples, "parent": self, **more}
        made = self._below.add_parser(name, help=_escaped(_summary(about)), **options)
        self._commands[name] = made
        return made

    @property
    def commands(self) -> Mapping[str, Parser]:
        """Those of a group by name, all of them made."""
        for name in self._members:
            self._named(name)
        return self._commands

    def _named(self, name: str) -> Parser | None:
        """The command of that name, which is made where that was left for later."""
        if self._make and name not in self._commands and (name in self._members or ":" in name):
            self._make(self, name)
        return self._commands.get(name)

    def part(self, title: str) -> None:
        """Begins a part of the help, for the flags that are added next."""
        self._part = title

    def place(
        self,
        name: str,
        text: str,
        kind: Any = Path,
        *,
        several: bool = False,
        optional: bool = False,
    ) -> None:
        """Adds a positional argument; several: one or more of them, as a list; optional: None
        where it is not given."""
        choices = _choices(kind)
        written = name.upper()
        made = self.add_argument(
            f"{name}s" if several else name,
            metavar=written,
            type=_reader(kind),
            choices=tuple(choices.values()) or None,
            nargs="+" if several else "?" if optional else None,
            help=_escaped(text),
        )
        self.positional.append(made)
        self.arguments.append(
            Argument(
                f"{written} ..." if several else written,
                text,
                "" if optional else REQUIRED,
                PLACES,
            )
        )

    def value(
        self,
        name: str,
        kind: Any,
        text: str,
        default: Any = None,
        *,
        shown: str = "",
        otherwise: str = "",
        metavar: str = "",
        required: bool = False,
    ) -> None:
        """Adds a flag with a value.

        Args:
            name: with its dashes.
            kind: one of KINDS, bool, or a Literal of words.
            text: what it means.
            default: what holds where it is not given.
            shown: the default as the help shows it.
            otherwise: what holds where it is not given and there is no default, in words.
        """
        choices = _choices(kind)
        shown = shown or ("" if default is None else str(default))
        self._add(
            name,
            text=text,
            shown=REQUIRED if required else shown,
            otherwise=otherwise,
            type=_reader(kind),
            choices=tuple(choices.values()) or None,
            default=default,
            metavar=metavar or _braces(choices) or KINDS[kind][1],
            required=required,
        )

    def switch(self, name: str, text: str) -> None:
        """Adds a flag without a value: it is off where it is not given."""
        self._add(name, text=text, action="store_true")

    def version(self, version: str) -> None:
        """Adds --version."""
        self._add("--version", text="show the version", action="version", version=version)

    def options(self, options: Iterable[Option]) -> None:
        """Adds a flag for every option, in its part; its value is None where it is not given.

        Raises:
            ValueError: another flag has that name.
        """
        for one in options:
            if one.name in TAKEN:
                raise ValueError(f"{one.name} cannot be the name of a setting: choose another")
            if flag(one.name) in self.flags:
                other = f"{self._name()} has another flag {flag(one.name)}"
                raise ValueError(f"{other}: {one.name} needs a name of its own")
            self.part(one.part)
            if one.kind is bool and one.default is False:
                self.switch(flag(one.name), one.text)
                continue
            own = "" if one.otherwise or one.default is None else str(one.default)
            self.value(
                flag(one.name),
                one.kind,
                one.text,
                shown=one.shown or own,
                otherwise=one.otherwise,
                metavar=one.metavar,
            )
        self.part("options")

    def _add(
        self, *names: str, text: str, shown: str = "", otherwise: str = "", **options: Any
    ) -> None:
        action = self.add_argument(*names, help=_escaped(text), **options)
        self.flags |= dict.fromkeys(names, action)
        written = " ".join([", ".join(names), *filter(None, [options.get("metavar")])])
        self.arguments.append(Argument(written, text, shown, self._part, otherwise))

    def leaves(self) -> Iterator[Parser]:
        """All commands below, or this one alone."""
        if not self.member:
            yield self
        for below in self.commands.values():
            yield from below.leaves()

    def _member(self) -> str:
        return self.member.split()[-1].upper()

    # -- its help -----------------------------------------------------------------------------

    def format_help(self) -> str:
        """The usage, what the command does, its commands or arguments, and examples at the end."""
        width = max(40, min(shutil.get_terminal_size().columns, WIDEST))
        parts = self._parts()
        longest = max(len(name) for rows in parts.values() for name in rows)
        left = min(4 + longest, width // 3)
        blocks = [f"usage: {self.synopsis()}", textwrap.fill(self.about, width)]
        blocks += [f"{title}:\n{_listed(rows, left, width)}" for title, rows in parts.items()]
        if self.examples:
            blocks.append("\n  ".join(["examples:", *self.examples]))
        return "\n\n".join(blocks) + "\n"

    def _parts(self) -> dict[str, dict[str, str]]:
        """What the help lists, part by part: names and what they mean."""
        title = f"{self.member}s".replace("ys", "ies")
        parts = {title: {name: _summary(below.about) for name, below in self.commands.items()}}
        parts[PLACES] = {}
        for argument in self.arguments:
            parts.setdefault(argument.part, {})[argument.written] = _meaning(argument)
        return {title: rows for title, rows in parts.items() if rows}

    def synopsis(self) -> str:
        """How the command is written."""
        if self.member:
            return f"{self.prog} {self._member()} [options]"
        needed = [
            a.written if a.default == REQUIRED else f"[{a.written}]"
            for a in self.arguments
            if a.default == REQUIRED or a.part == PLACES
        ]
        return " ".join([self.prog, *needed, "[options]"])

    # -- reading ------------------------------------------------------------------------------

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """The values that the words of a command line give.

        Raises:
            ValueError: what is wrong with them, in one sentence.
            SystemExit: after --help or --version.
        """
        if self.member:
            return self._chosen(words)
        if set(HELP) & set(itertools.takewhile(lambda word: word != "--", words)):
            return self.parse_args(["--help"])
        flags, free = self._sorted(words)
        self._check_number(flags, free)
        try:
            return self.parse_args([*flags, *(["--", *free] if free else [])])
        except argparse.ArgumentError as error:
            raise ValueError(f"{error.argument_name} {error.message}") from None

    def error(self, message: str) -> NoReturn:
        """Refuses what `argparse` alone has noticed.

        Raises:
            ValueError: with its own words.
        """
        raise ValueError(message)

    def _chosen(self, words: Sequence[str]) -> argparse.Namespace:
        """What the command that the first word names reads from the others."""
        names = [*self._commands, *self._members]
        if not words:
            raise ValueError(f"a {self.member} is missing: give one of {', '.join(names)}")
        first, *rest = words
        if command := self._named(first):
            return command.read(rest)
        if first in self.flags:
            return self.parse_args([first])
        if not first.startswith("-"):
            hint = checks.nearest(first, names)
            raise ValueError(f"unknown {self.member} {checks.shown(first)}{hint}")
        name, value = _parted(first)
        if name in self.flags and value is not None:
            raise ValueError(f"{name} takes no value, not {checks.shown(value)}")
        if any(name in leaf.flags for leaf in self.leaves()):
            place = f"{self.prog} {self._member()} {name}"
            raise ValueError(f"{name} must come after the {self.member}: {place}")
        raise ValueError(self._has_no(name))

    def _sorted(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        """The flags, each in one word with its value, and the other words."""
        flags: list[str] = []
        free: list[str] = []
        rest = iter(words)
        for word in rest:
            if word == "--":
                free += rest
            elif _is_flag(word):
                flags.append(self._with_value(word, rest))
            else:
                free.append(word)
        return flags, free

    def _with_value(self, word: str, rest: Iterator[str]) -> str:
        """A flag and its value, which stands behind a = or is the next word."""
        name, value = _parted(word)
        if name not in self.flags:
            raise ValueError(self._has_no(name))
        if self.flags[name].nargs == 0:
            if value is not None:
                raise ValueError(f"{name} takes no value, not {checks.shown(value)}")
            return name
        if value is None:
            value = next(rest, "--")
            if value.startswith("--"):
                raise ValueError(f"{name} is missing its value")
        return f"{name}={value}"

    def _check_number(self, flags: Sequence[str], free: Sequence[str]) -> None:
        """Refuses too few words, and too many."""
        given = {word.partition("=")[0] for word in flags}
        left = self.positional[len(free) :]
        missing = [str(action.metavar) for action in left if action.nargs != "?"]
        missing += [n for n, action in self.flags.items() if action.required and n not in given]
        if missing:
            names = " and ".join(missing)
            raise ValueError(f"{self._name()} is missing its {names}; usage: {self.synopsis()}")
        several = any(action.nargs == "+" for action in self.positional)
        if len(free) > len(self.positional) and not several:
            extra = checks.shown(free[len(self.positional)])
            raise ValueError(f"{extra} is one argument too many; usage: {self.synopsis()}")

    def _has_no(self, name: str) -> str:
        """That there is no such flag here, and which may have been meant."""
        has = f"{self._name()} has" if self._name() else "there is"
        said = f"{has} no flag {name:.60}"
        root = self
        while root.parent is not None:
            root = root.parent
        having = [leaf._name() for leaf in root.leaves() if name in leaf.flags]
        if having:
            more = " and others" if len(having) > 3 else ""
            return f"{said}; it is a flag of {', '.join(having[:3])}{more}"
        known = {flag.lstrip("-"): flag for flag in self.flags}
        near = checks.near(name.lstrip("-"), known)
        return f"{said}; " + (f"did you mean {known[near]}?" if near else f"see {self.prog} --help")

    def _name(self) -> str:
        """What the command is called within its program; nothing where it is the program."""
        return self.prog.partition(" ")[2]


def flag(name: str) -> str:
    """How a setting is written on the command line."""
    return f"--{name.replace('_', '-')}"


def _is_flag(word: str) -> bool:
    """Whether a word is a flag: it begins with a dash, and is no number and more than a dash."""
    if not word.startswith("-") or word == "-":
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False


def _parted(word: str) -> tuple[str, str | None]:
    """A flag and what stands behind its =; `--min_length` is `--min-length`."""
    name, equals, value = word.partition("=")
    return flag(name[2:]) if name.startswith("--") else name, value if equals else None


def _summary(about: str) -> str:
    """The first sentence, without its full stop."""
    return about.partition(". ")[0].rstrip(".")


def _meaning(argument: Argument) -> str:
    if argument.otherwise:
        return f"{argument.text} (if not given: {argument.otherwise})"
    if argument.default in ("", REQUIRED):
        return argument.text
    return f"{argument.text} (default: {argument.default})"


def _listed(rows: Mapping[str, str], left: int, width: int) -> str:
    """Names, each with its meaning beside it from column `left`, or below where it is long."""
    lines = []
    for name, text in rows.items():
        head = f"  {name}".ljust(left)
        if not head.endswith("  "):
            lines.append(head.rstrip())
            head = " " * left
        lines += textwrap.wrap(
            text, width, initial_indent=head, subsequent_indent=" " * left, break_on_hyphens=False
        )
    return "\n".join(lines)


# -- values ---------------------------------------------------------------------------------------


def _choices(kind: Any) -> dict[str, Any]:
    """The values of which one must be given, by how they are written, where there are a few."""
    words = get_args(kind) if get_origin(kind) is Literal else ()
    return {str(value): value for value in ((True, False) if kind is bool else words)}


def _braces(choices: Iterable[str]) -> str:
    """How the help shows them; nothing where there are none."""
    return f"{{{','.join(choices)}}}" if choices else ""


def _reader(kind: Any) -> Callable[[str], Any]:
    """What makes a value of a word, or refuses it in plain words."""
    choices = _choices(kind)
    what = f"one of {', '.join(choices)}" if choices else KINDS[kind][0]

    def read(word: str) -> Any:
        try:
            return choices[word] if choices else _made(kind, word)
        except (KeyError, ValueError):
            near = checks.near(word, choices)
            hint = f"; did you mean {near!r}?" if near else ""
            said = f"must be {what}, not {checks.shown(word)}{hint}"
            raise argparse.ArgumentTypeError(said) from None

    return read


def _made(kind: Any, word: str) -> Any:
    if get_origin(kind) is list:
        (item,) = get_args(kind)
        return [_made(item, part) for part in word.split(",")]
    if not word:
        raise ValueError
    return kind(word)


def _escaped(text: str) -> str:
    """A text for `argparse`, to which % is a special character."""
    return text.replace("%", "%%")
