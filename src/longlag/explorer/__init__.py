"""The explorer: one page, opened from disk, that shows how a network computes its answers.

`content.py` makes the data of a run, `assets/` holds the page's program: `tasks.js`, `lstm.js`,
`back.js`, `learn.js` and `responses.js` are the arithmetic, the same as that of `tasks/`,
`networks/` and `learning/`; the other files are the page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from longlag import checks
from longlag.explorer import content
from longlag.files import to_json, write_anew
from longlag.learning.training import Run, check_run

__all__ = ["page", "write_page"]

ARITHMETIC = ("lstm", "back", "tasks", "learn", "responses")  # in the page and in its workers
INTERFACE = (
    "plot",
    "save",
    "sequence",
    "cell",
    "network",
    "answer",
    "orders",
    "training",
    "run",
    "live",
    "story",
    "address",
    "main",
)
MOST_RUNS = 2


def write_page(runs: Mapping[str, Run], out: Path) -> Path:
    """Writes the page of one or two runs, by the names they have on it, whole or not at all.

    The file's folder is made where it does not exist.

    Returns:
        The file written, self-contained HTML below 1.5 MB.

    Raises:
        ValueError: no path, no runs, or more than two.
    """
    out = checks.path("out", out)
    write_anew(out, page(runs).encode())
    return out


def page(runs: Mapping[str, Run]) -> str:
    """The page as HTML; see `write_page`."""
    if not isinstance(runs, Mapping):
        raise ValueError(f"runs must be a dict of runs by name, not {checks.shown(runs)}")
    for run in runs.values():
        check_run(run)
    if not 1 <= len(runs) <= MOST_RUNS:
        raise ValueError(f"the explorer shows one run or two, not {len(runs)}")
    parts = {
        "title": html.escape(" and ".join(runs), quote=False),
        "style": _asset("page.css"),
        # No "<" within a script element: nothing in it can end it.
        "content": to_json(content.of(runs)).replace("<", "\\u003c"),
        "arithmetic": _scripts(ARITHMETIC),
        "worker": _asset("worker.js"),
        "trainer": _asset("trainer.js"),
        "interface": _scripts(INTERFACE),
    }
    return re.sub(r"<!-- (\w+) -->", lambda match: parts[match[1]], _asset("page.html"))


def _scripts(names: Sequence[str]) -> str:
    return "\n".join(f'<script id="{name}.js">\n{_asset(f"{name}.js")}</script>' for name in names)


def _asset(name: str) -> str:
    return resources.files(__name__).joinpath("assets", name).read_text(encoding="utf-8")
