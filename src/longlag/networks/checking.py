"""Checks of a user's model: it must answer each sequence by itself, up to the sequence's own end.

A score does not show that a model takes time first, reads padding or mixes the sequences of a
batch, or keeps a state from one batch to the next. `check_answers` shows a model the first steps of
a few sequences before and after others; then a few sequences twice, the second time in another
order, beside other sequences and with other values behind their ends, and then one of them alone
and without padding. Six calls suffice where the answers stay the same, three of them short; where
they change, more calls find the reason.
PyTorch is not used here: a model is a callable on arrays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from longlag.tasks.task import Task

SHOWN = 4  # sequences whose answers are compared; fewer than the steps of the shortest task
ORDER = [4, 7, 0, 2, 1, 6, 5, 3]  # of eight lengths from short to long: those shown, then others
SHORTEST = [ORDER.index(0)]  # the shown sequence with most padding
BESIDE = [4, 5, *SHORTEST, 6]  # where it stands, among others
BEGUN = 2  # steps of a sequence that is only begun: behind more of them a state may have faded
BACKWARDS = slice(None, None, -1)

ABSOLUTE, RELATIVE = 1e-6, 1e-4  # usual changes of answers by rounding in float32
RELATIVE_HALF = 2**-6  # the same in float16 and bfloat16, ...
HALF_PRECISION = 0x1FFF  # ... whose numbers have none of these bits of a float32
NUDGE, NUDGES = 3e-3, 3  # relative change of the values that shows a model's own sensitivity
SENSITIVITY = 10  # largest changes by rounding, in multiples of those by such a nudge
NONE = 0.02  # a change below this share of another one counts as none

BATCH_FIRST = (
    "inputs are (B, T, 2), for which PyTorch's recurrent layers and transformers need "
    "batch_first=True"
)
NOT_DETERMINISTIC = (
    "the model is not deterministic in evaluation mode: asked again, it answers the same "
    "sequences differently; it must draw no random numbers and keep no state from call to call "
    "(where a callable wraps a PyTorch module, call its eval() first)"
)
OTHER_ORDER = (
    "the model's answers depend on the order of the batch: they come in another order than the "
    "sequences; undo the sorting by length, or give pack_padded_sequence enforce_sorted=False"
)
TIME_FIRST = (
    "the model takes time first: it runs over the batch instead of over the steps; " + BATCH_FIRST
)
MIXES = (
    "the model mixes sequences: its answer to one changes with the others in the batch; "
    "normalise and attend within a sequence, swap axes by transpose instead of view or reshape, "
    "and put BatchNorm into evaluation mode"
)
PLACE = (
    "the model's answers depend on the order of the batch: a sequence is answered differently in "
    "another place; nothing that a sequence meets may be looked up by its number in the batch"
)
READS_PADDING = (
    "the model reads padding: its answers change with the values behind the ends of the "
    "sequences; read each sequence at its own last step, lengths - 1, and mask or pack what "
    "comes behind it"
)
PADDED_LENGTH = (
    "the model's answers change with the padded length T; count steps, positions and averages by "
    "lengths instead of by T"
)


def check_answers(answer: Callable[[np.ndarray, np.ndarray], np.ndarray], task: Task) -> None:
    """Refuses a model whose answer to a sequence depends on more than that sequence.

    Only models of tasks with real inputs and one number at the end are checked. A model is given at
    most eight sequences at a time, of the task's own lengths or, where it takes these, of two
    steps; padding is checked where the task has any. Answers may change by what rounding can do: by
    1e-6 and 1e-4 of the largest (2**-6 where all have the precision of float16 or bfloat16) and, in
    a model that magnifies differences, by ten times what small changes of the inputs' values do. A
    sequence whose answer is not finite is not compared.

    Args:
        answer: takes inputs (B, T, D) float32, which it may write into, and lengths (B,) int64;
            gives real numbers (B,).
        task: what the model will be asked.

    Raises:
        ValueError: the answers change; the message names the trap and what to do about it.
    """
    if task.symbols or task.answers_shape(1, 2) != (1,):
        return
    drawn = _draw(task, np.random.default_rng(0))

    def ask(batch: _Shown) -> np.ndarray:
        return answer(batch.inputs.copy(), batch.lengths.copy())

    if _remembers(ask, drawn):
        raise ValueError(NOT_DETERMINISTIC)
    want = ask(drawn.rows(slice(SHOWN)))
    changed = ask(drawn.rows(BACKWARDS).filled())[BACKWARDS][:SHOWN]
    tolerance = _rounding(want)
    if _change(changed, want) <= tolerance:
        alone = _unpadded(ask, drawn.rows(SHORTEST))
        if _change(alone, want[SHORTEST]) <= tolerance:
            return
    trap = _trap(ask, drawn, want)
    if trap is not None:
        raise ValueError(trap)


def _remembers(ask: Callable[[_Shown], np.ndarray], drawn: _Shown) -> bool:
    """Whether answers change with the sequences asked before, by sequences that are only begun or,
    of a model that takes the task's lengths alone, by whole ones."""
    try:
        return _changed_by_others(ask, drawn.begun())
    except Exception:
        return _changed_by_others(ask, drawn)


