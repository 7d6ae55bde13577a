"""The signals that end a command: Ctrl-C, termination, and a terminal that hangs up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# A hang-up (Windows has none) means that a laptop was closed or an ssh connection ended.
ENDING: tuple[signal.Signals, ...] = (
    signal.SIGINT,
    signal.SIGTERM,
    *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []),
)


class Ended(KeyboardInterrupt):
    """A signal ends the command.

    Attributes:
        number: of the signal; 128 more is the exit status.
    """

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message)
        self.number: int = number


@contextmanager
def signals_raised() -> Iterator[None]:
    """Raises `Ended` where a signal would end the process without a word."""
    with _handled(_raise):
        yield


@contextmanager
def signals_noted() -> Iterator[Callable[[], int]]:
    """Notes the first signal that ends a command, to be acted on between two steps.

    A second one acts at once; what is lost then is the work since the last checkpoint.

    Yields:
        A function that gives the number of the signal, 0 before there is one.
    """
    noted = [0]

    def note(number: int, frame: FrameType | None) -> None:
        if noted[0]:
            _raise(number, frame)
        noted[0] = number

    with _handled(note):
        yield lambda: noted[0]


def _raise(number: int, frame: FrameType | None) -> None:
    raise Ended(number)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handles the signals that are not ignored (as nohup has it), in the main thread alone."""
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        caught = [s for s in ENDING if signal.getsignal(s) != signal.SIG_IGN]
        before = {s: signal.signal(s, handler) for s in caught}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)
