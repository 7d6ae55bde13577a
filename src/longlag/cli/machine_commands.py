"""The commands about this machine and what is installed on it."""

from __future__ import annotations

from dataclasses import dataclass

from longlag import files
from longlag import words as report
from longlag.cli.flags import Names


@dataclass
class Bench:
    """Time longlag beside its peers: one process each, one run of some minutes."""

    against: Names = "numpy,torch,jax,numba"
    """Peers, separated by commas; one that is not installed is skipped."""
    quick: bool = False
    """The smallest case alone, in half a minute."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        from longlag import bench

        result = bench.run(bench.parse_against(self.against), self.quick)
        print(files.to_json(result) if self.json else bench.render(result))
        return 0


@dataclass
class Doctor:
    """Show the version, who does the arithmetic, and which extras are found."""

    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        content = report.doctor()
        print(files.to_json(content) if self.json else report.table(content.items()))
        return 0
