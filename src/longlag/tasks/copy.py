"""The copy problem, or copying memory problem: repeat ten symbols after a long time.

Arjovsky, Shah & Bengio 2016, section 5.1, after Hochreiter & Schmidhuber 1997. Ten symbols, each
one of eight with equal probability, are followed by T - 1 blanks, a delimiter, and ten blanks.
The answer is blank in the first T + 10 steps, and then the ten symbols in order. With T = lag:

    step        1 ... 10    11 ... T+9    T+10         T+11 ... T+20
    input       symbols     blank         delimiter    blank
    target      blank       blank         blank        symbols

So there are ten inputs and nine outputs (the delimiter is never an answer), and T + 20 steps.
These are the rules of the paper and of its authors' public code, where the symbols are called 1
to 8, blank 0 and the delimiter 9, and where the answers at all steps count: with cross-entropy,
knowing when to answer, but not what, gives 10 log 8 / (T + 20). `counts="recall"` counts the last
ten alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from longlag.tasks.recalled import Recalled


@dataclass(frozen=True)
class Copy(Recalled):
    """The task and its rules; see the module's docstring.

    Args:
        lag, counts: see `recalled.Recalled`.

    Raises:
        ValueError: a setting out of range.
    """

    source: ClassVar[str] = "Arjovsky, Shah & Bengio 2016"

    @property
    def name(self) -> str:
        return "copy"

    @property
    def pattern(self) -> tuple[int, int]:
        return 10, 8

    @property
    def signal(self) -> int:
        return self.lag + 9
