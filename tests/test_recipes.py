"""Recipes: validation of every setting, the streams and weights that they determine."""

from __future__ import annotations

import json
import math
import re
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.learning.recipe import PARTS, RECIPES, ROBUST_FOR, Recipe, recipe
from longlag.learning.rules import Minibatch, OnLine
from longlag.learning.stopping import Strict
from longlag.networks.lstm import LSTM, ForgetGateLSTM
from longlag.networks.network import flatten
from longlag.settings import setting_fields
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.training import train

PAGE = (Path(__file__).parents[1] / "docs/reference/recipes.md").read_text()
NAMES = [name for name, r in RECIPES.items() if isinstance(r.rule, Minibatch)]
ONLINE = [name for name, r in RECIPES.items() if isinstance(r.rule, OnLine)]
INTEGERS = {
    *("hidden", "blocks", "block_size", "batch_size", "max_iterations", "max_sequences"),
    *("test_every", "test_size", "window", "first_stop", "last_stop", "check_every"),
    "test_set",
    *("ordered", "min_symbols", "max_symbols", "string_set", "lag", "distractors"),
    *("first_elements", "alphabet"),
}
CHOICES = {
    "task": ["rules", "first_mark", "strings", "middle", "variant", "counts", "pattern_of"],
    "network": ["output", "gate_biases", "biases", "g", "h", "gradient", "reads"],
    "rule": ["draw_order", "optimizer", "error"],
}
SWITCHES = {"forget_gate", "inputs_to_outputs", "output_gate", "recurrent"}
# What else must be said for a setting to have its whole range.
ALONE: dict[str, dict[str, Any]] = {
    "last_stop": {"first_stop": 0},
    "input_gate_step": {"input_gate_bias": -3.0},
    "min_symbols": {"max_symbols": 10_000},
    "first_elements": {"min_length": 10**9, "max_length": 10**9},
}


class Setting(NamedTuple):
    """A setting, and what a recipe needs for it to have it."""

    name: str
    kind: Any
    low: float | None
    high: float | None
    needs: dict[str, Any]

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.needs.values()))}-{self.name}"


def settings_of(sort: str) -> list[Setting]:
    """All settings of the registered parts of a sort."""
    found = []
    for name in PARTS[sort].ready():
        part = PARTS[sort][name]
        needs = {sort: name} | ({"rule": "online"} if name in ("recent", "fresh") else {})
        for f in setting_fields(type(part)):
            alone = ALONE.get(f.name, {})
            kind, limits = get_type_hints(type(part))[f.name], f.metadata
            found.append(Setting(f.name, kind, limits["low"], limits["high"], needs | alone))
    return found


SETTINGS = [one for sort in PARTS for one in settings_of(sort)]
LENGTHS = {"min_length", "max_length"}  # their ranges depend on the task: below
RANGED = [one for one in SETTINGS if one.low is not None and one.name not in LENGTHS]


# -- the registry ------------------------------------------------------------------------------


def test_the_contracts_recipes_are_registered_under_their_own_names() -> None:
    assert {"catalog", "robust", "paper", "paper-adding"} <= set(RECIPES)
    assert all(RECIPES[name].name == name for name in RECIPES)
    assert set(NAMES) == {"catalog", "robust"}
    assert all(name.startswith("paper") for name in ONLINE)


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_builds_and_trains(name: str) -> None:
    run = train(recipe(name, max_iterations=2, test_size=32), seed=3, engine="numpy")
    assert run.iterations == 2
    assert run.sequences == 2 * run.recipe.batch_size
    assert run.stopped_by in ("target", "max_iterations")
    assert np.isfinite(run.history.train_losses).all()
    assert np.isfinite(run.score.mse)


