"""What a study found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from longlag import words as report
from longlag.terminal import one_line


@dataclass(frozen=True, eq=False)
class Result(Mapping[str, Any]):
    """A study's numbers and its table; a mapping of its content.

    title: the question; content: what `--json` prints, ready for JSON; table: in words, its head
    first; remarks: what to know to read it, in which words may be bold by Markdown; lead: what was
    run, where the title does not say it.
    """

    title: str
    content: dict[str, Any] = field(repr=False)
    table: Sequence[tuple[str, ...]] = field(repr=False)
    remarks: Sequence[str] = field(repr=False)
    lead: str = field(default="", repr=False)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A dict a line of the table, its numbers unrounded."""
        return self.content["rows"]

    def __getitem__(self, name: str) -> Any:
        return self.content[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    def __len__(self) -> int:
        return len(self.content)

    def __str__(self) -> str:
        """What the command prints."""
        lead = [report.paragraph(self.lead), ""] if self.lead else []
        remarks = (report.paragraph(remark.replace("**", "")) for remark in self.remarks)
        files = f"files in {one_line(str(self.content['out']))}"
        return "\n".join(
            [*lead, report.table(self.table, _keys(self.table)), "", *remarks, "", files]
        )


def _keys(table: Sequence[tuple[str, ...]]) -> int:
    """How many of the first columns tell a table's lines apart; five at most."""
    lines = table[1:]
    return next((k for k in (1, 2, 3, 4, 5) if len({line[:k] for line in lines}) == len(lines)), 4)