def _changed_by_others(ask: Callable[[_Shown], np.ndarray], asked: _Shown) -> bool:
    """Whether the same are answered otherwise after others, all in batches of one shape: a state
    may be dropped where the shape changes."""
    shown, others = asked.rows(slice(SHOWN)), asked.rows(slice(SHOWN, None))
    first = ask(shown)
    ask(others)
    return _change(ask(shown), first) > _rounding(first)


def _trap(ask: Callable[[_Shown], np.ndarray], drawn: _Shown, want: np.ndarray) -> str | None:
    """What is wrong with a model, by one change at a time; None if it is rounding alone."""
    shown, alone, rounding = drawn.rows(slice(SHOWN)), drawn.rows(SHORTEST), _rounding(want)
    if _change(ask(shown), want) > rounding:
        return NOT_DETERMINISTIC
    nudges = [_change(ask(shown.nudged(seed)), want) for seed in range(NUDGES)]
    tolerance = rounding + SENSITIVITY * max(nudges)

    backwards = ask(shown.rows(BACKWARDS))
    moved = _change(backwards[BACKWARDS], want)
    mixed = _change(ask(drawn.rows(BESIDE))[SHORTEST], want[SHORTEST])
    if max(moved, mixed) > tolerance:
        none = min(tolerance, NONE * max(moved, mixed))
        if moved > tolerance and _change(np.sort(backwards), np.sort(want)) < none:
            return OTHER_ORDER
        if _change(ask(shown.with_other_steps()), want) < none:
            return TIME_FIRST
        return MIXES if mixed > rounding else PLACE
    if _change(ask(shown.filled()), want) > tolerance:
        return READS_PADDING
    if _change(ask(alone), want[SHORTEST]) > tolerance:
        return MIXES
    if _change(_unpadded(ask, alone), want[SHORTEST]) > tolerance:
        return PADDED_LENGTH
    return None


class _Shown(NamedTuple):
    """Sequences to show: inputs (B, T, D) float32, zeros after the end; lengths (B,) int64."""

    inputs: np.ndarray
    lengths: np.ndarray

    def rows(self, which: Any) -> _Shown:
        return _Shown(self.inputs[which], self.lengths[which])

    def cut(self) -> _Shown:
        """Without the padding that all of them have."""
        return _Shown(self.inputs[:, : self.lengths.max()], self.lengths)

    def begun(self) -> _Shown:
        """The first steps alone."""
        return _Shown(self.inputs[:, :BEGUN], np.minimum(self.lengths, BEGUN))

    def filled(self) -> _Shown:
        """With other values behind the ends."""
        return self._with_values(np.arange(self.inputs.shape[1]) >= self.lengths[:, None])

    def with_other_steps(self) -> _Shown:
        """With other values everywhere but at those steps at which any sequence or T ends.

        A model that takes the batch for the time and reads it there does not see the change.
        """
        other = np.ones(self.inputs.shape[:2], dtype=bool)
        other[:, [*(self.lengths - 1), -1]] = False
        return self._with_values(other)

    def nudged(self, seed: int) -> _Shown:
        """With values that are lower by up to NUDGE of themselves."""
        inputs = self.inputs.copy()
        inputs[:, :, 0] *= 1 - NUDGE * self._noise(seed)
        return _Shown(inputs, self.lengths)

    def _with_values(self, where: np.ndarray) -> _Shown:
        """With other values where asked, (B, T); the markers stay."""
        inputs = self.inputs.copy()
        inputs[where, 0] = self._noise(NUDGES)[where]
        return _Shown(inputs, self.lengths)

    def _noise(self, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).random(self.inputs.shape[:2], dtype=np.float32)


