"""Looking inside a network: on networks whose register is known, and the study as a command."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag import cli
from longlag.learning import training
from longlag.learning.recipe import recipe
from longlag.networks.lstm import LSTM, Parameters, sigmoid
from longlag.studies.declaration import Request, run
from longlag.studies.register import STUDY
from longlag.studies.register import measure as probing
from longlag.studies.register import page as register_page
from longlag.studies.register import probe as register_probe
from longlag.studies.register import study as register
from longlag.studies.register.measure import ONE_FROM_PRODUCT, PRODUCT_FROM_BOTH, States
from longlag.studies.register.sequences import (
    AFTER,
    BETWEEN,
    EARLIER,
    END,
    LATER,
    POINTS,
    draw,
    fresh_values,
    with_values,
)
from longlag.studies.result import Result
from longlag.tasks.marked_pairs import MarkedPairs

TASK = MarkedPairs(min_length=30, max_length=33)
SIZES = {"sequences": 600, "searched": 32, "pairs": 64}
SMALL = 0.01  # of the linear part of tanh, where it is linear to 3e-5
SHUT = 100.0  # a gate's input at which it is open, or with its sign changed shut


def network(seed: int, hidden: int = 4, **variant: Any) -> LSTM:
    """A random network with states of every size, float64."""
    rng = np.random.default_rng(seed)
    shapes = ((2, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,), (hidden, 1), (1,))
    return LSTM(Parameters(*(rng.normal(0, 0.7, shape) for shape in shapes)), **variant)


def by_hand(*, both: bool, forgets: bool = False) -> LSTM:
    """Two cells whose content is known.

    Cell 0 holds the earlier marked value alone, or with `both` the sum of the two; the answer is
    the earlier value, or the best linear guess of the product, (x1 + x2)/2 - 1/4. Cell 1 is a
    latch: it is set at a mark, and shuts cell 0's input gate unless both are wanted. With
    `forgets` a mark lets cell 0 keep a share of sigmoid(2 x) of what it holds, x the value there.
    """
    H = 2
    p = Parameters(
        np.zeros((2, 4 * H)), np.zeros((H, 4 * H)), np.zeros(4 * H), np.zeros((H, 1)), np.zeros(1)
    )
    i, f, o, g = (slice(k * H, k * H + H) for k in range(4))
    p.Wx[1, i], p.b[i] = 2 * SHUT, -SHUT  # in at the marker 1, not at 0 or -1
    p.b[f], p.b[o] = SHUT, SHUT
    p.Wx[0, g.start] = SMALL
    p.b[g.start + 1] = 3.0
    if forgets:
        p.Wx[1, f.start], p.Wx[0, f.start] = -SHUT, 2.0
    if not both:
        p.Wh[1, i.start] = -8 * SHUT
    p.Wy[0], p.by[0] = (0.5 / SMALL, -0.25) if both else (1 / SMALL, 0.0)
    return LSTM(p)


@pytest.fixture(scope="module")
def earlier_alone() -> dict[str, Any]:
    return register_probe.measure(by_hand(both=False), recipe("robust", min_length=30), 0, **SIZES)


@pytest.fixture(scope="module")
def summed() -> dict[str, Any]:
    return register_probe.measure(by_hand(both=True), recipe("robust", min_length=30), 0, **SIZES)


# -- a network taken apart ------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(["linear", "sigmoid"]))
def test_steps_by_hand_are_the_reference(seed: int, forget_gate: bool, output: str) -> None:
    net = network(seed, output=output, forget_gate=forget_gate)
    marked = draw(TASK, 5, np.random.default_rng(seed))
    c = h = np.zeros((5, 4))
    wanted = net.states(marked.inputs, marked.lengths)
    for t in range(TASK.min_length):
        now = probing.gates(net, marked.inputs[:, t].astype(float), h)
        c, h, _ = probing.settle(c, now)
        for name, array in (("cell", c), ("hidden", h), ("forget_gate", now.f)):
            np.testing.assert_allclose(array, wanted[name][:, t], rtol=1e-12, atol=1e-14)


@given(st.integers(0, 10**6), st.data())
def test_running_on_from_anywhere_gives_the_answer(seed: int, data: st.DataObject) -> None:
    net = network(seed, output=data.draw(st.sampled_from(["linear", "sigmoid"])))
    marked = draw(TASK, 6, np.random.default_rng(seed))
    states = probing.trajectories(net, marked.inputs, marked.lengths)
    start = np.array([data.draw(st.integers(1, int(n))) for n in marked.lengths])
    here = States(*(array[None] for array in states.at(start - 1)))
    found = probing.run_on(net, here, marked.inputs, start, marked.lengths)[0]
    np.testing.assert_allclose(found, net.predict(marked.inputs, marked.lengths), rtol=1e-11)


@given(st.integers(0, 10**6), st.data())
def test_the_whole_state_gives_the_donors_answer_on_the_hosts_rest(
    seed: int, data: st.DataObject
) -> None:
    net, rng = network(seed), np.random.default_rng(seed)
    host = draw(TASK, 6, rng)
    donor = fresh_values(host, rng)
    start = np.array([data.draw(st.integers(1, int(n))) for n in host.lengths])
    of_host, of_donor = (
        probing.trajectories(net, one.inputs, one.lengths).at(start - 1) for one in (host, donor)
    )
    everything = np.ones((1, 4), dtype=bool)
    mixed = probing.replace(of_host, of_donor, everything, "both")
    found = probing.run_on(net, mixed, host.inputs, start, host.lengths)[0]
    spliced = np.where(
        np.arange(host.inputs.shape[1])[:, None] < start[:, None, None], donor.inputs, host.inputs
    )
    np.testing.assert_allclose(found, net.predict(spliced, host.lengths), rtol=1e-11)


@given(st.integers(0, 10**6), st.sampled_from(["settled", "cell", "both"]))
def test_ones_own_state_and_no_cells_change_nothing(seed: int, carry: Any) -> None:
    rng = np.random.default_rng(seed)
    c, o = rng.normal(size=(3, 4)), rng.random((3, 4))
    host = States(c, o * np.tanh(c), o)
    other = States(*(rng.normal(size=(3, 4)) for _ in range(3)))
    everything, nothing = np.ones((1, 4), dtype=bool), np.zeros((1, 4), dtype=bool)
    for found in (
        probing.replace(host, host, everything, carry),
        probing.replace(host, other, nothing, carry),
    ):
        for mine, array in zip(host, found, strict=True):
            np.testing.assert_allclose(array[0], mine, rtol=1e-15)


def test_what_each_carry_replaces() -> None:
    host = States(*(np.full((1, 2), x) for x in (0.5, 0.2, 0.9)))
    donor = States(*(np.full((1, 2), x) for x in (-0.3, 0.7, 0.4)))
    chosen = np.array([[True, False]])
    settled, cell, both = (
        probing.replace(host, donor, chosen, carry) for carry in ("settled", "cell", "both")
    )
    for found in (settled, cell, both):
        assert found.c.tolist() == [[[-0.3, 0.5]]]
    assert settled.h[0, 0] == pytest.approx([0.9 * np.tanh(-0.3), 0.2])
    assert cell.h[0, 0].tolist() == [0.2, 0.2]
    assert both.h[0, 0].tolist() == [0.7, 0.2]


# -- readout --------------------------------------------------------------------------------------


def test_baselines_are_exact() -> None:
    """From the moments of the uniform distribution, E x^a = 1/(a + 1)."""

    def mean(a: int, b: int) -> Fraction:
        return Fraction(1, (a + 1) * (b + 1))

    value = mean(2, 0) - mean(1, 0) ** 2
    product = mean(2, 2) - mean(1, 1) ** 2
    shared = mean(2, 1) - mean(1, 0) * mean(1, 1)
    assert 2 * shared**2 / value / product == Fraction(6, 7)
    assert shared**2 / (value * product) == Fraction(3, 7)
    assert (PRODUCT_FROM_BOTH, ONE_FROM_PRODUCT) == (6 / 7, 3 / 7)
    assert product * (1 - Fraction(6, 7)) == Fraction(1, 144)  # MSE of the best linear answer


def test_baselines_are_measured() -> None:
    x = np.random.default_rng(0).random((40_000, 2))
    product = x.prod(axis=1, keepdims=True)
    assert probing.readout(x, product, 20_000)[0] == pytest.approx(6 / 7, abs=0.005)
    assert probing.readout(product, x, 20_000) == pytest.approx([3 / 7] * 2, abs=0.015)
    assert probing.readout(probing.quadratic(x), product, 20_000)[0] == pytest.approx(1, abs=1e-4)
    squares = x**2
    assert probing.readout(probing.quadratic(x), squares, 20_000) == pytest.approx([1, 1], abs=1e-4)
    assert probing.beyond(6 / 7, PRODUCT_FROM_BOTH) == 0
    assert probing.beyond(1, PRODUCT_FROM_BOTH) == 1


@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(-100, 100))
def test_readout_is_least_squares_in_any_units(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    F, Y = rng.normal(size=(60, 3)), rng.normal(size=(60, 2))
    Y[:, 0] += F @ (1.0, -2.0, 0.5)
    A = np.column_stack([np.ones(60), F])
    weights = np.linalg.lstsq(A[:40], Y[:40], rcond=None)[0]
    wanted = 1 - ((Y[40:] - A[40:] @ weights) ** 2).mean(axis=0) / Y[40:].var(axis=0)
    found = probing.readout(scale * F + shift, Y, 40)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    many = probing.readout(np.stack([F, np.zeros_like(F)]), Y, 40)
    np.testing.assert_allclose(many[0], wanted, atol=1e-4)
    assert (many[1] <= 1e-12).all()  # constant features tell nothing
    assert probing.readout(F, np.ones((60, 1)), 40).tolist() == [0]  # of what there is to tell


def test_slopes() -> None:
    rng = np.random.default_rng(0)
    value = rng.random(50)
    states = 3 + np.outer(value, (2.0, -0.5, 0.0))
    np.testing.assert_allclose(probing.slopes(states, value), (2.0, -0.5, 0.0), atol=1e-12)
    noisy = states + rng.normal(size=states.shape)
    wanted = [np.polyfit(value, column, 1)[0] for column in noisy.T]
    np.testing.assert_allclose(probing.slopes(noisy, value), wanted, rtol=1e-9)


# -- shares and sets ------------------------------------------------------------------------------


def test_shares() -> None:
    before, wanted = np.array([0.0, 1.0, 0.5]), np.array([1.0, 0.0, 0.5])
    assert probing.closed(before, wanted, wanted) == probing.moved(before, wanted, wanted) == 1
    assert probing.closed(before, before, wanted) == probing.moved(before, before, wanted) == 0
    half = (before + wanted) / 2
    assert probing.closed(before, half, wanted) == probing.moved(before, half, wanted) == 0.5
    away = 2 * before - wanted
    assert probing.closed(before, away, wanted) == probing.moved(before, away, wanted) == -1
    assert np.isnan(probing.closed(before, half, before))
    assert np.isnan(probing.moved(before, half, before))


def test_intervals_hold_the_value_and_narrow() -> None:
    rng = np.random.default_rng(1)
    before, wanted = rng.random(400), rng.random(400)
    after = before + 0.7 * (wanted - before) + rng.normal(0, 0.05, 400)
    for measure in (probing.closed, probing.moved):
        few = probing.with_interval(measure, before[:40], after[:40], wanted[:40])
        many = probing.with_interval(measure, before, after, wanted)
        for found in (few, many):
            assert found.low < found.value < found.high
        assert many.high - many.low < few.high - few.low
    assert many.low < 0.7 < many.high


@given(st.integers(0, 10**6), st.integers(1, 6), st.data())
def test_the_smallest_set_is_the_smallest(seed: int, cells: int, data: st.DataObject) -> None:
    """Against all sets, where a set's worth is a sum that a bonus for one pair breaks."""
    worth = np.random.default_rng(seed).integers(0, 64, cells) / 128  # sums are exact

    def score(chosen: np.ndarray) -> np.ndarray:
        return chosen @ worth + 0.5 * chosen[:, [0, -1]].all(axis=1)

    every = [s for size in range(1, cells + 1) for s in combinations(range(cells), size)]
    scores = score(probing.masks(every, cells)).tolist()
    enough = data.draw(st.sampled_from([*scores, 10.0]))
    found = probing.smallest_set(score, cells, enough)
    good = [s for s, value in zip(every, scores, strict=True) if value >= enough]
    if not good:
        assert found == tuple(range(cells))
    else:
        assert len(found) == min(map(len, good))
        best = max(v for s, v in zip(every, scores, strict=True) if len(s) == len(found))
        assert score(probing.masks([found], cells))[0] == best


