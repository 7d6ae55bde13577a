"""The commands that ask one question with many trials."""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from pathlib import Path

from longlag import files, progress
from longlag.studies import STUDIES
from longlag.studies.declaration import run


def study(args: Namespace) -> int:
    asked = STUDIES[args.name]
    given = {one.name: getattr(args, one.name) for one in asked.options}
    request = asked.request(given, _module_path(args.name) + args.command)
    with progress.of_sweep() as observe:
        result = run(request, observe)
    print(files.to_json(result.content) if args.json else result)
    return 0


def _module_path(name: str) -> str:
    """`PYTHONPATH=... ` of a study `module:STUDY` that was found below this directory by it."""
    module = sys.modules.get(name.partition(":")[0]) if ":" in name else None
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    where = Path(getattr(module, "__file__", None) or "").resolve().parent
    if where not in [Path(path).resolve() for path in given if path]:
        return ""
    if where == Path.cwd() or not where.is_relative_to(Path.cwd()):
        return ""
    return f"PYTHONPATH={shlex.quote(str(where.relative_to(Path.cwd())))} "
