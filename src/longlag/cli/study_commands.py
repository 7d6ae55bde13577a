"""The commands that ask one question with many trials."""

from __future__ import annotations

from argparse import Namespace

from longlag import files, progress
from longlag.studies import STUDIES
from longlag.studies.declaration import run


def study(args: Namespace) -> int:
    asked = STUDIES[args.name]
    given = {one.name: getattr(args, one.name) for one in asked.options}
    request = asked.request(given, args.command)
    with progress.of_sweep() as observe:
        result = run(request, observe)
    print(files.to_json(result.content) if args.json else result)
    return 0