def test_other_sets() -> None:
    rng = np.random.default_rng(0)
    sets = probing.other_sets((2,), 8, 20, rng)
    assert sorted(sets) == [(k,) for k in range(8) if k != 2]
    assert len(set(probing.other_sets((5, 1), 8, 20, rng)) - {(1, 5)}) == 20
    assert probing.other_sets(range(8), 8, 20, rng) == []


# -- sequences ------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.sampled_from(["paper", "catalog"]))
def test_marks_are_where_the_markers_are(seed: int, rules: Any) -> None:
    task = MarkedPairs(rules=rules, min_length=24, max_length=26)
    marked = draw(task, 20, np.random.default_rng(seed), apart=4)
    for inputs, length, *marks in zip(*marked, strict=True):
        assert sorted(marks) == np.flatnonzero(inputs[:, 1] == 1).tolist()
        assert abs(marks[0] - marks[1]) >= 4
        assert inputs[length - 1, 1] == -1
        assert not inputs[length:].any()
    assert (marked.earlier < marked.later).all()
    points = marked.points()
    assert len(points) == len(POINTS)
    assert (np.diff(points, axis=0) >= 0).all()
    assert points.min() >= 0
    assert (points[LATER] < points[AFTER]).all()
    assert (points[END] == marked.lengths - 1).all()


