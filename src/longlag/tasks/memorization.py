"""Noiseless memorization: repeat a pattern, of 5 bits or of 10 symbols of 5.

Martens & Sutskever 2011, section 4 (its "5-bit" and "20-bit" problems); Pascanu, Mikolov & Bengio
2013, section 4.2. The pattern is 5 bits, or 10 symbols that are each one of 5 (`pattern_of` "bits"
or "values"; 5^10 patterns are some 23 bits, and the literature calls them 20), all drawn with
equal probability. Then come `lag` blanks, a signal, and blanks to the end; the pattern's
repetition begins at the signal itself. In all steps before, blank is the answer. With T = lag:

    step        1 ... n    n+1 ... n+T    n+T+1    n+T+2 ... T+2n
    input       pattern    blank          signal   blank
    target      blank      blank          pattern ...

These are the rules of Pascanu's public code, where blank and signal are symbols of their own, and
all steps count. In Martens & Sutskever's, n + T + n steps are called T, the signal stands one step
earlier, and either all steps count or the last n alone: `counts="recall"`. They take all 32
patterns of 5 bits as a batch; here patterns are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from longlag.settings import setting
from longlag.tasks.recalled import Recalled

Pattern = Literal["bits", "values"]
PATTERNS = {"bits": (5, 2), "values": (10, 5)}


@dataclass(frozen=True)
class Memorization(Recalled):
    """The task and its rules; see the module's docstring.

    Args:
        lag, counts: see `recalled.Recalled`.
        pattern_of: 5 `bits`, or 10 `values`, each one of 5.

    Raises:
        ValueError: a setting out of range.
    """

    source: ClassVar[str] = "Martens & Sutskever 2011; Pascanu, Mikolov & Bengio 2013"

    pattern_of: Pattern = setting(
        "bits", "what is to be remembered: 5 bits, or 10 values, each one of 5"
    )

    @property
    def name(self) -> str:
        return "memorization"

    @property
    def pattern(self) -> tuple[int, int]:
        return PATTERNS[self.pattern_of]

    @property
    def signal(self) -> int:
        return self.pattern[0] + self.lag