def test_catalog_has_the_settings_of_its_page() -> None:
    expected: dict[str, Any] = {
        "task": "multiplication", "rules": "catalog", "min_length": 20, "max_length": 30,
        "network": "lstm", "hidden": 8, "forget_gate": True, "output": "sigmoid",
        "gate_biases": "constant", "forget_bias": 1.0, "input_bias": 0.0, "output_bias": 0.0,
        "rule": "minibatch", "batch_size": 32, "optimizer": "adam", "learning_rate": 5e-3,
        "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "clip": 1.0, "max_iterations": 6000,
        "stop": "mse", "target_test_mse": 0.030, "test_every": 500, "test_size": 512,
    }  # fmt: skip
    settings = recipe("catalog").settings()
    assert {name: settings[name] for name in expected} == expected
    assert settings["average_decay"] == 0
    tested = MarkedPairs(rules="catalog", min_length=30, max_length=30)
    assert recipe("catalog").task.tested == tested


def test_robust_stops_by_the_strict_rule_on_the_papers_task() -> None:
    r = recipe("robust")
    assert r.task == MarkedPairs("multiplication", "paper", min_length=100, max_length=110)
    assert isinstance(r.network, ForgetGateLSTM)
    assert (r.network.hidden, r.network.output, r.network.output_bias) == (8, "linear", 0.25)
    assert r.stop == Strict(test_size=2560)
    assert r.task.tested == r.task


def test_robust_has_settings_of_its_own_for_some_tasks() -> None:
    for task, own in ROBUST_FOR.items():
        settings = recipe("robust", task=task).settings()
        assert own.items() <= settings.items()
        assert recipe("robust", **settings).settings() == settings
        other = {name: 2 for name in own if name in ("hidden", "batch_size")}
        assert other.items() <= recipe("robust", task=task, **other).settings().items()
        named = recipe("robust", task=task, network="lstm", rule="minibatch")
        assert named.settings() == settings
        plain = recipe("robust", task=task, rule="online", stop="recent")
        assert plain.settings()["hidden"] == recipe("robust").settings()["hidden"]
        row = next(line for line in PAGE.splitlines() if re.match(rf"\| .*`{task}`", line))
        flags = dict(re.findall(r"--([a-z0-9-]+) ([^ `]+)", row))
        assert {name.replace("-", "_"): flags[name] for name in flags} == {
            name: f"{value:g}" if isinstance(value, float) else str(value)
            for name, value in own.items()
        }
    assert recipe("robust", task="temporal-order").network == recipe("robust").network
    assert recipe("catalog", task="xor").batch_size == recipe("catalog").batch_size


# -- validation --------------------------------------------------------------------------------


def refused(words: list[str], **settings: Any) -> None:
    with pytest.raises(ValueError, match=words[0]) as caught:
        recipe("robust", **settings)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", 0), ("hidden", 129), ("batch_size", 0), ("batch_size", -16),
        ("learning_rate", -1e-9), ("learning_rate", 1e4), ("beta1", 1.0), ("beta1", -0.1),
        ("beta2", 1), ("epsilon", 0), ("epsilon", -1e-8), ("clip", 0), ("clip", -1.0),
        ("average_decay", 1.0), ("average_decay", -0.5), ("max_iterations", 0),
        ("max_iterations", 10**12), ("test_every", 0), ("test_size", 0),
        ("forget_bias", math.inf), ("input_bias", -math.inf), ("output_bias", 1e30),
    ],
)  # fmt: skip
def test_values_without_sense_are_refused(name: str, value: Any) -> None:
    refused([name, "from", "to", repr(value)], **{name: value})


def test_a_target_without_sense_is_refused() -> None:
    words = ["target_test_mse", "from", "to", "-0.1"]
    refused(words, stop="mse", target_test_mse=-0.1)


@pytest.mark.parametrize("setting", RANGED, ids=str)
def test_ranges_hold_at_both_ends(setting: Setting) -> None:
    name, low, high = setting.name, setting.low, setting.high
    assert low is not None
    assert high is not None
    for good in (low, high):
        assert recipe("robust", **setting.needs, **{name: good}).settings()[name] == good
    step = 1 if name in INTEGERS else 1e-3 * max(abs(low), abs(high))
    for bad in (low - step, high + step):
        refused([name, repr(bad)], **setting.needs, **{name: bad})