def test_by_the_papers_rules_the_second_mark_may_be_the_earlier() -> None:
    marked = draw(TASK, 300, np.random.default_rng(0))
    assert 0.2 < np.mean(marked.second < marked.first) < 0.5
    np.testing.assert_allclose(
        marked.product, marked.value(marked.earlier) * marked.value(marked.later)
    )


def test_hidden_marks_count_as_one() -> None:
    hidden = draw(TASK, 50, np.random.default_rng(0), hidden=True)
    assert not hidden.earlier.any()
    np.testing.assert_array_equal(hidden.value(hidden.earlier), 1)
    rows = np.arange(50)
    np.testing.assert_allclose(hidden.product, hidden.inputs[rows, hidden.later, 0])


def test_pairs_share_their_marks_and_no_value() -> None:
    rng = np.random.default_rng(3)
    host = draw(TASK, 40, rng)
    donor = fresh_values(host, rng)
    np.testing.assert_array_equal(donor.inputs[:, :, 1], host.inputs[:, :, 1])
    live = np.arange(33) < host.lengths[:, None]
    assert (donor.inputs[:, :, 0] != host.inputs[:, :, 0])[live].all()
    assert not donor.inputs[:, :, 0][~live].any()
    given_ = with_values(host, np.full(40, 0.25), np.full(40, 0.5))
    np.testing.assert_array_equal(given_.product, 0.125)


