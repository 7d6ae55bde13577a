"""Checks of a user's model: it must answer each sequence by itself, up to the sequence's own end,
and where a task asks at every step, by the inputs up to that step.

A score does not show that a model takes time first, reads padding, mixes the sequences of a batch,
keeps a state from one batch to the next, or looks at inputs that come behind its answer.
`check_answers` shows a model the first steps of a few sequences before and after others; then a few
sequences twice, the second time in another order, beside other sequences and with other values
behind their ends, and then one of them alone and without padding; where answers are asked for at
every step, once more with another future. Six or seven calls suffice where the answers stay the
same, three of them short; where they change, more calls find the reason.
PyTorch is not used here: a model is a callable on arrays.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from longlag.tasks.task import OwnLengths, Task, beside

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
    "inputs are (B, T, ...), for which PyTorch's recurrent layers and transformers need "
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
READS_AHEAD = (
    "the model reads the future: its answers at a step change with the inputs behind that step, "
    "and the task asks at every one; go through the steps in one direction, mask attention by "
    "causality, and pad convolutions on the left alone"
)
PADDED_LENGTH = (
    "the model's answers change with the padded length T; count steps, positions and averages by "
    "lengths instead of by T"
)


Answer = Callable[[np.ndarray, np.ndarray], np.ndarray]


def check_answers(answer: Answer, task: Task) -> None:
    """Refuses a model whose answer to a sequence depends on more than that sequence, or at a step
    that is not the last on what comes behind it.

    A model is given at most eight sequences at a time, of lengths that the task has, or of two
    steps; padding is checked where the task has any. Answers at every step are compared before the
    ends of the sequences; what comes behind them is changed for those that count alone.

    Answers may change by what rounding can do: by 1e-6 and 1e-4 of the largest (2**-6 where all
    have the precision of float16 or bfloat16). In a model that magnifies differences rounding may
    do more, in batches of other shapes. With real inputs, ten times what small changes of their
    values do is allowed; symbols have no small changes, and there other shapes must change the
    answers to the first steps, too. An answer that is not finite is not compared.

    Args:
        answer: takes inputs (B, T, D) float32 or symbols (B, T) int64, which it may write into, and
            lengths (B,) int64; gives real numbers in the shape of the task's answers.
        task: what the model will be asked.

    Raises:
        ValueError: the answers change; the message names the trap and what to do about it.
    """
    drawn, ask = _draw(task, np.random.default_rng(0)), _asking(answer, task)
    if _remembers(ask, drawn):
        raise ValueError(NOT_DETERMINISTIC)
    want = ask(drawn.rows(slice(SHOWN)))
    if _stay(ask, drawn, want):
        return
    trap = _trap(ask, drawn, want)
    if trap is not None:
        raise ValueError(trap)


def _asking(answer: Answer, task: Task) -> _Ask:
    """Asks a model: answers (B, 1, K), or (B, T, K) at every step, T being the task's longest.

    Behind the end of a sequence they are no numbers, which are not compared.
    """

    def ask(shown: _Shown) -> np.ndarray:
        given = answer(shown.inputs.copy(), shown.lengths.copy())
        if task.answered == "last":
            return given.reshape(len(given), 1, -1)
        B, T = given.shape[:2]
        answers = np.full((B, task.max_length, task.outputs), np.nan)
        answers[:, :T][shown.live] = given.reshape(B, T, -1)[shown.live]
        return answers

    return ask


def _remembers(ask: _Ask, drawn: _Shown) -> bool:
    """Whether answers change with the sequences asked before, by sequences that are only begun or,
    of a model that takes the task's lengths alone, by whole ones."""
    try:
        return _changed_by_others(ask, drawn.begun().cut())
    except Exception:
        return _changed_by_others(ask, drawn)


def _changed_by_others(ask: _Ask, asked: _Shown) -> bool:
    """Whether the same are answered otherwise after others, all in batches of one shape: a state
    may be dropped where the shape changes."""
    shown, others = asked.rows(slice(SHOWN)), asked.rows(slice(SHOWN, None))
    first = ask(shown)
    ask(others)
    return _change(ask(shown), first) > _rounding(first)


def _stay(ask: _Ask, drawn: _Shown, want: np.ndarray) -> bool:
    """Whether answers stay as they are where everything changes at once."""
    tolerance = _rounding(want)
    changed = ask(drawn.rows(BACKWARDS).filled())[BACKWARDS][:SHOWN]
    return (
        _change(changed, want) <= tolerance
        and _change(_unpadded(ask, drawn.rows(SHORTEST)), want[SHORTEST]) <= tolerance
        and _ahead(ask, drawn.rows(slice(SHOWN)), want) <= tolerance
    )


