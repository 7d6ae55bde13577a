"""The command about tasks: which there are, and what sequences of one look like."""

from __future__ import annotations

import shutil
from argparse import Namespace
from typing import Any

import numpy as np

from longlag import checks, files, words
from longlag.cli.outputs import form, output
from longlag.figures import task_sequences
from longlag.tasks.registry import TASKS
from longlag.tasks.task import Drawing, Task
from longlag.terminal import one_line

HEIGHTS = "▁▂▃▄▅▆▇█"
SHOWN, MOST = 3, 20  # sequences
LONGEST = 2000  # steps


def tasks(args: Namespace) -> int:
    given = {name: value for name in args.settings if (value := getattr(args, name)) is not None}
    if args.task is None:
        shows = [name for name in ("n", "seed", "out") if getattr(args, name) is not None]
        if unfit := next((name.replace("_", "-") for name in (*given, *shows)), ""):
            raise ValueError(f"--{unfit} needs a task: longlag tasks TASK --{unfit} ...")
        return _list(args.json)
    return _show(TASKS[args.task].with_settings(given), args)


def _list(as_json: bool) -> int:
    about = [_about(TASKS[name]) for name in TASKS.ready()]
    if as_json:
        print(files.to_json({"tasks": about}))
    else:
        heads = ["task", "inputs", "outputs", "answered", "chance MSE", "chance right", "source"]
        print(words.table([heads, *(_row(one) for one in about)], keys=1))
    return 0


def _about(task: Task) -> dict[str, Any]:
    return {
        "task": task.name,
        "inputs": task.inputs,
        "symbols": task.symbols,
        "outputs": task.outputs,
        "answered": task.answered,
        "lengths": [task.min_length, task.max_length],
        "asks": task.asks,
        "chance_mse": task.chance_mse,
        "chance_correct": task.chance_correct,
        "source": task.source,
        "settings": task.settings(),
    }


def _row(about: dict[str, Any]) -> list[Any]:
    right = about["chance_correct"]
    return [
        about["task"],
        f"{about['inputs']} {'symbols' if about['symbols'] else 'real'}",
        about["outputs"],
        f"{about['answered']} step",
        f"{about['chance_mse']:.3g}",
        "not known" if right is None else f"{right:.3g}",
        about["source"],
    ]


def _show(task: Task, args: Namespace) -> int:
    n = checks.whole("--n", SHOWN if args.n is None else args.n, 1, MOST)
    seed = checks.whole("--seed", args.seed or 0, 0, 2**63 - 1)
    if task.max_length > LONGEST:
        raise ValueError(
            f"tasks shows sequences of at most {LONGEST:,} steps, not {task.max_length:,}"
        )
    if args.out:
        output(args.out)
        form(args.out, {".png": "png"})
    rng = np.random.default_rng(seed)
    sequences = [task.sequence(rng) for _ in range(n)]
    told = [task.explain(one) for one in sequences]
    if args.out:
        files.write_anew(args.out, task_sequences.png(task, sequences))
    if args.json:
        print(files.to_json({**_about(task), "sequences": told}))
        return 0
    if args.out:
        print(one_line(args.out))
    else:
        width = shutil.get_terminal_size().columns
        for one, text in zip(sequences, told, strict=True):
            print("\n".join([words.paragraph(text), *in_characters(task.drawing(one), width)]))
            print()
    asks = f"{task.name}: the answer is {task.asks}; in the first sequence, {told[0]}."
    print(words.paragraph(asks))
    return 0


def in_characters(drawing: Drawing, width: int) -> list[str]:
    """A sequence as lines of block characters; what stands out has a letter or ▾ above it."""
    span, most = drawing.high - drawing.low, len(HEIGHTS) - 1
    shares = np.clip((np.asarray(drawing.values) - drawing.low) / span, 0, 1)
    bars = [HEIGHTS[k] for k in np.rint(shares * most).astype(int)]
    above = [" "] * len(bars)
    for places in drawing.roles.values():
        for p in places:
            above[p] = "▾"
    for p, letter in drawing.letters.items():
        above[p] = letter[-1]
    lines: list[str] = []
    for start in range(0, len(bars), width):
        piece = slice(start, start + width)
        lines += ["".join(above[piece]).rstrip(), "".join(bars[piece])]
    return lines