# -- networks whose register is known -------------------------------------------------------------


def test_a_cell_that_holds_the_earlier_value_is_found(earlier_alone: dict[str, Any]) -> None:
    told, sets = earlier_alone["readout"], earlier_alone["sets"]
    earlier = np.array(told["cells"])[BETWEEN, :, 0].ravel()
    assert earlier[0] == pytest.approx(1, abs=1e-4)
    assert earlier[1] < 0.05
    assert np.array(told["all"])[AFTER] == pytest.approx([1, 0, 3 / 7], abs=0.06)
    for name in ("between", "after"):
        assert sets[name]["cells"] == [0]
        assert sets[name]["closed"] == pytest.approx((1, 1, 1), abs=1e-4)
        assert sets[name]["all_others"] == pytest.approx(0, abs=1e-6)
        assert sets[name]["random_mean"] == pytest.approx(0, abs=1e-6)
    assert sets["between"]["line"] == pytest.approx(1, abs=1e-3)
    assert sets["between"]["off_line"] == pytest.approx(0, abs=1e-3)
    shares = np.array(earlier_alone["transplants"]["cells"])
    np.testing.assert_allclose(shares[1:], [[1, 0]] * (len(POINTS) - 1), atol=1e-4)
    np.testing.assert_array_equal(shares[0], 0)