def _trap(ask: _Ask, drawn: _Shown, want: np.ndarray) -> str | None:
    """What is wrong with a model, by one change at a time; None if it is rounding alone."""
    shown, tolerance = drawn.rows(slice(SHOWN)), _rounding(want)
    if _change(ask(shown), want) > tolerance:
        return NOT_DETERMINISTIC
    if not shown.symbols:
        nudges = [_change(ask(shown.nudged(seed)), want) for seed in range(NUDGES)]
        return _cause(ask, drawn, want, tolerance + SENSITIVITY * max(nudges))
    cause = _cause(ask, drawn, want, tolerance, one_shape=True)
    if cause is not None:
        return cause
    begun = drawn.begun()  # rounding, which another shape changes, has not grown there
    want = ask(begun.rows(slice(SHOWN)))
    return _cause(ask, begun, want, _rounding(want))


def _cause(
    ask: _Ask, drawn: _Shown, want: np.ndarray, tolerance: float, one_shape: bool = False
) -> str | None:
    """The trap that changes answers by more than the tolerance.

    one_shape leaves out what needs batches of other shapes, or sequences in other places.
    """
    shown, alone = drawn.rows(slice(SHOWN)), drawn.rows(SHORTEST)
    moved = 0.0 if one_shape else _change(ask(shown.rows(BACKWARDS))[BACKWARDS], want)
    if max(moved, _mixed(ask, drawn, want)) > tolerance:
        return _mixing(ask, drawn, want, tolerance)
    if _ahead(ask, shown, want) > _rounding(want):  # shape, places and lengths stay
        return READS_AHEAD
    if _change(ask(shown.filled()), want) > tolerance:
        return READS_PADDING
    if one_shape:
        return None
    if _change(ask(alone), want[SHORTEST]) > tolerance:
        return MIXES
    if _change(_unpadded(ask, alone), want[SHORTEST]) > tolerance:
        return PADDED_LENGTH
    return None


def _mixing(ask: _Ask, drawn: _Shown, want: np.ndarray, tolerance: float) -> str:
    """How answers come to change with other sequences, or with another place."""
    shown = drawn.rows(slice(SHOWN))
    backwards, mixed = ask(shown.rows(BACKWARDS)), _mixed(ask, drawn, want)
    moved = _change(backwards[BACKWARDS], want)
    none = min(tolerance, NONE * max(moved, mixed))
    if moved > tolerance and _change_in_any_order(backwards, want) < none:
        return OTHER_ORDER
    ends = shown.ends()
    kept = want if want.shape[1] == 1 else np.where(ends[:, None], want, np.nan)
    others = np.broadcast_to(~ends, shown.counted.shape)
    if _change(ask(shown.with_other(others)), kept) < none:
        return TIME_FIRST
    return MIXES if mixed > _rounding(want) else PLACE


def _mixed(ask: _Ask, drawn: _Shown, want: np.ndarray) -> float:
    """How far an answer changes with the sequences beside its own, in one place."""
    among = drawn.rows(BESIDE)
    if among.symbols:  # a task may have few different sequences of them
        others = among.live
        others[SHORTEST] = False
        among = among.with_other(others)
    return _change(ask(among)[SHORTEST], want[SHORTEST])


def _ahead(ask: _Ask, shown: _Shown, want: np.ndarray) -> float:
    """How far answers change with the inputs behind them, where any are asked for at every step.

    In each sequence all inputs behind another of the steps that count are changed.
    """
    if want.shape[1] == 1:
        return 0.0
    behind = shown.behind_a_step()
    seen = np.where((shown.counted & ~behind)[..., None], want, np.nan)
    try:
        return _change(ask(shown.with_other(behind)), seen)
    except Exception:  # of a model that takes sequences by the task's rules alone
        return 0.0


class _Shown(NamedTuple):
    """Sequences to show.

    Attributes:
        inputs: (B, T, D) float32, or symbols (B, T) int64; zeros after the end.
        lengths: (B,) int64.
        counted: (B, T) bool, the steps whose answers count.
        symbols: how many there are, D; 0 where inputs are real.
    """

    inputs: np.ndarray
    lengths: np.ndarray
    counted: np.ndarray
    symbols: int

    @property
    def live(self) -> np.ndarray:
        """Which steps are before the ends, (B, T)."""
        return np.arange(self.inputs.shape[1]) < self.lengths[:, None]

    def rows(self, which: Any) -> _Shown:
        return self._replace(
            inputs=self.inputs[which], lengths=self.lengths[which], counted=self.counted[which]
        )

    def cut(self) -> _Shown:
        """Without the padding that all of them have."""
        T = self.lengths.max()
        return self._replace(inputs=self.inputs[:, :T], counted=self.counted[:, :T])

    def begun(self) -> _Shown:
        """The first steps alone, and padding behind them."""
        first = self._replace(lengths=np.minimum(self.lengths, BEGUN))
        return first._replace(inputs=self.inputs * beside(first.live, self.inputs.ndim))

    def filled(self) -> _Shown:
        """With other values behind the ends."""
        return self.with_other(~self.live)

    def ends(self) -> np.ndarray:
        """The steps at which any sequence or T ends, (T,).

        A model that takes the batch for the time and reads it there does not see other steps.
        """
        ends = np.zeros(self.inputs.shape[1], dtype=bool)
        ends[[*(self.lengths - 1), -1]] = True
        return ends

    def behind_a_step(self) -> np.ndarray:
        """Which steps are behind one that counts, (B, T): after a fifth of those in the first of
        four sequences, after two fifths in the second and so on."""
        B, before = len(self.lengths), np.cumsum(self.counted, axis=1) - self.counted
        shares = np.arange(1, B + 1)[:, None] / (B + 1)
        return self.live & (before > shares * self.counted.sum(axis=1, keepdims=True))

    def nudged(self, seed: int) -> _Shown:
        """With values that are lower by up to NUDGE of themselves."""
        inputs = self.inputs.copy()
        inputs[:, :, 0] *= 1 - NUDGE * self._noise(seed)
        return self._replace(inputs=inputs)

    def with_other(self, where: np.ndarray) -> _Shown:
        """With other symbols or values where asked, (B, T); of real inputs the first of a step's
        numbers is its value, and markers stay."""
        inputs = self.inputs.copy()
        if self.symbols:
            by = np.random.default_rng(NUDGES).integers(1, max(self.symbols, 2), size=where.shape)
            inputs[where] = ((inputs + by) % self.symbols)[where]
        else:
            inputs[where, 0] = self._noise(NUDGES)[where]
        return self._replace(inputs=inputs)

    def _noise(self, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).random(self.inputs.shape[:2], dtype=np.float32)


