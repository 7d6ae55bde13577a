"""The commands about the ledger of a study."""

from __future__ import annotations

import itertools
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from longlag import checks, files, progress, words
from longlag.cli.outputs import form, output
from longlag.figures import groups as figure
from longlag.figures import style
from longlag.networks.network import counted
from longlag.sweeps import grid, ledger
from longlag.sweeps import rates as groups
from longlag.sweeps import sweep as sweeps
from longlag.sweeps.ledger import Ledger
from longlag.sweeps.trial import UNFINISHED
from longlag.terminal import one_line, say


def show(args: Namespace) -> int:
    path, last = ledger.find(args.file), checks.whole("last", args.last, 0)
    with Ledger.read(path) as book:
        counts, latest = book.counts(), book.latest(last)
    if args.json:
        names = (*ledger.LISTED, "settings", "error")
        rows = [{name: row[name] for name in names} for row in latest]
        print(files.to_json({"file": str(path), "trials": counts, "rows": rows}))
    else:
        print(words.trials(counts, latest))
    return 0


def rates(args: Namespace) -> int:
    path = ledger.find(args.file)
    with Ledger.read(path) as book:
        found = groups.groups(book.outcomes(), args.by or ())
    alone = len(found) != 2 or not all(group.results and group.distinct for group in found)
    pairs = None if alone else groups.pairs(*found)
    if args.json:
        content = {"groups": [group.as_dict() for group in found]}
        paired = None if pairs is None else pairs.as_dict()
        print(files.to_json({"file": str(path), **content, "pairs": paired}))
    else:
        print(words.rates(found, pairs))
    return 0


def sweep(args: Namespace) -> int:
    asked = grid.read(args.file)
    place = args.ledger or args.file.with_suffix(".sqlite")
    sweeps.check(args.workers, args.scheduler)
    with Ledger.open(place) as book, progress.of_sweep() as observe:
        how = {"workers": args.workers, "scheduler": args.scheduler, "observe": observe}
        sweeps.run(asked, book, total=len(asked), **how)
        keys = {one.key for one in asked}
        rows = [row for row in book.outcomes() if row["key"] in keys]
    found = groups.groups(rows)
    if rows and all(row["status"] == "failed" for row in rows):
        reason = " ".join(rows[0]["error"].split())
        raise OSError(0, f"every trial failed: {reason}", str(place))
    if args.json:
        content = [group.as_dict() for group in found]
        print(files.to_json({"file": str(place), "trials": len(asked), "groups": content}))
    else:
        print(f"{words.rates(found, None)}\n\ntrials in {one_line(place)}")
    return 0


PICTURES = {".png": "png", ".pdf": "pdf", ".svg": "svg"}
SUBTITLES = {
    "solved": "share of trials solved, with exact 95 % intervals",
    "sequences": "training sequences of the trials solved: median and range",
}


def plot(args: Namespace) -> int:
    path, kind = ledger.find(args.file), form(args.out, PICTURES)
    output(args.out, path)
    with Ledger.read(path) as book:
        rows = [row for row in book.outcomes() if row["status"] != UNFINISHED]
    alone = {args.x, "recipe"} if len({row["recipe"] for row in rows}) == 1 else {args.x}
    by = args.by or [name for name in groups.telling(rows, [args.x]) if name not in alone]
    found = groups.groups(rows, list(dict.fromkeys([args.x, *by])))
    lacking = sum(len(group.outcomes) for group in found if group.about[args.x] is None)
    lines: dict[str, list[figure.Point]] = {}
    for group in found:
        _check_drawable(args.x, group.about[args.x])
        if (point := _point(group, args.x, args.y)) is not None:
            own = ", ".join(
                f"{k} {v}" for k, v in group.about.items() if k != args.x and v is not None
            )
            lines.setdefault(own, []).append(point)
    if not lines:
        needed = "was solved" if args.y == "sequences" else "has a result"
        raise ValueError(f"{path} holds nothing to draw: no trial that has {args.x} {needed}")
    drawn = figure.draw(lines, f"{args.y} by {args.x}", SUBTITLES[args.y], (args.x, args.y))
    files.write_anew(args.out, style.picture(drawn, kind))
    if lacking:
        say(f"not drawn: {counted(lacking, 'trial')} without {args.x}")
    print(one_line(args.out))
    return 0


def _check_drawable(name: str, value: Any) -> None:
    """Refuses what can stand on no axis.

    Raises:
        ValueError: a value that is no word and no number, or too large a one.
    """
    number = isinstance(value, (int, float))
    if not (value is None or isinstance(value, str) or (number and abs(value) < LARGEST)):
        raise ValueError(f"a trial has {name} {checks.shown(value)}, which cannot be drawn")


def _point(group: groups.Group, x: str, y: str) -> figure.Point | None:
    """Where a group stands; None where it has no such number."""
    at, numbers = group.about[x], group.sequences
    if at is None or not (group.results if y == "solved" else numbers):
        return None
    if y == "solved":
        return figure.Point(at, len(group.solved) / len(group.results), group.interval)
    return figure.Point(at, float(np.median(numbers)), (min(numbers), max(numbers)))


def export(args: Namespace) -> int:
    path, kind = ledger.find(args.file), _format(args.out, args.format)
    if args.out is not None:
        output(args.out, path)
    if kind == "parquet" and args.out is None:
        raise ValueError("--format parquet needs a file: give --out FILE")
    with Ledger.read(path) as book:
        if args.out is None and args.format is None and sys.stdout.isatty():
            _page(book)
            return 0
        data = ledger.parquet(book) if kind == "parquet" else ledger.export(book, kind).encode()
    if args.out is None:
        print(data.decode(), end="")
    else:
        files.write_anew(args.out, data)
    return 0


ENDINGS = {".csv": "csv", ".md": "markdown", ".parquet": "parquet"}


def _format(out: Path | None, given: str | None) -> str:
    """What to write: what is given, or what the file's name says.

    Raises:
        ValueError: a name that says nothing, or another format than the one given.
    """
    if out is None:
        return given or "csv"
    if given is None:
        return form(out, ENDINGS, "; with another ending, give --format")
    if ENDINGS.get(out.suffix.lower(), given) != given:
        raise ValueError(f"--out {out} must end as --format {given} does, or leave --format out")
    return given


LARGEST = 1e100  # number on an axis
PAGE = 20  # trials that a terminal is shown


def _page(book: Ledger) -> None:
    """The first trials as a table, and how to have all of them."""
    total = sum(count.total() for count in book.counts().values())
    first = list(itertools.islice(book.rows(), PAGE))
    print(words.listed(first) if first else "no trials")
    if total > len(first):
        say(f"the first {len(first)} of {total} trials; --out FILE writes all of them to a file")