def test_ablation_destroys_it(earlier_alone: dict[str, Any]) -> None:
    """The answer is then the mean, 1/2: E (1/2 - x y)² = 7/144 + 1/16 = 1/9."""
    found = earlier_alone["ablation"]
    assert found["after"][1] == pytest.approx(found["none"], abs=1e-5)
    assert found["after"][0] == pytest.approx(1 / 3, abs=0.05)
    assert found["after_set"] == pytest.approx(found["after"][0], abs=1e-5)
    # Emptied it answers 0, where the later value y was hoped for: 1 - E y / E |x - y|.
    assert found["between_emptied"] == pytest.approx(1 - (1 / 2) / (1 / 3), abs=0.15)
    # Cut out for good, it leaves the answer 0: the root of E (x y)² = 1/9.
    assert found["cut"][0] == pytest.approx(1 / 3, abs=0.05)
    # The latch cut out, the later value is added: E (x + y - x y)² = 11/18.
    assert found["cut"][1] == pytest.approx((11 / 18) ** 0.5, abs=0.05)


def test_a_linear_code_of_both_is_no_product(summed: dict[str, Any]) -> None:
    """It answers as well as any linear function of both: R² = 6/7, MSE 1/144."""
    assert summed["answers"]["r2"] == pytest.approx(6 / 7, abs=0.03)
    assert summed["sets"]["after"]["cells"] == [0]
    product = [r2[2] for r2 in summed["readout"]["after"]]
    assert product[AFTER] == pytest.approx(6 / 7, abs=0.03)
    assert product[BETWEEN] == pytest.approx(3 / 7, abs=0.08)
    assert register.formed(product) == "nowhere"
    # f c and i g are added without an interaction: nothing of what it does there is a product.
    held = summed["later"]["held"]
    assert held["forget gate"] == held["what gates are told"] == pytest.approx(held["nothing"])
    assert held["what is written"] > 1.5 * held["nothing"]
    surface = np.array(summed["surface"]["mean"])
    axis = np.linspace(0, 1, len(surface))
    np.testing.assert_allclose(surface, (axis[:, None] + axis) / 2 - 0.25, atol=1e-3)


def test_a_product_made_by_forgetting_is_told_from_one_that_is_written() -> None:
    net, rng = by_hand(both=False, forgets=True), np.random.default_rng(0)
    read = draw(TASK, 400, rng, apart=4)
    states = probing.trajectories(net, read.inputs, read.lengths)
    found = register_probe.at_later_mark(net, states, read, 0)
    given_ = read.value(read.earlier) * sigmoid(2 * read.value(read.later))
    np.testing.assert_allclose(net.predict(read.inputs, read.lengths), given_, atol=1e-4)
    assert found["kept_share"] == pytest.approx(1, abs=1e-6)
    surface = np.array(register_probe.surface(net, TASK, rng)["mean"])
    axis = np.linspace(0, 1, len(surface))
    np.testing.assert_allclose(surface, axis[:, None] * sigmoid(2 * axis), atol=1e-3)
    held = found["held"]
    assert held["what is written"] == held["output gate"] == pytest.approx(held["nothing"])
    mean = read.value(read.earlier) * np.mean(sigmoid(2 * read.value(read.later)))
    wanted = np.sqrt(np.mean((mean - read.product) ** 2))
    assert held["forget gate"] == pytest.approx(wanted, abs=1e-4)
    # The gates are told of the latch alone, which is the same in every sequence.
    assert held["what gates are told"] == pytest.approx(held["nothing"])
    assert found["forget_from_later"] == pytest.approx(0.98, abs=0.02)  # sigmoid: nearly linear


def test_what_is_written_beside_a_product_is_no_part_of_it() -> None:
    """The later value is added to what the forget gate keeps: x_earlier sigmoid(2 x_later)."""
    net = by_hand(both=True, forgets=True)
    read = draw(TASK, 400, np.random.default_rng(0), apart=4)
    states = probing.trajectories(net, read.inputs, read.lengths)
    found = register_probe.at_later_mark(net, states, read, 0)
    assert found["kept_share"] == pytest.approx(1, abs=0.01)
    assert found["written_from_later"] == pytest.approx(1, abs=1e-4)


def test_an_untrained_network_can_be_read_though_it_computes_nothing() -> None:
    made = recipe("robust", min_length=30)
    untrained = made.network_of(made.learner(0).weights)
    found = register_probe.measure(untrained, made, 0, **SIZES)
    told = found["readout"]
    assert told["all"] == told["untrained"]
    assert told["all"][BETWEEN][0] > 0.9  # a trace of the earlier value is in its cells
    assert told["all"][AFTER][2] < PRODUCT_FROM_BOTH + 0.03
    assert register.verdict(found) == "no product"


