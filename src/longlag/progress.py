"""Progress, on standard error: a bar on a terminal or in a notebook, now and then a line in a log.

Where tqdm is not installed, as the three scripts allow, it is lines everywhere.
"""

from __future__ import annotations

import importlib.util
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from longlag import checks
from longlag.learning.stopping import Recent
from longlag.learning.training import Run, Training
from longlag.runs import directory as runs
from longlag.runs import session
from longlag.terminal import MESSAGES, one_line, say

if TYPE_CHECKING:
    from tqdm import tqdm

    from longlag.sweeps.sweep import Progress

T = TypeVar("T")
LOG_SECONDS = 5.0  # between two lines in a log, at first
ABBREVIATED = {"iteration": "it", "sequence": "seq"}
LOG_MOST = 30.0  # between two lines of what takes long
TRAINING_BAR = "{desc}: {n_fmt} of at most {total_fmt} |{bar}| {elapsed}, {rate_noinv_fmt}{postfix}"
SWEEP_BAR = "{n_fmt} of {total_fmt} trials |{bar}| {elapsed}{postfix}"


def ignore(event: object) -> None:
    """Observes nothing."""


@contextmanager
def heard(
    progress: bool,
    observer: Callable[[], AbstractContextManager[Callable[[T], None]]],
    callback: Callable[[T], None] = ignore,
) -> Iterator[Callable[[T], None]]:
    """What calls the observer, where progress is to be shown, and then the callback.

    Raises:
        ValueError: `progress` is no bool, or `callback` no callable.
    """
    checks.flag("progress", progress)
    checks.function("callback", callback)
    with observer() if progress else nullcontext(ignore) as observe:

        def both(event: T) -> None:
            observe(event)
            callback(event)

        yield both


# -- a training -----------------------------------------------------------------------------------


def train(
    request: session.Request, directory: Path, resume: bool, overwrite: bool, *, quiet: bool
) -> Run:
    """`session.start` or `session.resume`, with progress unless quiet."""
    with heard(not quiet, of_training) as observe:
        if resume:
            return session.resume(request, directory, observe=observe)
        replaces = (directory / runs.HISTORY).exists()
        run = session.start(request, directory, overwrite=overwrite, observe=observe)
    if replaces and not quiet:
        say(f"the run that {directory} held is replaced")
    return run


@contextmanager
def of_training() -> Iterator[Callable[[Training], None]]:
    """An observer of a training."""
    if _has_bars():
        yield from _training_bar()
    else:
        yield _training_lines()


def _training_bar() -> Iterator[Callable[[Training], None]]:
    """Has no time left: most trainings stop long before their budget."""
    with _bar(smoothing=0.1, miniters=0, bar_format=TRAINING_BAR) as bar:

        def observe(training: Training) -> None:
            shown = bar(
                unit=f" {ABBREVIATED.get(training.recipe.rule.unit, training.recipe.rule.unit)}",
                total=training.recipe.rule.budget,
                desc=f"seed {training.seed}",
            )
            shown.set_postfix_str(_in_short(training), refresh=False)
            shown.update(training.iteration + int(training.under_way) - shown.n)

        yield observe


def _training_lines() -> Callable[[Training], None]:
    due = _clock()

    def observe(training: Training) -> None:
        if due() or training.stopped_by is not None:
            say(f"{moment(training)}: {_state(training)}")

    return observe


def moment(training: Training) -> str:
    """Where a training is."""
    return f"{training.recipe.rule.unit} {training.iteration:,}"


def _in_short(training: Training) -> str:
    """The one measure that tells most, for a bar of 80 columns."""
    if training.under_way % 1:
        return _under_way(training)
    if isinstance(rule := training.recipe.stop, Recent):
        return f"{int(training.learner.wrong)} of {rule.window} wrong"
    if training.tests:
        return f"test MSE {training.tests[-1][1].mse:.5f}"
    return f"train MSE {training.losses[-1]:.5f}" if training.losses else ""


def _under_way(training: Training) -> str:
    """How much of the iteration that is being computed is done."""
    ahead = math.ceil(training.under_way)
    number = f"{training.recipe.rule.unit} {training.iteration + ahead:,}"
    return f"{training.under_way - ahead + 1:.0%} of {number}"


def _state(training: Training) -> str:
    chance = training.recipe.task.tested.chance_mse
    parts = [_under_way(training)] if training.under_way % 1 else []
    if training.losses:
        parts.append(f"train MSE {training.losses[-1]:.5f}")
    if training.tests:
        parts.append(f"test MSE {training.tests[-1][1].mse:.5f} (chance {chance:.4f})")
    if isinstance(rule := training.recipe.stop, Recent):
        parts.append(f"{int(training.learner.wrong)} of the latest {rule.window} wrong")
    return ", ".join(parts)