def _draw(task: Task, rng: np.random.Generator) -> _Shown:
    """Eight sequences (8, T, D) of the task's lengths, T the longest: those shown come first."""
    lengths = np.linspace(task.min_length, task.max_length, len(ORDER)).round().astype(np.int64)
    lengths = lengths[ORDER]
    inputs = np.zeros((len(ORDER), task.max_length, task.inputs), dtype=np.float32)
    for row, length in zip(inputs, lengths, strict=True):
        row[:length] = task.sequence(rng, int(length)).inputs
    return _Shown(inputs, lengths)


def _unpadded(ask: Callable[[_Shown], np.ndarray], alone: _Shown) -> np.ndarray:
    """Answers without padding, or with it from a model that takes one T alone."""
    try:
        return ask(alone.cut())
    except Exception:
        return ask(alone)


def _rounding(answers: np.ndarray) -> float:
    """How much rounding usually changes them."""
    finite = answers[np.isfinite(answers)]
    with np.errstate(over="ignore", under="ignore"):
        bits = finite.astype(np.float32).view(np.uint32)
    relative = RELATIVE if np.any(bits & HALF_PRECISION) else RELATIVE_HALF
    return ABSOLUTE + relative * float(np.max(np.abs(finite), initial=0))


def _change(got: np.ndarray, want: np.ndarray) -> float:
    """How far answers are from the finite ones wanted; infinite where one is not finite."""
    finite = np.isfinite(want)
    with np.errstate(over="ignore"):  # of float64
        change = np.abs(got[finite] - want[finite])
    return float(np.max(np.nan_to_num(change, nan=np.inf, posinf=np.inf), initial=0))


# -- the form of the answers ----------------------------------------------------------------------


def in_form(given: Any, task: Task, shape: Sequence[int], last: tuple[Any, Any]) -> Any:
    """A model's answers as the task has them: without an axis of one output, and where a task asks
    at the last step alone, those of it.

    Args:
        given: (B, T, K) or (B, K), of any library; where K is 1 that axis may be left out.
        shape: B and T.
        last: indices of each sequence's last step.
    """
    if task.outputs == 1 and given.ndim > 1 and given.shape[-1] == 1:
        given = given[..., 0]
    axes = 2 if task.outputs == 1 else 3  # of answers at every step
    if task.answered == "last" and given.ndim == axes and given.shape[:2] == shape:
        return given[last]
    return given


def check_form(given: Any, task: Task, batch: int, steps: int) -> None:
    """Refuses what is not real numbers in the shape of the task's answers.

    Args:
        given: an array or tensor, of any library, or whatever a model gave in its place.
        task: what was asked.
        batch, steps: B and T of the inputs that it was given.

    Raises:
        ValueError: another shape or type; the message says what to return.
    """
    wanted = task.answers_shape(batch, steps)
    wrong = _misfit(given, wanted, batch, steps)
    if wrong is not None:
        raise ValueError(
            f"the model must answer {batch} sequences with real numbers of shape {wanted}, "
            f"not with {wrong}"
        )


def _misfit(given: Any, wanted: tuple[int, ...], batch: int, steps: int) -> str | None:
    """What was given instead, and what to do about it."""
    if isinstance(given, tuple):
        return (
            f"a tuple of {len(given)}: return the answers alone; nn.LSTM, for one, returns "
            "(outputs, state)"
        )
    if given is None or not hasattr(given, "dtype"):
        kind = "None" if given is None else f"a {type(given).__name__}"
        return f"{kind}: return the answers alone, as one array or tensor"
    shape, dtype = tuple(given.shape), getattr(given.dtype, "name", str(given.dtype))
    if not re.match(r"(torch\.)?(u?int|b?float)", dtype):
        return f"{dtype} of shape {shape}: return real numbers"
    if shape == wanted:
        return None
    return f"shape {shape}" + (_advice(shape, batch, steps) if wanted == (batch,) else "")


def _advice(shape: tuple[int, ...], batch: int, steps: int) -> str:
    """What to do about answers of this shape; empty where nothing fits."""
    if shape == ():
        return ": return one for each sequence; squeeze() without an axis drops a batch of one, too"
    if shape == (batch, 1):
        return ": squeeze the last axis, e.g. answers[:, 0]"
    if shape[:2] == (batch, steps):
        own = "lengths - 1, 0" if shape[2:] == (1,) else "lengths - 1"
        return f": answer at each sequence's own last step, e.g. answers[arange({batch}), {own}]"
    if shape[0] == steps:
        return f", one for each of T = {steps} steps: {BATCH_FIRST}"
    if math.prod(shape) == batch:
        return ": drop the other axes, e.g. answers.reshape(-1)"
    if shape[0] == batch:
        return ": read one number out for each sequence, e.g. by nn.Linear(H, 1)"
    return ""