@pytest.mark.parametrize("setting", RANGED, ids=str)
@pytest.mark.parametrize("bad", [math.nan, "8", None, True, [8], 2 + 0j])
def test_what_is_no_number_is_refused(setting: Setting, bad: Any) -> None:
    refused([setting.name, "number", repr(bad)], **setting.needs, **{setting.name: bad})


@pytest.mark.parametrize("setting", [s for s in RANGED if s.name in INTEGERS], ids=str)
def test_whole_numbers_are_asked_for_by_that_name(setting: Setting) -> None:
    name, needs = setting.name, setting.needs
    refused([name, "a whole number", "8.0"], **needs, **{name: 8.0})
    refused([name, "a whole number", "nan"], **needs, **{name: np.float64("nan")})
    fits = {"first_stop": 80, "ordered": 3, "min_symbols": 60, "max_symbols": 60}.get(name, 8)
    assert recipe("robust", **needs, **{name: np.int64(fits)}).settings()[name] == fits
    assert recipe("robust", **needs, **{name: np.uint8(fits)}).settings()[name] == fits


def test_every_setting_is_covered_here() -> None:
    choices = {name for names in CHOICES.values() for name in names}
    covered = {one.name for one in RANGED} | choices | SWITCHES | LENGTHS
    assert covered == {one.name for one in SETTINGS}
    assert {one.name for one in RANGED if one.kind is int} == INTEGERS
    assert {one.name for one in SETTINGS if one.kind is bool} == SWITCHES


def test_numpy_numbers_are_numbers() -> None:
    r = recipe("robust", learning_rate=np.float64(0.5), clip=np.float32(2), forget_bias=3)
    settings = r.settings()
    assert [settings[k] for k in ("learning_rate", "clip", "forget_bias")] == [0.5, 2, 3]
    assert recipe("robust", min_length=np.int64(300)).task.max_length == 330


CHOSEN = [(sort, name) for sort, names in CHOICES.items() for name in names]


@pytest.mark.parametrize(("sort", "name"), CHOSEN)
@pytest.mark.parametrize("bad", ["Strictly", 1, None, ["adam"]])
def test_unknown_choices_are_refused(sort: str, name: str, bad: Any) -> None:
    needs = next(one.needs for one in settings_of(sort) if one.name == name)
    refused([name, "one of", repr(bad)], **needs, **{name: bad})


@pytest.mark.parametrize("sort", PARTS)
@pytest.mark.parametrize("bad", ["xyzzy", 1, ["adam"]])
def test_unknown_parts_are_refused(sort: str, bad: Any) -> None:
    refused([f"unknown {sort} ", repr(bad), *PARTS[sort]], **{sort: bad})
    refused([f"unknown {sort} None"], **{sort: None})


@pytest.mark.parametrize("bad", [1, 0, None, "yes", 1.0])
def test_switches_are_true_or_false(bad: Any) -> None:
    refused(["forget_gate must be True or False", repr(bad)], forget_gate=bad)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"task": "product"}, ["task", "'product'", "adding"]),
        ({"rules": "papers"}, ["rules", "'papers'", "paper"]),
        ({"min_length": 10}, ["min_length", "10", "11"]),
        ({"min_length": 11, "rules": "catalog"}, ["min_length", "11", "12"]),
        ({"min_length": 0}, ["min_length", "0"]),
        ({"min_length": 100.0}, ["min_length", "whole number", "100.0"]),
        ({"min_length": True}, ["min_length", "whole number", "True"]),
        ({"min_length": "100"}, ["min_length", "whole number", "'100'"]),
        ({"min_length": None}, ["min_length", "whole number", "None"]),
        ({"min_length": 10**10}, ["min_length"]),
        ({"max_length": 99}, ["max_length", "99", "100"]),
        ({"max_length": 110.0}, ["max_length", "whole number", "110.0"]),
        ({"min_length": 50, "max_length": 49}, ["max_length", "49", "50"]),
    ],
)
def test_the_tasks_settings_are_checked_too(settings: dict[str, Any], words: list[str]) -> None:
    refused(words, **settings)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("hiden", "hidden"), ("learning-rate", "learning_rate"), ("batchsize", "batch_size"),
        ("min_lenght", "min_length"), ("tast", "task"), ("max_iters", "max_iterations"),
    ],
)  # fmt: skip
def test_the_nearest_setting_is_suggested(wrong: str, right: str) -> None:
    refused([f"unknown setting '{wrong}'", f"did you mean '{right}'?"], **{wrong: 1})


