"""What a notebook shows of a score, a run and a study's result: small cards of HTML.

One style for light and dark pages: text takes the page's own colour, lines and grounds are
translucent greys, and the two colours stand out on white and on black. Every text is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from longlag.recipes import Recipe

if TYPE_CHECKING:
    from longlag.criteria import Score
    from longlag.steps import Run
    from longlag.studies.result import Result
    from longlag.tasks import MarkedPairs

WIDTH, HEIGHT = 300, 96  # of the curve, in pixels
BINS = 120  # columns that the losses are gathered in
LEAST = 1e-9  # what is smaller is drawn here, on the logarithmic axis
ENDS = {
    "target": ("target reached", "good"),
    "max_iterations": ("budget used up", "plain"),
    "diverged": ("diverged", "bad"),
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
.longlag .facts{display:grid;grid-template-columns:auto auto;gap:1px 14px;margin:0}
.longlag .facts dt{opacity:.68;font-weight:400;margin:0}
.longlag .facts dd{margin:0;text-align:right;font-variant-numeric:tabular-nums;font-weight:600}
.longlag svg{display:block;overflow:visible;max-width:100%}
.longlag svg text{fill:currentColor;opacity:.68;font-size:10px}
.longlag table{border-collapse:collapse;margin:8px 0 4px;font-size:12.5px;border:0}
.longlag td{text-align:right;padding:3px 12px 3px 0;border:0;background:none;
white-space:nowrap;font-variant-numeric:tabular-nums}
.longlag td:first-child{text-align:left}
.longlag thead td{font-weight:600;border-bottom:1px solid rgba(128,128,128,.5)}
.longlag tbody tr,.longlag thead tr{background:none}
.longlag tbody td{border-bottom:1px solid rgba(128,128,128,.16)}
.longlag ul{margin:6px 0 0;padding-left:18px;max-width:74em}
.longlag .wide{overflow-x:auto}
""".replace("\n", "")


def score(judged: Score) -> str:
    """A score: its errors over n sequences."""
    rows = [("sequences", f"{judged.n:,}"), *_errors(judged), ("mean error", _short(judged.mae))]
    return _card(_facts([*rows, ("largest error", _short(judged.max_error))]))


def run(run: Run) -> str:
    """A run: what was trained, how it ended, how well it answers, and its curve."""
    words, kind = ENDS[run.stopped_by]
    head = (
        f'<div class="head">{_text(run.recipe.name)}, seed {run.seed}'
        f'<span class="end {kind}">{words}</span></div>'
        f'<div class="mute">{_text(_setting(run))}</div>'
    )
    rows = [*_errors(run.score), ("chance RMSE", _short(_task(run).chance_mse ** 0.5))]
    rows += [("training sequences", f"{run.sequences:,}")]
    rows += [("seconds", f"{run.history.elapsed_sec:.1f}")]
    return _card(f'{head}<div class="body">{_facts(rows)}{_curve(run)}</div>')


def result(found: Result) -> str:
    """A study's result: its table and its remarks."""
    head, *rows = ("".join(f"<td>{_text(cell)}</td>" for cell in row) for row in found.table)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    remarks = "".join(f"<li>{_text(line)}</li>" for line in found.remarks)
    lead = f'<div class="mute">{_text(found.lead)}</div>' if found.lead else ""
    return _card(
        f'<div class="head">{_text(found.title)}</div>{lead}'
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</div>" + (f'<ul class="mute">{remarks}</ul>' if remarks else "")
    )


def _card(content: str) -> str:
    return f'<div class="longlag"><style>{STYLE}</style>{content}</div>'


def _text(value: Any) -> str:
    return html.escape(str(value))


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    lines = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in rows)
    return f'<dl class="facts">{lines}</dl>'


def _errors(judged: Score) -> list[tuple[str, str]]:
    wrong = f"{judged.wrong:,} of {judged.n:,} ({100 * judged.wrong_share:.2f} %)"
    return [("MSE", _short(judged.mse)), ("RMSE", _short(judged.rmse)), ("error > 0.04", wrong)]


