"""The native kernel of the 1997 LSTM: against the reference, against itself, its stopping rule."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.networks.lstm1997 import LSTM1997, initial_weights, unflatten, weight_count
from longlag.networks.network import flatten
from longlag.tasks.marked_pairs import MarkedPairs

kernel = pytest.importorskip("longlag._kernel", reason="the kernel was not built")

ISAS: list[str] = kernel.isas()
FUSED = [isa for isa in ISAS if isa in ("avx512", "avx2")]
SHAPES = [(2, 2), (1, 1), (1, 4), (3, 1), (2, 3), (4, 6)]
THRESHOLDS = np.array([140, 13])


class Trials(NamedTuple):
    """What learning writes to, in the order of the kernel's arguments; see its docstring."""

    weights: np.ndarray
    recent: np.ndarray
    seen: np.ndarray
    wrong: np.ndarray
    stops: np.ndarray
    stop_weights: np.ndarray
    stop_errors: np.ndarray

    def copy(self) -> Trials:
        return Trials(*(array.copy() for array in self))

    def take(self, rows: Any) -> Trials:
        return Trials(*(np.ascontiguousarray(array[rows]) for array in self))

    def assert_same_bits(self, other: Trials) -> None:
        for name, a, b in zip(Trials._fields, self, other, strict=True):
            np.testing.assert_array_equal(a.view(np.uint8), b.view(np.uint8), err_msg=name)


class Data(NamedTuple):
    """inputs (N, K, T, 2), lengths (N, K), targets (N, K)."""

    inputs: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray

    def take(self, rows: Any, columns: slice = slice(None)) -> Data:
        return Data(*(np.ascontiguousarray(array[rows][:, columns]) for array in self))


def start(
    N: int, shape: tuple[int, int] = (2, 2), ring: int = 20, stops: int = 2, scale: float = 8
) -> Trials:
    """Trials before their first sequence; weights up to 0.1 `scale`."""
    drawn = [flatten(initial_weights(np.random.default_rng([n, *shape]), *shape)) for n in range(N)]
    P = weight_count(*shape)
    return Trials(
        np.float32(scale) * np.stack(drawn),
        np.zeros((N, ring), np.float32),
        np.zeros(N, np.int64),
        np.zeros(N, np.int64),
        np.full((N, stops), -1),
        np.zeros((N, stops, P), np.float32),
        np.zeros((N, stops, 2)),
    )


def data(N: int, K: int, T: int = 14, seed: int = 0) -> Data:
    """Sequences of 1 to T steps; *noise* in the padding, which nothing may read."""
    rng = np.random.default_rng([seed, N, K, T])
    lengths = rng.integers(1, T + 1, (N, K))
    inputs = rng.uniform(-1, 1, (N, K, T, 2)).astype(np.float32)
    return Data(inputs, lengths, rng.uniform(0, 1, (N, K)).astype(np.float32))


def pairs(N: int, K: int, T: int = 20) -> Data:
    """The paper's sequences; a trial has the same ones in whatever company."""
    task = MarkedPairs(min_length=T, max_length=T + T // 10)
    batches = [task.sample(K, np.random.default_rng([T, n])) for n in range(N)]
    return Data(*(np.stack(arrays) for arrays in zip(*batches, strict=True)))


def learn(trials: Trials, given_data: Data, shape: tuple[int, int] = (2, 2), **named: Any) -> Any:
    settings: dict[str, Any] = {
        "thresholds": THRESHOLDS,
        "tolerance": 0.04,
        "check_every": 1,
        "rate": 0.1,
        "reads_current": True,
        "full_gradient": False,
        "isa": ISAS[0],
    }
    blocks, block_size = shape
    sizes = {"blocks": blocks, "block_size": block_size}
    return kernel.online1997(*trials, *given_data, **{**settings, **sizes, **named})


def reference(
    weights: np.ndarray,
    given_data: Data,
    shape: tuple[int, int],
    reads: Any,
    full: bool,
    rate: float,
) -> tuple[np.ndarray, np.ndarray]:
    """One trial in float64: answers (K,), weights (P,)."""
    vector, answers = weights.astype(np.float64), []
    for x, length, target in zip(*given_data, strict=True):
        net = LSTM1997(unflatten(vector, *shape), shape[0], reads, truncated=not full)
        x = x[None, :length]
        answers.append(net.predict(x)[0])
        _, gradient = net.gradient(x, np.array([length]), np.array([target]))
        vector = vector - rate * flatten(gradient)
    return np.array(answers), vector


def assert_close(actual: np.ndarray, wanted: np.ndarray, tolerance: float = 2e-5) -> None:
    np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance / 10)


