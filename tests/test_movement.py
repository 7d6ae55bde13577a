"""The data movement distance: the definition's worked figures, and a naive model of it."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import longlag
from longlag import movement
from longlag.kernel import load_kernel
from longlag.movement import Recorder, Trace, measure, price, record, stack_depths
from longlag.movement.stack import prices, python_depths
from longlag.movement.tracing import BRANCH, RESULT, RETURN

needs_kernel = pytest.mark.skipif(load_kernel() is None, reason="no native kernel")

# -- the worked figures ------------------------------------------------------------------------


def comparison(a: Any, b: Any, c: Any, d: Any) -> Any:
    e = b + c
    f = a + d
    return e > f


def two_products(a: Any, b: Any) -> Any:
    return a[0] * b[0] + a[1] * b[1]


def matrix_vector(A: Any, x: Any) -> Any:
    answers = []
    for row in A:
        s = row[0] * x[0]
        for j in range(1, len(x)):
            s = s + row[j] * x[j]
        answers.append(s)
    return answers


def matrix_product(A: Any, B: Any) -> Any:
    columns = [list(column) for column in zip(*B, strict=True)]
    return [matrix_vector(columns, row) for row in A]


def ijk_product(A: Any, B: Any) -> Any:
    N = len(A)
    C: list[list[Any]] = [[None] * N for _ in range(N)]
    for i in range(N):
        for j in range(N):
            s = A[i][0] * B[0][j]
            for k in range(1, N):
                s = s + A[i][k] * B[k][j]
            C[i][j] = s
    return C


def test_worked_figures_of_scalars() -> None:
    assert measure(lambda a, b, c: (a + b) + c, 1, 2, 3) == (6, [1, 2, 1, 2])
    assert measure(lambda a, b, c: (a + b) + c, 1, 2, 3, bytes_per_element=2).cost == 14
    assert measure(lambda a: a + a, 1.0).depths == [1, 1]
    assert measure(comparison, 1, 2, 3, 4) == (11, [2, 3, 2, 3, 2, 1])


def test_worked_figures_of_arrays() -> None:
    assert measure(two_products, [1, 2], [3, 4]) == (11, [2, 4, 2, 3, 2, 1])
    for N, vector, product in ((2, 26, 57), (4, 157, 720)):
        A, x = np.ones((N, N)), np.ones(N)
        assert measure(matrix_vector, A, x).cost == vector
        assert measure(ijk_product, A, A).cost == product


def test_it_is_part_of_the_package_and_names_its_variant() -> None:
    assert longlag.movement.measure(lambda a: -a, 1).variant == movement.VARIANT
    assert "liveness" in movement.VARIANT
    assert "April 2026" in movement.VARIANT


# -- the rules, one by one ---------------------------------------------------------------------


def test_branching_on_a_comparison_reads_it() -> None:
    assert measure(lambda a, b: a if a < b else b, 1, 2).depths == [1, 2, 1]
    assert measure(lambda a, b: a < b, 1, 2).depths == [1, 2]
    assert measure(lambda a, b: min(a, b), 2, 1).depths == [2, 1, 1]


def test_nonlinearities_are_one_read_each() -> None:
    for function, value in (
        (movement.tanh, math.tanh(0.5)),
        (movement.sigmoid, 1 / (1 + math.exp(-0.5))),
        (movement.sqrt, math.sqrt(0.5)),
        (operator.neg, -0.5),
    ):
        seen = []
        assert measure(lambda x, f=function, s=seen: s.append(f(x)), 0.5).depths == [1]
        assert seen[0].value == pytest.approx(value, abs=1e-15)
        assert function(0.5) == pytest.approx(value, abs=1e-15)
    assert movement.sigmoid(-800.0) == 0.0
    assert movement.sigmoid(800.0) == 1.0


@pytest.mark.parametrize("constant", [3, 0.5, np.float64(0.5), np.float32(0.5)])
def test_constants_are_free_on_either_side(constant: Any) -> None:
    for f in (operator.add, operator.sub, operator.mul, operator.truediv, operator.lt):
        results = []
        assert measure(lambda x, f=f, r=results: r.append(f(constant, x)), 2.0).depths == [1]
        assert measure(lambda x, f=f, r=results: r.append(f(x, constant)), 2.0).depths == [1]
        assert [r.value for r in results] == [f(constant, 2.0), f(2.0, constant)]


def test_values_that_are_never_read_are_not_on_the_stack() -> None:
    assert measure(lambda a, b: -b, 1, 2).depths == [1]  # a is never read

    def wasteful(a: Any, b: Any) -> Any:
        _ = a + a
        return a + b

    assert measure(wasteful, 1, 2).depths == [1, 1, 1, 2]


def test_returned_values_live_to_the_end() -> None:
    def f(a: Any, b: Any, keep: bool) -> Any:
        c = a + a
        return (-b, c) if keep else -b

    assert measure(lambda a, b: f(a, b, True), 1, 2).depths == [1, 1, 2]
    assert measure(lambda a, b: f(a, b, False), 1, 2).depths == [1, 1, 1]
    assert measure(lambda a, b: [-b, {"a": np.array([a])}], 1, 2).depths == [2]


def test_operands_go_to_the_top_in_the_order_read() -> None:
    def f(first: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda a, b: [first(a, b), -a, -b, a, b]

    assert measure(f(lambda a, b: a + b), 1, 2).depths[2:] == [3, 4]
    assert measure(f(lambda a, b: b + a), 1, 2).depths[2:] == [2, 4]


def test_the_same_array_twice_is_two_arrays() -> None:
    a = [1.0, 2.0]
    assert measure(two_products, a, a) == measure(two_products, a, list(a))
    row = [1.0, 1.0]
    assert measure(matrix_vector, [row, row], row).cost == 26


def test_numpy_and_nested_lists_are_the_same_argument() -> None:
    A = np.arange(12.0).reshape(3, 4)
    x = np.arange(4, dtype=np.int32)
    assert measure(matrix_vector, A, x) == measure(matrix_vector, A.tolist(), tuple(x.tolist()))


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("width", [0, -1, 1.0, True, 1025, None])
def test_a_width_out_of_range_is_refused(width: Any) -> None:
    with pytest.raises(ValueError, match="bytes_per_element must be a whole number from 1"):
        measure(lambda a: -a, 1, bytes_per_element=width)


def test_what_is_not_made_of_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="must be numbers or arrays of them, not 'x'"):
        measure(lambda a: a, [1, "x"])
    with pytest.raises(ValueError, match="must return numbers or lists of them, not a set"):
        measure(lambda a: {1}, 1)


def test_scalars_stay_within_their_measurement() -> None:
    outer: list[Any] = []
    measure(lambda a: outer.append(a), 1)
    with pytest.raises(ValueError, match="after its measurement had ended"):
        -outer[0]
    with pytest.raises(ValueError, match="after its measurement had ended"):
        bool(outer[0])
    with pytest.raises(ValueError, match="must not be mixed"):
        measure(lambda a: a + outer[0], 1)
    with pytest.raises(ValueError, match="must not be mixed"):
        measure(lambda a: outer[0], 1)
    with pytest.raises(ValueError, match="before the first instruction"):
        measure(lambda a: (-a)._recorder.load(1), 1)


@pytest.mark.parametrize("operation", [math.exp, float, np.tanh, lambda a: a**2, lambda a: a + "1"])
def test_an_operation_that_would_lose_the_trace_is_an_error(operation: Any) -> None:
    with pytest.raises(TypeError):
        measure(operation, 1.0)


# -- prices --------------------------------------------------------------------------------------


@given(st.integers(1, 10**6), st.integers(1, 16))
def test_prices_are_sums_of_roots(depth: int, width: int) -> None:
    bytes_read = range((depth - 1) * width + 1, depth * width + 1)
    wanted = sum(math.isqrt(i - 1) + 1 for i in bytes_read)
    assert prices(np.array([depth]), width).tolist() == [wanted]


def test_prices_are_exact_at_large_squares() -> None:
    for root in (2**15, 10**6, 2**22):
        around = np.array([root**2, root**2 + 1])
        assert prices(around).tolist() == [root, root + 1]
    assert price(np.array([], dtype=np.int64)) == 0


# -- against a naive model -----------------------------------------------------------------------


def naive_depths(trace: Trace) -> list[int]:
    """The definition word by word, on a plain list with the top at its front."""
    instructions, reads = [], []
    for code in trace.stream.tolist():
        if code >= 0:
            reads.append(code)
        else:
            instructions.append((tuple(reads), code))
            reads = []
    returned = set(instructions.pop()[0])
    last = {v: n for n, (operands, _) in enumerate(instructions) for v in operands}
    stack = [v for v in reversed(range(trace.loaded)) if v in last or v in returned]
    depths, made = [], trace.loaded
    for n, (operands, code) in enumerate(instructions):
        depths += [stack.index(v) + 1 for v in operands]
        for v in dict.fromkeys(operands):
            stack.remove(v)
            stack.insert(0, v)
        stack = [v for v in stack if v in returned or last[v] > n]
        if code == RESULT:
            if made in last or made in returned:
                stack.insert(0, made)
            made += 1
    return depths


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    loaded = draw(st.integers(0, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    codes: list[int] = []
    made = loaded
    for _ in range(draw(st.integers(0, 300))):
        if made:
            recent = made - 1 - rng.geometric(0.1, rng.integers(1, 4)) % made
            codes += recent.tolist() if rng.random() < 0.7 else [int(rng.integers(made))]
        code = RESULT if rng.random() < 0.9 else BRANCH
        codes.append(code)
        made += code == RESULT
    codes += rng.integers(made, size=rng.integers(0, 4)).tolist() if made else []
    return Trace(np.array([*codes, RETURN]), loaded)


@given(traces())
def test_depths_are_those_of_the_naive_model(trace: Trace) -> None:
    wanted = naive_depths(trace)
    assert python_depths(trace).tolist() == wanted
    assert stack_depths(trace).tolist() == wanted


@given(traces())
def test_a_larger_stack_never_lowers_a_depth(trace: Trace) -> None:
    everything = trace.keeping_everything()
    assert stack_depths(everything).tolist() == naive_depths(everything)
    assert (stack_depths(everything) >= stack_depths(trace)).all()


@given(traces(), st.integers(0, 5))
def test_arguments_that_are_never_read_change_nothing(trace: Trace, more: int) -> None:
    stream = np.where(trace.stream >= 0, trace.stream + more, trace.stream)
    assert (stack_depths(Trace(stream, trace.loaded + more)) == stack_depths(trace)).all()


@given(traces(), st.integers(2, 16))
def test_b_bytes_cost_at_least_b_times_as_much(trace: Trace, width: int) -> None:
    depths = stack_depths(trace)
    assert width * price(depths) <= price(depths, width) <= width**2 * price(depths)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=5))
def test_the_numbers_themselves_do_not_matter(values: list[float]) -> None:
    ones = [1.0] * len(values)
    assert measure(matrix_vector, [values], values) == measure(matrix_vector, [ones], ones)


# -- speed, and the kernel's checks ----------------------------------------------------------------


def long_trace(instructions: int, values: int) -> Trace:
    """Reads spread over a stack of about `values` values, which all live to the end."""
    rng = np.random.default_rng(0)
    stream = np.full((instructions, 3), BRANCH)
    stream[:, :2] = rng.integers(values, size=(instructions, 2))
    return Trace(np.append(stream.ravel(), RETURN), values)


@needs_kernel
def test_the_kernel_needs_microseconds_where_a_list_needs_milliseconds() -> None:
    trace = long_trace(500_000, 20_000)
    start = time.process_time()
    depths = stack_depths(trace)
    assert time.process_time() - start < 5  # a tenth of 10 million reads, with room to spare
    assert len(depths) == 1_000_000


@needs_kernel
@pytest.mark.parametrize(
    ("stream", "loaded", "message"),
    [
        ([RETURN], -1, "loaded must be an integer from 0"),
        ([RETURN], 2**40, "loaded must be an integer from 0"),
        ([0, RESULT, RETURN], 0, "0 at position 0"),
        ([0, RESULT, 2, RETURN], 1, "2 at position 2"),
        ([-4, RETURN], 1, "-4 at position 0"),
        ([0, RESULT], 1, "-1 at position 1"),
        ([RETURN, RETURN], 1, "-3 at position 0"),
        ([0] * 17 + [RESULT, RETURN], 1, "at most 16 reads"),
    ],
)
def test_the_kernel_refuses_what_is_no_trace(stream: list[int], loaded: int, message: str) -> None:
    kernel = load_kernel()
    assert kernel is not None
    with pytest.raises(ValueError, match=message):
        kernel.stack_depths(np.array(stream), loaded)
    with pytest.raises(ValueError, match="stream must be a C-contiguous int64 array"):
        kernel.stack_depths(np.array(stream, dtype=np.float64), loaded if loaded in (0, 1) else 0)


def test_a_trace_of_nothing() -> None:
    for trace in (record(lambda: None), record(lambda a: a, [1.0, 2.0]), Recorder().finish(3)):
        assert stack_depths(trace).tolist() == python_depths(trace).tolist() == []
        assert len(trace.instructions) == 0