def _short(value: float) -> str:
    """Three significant digits; a dash for what is no number."""
    return f"{value:.3g}" if np.isfinite(value) else "–"


def _task(run: Run) -> MarkedPairs:
    return run.recipe.evaluation_task


def _setting(run: Run) -> str:
    recipe, task = run.recipe, _task(run)
    T = f"T = {task.min_length}"
    if task.max_length > task.min_length:
        T += f" to {task.max_length}"
    gates, output = ", no forget gate", "sigmoid"  # of the LSTM of 1997
    if isinstance(recipe, Recipe):
        gates, output = "" if recipe.forget_gate else gates, recipe.output
    cells = f"{recipe.architecture}{gates}"
    return f"{task.kind}, {task.rules} rules, {T} · {cells}, {output} output"


# -- the curve --------------------------------------------------------------------------------


def _curve(run: Run) -> str:
    """Losses of the batches (their spread and mean), tests, and the chance level."""
    losses, tests = np.asarray(run.history.train_losses, float), run.history.test_curve
    x, low, mean, high = _gathered(losses)
    x = x * run.recipe.loss_every
    what, unit = ("losses", "sequences") if run.stops else ("batches", "iterations")
    chance = _task(run).chance_mse
    seen = [(k, mse) for k, mse in tests if np.isfinite(mse)]
    if len(x) == 0 and not seen:
        return '<div class="mute">no finite loss to draw</div>'
    values = np.log10(np.maximum([*low, *high, *(mse for _, mse in seen), chance], LEAST))
    bottom, top = float(values.min()), float(values.max()) + 0.05
    last = max([run.iterations, *(k for k, _ in seen), 1])

    def point(k: float, value: float) -> str:
        y = (top - np.log10(max(value, LEAST))) / (top - bottom)
        return f"{k / last * WIDTH:.1f},{y * HEIGHT:.1f}"

    def path(xs: Iterable[float], ys: Iterable[float]) -> str:
        return " ".join(point(k, value) for k, value in zip(xs, ys, strict=True))

    level = point(0, chance).split(",")[1]
    dots = "".join(
        f'<circle cx="{cx}" cy="{cy}" r="2.6"/>'
        for cx, cy in (point(k, mse).split(",") for k, mse in _thinned(seen))
    )
    outline = path([*x, *x[::-1]], [*high, *low[::-1]])
    label = f"training and test errors over {run.iterations:,} {unit}, logarithmic"
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT + 16}" viewBox="0 0 {WIDTH} {HEIGHT + 16}" '
        f'role="img" aria-label="{label}">'
        f'<polygon points="{outline}" fill="#3a8fd9" opacity=".25"/>'
        f'<polyline points="{path(x, mean)}" fill="none" stroke="#3a8fd9" stroke-width="1.5"/>'
        f'<line x1="0" x2="{WIDTH}" y1="{level}" y2="{level}" stroke="currentColor" '
        f'opacity=".5" stroke-dasharray="3 3"/>'
        f'<text x="{WIDTH}" y="{float(level) - 4:.1f}" text-anchor="end">chance</text>'
        f'<g fill="#e8930c">{dots}</g>'
        f'<text x="0" y="{HEIGHT + 14}">MSE, log scale: {what}, tests ●</text>'
        f'<text x="{WIDTH}" y="{HEIGHT + 14}" text-anchor="end">{last:,} {unit}</text></svg>'
    )


def _gathered(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The finite losses in columns: their middles, least, geometric mean, and largest."""
    at = np.flatnonzero(np.isfinite(losses))
    columns = [part for part in np.array_split(at, BINS) if len(part)]
    values = [np.maximum(losses[part], LEAST) for part in columns]
    return (
        np.array([part.mean() + 1 for part in columns]),
        np.array([v.min() for v in values]),
        np.array([np.exp(np.log(v).mean()) for v in values]),
        np.array([v.max() for v in values]),
    )


def _thinned(tests: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """At most 60 of the tests, the last among them."""
    step = -(-len(tests) // 60) or 1
    return tests[::-1][::step]