# The reference ---------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("reads", ["current", "previous"])
@pytest.mark.parametrize("shape", SHAPES)
def test_learns_as_the_reference_does(
    shape: tuple[int, int], reads: str, full: bool, isa: str
) -> None:
    trials, given_data = start(11, shape), data(11, 30)  # more than vectors of 8 lanes have
    before = trials.weights.copy()
    variant = {"reads_current": reads == "current", "full_gradient": full}
    answers = learn(trials, given_data, shape, rate=0.3, isa=isa, **variant)
    for n in (0, 10):
        own = Data(*(array[n] for array in given_data))
        wanted, weights = reference(before[n], own, shape, reads, full, 0.3)
        assert_close(answers[n], wanted)
        assert_close(trials.weights[n], weights)
        assert np.abs(weights - before[n]).max() > 0.02, "it has learned something"


@pytest.mark.parametrize("full", [False, True])
def test_hundreds_of_updates_stay_with_the_reference(full: bool) -> None:
    trials, given_data = start(1, scale=1), pairs(1, 400)
    before = trials.weights[0].copy()
    answers = learn(trials, given_data, full_gradient=full)
    own = Data(*(array[0] for array in given_data))
    wanted, weights = reference(before, own, (2, 2), "current", full, 0.1)
    assert_close(answers[0], wanted, 1e-4)
    assert_close(trials.weights[0], weights, 1e-4)


@pytest.mark.parametrize("weight", [0, 10, 35, 46, 70, 90, 92])
def test_the_comparison_can_fail(weight: int) -> None:
    trials, given_data = start(1), data(1, 30)
    before = trials.weights[0].copy()
    learn(trials, given_data, rate=0.3)
    own = Data(*(array[0] for array in given_data))
    _, wanted = reference(before, own, (2, 2), "current", False, 0.3)
    trials.weights[0, weight] += 1e-4 * np.abs(trials.weights[0, weight]) + 1e-5
    with pytest.raises(AssertionError):
        assert_close(trials.weights[0], wanted)


