"""The signals that end a command: Ctrl-C, termination, and a terminal that hangs up."""

from __future__ import annotations

import signal
import sys
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

GRACE = 0.5  # seconds that a step may still take after a signal
AGAIN = 0.01  # seconds until an `Ended` that Python ignored is raised again


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


class Noted:
    """The first signal that ends a command: calling it gives its number, 0 before there is one."""

    def __init__(self) -> None:
        self._number, self._raises = 0, False
        self._alarm: Any = None

    def __call__(self) -> int:
        return self._number

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Raises `Ended` in the midst of what is done here, if it has not ended GRACE later.

        What is done here must leave nothing half-done then.
        """
        self._raises = True
        try:
            yield
        finally:
            self._raises = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """The handler: a second signal acts at once."""
        again, self._number = self._number, number
        if again or (self._raises and not hasattr(signal, "setitimer")):
            raise Ended(number)
        if self._raises:
            self._alarm = signal.signal(signal.SIGALRM, self._insist)
            signal.setitimer(signal.ITIMER_REAL, GRACE)

    def _insist(self, number: int, frame: FrameType | None) -> None:
        if self._raises:
            raise Ended(self._number)

    def end(self) -> None:
        """Takes the alarm back where one was set."""
        if self._alarm is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm)


@contextmanager
def signals_noted() -> Iterator[Noted]:
    """Notes the first signal that ends a command, to be acted on between two steps.

    A second one acts at once; what is lost then is the work since the last checkpoint.
    """
    noted = Noted()
    with _handled(noted.note):
        try:
            yield noted
        finally:
            noted.end()


def _raise(number: int, frame: FrameType | None) -> None:
    raise Ended(number)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handles the signals that are not ignored (as nohup has it), in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = [s for s in ENDING if signal.getsignal(s) != signal.SIG_IGN]
    before = {s: signal.signal(s, handler) for s in caught}
    try:
        with _none_ignored():
            yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


@contextmanager
def _none_ignored() -> Iterator[None]:
    """Sends a signal again where Python ignored its exception, as it does in a finalizer."""
    hook, timers = sys.unraisablehook, list[threading.Timer]()

    def again(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, Ended):
            hook(unraisable)
            return
        timers.append(threading.Timer(AGAIN, _send, [unraisable.exc_value.number]))
        timers[-1].start()

    sys.unraisablehook = again
    try:
        yield
        for timer in timers:
            timer.join()
    finally:
        sys.unraisablehook = hook


def _send(number: int) -> None:
    """A signal to the main thread, which ends its waiting where the system can."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, number)
    else:
        signal.raise_signal(number)
