"""Scalars that record which of them are read, and the compact trace of these reads.

A trace is one stream of whole numbers. A number from 0 up is the read of that value; RESULT ends
an instruction that makes a value, BRANCH one that makes none; RETURN ends the stream, and the
values before it are returned instead of read. Values are numbered in the order made, those that
were loaded first: value 0 lies at the bottom of the stack.
"""

from __future__ import annotations

import math
import operator
from array import array
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from longlag import checks

RESULT, BRANCH, RETURN = -1, -2, -3


class Trace(NamedTuple):
    """What a computation read: `stream` int64 (N,), and how many values were `loaded` before."""

    stream: np.ndarray
    loaded: int

    @property
    def instructions(self) -> np.ndarray:
        """The stream up to the end of the last instruction, without what is returned."""
        ends = np.flatnonzero(self.stream < 0)
        return self.stream[: ends[-2] + 1] if len(ends) > 1 else self.stream[:0]

    def keeping_everything(self) -> Trace:
        """The same instructions, but every value is returned: nothing is dropped."""
        body = self.instructions
        values = np.arange(self.loaded + np.count_nonzero(body == RESULT))
        return Trace(np.concatenate([body, values, [RETURN]]), self.loaded)


class Recorder:
    """One run: loads arguments, records every instruction, returns the trace.

    `marks` holds (name, length of the stream) pairs, which tell phases apart.
    """

    def __init__(self) -> None:
        self.marks: list[tuple[str, int]] = []
        self._stream = array("q")
        self._loaded = self._values = 0
        self._finished = False

    def load(self, *arrays: Any) -> list[Any]:
        """The arrays with traced scalars in place of numbers, as (nested) lists.

        The last array is loaded first, so that the first one is nearest the top.

        Raises:
            ValueError: something that is not made of numbers, or instructions came before.
        """
        if self._stream:
            raise ValueError("arguments must be loaded before the first instruction")
        loaded = [self._loaded_array(item) for item in reversed(arrays)]
        return loaded[::-1]

    def _loaded_array(self, item: Any) -> Any:
        if isinstance(item, np.ndarray):
            item = item.tolist()
        if isinstance(item, (list, tuple)):
            return [self._loaded_array(part) for part in item]
        if not isinstance(item, Real):
            raise ValueError(
                f"arguments must be numbers or arrays of them, not {checks.shown(item)}"
            )
        self._loaded += 1
        return self._value(item.item() if isinstance(item, np.generic) else item)

    def _value(self, content: Any) -> Scalar:
        made = Scalar(self, self._values, content)
        self._values += 1
        return made

    def instruction(self, content: Any, *operands: int) -> Scalar:
        """Reads the operands and makes a value."""
        if self._finished:
            raise ValueError("a traced scalar was used after its measurement had ended")
        self._stream.extend((*operands, RESULT))
        return self._value(content)

    def branch(self, operand: int) -> None:
        """Reads an operand and makes nothing."""
        if self._finished:
            raise ValueError("a traced scalar was used after its measurement had ended")
        self._stream.extend((operand, BRANCH))

    def mark(self, name: str) -> None:
        """A phase of this name ends here."""
        self.marks.append((name, len(self._stream)))

    def finish(self, returned: Any = None) -> Trace:
        """The trace; scalars in `returned`, numbers or (nested) containers, live to the end.

        Raises:
            ValueError: something else was returned, or scalars of another recorder.
        """
        numbers: list[int] = []
        self._collect(returned, numbers)
        self._stream.extend((*numbers, RETURN))
        self._finished = True
        return Trace(np.frombuffer(self._stream, dtype=np.int64), self._loaded)

    def _collect(self, item: Any, numbers: list[int]) -> None:
        if isinstance(item, Scalar):
            numbers.append(item.number_in(self))
        elif isinstance(item, (list, tuple)):
            for part in item:
                self._collect(part, numbers)
        elif isinstance(item, Mapping):
            self._collect(list(item.values()), numbers)
        elif isinstance(item, np.ndarray):
            self._collect(item.tolist(), numbers)
        elif item is not None and not isinstance(item, (Real, np.bool_)):
            kind = type(item).__name__
            raise ValueError(f"the function must return numbers or lists of them, not a {kind}")