def test_truncated_and_full_gradient_differ() -> None:
    truncated, full, given_data = start(1), start(1), data(1, 30)
    learn(truncated, given_data)
    learn(full, given_data, full_gradient=True)
    assert np.abs(truncated.weights - full.weights).max() > 1e-3


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("reads_current", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_predicts_as_the_reference_does(
    shape: tuple[int, int], reads_current: bool, isa: str
) -> None:
    weights, reads = start(1, shape).weights[0], "current" if reads_current else "previous"
    net = LSTM1997(unflatten(weights.astype(np.float64), *shape), shape[0], reads)
    for B, T in ((1, 1), (5, 9), (16, 40), (35, 12)):
        x, lengths, _ = (array[0] for array in data(1, B, T))
        answers = kernel.predict1997(
            weights, x, lengths, blocks=shape[0], block_size=shape[1],
            reads_current=reads_current, isa=isa, threads=2,
        )  # fmt: skip
        assert answers.shape == (B,)
        assert answers.dtype == np.float32
        assert_close(answers, net.predict(x, lengths), 1e-5)


def test_predictions_are_those_of_learning() -> None:
    given_data, trials = data(1, 1), start(1)
    x, lengths, _ = (array[0] for array in given_data)
    first = trials.weights[0].copy()
    answers = kernel.predict1997(
        first, x, lengths, blocks=2, block_size=2, reads_current=True, isa=ISAS[0]
    )
    np.testing.assert_array_equal(learn(trials, given_data)[0], answers)


# A trial's bits --------------------------------------------------------------------------------


@given(
    company=st.lists(st.integers(0, 39), min_size=1, max_size=40, unique=True),
    shape=st.sampled_from([(2, 2), (1, 3)]),
    full=st.booleans(),
    threads=st.integers(1, 3),
)
def test_a_trial_is_the_same_in_any_company(
    company: list[int], shape: tuple[int, int], full: bool, threads: int
) -> None:
    everyone, given_data = start(40, shape), data(40, 6)
    some, answers = everyone.take(company), []
    for trials, rows in ((everyone, slice(None)), (some, company)):
        named = {"full_gradient": full, "threads": threads}
        answers.append(learn(trials, given_data.take(rows), shape, **named))
    some.assert_same_bits(everyone.take(company))
    np.testing.assert_array_equal(answers[1], answers[0][company])


@pytest.mark.parametrize("isa", ISAS)
def test_lanes_that_are_left_out_change_no_bits(isa: str) -> None:
    named = {"isa": isa, "tolerance": 0.2, "thresholds": np.array([18, 11])}
    everyone, given_data = start(16, ring=30, scale=3), pairs(16, 300, 11)
    alone = [everyone.take([n]) for n in range(16)]
    answers = [learn(one, given_data.take([n]), **named) for n, one in enumerate(alone)]
    lengths = [int(one.seen[0]) for one in alone]
    assert len(set(lengths)) > 4, "trials end one after another, and lanes become free"
    by_length = np.argsort(lengths)[::-1]  # the last lanes end first
    for count in range(1, 17):
        rows = by_length[:count]
        some = everyone.take(rows)
        found = learn(some, given_data.take(rows), **named)
        for lane, n in enumerate(rows):
            some.take([lane]).assert_same_bits(alone[n])
            np.testing.assert_array_equal(found[lane], answers[n][0])


@pytest.mark.parametrize("isa", ISAS)
def test_predictions_do_not_depend_on_how_many_there_are(isa: str) -> None:
    weights, (x, lengths, _) = start(1).weights[0], (a[0] for a in data(1, 16))
    named = {"blocks": 2, "block_size": 2, "reads_current": True, "isa": isa}
    answers = kernel.predict1997(weights, x, lengths, **named)
    for count in range(1, 16):
        some = kernel.predict1997(weights, x[:count], lengths[:count], **named)
        np.testing.assert_array_equal(some, answers[:count])


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.skipif(len(FUSED) < 2, reason="this machine has one of AVX2 and AVX-512 at most")
def test_both_vector_widths_give_the_same_bits(shape: tuple[int, int], full: bool) -> None:
    given_data, done = data(19, 25), []
    for isa in FUSED:
        trials = start(19, shape, ring=5)
        answers = learn(trials, given_data, shape, full_gradient=full, isa=isa, tolerance=0.3)
        done.append((trials, answers))
    done[0][0].assert_same_bits(done[1][0])
    np.testing.assert_array_equal(done[0][1], done[1][1])


def test_one_call_is_several() -> None:
    whole, parts, given_data = start(18), start(18), data(18, 40)
    answers = learn(whole, given_data)
    pieces = [
        learn(parts, given_data.take(slice(None), slice(*ends))) for ends in ((0, 13), (13, 40))
    ]
    parts.assert_same_bits(whole)
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), answers)


def test_padding_is_never_read() -> None:
    trials, others, given_data = start(3), start(3), data(3, 9)
    padded = np.full((3, 9, 50, 2), 1e30, np.float32)
    padded[:, :, :14] = given_data.inputs
    ended = np.arange(50) >= given_data.lengths[..., None]
    padded[ended] = 1e30
    answers = learn(trials, given_data)
    np.testing.assert_array_equal(learn(others, given_data._replace(inputs=padded)), answers)
    others.assert_same_bits(trials)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("T", [14, 1500])  # memory that is small, and large enough to be kept
