"""The commands about the ledger of a study."""

from __future__ import annotations

from argparse import Namespace

from longlag import checks, files, words
from longlag.cli.outputs import output
from longlag.sweeps import ledger
from longlag.sweeps import rates as groups
from longlag.sweeps.ledger import Ledger


def show(args: Namespace) -> int:
    path, last = ledger.find(args.file), checks.whole("last", args.last, 0)
    with Ledger.read(path) as book:
        counts, latest = book.counts(), book.latest(last)
    if args.json:
        names = (*ledger.LISTED, "settings", "error")
        rows = [{name: row[name] for name in names} for row in latest]
        print(files.to_json({"file": str(path), "trials": counts, "rows": rows}))
    else:
        print(words.trials(counts, latest))
    return 0


def rates(args: Namespace) -> int:
    path = ledger.find(args.file)
    with Ledger.read(path) as book:
        found = groups.groups(book.rows(), args.by or ())
    alone = len(found) != 2 or not all(group.distinct for group in found)
    pairs = None if alone else groups.pairs(*found)
    if args.json:
        content = {"groups": [group.as_dict() for group in found]}
        paired = None if pairs is None else pairs.as_dict()
        print(files.to_json({"file": str(path), **content, "pairs": paired}))
    else:
        print(words.rates(found, pairs))
    return 0


def export(args: Namespace) -> int:
    path = ledger.find(args.file)
    if args.out is not None:
        output(args.out, path)
    with Ledger.read(path) as book:
        if args.format == "parquet":
            if args.out is None:
                raise ValueError("--format parquet needs a file: give --out FILE")
            ledger.write_parquet(book, args.out)
            return 0
        text = ledger.export(book, args.format)
    if args.out is None:
        print(text, end="")
    else:
        files.write_bytes(args.out, text.encode())
    return 0