_Ask = Callable[[_Shown], np.ndarray]


def _draw(task: Task, rng: np.random.Generator) -> _Shown:
    """Eight sequences of the task, T its longest: those shown come first.

    Their lengths go from the shortest to the longest, or are as they come where these follow from
    other settings.
    """
    lengths = np.linspace(task.min_length, task.max_length, len(ORDER)).round().astype(int).tolist()
    own = isinstance(task, OwnLengths)
    drawn = [task.sequence(rng, None if own else length) for length in lengths]
    drawn.sort(key=lambda sequence: len(sequence.inputs))

    shape, symbols = (len(ORDER), task.max_length), task.inputs if task.symbols else 0
    inputs = np.zeros(shape, np.int64) if symbols else np.zeros((*shape, task.inputs), np.float32)
    counted = np.zeros(shape, bool)
    for row, rank in enumerate(ORDER):
        sequence, length = drawn[rank], len(drawn[rank].inputs)
        inputs[row, :length] = sequence.inputs
        known = getattr(sequence, "counted", None)
        counted[row, :length] = True if known is None else known
    return _Shown(inputs, np.array([len(drawn[k].inputs) for k in ORDER]), counted, symbols)


def _unpadded(ask: _Ask, alone: _Shown) -> np.ndarray:
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


def _change_in_any_order(got: np.ndarray, want: np.ndarray) -> float:
    """How far answers are from those wanted in the order in which they are nearest to them, at the
    steps that both have."""
    each = [[_change(g, np.where(np.isnan(g), np.nan, w)) for w in want] for g in got]
    orders = itertools.permutations(range(len(want)))
    return min(max(row[k] for row, k in zip(each, order, strict=True)) for order in orders)


# -- the form of the answers ----------------------------------------------------------------------


def in_form(given: Any, task: Task, shape: Sequence[int], last: tuple[Any, Any]) -> Any:
    """A model's answers as the task has them: without an axis of one output, and where a task asks
    at the last step alone, those of it.

    Args:
        given: (B, T, K) or (B, K), of any library; where K is 1 that axis may be left out.
        shape: B and T.
        last: indices of each sequence's last step.

    Raises:
        ValueError: another shape.
    """
    answers, (B, T), K = given, shape, task.outputs
    if K == 1 and given.ndim > 1 and given.shape[-1] == 1:
        answers = given[..., 0]
    axes = 2 if K == 1 else 3  # of answers at every step
    if task.answered == "last" and answers.ndim == axes and answers.shape[:2] == shape:
        answers = answers[last]
    if tuple(answers.shape) != task.answers_shape(B, T):
        last_ones = "" if task.answered == "every" else f", or at the last ones, (B, K) = {(B, K)}"
        raise ValueError(
            f"the model must answer at every step, (B, T, K) = {(B, T, K)}{last_ones}, not with "
            f"shape {tuple(given.shape)}"
        )
    return answers


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
        if math.prod(shape[2:]) > 1:
            return ": read one number out of each sequence's own last step, e.g. by nn.Linear(H, 1)"
        own = "lengths - 1, 0" if shape[2:] == (1,) else "lengths - 1"
        return f": answer at each sequence's own last step, e.g. answers[arange({batch}), {own}]"
    if shape[0] == steps:
        return f", one for each of T = {steps} steps: {BATCH_FIRST}"
    if math.prod(shape) == batch:
        return ": drop the other axes, e.g. answers.reshape(-1)"
    if shape[0] == batch:
        return ": read one number out for each sequence, e.g. by nn.Linear(H, 1)"
    return ""