@pytest.mark.parametrize(
    ("wrong", "right"), [("robst", "robust"), ("catalogue", "catalog"), ("Robust", "robust")]
)
def test_the_nearest_recipe_is_suggested(wrong: str, right: str) -> None:
    with pytest.raises(ValueError, match=rf"unknown recipe '{wrong}'; did you mean '{right}'\?"):
        recipe(wrong)


def test_where_nothing_is_near_all_are_named() -> None:
    refused(["unknown setting 'xyzzy'", "hidden", "learning_rate"], xyzzy=1)
    with pytest.raises(ValueError, match="unknown recipe 'xyzzy'") as caught:
        recipe("xyzzy")
    assert all(name in str(caught.value) for name in RECIPES)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("bad", [-1, 2**63, 1.0, "0", None, True])
def test_bad_seeds_are_refused(bad: Any, name: str) -> None:
    with pytest.raises(ValueError, match=r"^seed must be .*0 to 2\*\*63 - 1, not") as caught:
        recipe(name).learner(bad)
    assert repr(bad) in str(caught.value)


@pytest.mark.parametrize("name", RECIPES)
def test_the_largest_seed_works(name: str) -> None:
    recipe(name).learner(2**63 - 1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": 3}, "name must be a word, not 3"),
        ({"task": "multiplication"}, "task must be a Task, not 'multiplication'"),
        ({"network": Strict()}, "network must be a Network, not Strict"),
        ({"rule": Strict()}, "rule must be a LearningRule, not Strict"),
        ({"stop": Minibatch()}, "stop must be a StoppingRule, not Minibatch"),
    ],
)
def test_parts_of_another_sort_are_refused(changes: dict[str, Any], says: str) -> None:
    r = recipe("robust")
    with pytest.raises(ValueError, match=f"^{says}"):
        Recipe(**{"name": "x", **r.parts, **changes})


# -- settings out and in -----------------------------------------------------------------------


