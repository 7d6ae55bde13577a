"""Data movement distance (ByteDMD): what a computation's reads cost on one LRU stack of scalars.

    measure(lambda a, b, c: (a + b) + c, 1.0, 2.0, 3.0)    # Movement(cost=6, depths=[1, 2, 1, 2])

Several incompatible variants of the metric exist; this is the one named in `VARIANT`. Only reads
cost: a scalar b bytes wide at depth d (1 = top) costs the sum of ceil(sqrt(i)) over its bytes,
i = (d - 1)b + 1 .. db. Before the run all arguments lie on the stack, the first one nearest the
top, within an array the last element nearest the top. One instruction prices all its operands
against the stack as it stood, repeated ones each time; moves the distinct ones to the top in the
order read; drops every value that has had its last read; and pushes its result. Where the
definition is open, this is how it is read here:

- A value that is never read is dropped at once: an argument before the first instruction, a
  result as soon as it is made. Values that the function returns live to the end.
- Every argument has scalars of its own. The same array passed twice, or a row that stands in an
  array twice, is loaded twice: no two share a scalar.
- `tanh`, `sigmoid` and `sqrt` are instructions of one operand, like the unary minus.
- Copying, indexing and transposing move nothing: they read no scalar.
"""

from collections.abc import Callable
from typing import Any

from longlag import checks
from longlag.movement.stack import VARIANT, WIDEST, Movement, price, stack_depths
from longlag.movement.tracing import Recorder, Scalar, Trace, record, sigmoid, sqrt, tanh

__all__ = [
    "VARIANT",
    "Movement",
    "Recorder",
    "Scalar",
    "Trace",
    "measure",
    "price",
    "record",
    "sigmoid",
    "sqrt",
    "stack_depths",
    "tanh",
]


def measure(function: Callable[..., Any], *arrays: Any, bytes_per_element: int = 1) -> Movement:
    """What the reads of `function(*arrays)` cost.

    Args:
        function: computes on (nested) lists of traced scalars by + - * /, unary minus,
            comparisons, branches on them, and `tanh`, `sigmoid`, `sqrt`. Numbers that do not come
            from its arguments are constants, which are free.
        arrays: numbers, (nested) lists or tuples of them, or numpy arrays, which the function
            receives as nested lists.
        bytes_per_element: b, 1 to 1024.

    Returns:
        Movement(cost, depths): `depths` has one entry a read, in the order read.

    Raises:
        ValueError: no callable, a width out of range, an argument or a result that is not made of
            numbers, or scalars of another measurement.
        TypeError: the function does something else with a scalar, such as `math.exp`.
    """
    width = checks.whole("bytes_per_element", bytes_per_element, 1, WIDEST)
    depths = stack_depths(record(function, *arrays))
    return Movement(price(depths, width), depths.tolist())