# -- an evaluation --------------------------------------------------------------------------------


@contextmanager
def of_sequences(n: int) -> Iterator[Callable[[int], None]]:
    """An observer of how many of n sequences are answered; what is quick shows nothing."""
    due = _clock()
    with _bar(unit=" seq", total=n, delay=1.0, leave=False) as bar:

        def drawn(answered: int) -> None:
            bar().update(answered - bar().n)

        def said(answered: int) -> None:
            if due():
                say(f"{answered:,} of {n:,} sequences")

        yield drawn if _has_bars() else said


# -- a sweep --------------------------------------------------------------------------------------


@contextmanager
def of_sweep() -> Iterator[Callable[[Progress], None]]:
    """An observer of a sweep."""
    if _has_bars():
        yield from _sweep_bar()
    else:
        yield _sweep_lines()


def _sweep_bar() -> Iterator[Callable[[Progress], None]]:
    with _bar(miniters=0, bar_format=SWEEP_BAR) as bar:
        noted = _notes(lambda note: bar().write(one_line(note), file=MESSAGES))
        latest: Progress | None = None

        def observe(progress: Progress) -> None:
            nonlocal latest
            shown = bar(total=progress.total)
            if latest is not None and latest is not progress:
                shown.reset(progress.total)  # the next sweep of a study that has several
            latest = progress
            noted(progress)
            shown.set_postfix_str(", ".join(_outlook(progress)), refresh=False)
            shown.update(progress.skipped + progress.done - shown.n)

        yield observe


def _sweep_lines() -> Callable[[Progress], None]:
    """Says lines of a log; where there were any, the last one says that all is done."""
    due, noted, last = _clock(), _notes(say), ""

    def observe(progress: Progress) -> None:
        nonlocal last
        noted(progress)
        complete = progress.skipped + progress.done == progress.total
        if (due() or (last and complete)) and (line := trials(progress)) != last:
            say(line)
            last = line

    return observe


def _notes(say: Callable[[str], None]) -> Callable[[Progress], None]:
    """Says what a sweep has noted, each once."""
    said = 0

    def noted(progress: Progress) -> None:
        nonlocal said
        for note in progress.notes[said:]:
            say(note)
        said = len(progress.notes)

    return noted


def trials(progress: Progress) -> str:
    """Counts and the time left, in one line."""
    done = f"{progress.skipped + progress.done} of {progress.total} trials done"
    return ", ".join([done, *_under_way_in(progress), *_outlook(progress)])


def _under_way_in(progress: Progress) -> Iterator[str]:
    if progress.unfinished:
        learned = sum(progress.unfinished.values())
        yield f"{len(progress.unfinished)} under way after {learned:,} sequences"


def _outlook(progress: Progress) -> Iterator[str]:
    """What has failed, and the time left or, where that is not known, without a result."""
    if progress.failed:
        yield f"{progress.failed} failed"
    if not math.isnan(progress.left):
        yield f"{_clock_time(progress.left)} left"
    elif progress.stalled:
        yield f"none has ended for {_clock_time(progress.quiet)}"


def _clock_time(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


# -- both -----------------------------------------------------------------------------------------


def _has_bars() -> bool:
    return importlib.util.find_spec("tqdm") is not None and (MESSAGES.isatty() or _in_notebook())


def _in_notebook() -> bool:
    """Whether tqdm draws its bars as a notebook's own."""
    if "IPython" not in sys.modules:
        return False
    from tqdm.auto import tqdm
    from tqdm.notebook import tqdm_notebook

    return issubclass(tqdm, tqdm_notebook)


@contextmanager
def _bar(**look: Any) -> Iterator[Callable[..., tqdm]]:
    """Gives the one bar, which is drawn when it is first asked for: what was refused has none."""
    from tqdm.auto import tqdm

    shown: list[tqdm] = []

    def bar(**more: Any) -> tqdm:
        if not shown:
            shown.append(
                ended.enter_context(tqdm(file=MESSAGES, dynamic_ncols=True, **look, **more))
            )
        return shown[0]

    with ExitStack() as ended:
        yield bar


def _clock() -> Callable[[], bool]:
    """Says whether a line is due: LOG_SECONDS after the last one, later more rarely."""
    start = last = time.monotonic()

    def due() -> bool:
        nonlocal last
        now = time.monotonic()
        if now - last <= min(LOG_MOST, max(LOG_SECONDS, 0.05 * (last - start))):
            return False
        last = now
        return True

    return due
