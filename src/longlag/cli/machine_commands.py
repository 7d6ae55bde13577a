"""The commands about this machine, what is installed on it, and its shell."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from argparse import Namespace
from typing import Any

import shtab

from longlag import bench as benchmark
from longlag import files, machine, words
from longlag.cli.parser import parser
from longlag.kernel import load_kernel
from longlag.learning import engine
from longlag.learning.recipe import RECIPES
from longlag.learning.rules import Minibatch
from longlag.version import __version__

EXTRAS = ("torch", "jax", "safetensors", "onnx", "onnxruntime", "pandas", "pyarrow")


def bench(args: Namespace) -> int:
    result = benchmark.run(benchmark.parse_against(args.against), args.quick)
    print(files.to_json(result) if args.json else benchmark.render(result))
    return 0


def doctor(args: Namespace) -> int:
    content = _installation()
    print(files.to_json(content) if args.json else words.table(content.items(), keys=1))
    return 0


def _installation() -> dict[str, Any]:
    chosen = engine.choose("auto")
    kernel = load_kernel()
    most = engine.choose("auto", min(machine.cores(), 1024))
    return {
        "version": __version__,
        "engine": chosen.name,
        "isa": chosen.isa,
        "isas": [] if kernel is None else kernel.isas(),
        "cores": os.cpu_count(),
        "threads_used": {  # on-line, a trial takes one
            name: most.threads_used(recipe)
            for name, recipe in RECIPES.items()
            if isinstance(recipe.rule, Minibatch)
        },
        "extras": {
            name: importlib.metadata.version(name)
            for name in EXTRAS
            if importlib.util.find_spec(name) is not None
        },
    }


def completion(args: Namespace) -> int:
    root = parser()
    for command in root.leaves():
        for argument in (*command.positional, *command.flags.values()):
            if argument.metavar in ("RUN", "FILE", "PATH"):
                argument.complete = shtab.FILE  # pyright: ignore[reportAttributeAccessIssue]
    print(shtab.complete(root, args.shell))
    return 0
