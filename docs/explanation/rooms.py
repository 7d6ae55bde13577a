"""Draws rooms.svg, the rooms of the package: `python docs/explanation/rooms.py`."""

from __future__ import annotations

from pathlib import Path

WIDTH, ROW, GAP, LEFT = 860, 54, 12, 16
# From the top down: what a floor is for, and its rooms with a word on each.
FLOORS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("commands", (("cli", "the command line"),)),
    ("notebook", (("notebook", "runs as HTML cards"),)),
    (
        "questions",
        (
            ("studies", "a question, its table"),
            ("bench", "speed and its floor"),
            ("training", "train"),
            ("judging", "evaluate, judge"),
            ("torch", "modules, data sets"),
            ("jax_training", "functions"),
        ),
    ),
    (
        "for people",
        (
            ("words", "results as text"),
            ("interop", "other formats"),
            ("explorer", "the page"),
            ("progress", "bars, lines"),
        ),
    ),
    (
        "what is kept",
        (
            ("figures", "PNG and GIF"),
            ("runs", "a run directory"),
            ("sweeps", "many trials, a ledger"),
        ),
    ),
    ("cost", (("movement", "how far data move"),)),
    ("training", (("learning", "recipe, rule, engine, training, run"),)),
    ("networks", (("networks", "LSTM, LSTM of 1997, GRU, PyTorch's"),)),
    ("tasks", (("tasks", "sequences, targets, what is correct"),)),
    (
        "ground",
        (
            ("settings", "parts, registries"),
            ("files", "whole or not at all"),
            ("statistics", "exact intervals"),
            ("kernel", "the C++ module"),
        ),
    ),
)
COLOURS = ("#dce9f5", "#e8f1e4", "#f8ecd9", "#f0e4f1", "#e4eef0")


def room(x: float, y: float, width: float, name: str, about: str, colour: str) -> str:
    middle = x + width / 2
    return (
        f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{ROW}" rx="6" fill="{colour}" '
        'stroke="#5b6770"/>'
        f'<text x="{middle:.0f}" y="{y + 23}" class="name">{name}</text>'
        f'<text x="{middle:.0f}" y="{y + 42}" class="about">{about}</text>'
    )


def drawing() -> str:
    """The picture, as the text of an SVG."""
    height = len(FLOORS) * (ROW + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="The rooms of the package, from the ground up">',
        "<style>text{font-family:system-ui,sans-serif;text-anchor:middle;fill:#1b252d}"
        ".name{font-size:15px;font-weight:600}.about{font-size:12px}"
        ".floor{font-size:12px;text-anchor:start;fill:#5b6770}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    x, width = LEFT + 100, WIDTH - 2 * LEFT - 100
    for k, (floor, rooms) in enumerate(FLOORS):
        y, share = GAP + k * (ROW + GAP), (width + GAP) / len(rooms)
        parts.append(f'<text x="{LEFT}" y="{y + 32}" class="floor">{floor}</text>')
        parts += [
            room(x + n * share, y, share - GAP, name, about, COLOURS[k % len(COLOURS)])
            for n, (name, about) in enumerate(rooms)
        ]
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    Path(__file__).with_name("rooms.svg").write_text(drawing(), encoding="utf-8")
