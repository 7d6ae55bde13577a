"""Texts that the tables and pages of studies share."""

from __future__ import annotations

import csv
import datetime
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from longlag import machine
from longlag.studies.cases import Row
from longlag.studies.declaration import Request
from longlag.words import seconds

OTHERS = {"torch": "PyTorch", "jax": "JAX"}  # what else computes, and its title
QUICK_FORM = "Quick form: it shows that everything runs, no more."


def in_share(row: Row) -> str:
    return f"{row['solved']} of {row['trials']}"


def in_interval(row: Row) -> str:
    low, high = row["interval"]
    return f"{low:.3f} to {high:.3f}"


def in_spread(values: Row, number: Callable[[float], str] = "{:,.0f}".format) -> str:
    """Median (range); a dash for nothing."""
    if math.isnan(values["median"]):
        return "–"
    median, low, high = (number(values[name]) for name in ("median", "min", "max"))
    return f"{median} ({low} to {high})"


def in_seconds(value: float) -> str:
    """Two digits, or whole seconds."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def markdown(table: Sequence[Sequence[str]]) -> str:
    """A table, its head first; numbers stand to the right, but in the first column."""
    head, *rows = table
    _, *columns = zip(*rows, strict=True)
    rule = ["---", *("---:" if all(map(_is_number, column)) else "---" for column in columns)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _is_number(cell: str) -> bool:
    return not cell or cell[0] == "–" or cell.lstrip("-+<>±≤≥ ")[:1].isdigit()


def csv_text(lines: Sequence[Mapping[str, Any]]) -> str:
    """CSV, a line each. Numbers read back exactly; a cell is empty where there is none."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    for line in lines:
        none = {k for k, v in line.items() if isinstance(v, float) and math.isnan(v)}
        writer.writerow({**line, **dict.fromkeys(none)})
    return stream.getvalue()


def bullets(lines: Sequence[str]) -> str:
    """A list."""
    return "\n".join(f"- {line}" for line in lines)


def engine(content: Mapping[str, Any]) -> str:
    """The engine that computed the trials."""
    return f"{content['engine']} engine{', ' + content['isa'] if content['isa'] else ''}"


def page(
    request: Request,
    content: Mapping[str, Any],
    table: Sequence[Sequence[str]],
    remarks: Sequence[str],
) -> str:
    """A study's page: its table, its remarks and notes, and the command that makes it again."""
    study = request.study
    lead = f"{lead}.\n\n" if (lead := study.lead(content)) else ""
    picture = f"![{study.title}]({study.picture})\n\n" if study.figure else ""
    notes = study.notes(request) if callable(study.notes) else study.notes
    others = [f"{title} {content[name]}" for name, title in OTHERS.items() if content[name]]
    return (
        f"# {study.title}\n\n{lead}{markdown(table)}\n\n{bullets([*remarks, *notes])}\n\n"
        f"{picture}Command: `{request.command}` (seeds from {request.seed})  \n"
        f"longlag {content['code']}, {engine(content)}, {setting(*others)}; learning took "
        f"{seconds(content['elapsed_sec'])} of the workers' time.\n"
    )


def written_by(command: str) -> str:
    """The last lines of a page of results: the command that writes it, versions, date."""
    version = machine.environment()["longlag"]
    return f"Command: `{command}`  \nlonglag {version}, {setting()}\n"


def setting(*more: str) -> str:
    """Versions, `more` of them, machine and date, in one line."""
    about = machine.environment()
    versions = (f"Python {about['python']}", f"numpy {about['numpy']}", *more)
    where = (about["machine"], f"{about['cores']} cores", str(datetime.date.today()))
    return ", ".join((*versions, *where))