def test_a_whole_state_moves_a_trained_networks_answer_to_the_product() -> None:
    """At every point, since the host still reads what is to come: the later mark at `later −1`."""
    made = recipe("robust", min_length=30)
    trained = training.begin(made, 1000).to_end().network
    found = register_probe.measure(trained, made, 1000, **SIZES)
    moved = found["transplants"]["moved_whole"]
    assert moved[0] == 0
    np.testing.assert_allclose(moved[EARLIER:], 1, atol=0.03)


def test_measurements_are_plain_and_repeat(summed: dict[str, Any]) -> None:
    again = register_probe.measure(by_hand(both=True), recipe("robust", min_length=30), 0, **SIZES)
    assert json.dumps(again) == json.dumps(summed)


@given(st.integers(0, 10**6))
def test_a_cell_cut_out_is_read_by_nothing(seed: int) -> None:
    net = network(seed)
    p = net.parameters
    shut = Parameters(p.Wx, p.Wh, p.b.copy(), p.Wy, p.by)
    shut.b[8 + 1] = -1e3  # the output gate of cell 1
    shut.Wx[:, 8 + 1], shut.Wh[:, 8 + 1] = 0, 0
    marked = draw(TASK, 4, np.random.default_rng(seed))
    np.testing.assert_allclose(
        register_probe.without(net, 1).predict(marked.inputs, marked.lengths),
        LSTM(shut).predict(marked.inputs, marked.lengths),
        rtol=1e-12,
    )


# -- words ----------------------------------------------------------------------------------------


def found(
    between: Sequence[int],
    after: Sequence[int],
    cells: Sequence[Sequence[float]] = ((0.43, 0.43, 0.99),),
    answers: float = 0.99,
) -> dict[str, Any]:
    told = [[[r2] for r2 in cells]] * len(POINTS)
    sets = {"between": {"cells": between}, "after": {"cells": after}}
    return {"answers": {"r2": answers}, "sets": sets, "readout": {"cells": told}}


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (found([3], [3]), "one cell"),
        (found([3], [4]), "handed over"),
        (found([3], [3, 4]), "several cells"),
        (found([3], [3], cells=((0.43, 0.43, 0.99), (0.9, 0, 0.43))), "value and product"),
        (found([3], [3], cells=((0.43, 0.43, 0.89), (0.9, 0, 0.43))), "one cell"),
        (found([3], [3], answers=6 / 7), "no product"),
    ],
)
def test_verdicts(measured: dict[str, Any], verdict: str) -> None:
    assert register.verdict(measured) == verdict


def test_when_it_is_formed() -> None:
    before = [0.0, 0.43, 0.43, 0.43, 0.43]
    assert register.formed([*before, *[0.99] * 6]) == "later"
    assert register.formed([*before, 0.86, 0.91, 0.94, 0.99, 0.99, 0.99]) == "later +2"
    assert register.formed([*before, *[0.86] * 5, 0.99]) == "end"
    assert register.formed([*before, *[0.90] * 6]) == "nowhere"


# -- the study ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    directory = tmp_path_factory.mktemp("register")
    command = f"longlag study register --out {directory} --quick"
    return run(STUDY.request({"out": directory, "quick": True}, command)).content, directory