@given(low=st.integers(11, 10**6))
def test_min_length_alone_implies_max_length(low: int) -> None:
    task = recipe("robust", min_length=low).task
    assert (task.min_length, task.max_length) == (low, low + low // 10)
    assert recipe("robust", min_length=low, max_length=low).task.max_length == low


def test_max_length_alone_leaves_min_length() -> None:
    task = MarkedPairs(rules="catalog", min_length=20, max_length=60)
    assert recipe("catalog", max_length=60).task == task


@pytest.mark.parametrize("name", NAMES)
def test_settings_undo_themselves(name: str) -> None:
    r = recipe(name)
    assert r == RECIPES[name]
    through_json = json.loads(json.dumps(r.settings()))
    assert recipe(name, **through_json) == r
    changed = recipe(
        name, min_length=57, max_length=58, hidden=3, clip=2.5, forget_gate=False, task="adding"
    )
    assert changed != r
    for start in RECIPES:
        rebuilt = recipe(start, **json.loads(json.dumps(changed.settings())))
        assert rebuilt.settings() == changed.settings()
    assert recipe(name) == r, "the registry is as it was"


def test_changing_one_setting_changes_no_other() -> None:
    before = recipe("catalog").settings()
    after = recipe("catalog", rules="paper", hidden=5).settings()
    assert {k for k in before if before[k] != after[k]} == {"rules", "hidden"}


@pytest.mark.parametrize(
    "value",
    [{"hidden": np.int64(4)}, {"learning_rate": np.float32(0.5)}, {"min_length": np.int64(50)}],
)
def test_settings_made_of_numpy_numbers_are_ready_for_json(value: dict[str, Any]) -> None:
    json.dumps(recipe("robust", **value).settings())


@pytest.mark.parametrize("low", [np.int8(100), np.int16(3000)])
def test_small_numpy_lengths_do_not_overflow(low: Any) -> None:
    assert recipe("robust", min_length=low).task.max_length == int(low) * 11 // 10


def test_recipes_are_frozen() -> None:
    r = recipe("robust")
    for thing, name in ((r, "task"), (r.task, "min_length"), (r.network, "words")):
        with pytest.raises(FrozenInstanceError):
            setattr(thing, name, 50)
    for part in r.parts.values():
        with pytest.raises(FrozenInstanceError):
            setattr(part, next(iter(part.settings())), 9)
    assert len({r, recipe("robust"), recipe("robust", hidden=9)}) == 2


# -- blocks and streams ------------------------------------------------------------------------


@given(
    test_every=st.integers(1, 3000),
    batch_size=st.integers(1, 2000),
    low=st.integers(11, 5000),
)
def test_a_block_divides_the_distance_of_tests(test_every: int, batch_size: int, low: int) -> None:
    r = recipe("robust", test_every=test_every, batch_size=batch_size, min_length=low)
    one, block = batch_size * r.task.max_length, r.learner(0).block
    assert 1 <= block <= test_every
    assert test_every % block == 0
    assert block == 1 or block * one <= 2**20
    larger = [d for d in range(block + 1, test_every + 1) if test_every % d == 0]
    assert all(d * one > 2**20 for d in larger), "the block is the largest that fits"


def test_the_published_order_has_blocks_of_one_iteration() -> None:
    assert recipe("catalog").learner(0).block == 1


def numbers(rng: np.random.Generator) -> tuple[float, ...]:
    return tuple(rng.random(4).tolist())


def streams(r: Recipe, seed: int) -> list[np.random.Generator]:
    """What a learner draws its training and its test sequences from."""
    state = r.learner(seed).state()
    found = [np.random.default_rng() for _ in range(2)]
    for stream, name in zip(found, ("training_stream", "test_stream"), strict=True):
        stream.bit_generator.state = json.loads(state[name])
    return found


def test_streams_are_independent_and_repeat() -> None:
    r = recipe("robust")
    drawn = [numbers(stream) for seed in range(50) for stream in streams(r, seed)]
    assert len(set(drawn)) == 100
    assert [numbers(s) for s in streams(r, 7)] == drawn[14:16]
    weights, *others = (np.random.default_rng(s) for s in np.random.SeedSequence(7).spawn(3))
    assert [numbers(s) for s in others] == drawn[14:16]
    np.testing.assert_array_equal(r.learner(7).weights, r.network.start(r.task, weights))
    assert numbers(weights) not in drawn


def test_the_catalogues_streams_are_the_published_ones() -> None:
    r = recipe("catalog")
    training, test = streams(r, 5)
    assert numbers(training) == numbers(np.random.default_rng(5))
    assert numbers(test) == numbers(np.random.default_rng(1_000_008))
    weights = r.network.start(r.task, np.random.default_rng(5))
    np.testing.assert_array_equal(r.learner(5).weights, weights)


# -- initial weights ---------------------------------------------------------------------------


def started(r: Recipe, rng: np.random.Generator) -> LSTM:
    """The network with its initial weights."""
    return r.network_of(r.network.start(r.task, rng))


def test_the_catalogues_weights_drawn_by_hand() -> None:
    net = started(recipe("catalog"), np.random.default_rng(4))
    rng = np.random.default_rng(4)
    a, b = math.sqrt(1 / 2), math.sqrt(1 / 8)
    p = net.parameters
    np.testing.assert_array_equal(p.Wx, rng.uniform(-a, a, (2, 32)).astype(np.float32))
    np.testing.assert_array_equal(p.Wh, rng.uniform(-b, b, (8, 32)).astype(np.float32))
    np.testing.assert_array_equal(p.Wy, rng.uniform(-b, b, (8, 1)).astype(np.float32))
    np.testing.assert_array_equal(p.b, np.repeat([0, 1, 0, 0], 8))
    assert p.by == 0
    assert (net.output, net.forget_gate, flatten(p).dtype) == ("sigmoid", True, np.float32)


def test_constant_biases_go_to_their_gates() -> None:
    r = recipe(
        "catalog", input_bias=-4.0, forget_bias=3.0, output_bias=0.5, output="linear",
        forget_gate=False, hidden=3,
    )  # fmt: skip
    net = started(r, np.random.default_rng(0))
    np.testing.assert_array_equal(net.parameters.b, np.repeat([-4, 3, 0, 0], 3))
    assert net.parameters.by == 0.5
    assert (net.output, net.forget_gate) == ("linear", False)


@pytest.mark.parametrize("T", [11, 100, 10_000])
def test_lag_biases_close_the_gates_over_the_longest_sequence(T: int) -> None:
    r = recipe("robust", min_length=T, max_length=T, hidden=2)
    b = started(r, np.random.default_rng(0)).parameters.b
    expected = np.repeat([-4 - math.log(T), 2 + math.log(T), 0, 0], 2)
    np.testing.assert_allclose(b, expected, rtol=1e-6)


@pytest.mark.parametrize("T", [11, 100, 10_000])
def test_chrono_biases_follow_the_lag(T: int) -> None:
    r = recipe(
        "robust",
        gate_biases="chrono",
        min_length=T,
        max_length=T,
        hidden=128,
        input_bias=0.0,
        forget_bias=0.0,
    )
    rng = np.random.default_rng(1)
    biases = np.array([started(r, rng).parameters.b for _ in range(40)], dtype=float)
    inputs, forget, outputs, candidate = np.split(biases, 4, axis=1)
    np.testing.assert_array_equal(inputs, -forget)
    assert not outputs.any()
    assert not candidate.any()
    # exp(b_f) is uniform from 1 to T - 1.
    ordered = np.sort((np.exp(forget).ravel() - 1) / (T - 2))
    assert ordered[0] >= -1e-6
    assert ordered[-1] <= 1 + 1e-6
    n = len(ordered)
    assert np.max(np.abs(ordered - (np.arange(n) + 0.5) / n)) < 1.95 / math.sqrt(n)


def test_min_length_moves_the_chrono_biases() -> None:
    largest = [
        started(
            recipe("robust", gate_biases="chrono", min_length=T), np.random.default_rng(0)
        ).parameters.b.max()
        for T in (30, 100, 1000)
    ]
    assert largest[0] < largest[1] < largest[2]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", ["adding", "temporal-order"])
def test_weights_stay_within_their_bounds(name: str, task: str) -> None:
    r = recipe(name, hidden=64, task=task)
    p = started(r, np.random.default_rng(2)).parameters
    inputs = math.sqrt(1 / r.task.inputs)
    for array, bound in ((p.Wx, inputs), (p.Wh, 1 / 8), (p.Wy, 1 / 8)):
        assert 0.9 * bound < np.abs(array).max() <= np.float32(bound)
        assert abs(array.mean()) < 4 * bound / math.sqrt(3 * array.size)


# -- on-line recipes ---------------------------------------------------------------------------


def test_paper_is_experiment_5() -> None:
    r = recipe("paper")
    expected: dict[str, Any] = {
        "task": "multiplication", "rules": "paper", "min_length": 100, "max_length": 110,
        "first_mark": "hidden", "network": "lstm1997", "blocks": 2, "block_size": 2,
        "input_gate_bias": 0, "rule": "online", "learning_rate": 0.1, "error": "squared",
        "gradient": "truncated", "reads": "previous", "output": "sigmoid", "stop": "recent",
        "window": 2000, "first_stop": 140, "last_stop": 13, "tolerance": 0.04, "check_every": 1,
        "max_sequences": 3_000_000, "test_size": 2560,
    }  # fmt: skip
    assert {name: r.settings()[name] for name in expected} == expected
    assert r.learner(3).window.stops == (140, 13)
    weights = r.learner(3).weights
    assert (len(weights), weights.dtype) == (93, np.float32)
    assert 0.08 < np.abs(weights).max() <= 0.1


def test_paper_adding_is_experiment_4() -> None:
    r = recipe("paper-adding")
    expected: dict[str, Any] = {
        "task": "adding", "min_length": 100, "max_length": 110, "learning_rate": 0.5,
        "first_stop": 0, "last_stop": 1, "mean_error": 0.01, "max_sequences": 3_000_000,
    }  # fmt: skip
    assert {name: r.settings()[name] for name in expected} == expected
    assert r.learner(0).window.stops == (1,)
    W = r.network_of(r.learner(0).weights).weights.W
    np.testing.assert_array_equal(W[4:6, -1], [-3, -6])
    W[4:6, -1] = 0
    assert np.abs(W).max() <= 0.1


def test_the_halved_error_is_half_the_rate() -> None:
    assert OnLine(error="halved").rate == OnLine().rate / 2 == 0.05


@pytest.mark.parametrize("name", ONLINE)
def test_settings_of_online_recipes_undo_themselves(name: str) -> None:
    changed = recipe(name, max_sequences=57, test_size=8, learning_rate=0.3, gradient="full")
    assert isinstance(changed.rule, OnLine)
    assert recipe(name, **json.loads(json.dumps(changed.settings()))) == changed
    assert recipe(name) == RECIPES[name]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"blocks": 0}, "blocks must be a whole number from 1 to 8, not 0"),
        ({"block_size": 8, "blocks": 4}, "at most 32, not 4 times 10"),
        ({"error": "cubed"}, "error must be one of squared, halved, not 'cubed'"),
        ({"first_stop": 13}, r"first_stop must be 0 or above last_stop \(13\), not 13"),
        ({"check_every": 0}, "check_every must be a whole number from 1"),
        ({"first_mark": "seen"}, "first_mark must be one of hidden, shown, not 'seen'"),
        (
            {"hidden": 3},
            "paper has no setting 'hidden': it is a setting of network lstm and network gru",
        ),
        (
            {"test_every": 3},
            "paper has no setting 'test_every': it is a setting of stop strict and stop mse",
        ),
        ({"blocs": 3}, "unknown setting 'blocs'; did you mean 'blocks'?"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number"),
    ],
)
def test_bad_settings_of_online_recipes_are_refused(settings: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        recipe("paper", **settings)


@given(length=st.integers(11, 200_000))
def test_a_block_of_online_data_is_bounded(length: int) -> None:
    r = recipe("paper", min_length=length)
    block = r.learner(0).block
    assert 1 <= block <= 1024
    assert block == 1 or block * r.task.max_length <= 2**17


def test_blocks_of_online_data_are_apart() -> None:
    r = recipe("paper")
    block = r.learner(0).block
    tests = r.task.sample(5, r.learner(0).test_stream(0))
    drawn = [r.learner(seed).draw(at, 1) for seed, at in ((0, 0), (0, block), (1, 0))]
    again = r.learner(0).draw(block, 1)
    np.testing.assert_array_equal(again.inputs, drawn[1].inputs)
    firsts = {float(batch.inputs[0, 0, 0]) for batch in [*drawn, tests]}
    assert len(firsts) == 4


@given(at=st.integers(0, 2000), most=st.integers(1, 400))
def test_a_piece_of_online_data_is_part_of_its_block(at: int, most: int) -> None:
    """Whatever was drawn before, and however it is divided."""
    r = recipe("paper", min_length=20, max_sequences=2001)
    block = r.learner(0).block
    piece = r.learner(3).draw(at, most)
    number, start = divmod(at, block)
    n = min(most, block - start, 2001 - at)
    stream = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(1, number)))
    whole = r.task.sample(block, stream)
    for got, wanted in zip(piece, whole, strict=True):
        np.testing.assert_array_equal(got, wanted[start : start + n])
    learner = r.learner(3)
    learner.draw(0, 7)
    learner.draw_ahead(at)
    np.testing.assert_array_equal(learner.draw(at, most).inputs, piece.inputs)