def test_what_memory_held_before_changes_nothing(full: bool, T: int) -> None:
    given_data, done = data(3, 4, T), []
    for inputs in (given_data.inputs, given_data.inputs * np.float32(3e38), given_data.inputs):
        trials = start(3)
        answers = learn(trials, given_data._replace(inputs=inputs), full_gradient=full)
        done.append((trials, answers))
    (first, before), (loud, _), (again, after) = done
    assert (loud.weights != first.weights).any()
    again.assert_same_bits(first)
    np.testing.assert_array_equal(before, after)


# The stopping rule -----------------------------------------------------------------------------


def rule(
    outputs: np.ndarray, targets: np.ndarray, ring: int, thresholds: list[int], **named: Any
) -> tuple[list[int], list[list[float]]]:
    """Stops and errors of one trial from its answers, in plain Python."""
    errors = [float(e) for e in outputs - targets]
    stops, found = [-1] * len(thresholds), [[0.0, 0.0]] * len(thresholds)
    for n in range(ring, len(errors) + 1):
        window = errors[n - ring : n]
        wrong = sum(abs(e) > named["tolerance"] for e in window)
        squared = sum(e * e for e in window) / ring
        mean = sum(abs(e) for e in window) / ring
        if n % named["check_every"] or not mean < named.get("mean_error_below", np.inf):
            continue
        for k, threshold in enumerate(thresholds):
            if stops[k] < 0 and wrong < threshold:
                stops[k], found[k] = n, [squared, mean]
    return stops, found


@pytest.mark.parametrize("check_every", [1, 7, 25])
@pytest.mark.parametrize("mean_error_below", [np.inf, 0.17])
def test_stops_where_the_rule_says(check_every: int, mean_error_below: float) -> None:
    N, K, ring, thresholds = 20, 600, 30, [18, 13, 11]
    named = {"tolerance": 0.2, "check_every": check_every, "mean_error_below": mean_error_below}
    trials, given_data = start(N, ring=ring, stops=3, scale=3), pairs(N, K, 11)
    answers = learn(trials, given_data, thresholds=np.array(thresholds), **named)
    finished = 0
    for n in range(N):
        learned = int(trials.seen[n])
        outputs, targets = answers[n, :learned], given_data.targets[n, :learned]
        assert np.isfinite(outputs).all()
        assert np.isnan(answers[n, learned:]).all()
        stops, errors = rule(outputs, targets, ring, thresholds, **named)
        assert stops == trials.stops[n].tolist()
        np.testing.assert_allclose(trials.stop_errors[n], errors, rtol=1e-12)
        assert learned == (stops[-1] if stops[-1] > 0 else K)
        finished += stops[-1] > 0
        for k, when in enumerate(stops):
            if when > 0:  # the weights after that sequence's update
                again = start(N, scale=3).take([n])
                learn(again, given_data.take([n], slice(0, when)), check_every=10**6)
                np.testing.assert_array_equal(again.weights[0], trials.stop_weights[n, k])
    assert 0 < finished < N, "the test sees trials that stop and trials that do not"


def test_a_finished_trial_learns_no_more_and_leaves_the_others_alone() -> None:
    trials, given_data = start(3, ring=5), data(3, 12)
    trials.stops[1] = [4, 9]
    before, others, rows = trials.copy(), start(3, ring=5).take([0, 2]), [0, 2]
    answers = learn(trials, given_data)
    trials.take([1]).assert_same_bits(before.take([1]))
    assert np.isnan(answers[1]).all()
    np.testing.assert_array_equal(learn(others, given_data.take(rows)), answers[rows])
    others.assert_same_bits(trials.take(rows))