def test_a_quick_study_writes_its_files(quick: tuple[dict[str, Any], Path]) -> None:
    content, out = quick
    pictures = {f"{n}.png" for n in ("readout", "cells", "transplant", "later_mark", "surface")}
    tables = {"table.md", "networks.csv", "points.csv", "readout.csv"}
    ledger = {"ledger.sqlite", "ledger.sqlite.lock"}
    assert {path.name for path in out.iterdir()} == pictures | tables | ledger
    page = (out / "table.md").read_text()
    assert page.startswith(f"# {STUDY.title}\n")
    assert f"Command: `longlag study register --out {out} --quick`" in page
    assert register_page.QUICK in page
    assert all(f"]({name})" in page for name in pictures)
    rows = content["rows"]
    assert [(row["recipe"], row["T"], row["seed"]) for row in rows] == [
        ("catalog", 30, 2),
        ("robust", 30, 1000),
        ("robust", 30, 1001),
    ]
    with (out / "networks.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [float(line["rmse"]) for line in lines] == [row["rmse"] for row in rows]
    with (out / "points.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 3 * len(POINTS) * (8 + 2 + 3)
    with (out / "readout.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 3 * 30


def test_what_it_finds_in_trained_networks(quick: tuple[dict[str, Any], Path]) -> None:
    stuck, *solved = quick[0]["rows"]
    assert stuck["verdict"] == "no product"
    for row in solved:
        assert row["answers_r2"] > 0.99
        assert row["verdict"] != "no product"
        for name in ("between", "after"):
            assert row[name]["closed"][0] > 0.8
            assert row[name]["moved"][0] == pytest.approx(row[name]["moved_whole"], abs=0.15)
            assert row[name]["moved_whole"] == pytest.approx(1, abs=0.05)
            assert row[name]["line"] > 0.8
            assert abs(row[name]["off_line"]) < 0.2
            assert row[name]["all_others"] < 0.2
            assert row[name]["ablated_rmse"] > 5 * row["ablated_none"]
        assert row["readout"]["product_after_register"] > 0.95
        assert row["readout"]["product_after_untrained"] < PRODUCT_FROM_BOTH + 0.03


def test_started_again_it_does_nothing_again(quick: tuple[dict[str, Any], Path]) -> None:
    content, out = quick
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix == ".csv"}
    progress = []
    again = run(STUDY.request({"out": out, "quick": True}), progress.append)
    assert json.dumps(again.content) == json.dumps(content)
    assert len(again.table) == 1 + len(again.rows)
    assert progress[-1].skipped == progress[-1].total == 3
    for name, data in before.items():
        assert (out / name).read_bytes() == data


def test_the_command_prints_json_or_a_table(
    quick: tuple[dict[str, Any], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = []

    def carry_out(request: Request, observe: Any) -> Result:
        asked.append(request)
        cells = register_page.cells(quick[0]["rows"])
        return Result(STUDY.title, quick[0], cells, register_page.remarks(quick[0]))

    monkeypatch.setattr(register, "carry_out", carry_out)
    args = ["study", "register", "--quick", "--trials", "2", "--lengths", "30,40"]
    assert cli.main([*args, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [row["verdict"] for row in printed["rows"]] == [r["verdict"] for r in quick[0]["rows"]]
    assert cli.main(args) == 0
    assert capsys.readouterr().out.startswith("recipe")
    assert asked[0] == asked[1]
    assert (asked[0].trials, asked[0].lengths, asked[0].quick) == (2, (30, 40), True)
    assert asked[0].command == "longlag study register --quick --trials 2 --lengths 30,40"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--quick", "--full"), "--quick and --full exclude each other"),
        (("--trials", "0"), "trials must be a whole number from 1"),
        (("--seed", "-1"), "seed must be a whole number from 0"),
        (("--lengths", "30,x"), "--lengths must be whole numbers separated by commas, not '30,x'"),
        (("--lengths", "19"), "lengths must be at least 20 to look between marks, not 19"),
        (("--max-sequences", "0"), "max_sequences must be a whole number"),
        (("--workers", "0", "--quick"), "workers must be a whole number from 1"),
        (("--engine", "fast"), "--engine must be one of auto, native, numpy"),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(
    words: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["study", "register", "--out", str(tmp_path / "out"), *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1


def test_groups() -> None:
    catalog, *robust = register.groups(STUDY.request({}))
    assert (catalog.recipe, tuple(catalog.seeds)) == ("catalog", (0, 2, 3))
    made = recipe("catalog", **catalog.changes)
    assert made == recipe("catalog")
    assert [(group.T, len(group.seeds)) for group in robust] == [(30, 10), (100, 10), (300, 10)]
    assert recipe("robust", **robust[1].changes) == recipe("robust")
    assert register.groups(STUDY.request({"full": True}))[-1].T == 1000
    for one in register.trials_of(catalog, STUDY.request({})):
        assert one.engine == "numpy"  # the digits promised of its seeds are numpy's


def test_hand_built_gates_do_what_they_should() -> None:
    assert sigmoid(np.array(SHUT)) == 1
    assert sigmoid(np.array(-SHUT)) < 1e-40
