"""Stack distances of a trace, in O(log n) a read, and their price.

A value on the stack occupies a slot, a later one the nearer it is to the top; its depth is the
number of occupied slots from its own up, counted by a Fenwick tree. When no slot is free the values
are moved together, so that the tree is at most twice as large as the stack. The native kernel and
`python_depths` are the same algorithm with the same results.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from longlag import checks
from longlag.kernel import load_kernel
from longlag.movement.tracing import BRANCH, RESULT, RETURN, Trace

VARIANT = "ByteDMD with liveness, definition of April 2026"
LEAST_SLOTS = 64
WIDEST = 1024  # bytes of a scalar


class Movement(NamedTuple):
    """What a computation's reads cost, and the depth of each, by the variant `VARIANT`."""

    cost: int
    depths: list[int]

    @property
    def variant(self) -> str:
        """Which of the metric's variants this is."""
        return VARIANT


def price(depths: np.ndarray, width: int = 1) -> int:
    """Cost of reads at `depths` (R,), from 1, of scalars `width` bytes wide, 1 to 1024.

    Raises:
        ValueError: depths or a width that are not allowed.
    """
    checks.whole("width", width, 1, WIDEST)
    depths = checks.numbers("depths", depths)
    whole = depths.dtype.kind != "f" or depths.size == 0
    if depths.ndim != 1 or not whole or np.any(depths < 1):
        raise ValueError(f"depths must be whole numbers from 1, not {checks.shown(depths)}")
    return int(prices(depths, width).sum())


def prices(depths: np.ndarray, width: int = 1) -> np.ndarray:
    """Cost of each read, int64 (R,)."""
    depths = np.asarray(depths, dtype=np.int64)
    return _root_sum(depths * width) - _root_sum((depths - 1) * width)


def _root_sum(n: np.ndarray) -> np.ndarray:
    """Sum of ceil(sqrt(i)) over i = 1 .. n: (2k - 1) times k for each k below the last."""
    k = np.ceil(np.sqrt(n)).astype(np.int64)  # exact: n is far below 2**52
    below = k - 1
    return below * k * (2 * below + 1) // 3 - below * k // 2 + k * (n - below**2)


def stack_depths(trace: Trace) -> np.ndarray:
    """The depth of each read, int64 (R,): by the native kernel where there is one.

    Raises:
        ValueError: something that is no trace.
    """
    if not isinstance(trace, Trace):
        raise ValueError(f"trace must be one from movement.record, not {checks.shown(trace)}")
    kernel = load_kernel()
    return python_depths(trace) if kernel is None else kernel.stack_depths(*trace)


def python_depths(trace: Trace) -> np.ndarray:
    """The same in plain Python; some 10 microseconds a read."""
    stream = trace.stream.tolist()
    last = _last_instructions(stream, trace.loaded)
    stack = _Stack(len(last))
    for value in range(trace.loaded):
        if last[value] >= 0:
            stack.push(value)
    depths: list[int] = []
    operands: list[int] = []
    made, now = trace.loaded, 0
    for code in stream:
        if code >= 0:
            operands.append(code)
            continue
        if code == RETURN:
            break
        depths += map(stack.depth, operands)
        for value in dict.fromkeys(operands):
            stack.remove(value)
            if last[value] > now:
                stack.push(value)
        if code == RESULT:
            if last[made] >= 0:
                stack.push(made)
            made += 1
        operands.clear()
        now += 1
    return np.array(depths, dtype=np.int64)


def _last_instructions(stream: list[int], loaded: int) -> list[Any]:
    """The instruction of each value's last read: -1 if never read, infinite if returned."""
    last: list[Any] = [-1] * (loaded + stream.count(RESULT))
    now = 0
    operands: list[int] = []
    for code in stream:
        if code >= 0:
            operands.append(code)
            continue
        for value in operands:
            last[value] = float("inf") if code == RETURN else now
        operands.clear()
        now += code in (RESULT, BRANCH)
    return last


class _Stack:
    """Which values are on the stack, by slot; a Fenwick tree counts them."""

    def __init__(self, values: int) -> None:
        self._slot = [0] * values
        self._size = 0
        self._rebuild([])

    def depth(self, value: int) -> int:
        below, slot = 0, self._slot[value]  # values in earlier slots
        while slot:
            below += self._tree[slot]
            slot &= slot - 1
        return self._size - below

    def push(self, value: int) -> None:
        if self._next == len(self._owner):
            self._rebuild([owner for owner in self._owner if owner >= 0])
        self._slot[value] = self._next
        self._owner[self._next] = value
        self._next += 1
        self._count(self._next, 1)

    def remove(self, value: int) -> None:
        slot = self._slot[value]
        self._owner[slot] = -1
        self._count(slot + 1, -1)

    def _count(self, node: int, change: int) -> None:
        self._size += change
        while node < len(self._tree):
            self._tree[node] += change
            node += node & -node

    def _rebuild(self, values: list[int]) -> None:
        slots = max(LEAST_SLOTS, 2 * len(values))
        self._owner = values + [-1] * (slots - len(values))
        self._next = len(values)
        for slot, value in enumerate(values):
            self._slot[value] = slot
        self._tree = [0] * (slots + 1)
        for node in range(1, slots + 1):
            self._tree[node] += node <= len(values)
            if (parent := node + (node & -node)) <= slots:
                self._tree[parent] += self._tree[node]
