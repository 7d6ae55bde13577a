"""The commands about the ledger of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from longlag import checks, files, ledger, report, runs
from longlag.cli.flags import Directory, ExportFormat, Whole, group, output


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
        rows = [{name: row[name] for name in ledger.LISTED} for row in latest]
        if self.json:
            print(runs.to_json({"file": str(self.file), "trials": counts, "rows": rows}))
            return 0
        head = [(name, sum(count.values()), dict(count)) for name, count in counts.items()]
        print(report.table([("recipe", "trials", "of which"), *head]))
        if rows:
            print("\n" + report.table([ledger.LISTED, *(row.values() for row in rows)]))
        return 0


@dataclass
class LedgerExport:
    """Write all trials of a ledger as csv, markdown, or parquet where pyarrow is installed."""

    file: Directory
    """Ledger."""
    format: ExportFormat = "csv"
    """How they are written."""
    out: Path | None = None
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
    "Look into the ledger of a sweep.", {"show": LedgerShow, "export": LedgerExport}
)
