"""The commands about the ledger of a sweep."""

from __future__ import annotations

from dataclasses import dataclass

from longlag import checks, files
from longlag import words as report
from longlag.cli.flags import Directory, ExportFormat, Named, OptionalPath, Whole, group, output
from longlag.sweeps import ledger, rates


@dataclass
class LedgerShow:
    """Show how many trials a ledger holds, and the latest of them."""

    file: Directory
    """Ledger."""
    last: Whole = 20
    """Trials to list, the newest first."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        last = checks.whole("last", self.last, 0)
        with ledger.Ledger.read(self.file) as book:
            counts, latest = book.counts(), book.latest(last)
        if self.json:
            rows = [{name: row[name] for name in (*ledger.LISTED, "error")} for row in latest]
            print(files.to_json({"file": str(self.file), "trials": counts, "rows": rows}))
        else:
            print(report.trials(counts, latest))
        return 0


@dataclass
class LedgerRates:
    """Show how many trials of each kind were solved, with exact 95 % intervals of the rates.

    Two kinds are also compared seed by seed.
    """

    file: Directory
    """Ledger."""
    by: Named = ""
    """What tells kinds apart: settings, recipe, engine, version; whatever does where not given."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        with ledger.Ledger.read(self.file) as book:
            found = rates.groups(book.rows(), [name for name in self.by.split(",") if name])
        alone = len(found) != 2 or not all(group.distinct for group in found)
        pairs = None if alone else rates.pairs(*found)
        if self.json:
            content = {"groups": [group.as_dict() for group in found]}
            paired = None if pairs is None else pairs.as_dict()
            print(files.to_json({"file": str(self.file), **content, "pairs": paired}))
        else:
            print(report.rates(found, pairs))
        return 0


@dataclass
class LedgerExport:
    """Write all trials of a ledger as csv, markdown, or parquet where pyarrow is installed."""

    file: Directory
    """Ledger."""
    format: ExportFormat = "csv"
    """How they are written."""
    out: OptionalPath = None
    """The file to write; standard output where not given (parquet needs a file)."""

    def __call__(self) -> int:
        if self.out is not None:
            output(self.out, self.file)
        with ledger.Ledger.read(self.file) as book:
            if self.format == "parquet":
                if self.out is None:
                    raise ValueError("--format parquet needs a file: give --out FILE")
                ledger.write_parquet(book, self.out)
                return 0
            text = ledger.export(book, self.format)
        if self.out is None:
            print(text, end="")
        else:
            files.write_bytes(self.out, text.encode())
        return 0


LedgerCommand = group(
    "Look into the ledger of a sweep.",
    {"show": LedgerShow, "rates": LedgerRates, "export": LedgerExport},
)
