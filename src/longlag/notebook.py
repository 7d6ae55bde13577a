"""What a notebook shows of a score, a run and a study's result: small cards of HTML.

One style for light and dark pages: text takes the page's own colour, lines and grounds are
translucent greys, and the two colours stand out on white and on black. The selectors are specific
enough to come before Jupyter's own. Every text is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from longlag.learning.training import Run
from longlag.studies.result import Result
from longlag.tasks.score import Score
from longlag.tasks.task import Task

WIDTH, HEIGHT = 300, 96  # of the curve, in pixels
BLUE, ORANGE = "#3a8fd9", "#e8930c"
BINS = 120  # columns that the losses are gathered in
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LEAST = 1e-9  # what is smaller is drawn here, on the logarithmic axis
ENDS = {
    "target": ("target reached", "good"),
    "max_iterations": ("budget used up", "plain"),
    "diverged": ("diverged", "bad"),
    "imported": ("trained elsewhere", "plain"),
}

STYLE = """
.longlag{display:inline-block;box-sizing:border-box;max-width:100%;padding:12px 16px;
border:1px solid rgba(128,128,128,.35);border-radius:8px;background:rgba(128,128,128,.06);
font:13px/1.45 system-ui,-apple-system,"Segoe UI",sans-serif;text-align:left}
.longlag .head{font-weight:600;font-size:14px}
.longlag .mute{opacity:.68;font-size:12px}
.longlag .end{margin-left:8px;padding:1px 8px;border-radius:9px;font-size:11px;font-weight:500;
border:1px solid rgba(128,128,128,.45);white-space:nowrap}
.longlag .good{color:#2e9e6b;border-color:currentColor}
.longlag .bad{color:#e0592a;border-color:currentColor}
.longlag .body{display:flex;flex-wrap:wrap;gap:10px 28px;align-items:center;margin-top:8px}
.longlag .facts{display:grid;grid-template-columns:auto auto;gap:1px 14px;white-space:nowrap}
.longlag .facts span{opacity:.68}
.longlag .facts b{text-align:right;font-variant-numeric:tabular-nums;font-weight:600}
.longlag svg{display:block;overflow:visible;max-width:100%}
.longlag svg text{fill:currentColor;opacity:.8;font-size:10px}
.longlag table.rows{color:inherit;border-collapse:collapse;margin:8px 0 4px;font-size:12.5px;
border:0;width:auto}
.longlag table.rows td{text-align:left;padding:3px 14px 3px 0;border:0;white-space:nowrap;
font-variant-numeric:tabular-nums}
.longlag table.rows td.n{text-align:right}
.longlag table.rows tr:nth-child(n){background:none;border:0;
border-bottom:1px solid rgba(128,128,128,.18)}
.longlag table.rows thead tr:nth-child(n){font-weight:600;border-bottom-color:rgba(128,128,128,.6)}
.longlag ul{margin:6px 0 0;padding-left:18px;max-width:74em}
.longlag .wide{overflow-x:auto}
""".replace("\n", "")


def attach() -> None:
    """Lets notebooks show scores, runs and results as cards."""
    for kind, card in ((Score, score), (Run, run), (Result, result)):
        setattr(kind, "_repr_html_", card)  # noqa: B010  # types below are independent of notebooks


def score(judged: Score) -> str:
    """A score: its errors over n sequences."""
    rows = [
        ("sequences", f"{judged.n:,}"),
        *_errors(judged, "wrong"),
        ("mean error", _short(judged.mae)),
    ]
    return _card(_facts([*rows, ("largest error", _short(judged.max_error))]))


def run(run: Run) -> str:
    """A run: what was trained, how it ended, how well it answers, and its curve."""
    words, kind = ENDS[run.stopped_by]
    head = (
        f'<div class="head">{_text(run.words)}'
        f'<span class="end {kind}">{words}</span></div>'
        f'<div class="mute">{_text(_setting(run))}</div>'
    )
    rows = [
        *_errors(run.score, _task(run).wrong_means),
        ("chance RMSE", _short(_task(run).chance_mse ** 0.5)),
    ]
    if run.imported:
        return _card(f'{head}<div class="body">{_facts(rows)}</div>')
    rows += [("training sequences", f"{run.sequences:,}")]
    rows += [("seconds", _short(run.history.elapsed_sec))]
    return _card(f'{head}<div class="body">{_facts(rows)}{_curve(run)}</div>')


def result(found: Result) -> str:
    """A study's result: its table and its remarks."""
    kinds = [
        ' class="n"' if _numbers(column[1:]) else "" for column in zip(*found.table, strict=True)
    ]
    head, *rows = (
        "".join(f"<td{kind}>{_text(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        for row in found.table
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    remarks = "".join(f"<li>{_text(line)}</li>" for line in found.remarks)
    lead = f'<div class="mute">{_text(found.lead)}</div>' if found.lead else ""
    return _card(
        f'<div class="head">{_text(found.title)}</div>{lead}'
        f'<div class="wide"><table class="rows"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        + (f'<ul class="mute">{remarks}</ul>' if remarks else "")
    )


def _card(content: str) -> str:
    return f'<div class="longlag"><style>{STYLE}</style>{content}</div>'


def _text(value: Any) -> str:
    return html.escape(str(value))


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    lines = "".join(f"<span>{_text(name)}</span><b>{_text(value)}</b>" for name, value in rows)
    return f'<div class="facts">{lines}</div>'


def _errors(judged: Score, wrong_means: str) -> list[tuple[str, str]]:
    wrong = f"{judged.wrong:,} of {judged.n:,} ({100 * judged.wrong_share:.2f} %)"
    return [("MSE", _short(judged.mse)), ("RMSE", _short(judged.rmse)), (wrong_means, wrong)]


def _short(value: float) -> str:
    """Three significant digits; a dash for what is no number."""
    if not np.isfinite(value):
        return "–"
    if value != 0 and not 1e-6 <= abs(value) < 1e6:
        return f"{value:.2e}"
    return np.format_float_positional(value, precision=3, fractional=False, trim="-")


def _numbers(cells: Iterable[str]) -> bool:
    """Whether a column's cells begin with numbers, as far as they hold anything."""
    return all(cell.lstrip("≥>~ ")[:1] in "0123456789-−–" for cell in cells)


def _task(run: Run) -> Task:
    return run.recipe.task.tested


def _setting(run: Run) -> str:
    recipe, task = run.recipe, _task(run)
    T = f"T = {task.min_length}"
    if task.max_length > task.min_length:
        T += f" to {task.max_length}"
    settings = recipe.network.settings()
    gates = (
        "" if settings.get("forget_gate", recipe.network.name != "lstm1997") else ", no forget gate"
    )
    cells = f"{recipe.network.words}{gates}"
    rules = f", {task.rules_name} rules" if task.rules_name else ""
    return f"{task.name}{rules}, {T} · {cells}, {settings.get('output', 'linear')} output"


# -- the curve --------------------------------------------------------------------------------


def _curve(run: Run) -> str:
    """Losses of the batches (their spread and mean), tests, and the chance level."""
    losses, tests = np.asarray(run.history.train_losses, float), run.history.test_curve
    x, low, mean, high = _gathered(run.loss_iterations, losses)
    what, unit = ("losses", "sequences") if run.stops else ("batches", "iterations")
    chance = _task(run).chance_mse
    seen = [(k, mse) for k, mse in tests if np.isfinite(mse)]
    if len(x) == 0 and not seen:
        return '<div class="mute">no finite loss to draw</div>'
    marks = np.log10(np.maximum([*low, *high, *(mse for _, mse in seen), chance], LEAST))
    bottom, top = float(marks.min()) - 0.05, float(marks.max()) + 0.05
    last = max([run.iterations, *(k for k, _ in seen), 1])

    def at(k: float, value: float) -> tuple[str, str]:
        y = (top - np.log10(max(value, LEAST))) / (top - bottom)
        return f"{k / last * WIDTH:.1f}", f"{y * HEIGHT:.1f}"

    def path(xs: Iterable[float], ys: Iterable[float]) -> str:
        return " ".join(",".join(at(k, value)) for k, value in zip(xs, ys, strict=True))

    decades = range(int(np.ceil(bottom)), int(np.floor(top)) + 1)
    grid = "".join(_level(at(0, 10.0**k)[1], _power(k)) for k in decades)
    dots = "".join(
        '<circle cx="{}" cy="{}" r="2.6"/>'.format(*at(*test)) for test in _thinned(seen)
    )
    label = f"training and test errors over {run.iterations:,} {unit}, logarithmic"
    whose = "tests are of averaged weights" if run.averaged else ""
    height, _, level = HEIGHT + (32 if whose else 18), *at(0, chance)
    return (
        f'<svg width="{WIDTH + 40}" height="{height}" viewBox="0 0 {WIDTH + 40} {height}" '
        f'role="img" aria-label="{label}">{grid}'
        f'<polygon points="{path([*x, *x[::-1]], [*high, *low[::-1]])}" fill="{BLUE}" '
        'opacity=".25"/>'
        f'<polyline points="{path(x, mean)}" fill="none" stroke="{BLUE}" stroke-width="1.5"/>'
        f'<path d="M0 {level}H{WIDTH}" stroke="currentColor" opacity=".75" '
        'stroke-dasharray="4 3"/>'
        f'<g fill="{ORANGE}">{dots}</g>'
        f'<text y="{HEIGHT + 15}">MSE of <tspan fill="{BLUE}">{what}</tspan>, '
        f'<tspan fill="{ORANGE}">● tests</tspan>, ╌ chance</text>'
        f'<text x="{WIDTH}" y="{HEIGHT + 15}" text-anchor="end">{last:,} {unit}</text>'
        f'<text y="{HEIGHT + 29}">{whose}</text></svg>'
    )


def _power(k: int) -> str:
    """A power of ten, in figures while they are few."""
    return f"{10.0**k:g}" if -4 < k < 4 else "10" + str(k).translate(SUPERSCRIPT)


def _level(y: str, text: str) -> str:
    """A faint line across the curve, named at its right."""
    return (
        f'<path d="M0 {y}H{WIDTH}" stroke="currentColor" opacity=".18"/>'
        f'<text x="{WIDTH + 8}" y="{float(y) + 3:.1f}">{text}</text>'
    )


def _gathered(
    iterations: np.ndarray, losses: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The finite losses in columns: their iterations, least, geometric mean, and largest."""
    at = np.flatnonzero(np.isfinite(losses))
    columns = [part for part in np.array_split(at, BINS) if len(part)]
    values = [np.maximum(losses[part], LEAST) for part in columns]
    return (
        np.array([iterations[part].mean() for part in columns]),
        np.array([v.min() for v in values]),
        np.array([np.exp(np.log(v).mean()) for v in values]),
        np.array([v.max() for v in values]),
    )


def _thinned(tests: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """At most 60 of the tests, the last among them."""
    step = -(-len(tests) // 60) or 1
    return tests[::-1][::step]