def test_all_finished_is_no_work() -> None:
    trials = start(2)
    trials.stops[:] = 7
    before = trials.copy()
    assert np.isnan(learn(trials, data(2, 3))).all()
    trials.assert_same_bits(before)


def test_nothing_stops_before_the_ring_is_full() -> None:
    trials = start(1, ring=9, stops=1)
    named = {"thresholds": np.array([10]), "tolerance": 2.0}
    learn(trials, data(1, 8), **named)
    assert trials.stops[0, 0] == -1
    learn(trials, data(1, 3, seed=1), **named)
    assert trials.stops[0, 0] == trials.seen[0] == 9


def test_two_thresholds_can_be_met_at_once() -> None:
    trials = start(1, ring=9)
    learn(trials, data(1, 20), thresholds=np.array([5, 1]), tolerance=2.0)
    assert trials.stops.tolist() == [[9, 9]]
    np.testing.assert_array_equal(trials.stop_weights[0, 0], trials.stop_weights[0, 1])


# Divergence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("full", [False, True])
def test_a_diverging_trial_shows_and_leaves_the_others_alone(full: bool, isa: str) -> None:
    given_data, trials, rows = data(3, 12), start(3), [0, 2]
    given_data.targets[1, 4] = 3e38  # the error's square is beyond float32
    alone = start(3).take(rows)
    named = {"rate": 1e3, "full_gradient": full, "isa": isa}
    answers = learn(trials, given_data, **named)
    np.testing.assert_array_equal(learn(alone, given_data.take(rows), **named), answers[rows])
    alone.assert_same_bits(trials.take(rows))
    assert np.isfinite(answers[1, :4]).all()
    assert np.isnan(answers[1, 4:]).all()
    assert trials.seen.tolist() == [12, 4, 12]
    assert np.isfinite(trials.weights).all()
    four = start(3)
    learn(four, given_data.take(slice(None), slice(0, 4)), **named)
    np.testing.assert_array_equal(four.weights[1], trials.weights[1])


# Bad input -------------------------------------------------------------------------------------

NOT_ARRAYS = [None, 3, "x", [1.0]]


@pytest.mark.parametrize("isa", ISAS)
def test_a_diverging_trial_of_symbols_keeps_its_weights_from_before(isa: str) -> None:
    D, P = 5, 8 * (5 + 9) + 5
    rng = np.random.default_rng(0)
    trials = start(3)._replace(
        weights=rng.uniform(-1, 1, (3, P)).astype(np.float32),
        stop_weights=np.zeros((3, 2, P), np.float32),
    )
    given_data = Data(
        rng.integers(D, size=(3, 6, 9)),
        rng.integers(1, 10, (3, 6)),
        rng.uniform(0, 1, (3, 6)).astype(np.float32),
    )
    given_data.targets[1, 4] = 3e38
    short = Data(*(np.ascontiguousarray(array[:, :4]) for array in given_data))
    asked = {"input_size": D, "symbols": True, "isa": isa}
    before = trials.copy()
    answers = learn(trials, given_data, **asked)
    assert np.isnan(answers[1]).tolist() == [False] * 4 + [True] * 2
    assert trials.seen.tolist() == [6, 4, 6]
    learn(before, short, **asked)
    np.testing.assert_array_equal(trials.weights[1], before.weights[1])
    assert np.isfinite(trials.weights).all()


def refused(name: str, position: int | None = None, value: Any = None, **named: Any) -> str:
    """The sentence with which learning refuses `value`; nothing may have been written."""
    trials, given_data = start(3), data(3, 4)
    arguments: list[Any] = [*trials.copy(), *given_data]
    if position is not None:
        arguments[position] = value
    with pytest.raises(ValueError, match=rf"^{name} must be .*\.$") as caught:
        learn(Trials(*arguments[:7]), Data(*arguments[7:]), **named)
    for before, after in zip(trials, arguments[:7], strict=True):
        if after is not value:
            np.testing.assert_array_equal(before, after)
    return str(caught.value)


