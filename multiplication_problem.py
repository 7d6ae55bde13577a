#!/usr/bin/env python3
"""Train an LSTM on the multiplication problem and write weights and history.

    python3 multiplication_problem.py --seed 0 --max-iters 6000

Needs numpy and matplotlib alone. It takes the installed `longlag`, or `src/` where there is none;
the arithmetic is the numpy reference's.
"""

from __future__ import annotations

import importlib.util
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

if importlib.util.find_spec("longlag") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from longlag import progress, words
from longlag.cli.exit import exit_status
from longlag.cli.flags import Parser
from longlag.learning import engine
from longlag.learning.recipe import RECIPES, Recipe, recipe
from longlag.learning.rules import Minibatch
from longlag.learning.training import Run, Training
from longlag.runs import directory as runs
from longlag.runs import session


def parser(script: str, about: str, max_iters: int = 6000) -> Parser:
    """The flags that the three scripts share."""
    flags = Parser(script, about)
    flags.value("--recipe", str, "registered recipe", shown="catalog")
    flags.value("--seed", int, "seed of all random numbers", shown="0")
    flags.value("--max-iters", int, "batches at most", shown=str(max_iters))
    flags.value("--T-min", int, "shortest training sequence, in steps")
    flags.value("--T-max", int, "longest sequence; catalog is tested on it")
    flags.value("--hidden", int, "memory cells")
    flags.value("--lr", float, "learning rate of the optimiser")
    flags.value("--batch-size", int, "sequences in a batch")
    flags.value("--target-test-mse", float, "stop below this test MSE")
    flags.switch(
        "--overwrite",
        "replace another training's run and its pictures, and discard an unfinished training",
    )
    flags.switch("--quiet", "no progress")
    return flags


def settings(flags: Namespace) -> dict[str, Any]:
    """The settings that the flags change."""
    given = {
        "max_iterations": flags.max_iters,
        "min_length": flags.T_min,
        "max_length": flags.T_max,
        "hidden": flags.hidden,
        "learning_rate": flags.lr,
        "batch_size": flags.batch_size,
        "target_test_mse": flags.target_test_mse,
    }
    return {name: value for name, value in given.items() if value is not None}


def chosen(flags: Namespace, max_iters: int) -> Recipe:
    """The recipe that the flags describe."""
    return recipe(named(flags), **{"max_iterations": max_iters, **settings(flags)})


def named(flags: Namespace) -> str:
    """The recipe's name; these scripts train in mini-batches alone."""
    known = RECIPES.get(flags.recipe)
    if known is not None and not isinstance(known.rule, Minibatch):
        raise ValueError(f"recipe {flags.recipe} learns on-line: run `longlag train` for it")
    return flags.recipe or "catalog"


def trained(
    flags: Namespace, recipe: Recipe, pictures: Path, snapshot_every: int | None = None
) -> Run:
    """A training that leaves no files, for pictures in a folder.

    Raises:
        Refused: the folder holds the run of another training, and no --overwrite.
    """
    runs.writable(pictures)
    asked = runs.identity(recipe, flags.seed or 0, "numpy", origin={})
    runs.guard(pictures, asked, overwrite=flags.overwrite)
    training = Training(recipe, flags.seed or 0, engine.choose("numpy"), snapshot_every)
    with progress.heard(not flags.quiet, progress.of_training) as observe:
        return training.to_end(observe)


def main() -> int:
    flags = parser("multiplication_problem.py", "Train an LSTM on the multiplication problem.")
    flags.value("--save-dir", Path, "run directory", Path("run"))
    flags.switch("--resume", "continue the unfinished training in the directory")
    args = flags.read(sys.argv[1:])
    if args.resume and args.overwrite:
        raise ValueError("--resume and --overwrite exclude each other: give one of them")
    given = settings(args)
    if args.resume:
        request = session.Request(args.recipe, given, args.seed, "numpy")
    else:
        given = {"max_iterations": 6000, **given}
        request = session.Request(named(args), given, args.seed, "numpy")
    run = progress.train(request, args.save_dir, args.resume, args.overwrite, quiet=args.quiet)
    print(words.score_card(run, args.save_dir))
    return 0


if __name__ == "__main__":
    sys.exit(exit_status("multiplication_problem.py", main))