def record(function: Callable[..., Any], *arrays: Any) -> Trace:
    """The trace of `function(*arrays)`; see `longlag.movement.measure`."""
    checks.function("function", function)
    recorder = Recorder()
    return recorder.finish(function(*recorder.load(*arrays)))


def _binary(operation: Callable[[Any, Any], Any]) -> Callable[[Scalar, Any], Any]:
    def method(self: Scalar, other: Any) -> Any:
        if isinstance(other, Scalar):
            return self.with_other(operation, other)
        if isinstance(other, Real):
            return self.apply(lambda value: operation(value, other))
        return NotImplemented

    return method


def _reflected(operation: Callable[[Any, Any], Any]) -> Callable[[Scalar, Any], Any]:
    def method(self: Scalar, other: Any) -> Any:  # the other one is a constant, on the left
        if isinstance(other, Real):
            return self.apply(lambda value: operation(other, value))
        return NotImplemented

    return method


class Scalar:
    """A traced number: every operation on it is recorded as a read and makes another one."""

    value: Any

    __slots__ = ("_number", "_recorder", "value")
    __array_ufunc__ = None  # numpy's numbers leave operations to this class

    def __init__(self, recorder: Recorder, number: int, value: Any) -> None:
        self._recorder, self._number, self.value = recorder, number, value

    def number_in(self, recorder: Recorder) -> int:
        """Its number among the recorder's values."""
        if self._recorder is not recorder:
            raise ValueError("traced scalars of two measurements must not be mixed")
        return self._number

    def apply(self, operation: Callable[[Any], Any]) -> Scalar:
        """An instruction of one operand."""
        return self._recorder.instruction(operation(self.value), self._number)

    def with_other(self, operation: Callable[[Any, Any], Any], other: Scalar) -> Scalar:
        """An instruction of two operands, this one read first."""
        second = other.number_in(self._recorder)
        content = operation(self.value, other.value)
        return self._recorder.instruction(content, self._number, second)

    def __neg__(self) -> Scalar:
        return self.apply(operator.neg)

    def __bool__(self) -> bool:
        self._recorder.branch(self._number)
        return bool(self.value)

    def __repr__(self) -> str:
        return f"Scalar({self.value!r})"

    __add__, __radd__ = _binary(operator.add), _reflected(operator.add)
    __sub__, __rsub__ = _binary(operator.sub), _reflected(operator.sub)
    __mul__, __rmul__ = _binary(operator.mul), _reflected(operator.mul)
    __truediv__, __rtruediv__ = _binary(operator.truediv), _reflected(operator.truediv)
    __lt__, __gt__ = _binary(operator.lt), _binary(operator.gt)
    __le__, __ge__ = _binary(operator.le), _binary(operator.ge)
    __eq__, __ne__ = _binary(operator.eq), _binary(operator.ne)  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


def _sigmoid(x: float) -> float:
    small = math.exp(-abs(x))
    return (1.0 if x >= 0 else small) / (1.0 + small)


def _applied(operation: Callable[[float], float], x: Any) -> Any:
    if isinstance(x, Scalar):
        return x.apply(operation)
    if not isinstance(x, Real):
        raise ValueError(f"x must be a traced scalar or a number, not {checks.shown(x)}")
    return operation(float(x))


def tanh(x: Any) -> Any:
    """Hyperbolic tangent: one read of its operand. Of a plain number: the number."""
    return _applied(math.tanh, x)


def sigmoid(x: Any) -> Any:
    """Logistic function: one read of its operand. Of a plain number: the number."""
    return _applied(_sigmoid, x)


def sqrt(x: Any) -> Any:
    """Square root: one read of its operand. Of a plain number: the number."""
    return _applied(math.sqrt, x)