@pytest.mark.parametrize("position", range(10))
def test_bad_arrays_are_refused(position: int) -> None:
    name = (*Trials._fields, *Data._fields)[position]
    good = (*start(3), *data(3, 4))[position]
    other = np.int64 if good.dtype == np.float32 else np.float32
    for value in (*NOT_ARRAYS, good.astype(other), good[None], good[..., :0]):
        refused(name, position, value)
    # The weights say how many trials there are: where they are two, the next array is wrong.
    assert "2" in refused("recent" if position == 0 else name, position, good[:2])
    if position < 7:
        fixed = good.copy()
        fixed.flags.writeable = False
        assert "read-only" in refused(name, position, fixed)
    if good.ndim > 1:
        assert "memory order" in refused(name, position, np.asfortranarray(good))
    if good.dtype == np.float32 and name != "stop_weights":
        for bad in (np.nan, np.inf, -np.inf):
            spoilt = good.copy()
            spoilt.flat[5 % good.size] = bad
            assert "position" in refused(name, position, spoilt)


def test_counts_that_cannot_be_are_refused() -> None:
    trials, given_data = start(3), data(3, 4)
    for position, bad, words in ((2, -1, "from 0 to"), (3, 1, "here 0"), (4, -2, "from -1 to")):
        spoilt = trials[position].copy()
        spoilt.flat[1] = bad
        assert words in refused(Trials._fields[position], position, spoilt)
    for bad in (0, 15, -3):
        lengths = given_data.lengths.copy()
        lengths[1, 2] = bad
        assert "from 1 to the number of steps, 14" in refused("lengths", 8, lengths)


@pytest.mark.parametrize("symbol", [-1, 93, 2**40])
def test_symbols_that_are_none_are_refused(symbol: int) -> None:
    trials, lengths = start(2), np.full((2, 4), 5)
    trials = trials._replace(weights=np.zeros((2, 8 * (93 + 9) + 5), np.float32))
    trials = trials._replace(stop_weights=np.zeros((2, 2, 8 * (93 + 9) + 5), np.float32))
    inputs, targets = np.zeros((2, 4, 5), np.int64), np.zeros((2, 4), np.float32)
    learn(trials, Data(inputs, lengths, targets), input_size=93, symbols=True)
    inputs[1, 2, 3] = symbol
    with pytest.raises(ValueError, match=rf"^inputs must be symbols .*, not {symbol} at flat pos"):
        learn(trials, Data(inputs, lengths, targets), input_size=93, symbols=True)


@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 5), (2, 4, 3)])
def test_targets_have_the_shape_of_the_answers(shape: tuple[int, ...]) -> None:
    trials, lengths = start(2), np.full((2, 4), 5)
    trials = trials._replace(weights=np.zeros((2, 93 + 10), np.float32))
    trials = trials._replace(stop_weights=np.zeros((2, 2, 93 + 10), np.float32))
    inputs, asked = np.zeros((2, 4, 5, 2), np.float32), {"output_size": 3, "every": True}
    good = Data(inputs, lengths, np.zeros((2, 4, 5, 3), np.float32))
    assert learn(trials, good, **asked).shape == (2, 4, 5, 3)
    with pytest.raises(ValueError, match=r"^targets must be .* of shape \(2, 4, 5, 3\), not an"):
        learn(trials, good._replace(targets=np.zeros(shape, np.float32)), **asked)


def test_what_is_counted_and_judged_is_checked() -> None:
    trials, lengths = start(2), np.full((2, 4), 5)
    given = Data(np.zeros((2, 4, 5, 2), np.float32), lengths, np.zeros((2, 4, 5), np.float32))
    steps = np.ones((2, 4, 5), bool)
    one = steps.copy()
    one[1, 2] = False
    learn(trials, given, every=True, counted=steps, judged=one, wanted=given.targets)
    bad: list[tuple[dict[str, Any], str]] = [
        ({"counted": one}, "counted must be true at a step of every sequence, not false"),
        ({"counted": steps[0]}, r"counted must be .* \(2, 4, 5\), not an array of shape \(4, 5\)"),
        ({"judged": steps.astype(int)}, "judged must be .*bool array .*, not an array of int64"),
        ({"wanted": given.targets[:1]}, "wanted must be .*, not an array of shape"),
        ({"wanted": given.targets + np.float32(np.nan)}, "wanted must be finite throughout"),
    ]
    for named, told in bad:
        with pytest.raises(ValueError, match=f"^{told}"):
            learn(trials, given, every=True, **named)
    with pytest.raises(ValueError, match=r"^judged must be None, not steps where the last one"):
        learn(trials, data(2, 4), judged=steps)


