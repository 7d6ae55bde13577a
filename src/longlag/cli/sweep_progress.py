"""How a sweep goes, on standard error: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from longlag.sweeps.sweep import Observer, Progress
from longlag.words import LOG_SECONDS, say


@contextmanager
def shown() -> Iterator[Observer]:
    """An observer of a sweep."""
    if sys.stderr.isatty():
        yield from _bar()
    else:
        yield _lines()


def words(progress: Progress) -> str:
    """Counts and the time left, in one line."""
    parts = [f"{progress.skipped + progress.done} of {progress.total} trials done"]
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    if not math.isnan(progress.left):
        parts.append(f"{_duration(progress.left)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _bar() -> Iterator[Observer]:
    from tqdm import tqdm

    with tqdm(unit=" trials", dynamic_ncols=True, smoothing=0.05) as bar:

        def observe(progress: Progress) -> None:
            bar.total = progress.total
            bar.set_postfix_str(f"{progress.failed} failed", refresh=False)
            bar.update(progress.skipped + progress.done - bar.n)

        yield observe


def _lines() -> Observer:
    last = time.monotonic()

    def observe(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > LOG_SECONDS:
            last = now
            say(words(progress))

    return observe