def test_shared_memory_is_refused() -> None:
    trials = start(3)
    shared = np.zeros(3, np.int64)
    with pytest.raises(ValueError, match="memory that it shares with"):
        learn(trials._replace(seen=shared, wrong=shared), data(3, 4))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("thresholds", [*NOT_ARRAYS, np.array([140.0, 13.0]), np.array([140]), np.array([13, 140]),
                        np.array([13, 13]), np.array([4, -1])]),
        ("tolerance", [None, "x", -0.1, np.nan, np.inf, True]),
        ("mean_error_below", [None, "x", 0.0, -1.0, np.nan]),
        ("check_every", [None, "x", 0, -1, 1.0, True, 2**63]),
        ("rate", [None, "x", 0.0, -1.0, np.nan, np.inf, 1e39]),
        ("reads_current", [None, 1, "yes"]),
        ("full_gradient", [None, 0, "no"]),
        ("isa", [None, 1, "", "mmx"]),
        ("threads", [None, 0, -1, 1.0, 1025]),
        ("blocks", [None, 0, -1, 2.0, 33, True]),
        ("block_size", [None, 0, -1, 2.0, 33, 15]),
        ("input_size", [None, 0, 2.0, 65537, True]),
        ("output_size", [None, 0, 2.0, 65537, True]),
        ("symbols", [None, 1, "yes"]),
        ("every", [None, 0, "no"]),
        ("sigmoid_output", [None, 1, "no"]),
        ("biases", [None, 1, "", "some"]),
        ("g", [None, 1, "identity"]),
        ("h", [None, 1, "logistic"]),
        *((name, [None, 1, "no"]) for name in ("inputs_to_outputs", "output_gate", "recurrent")),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(name: str, values: list[Any]) -> None:
    for value in values:
        refused(name, **{name: value})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("weights", [*NOT_ARRAYS, np.zeros(92, np.float32), np.zeros(93),
                     np.full(93, np.nan, np.float32)]),
        ("inputs", [*NOT_ARRAYS, np.zeros((3, 4, 2)), np.zeros((3, 4, 3), np.float32),
                    np.full((3, 4, 2), np.inf, np.float32)]),
        ("lengths", [*NOT_ARRAYS, np.array([1, 2]), np.array([1, 2, 5]),
                     np.array([1.0, 2.0, 3.0])]),
        ("reads_current", [None, 1]),
        ("isa", [None, "mmx"]),
        ("threads", [None, 0]),
        ("blocks", [None, 0]),
        ("block_size", [None, 0, 15]),
        ("output_size", [None, 0]),
        ("symbols", [None, 0]),
    ],
)  # fmt: skip
def test_bad_questions_are_refused(name: str, values: list[Any]) -> None:
    good: dict[str, Any] = {
        "weights": np.zeros(93, np.float32),
        "inputs": np.zeros((3, 4, 2), np.float32),
        "lengths": np.array([1, 2, 4]),
        "blocks": 2,
        "block_size": 2,
        "reads_current": True,
        "isa": ISAS[0],
        "threads": 1,
    }
    np.testing.assert_array_equal(kernel.predict1997(**good), np.full(3, 0.5, np.float32))
    for value in values:
        with pytest.raises(ValueError, match=rf"^{name} must be .*\.$"):
            kernel.predict1997(**{**good, name: value})
