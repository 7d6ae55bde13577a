"""Parts of a recipe and their registries: a user's own, exchanges, and what does not fit."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import longlag
import toys
from longlag import files
from longlag.learning.recipe import PARTS, RECIPES, Recipe, recipe
from longlag.learning.rules import Minibatch, OnLine
from longlag.learning.stopping import Below, Recent, Strict
from longlag.networks.gru import GatedRecurrentUnit
from longlag.networks.lstm import ForgetGateLSTM
from longlag.networks.network import Network
from longlag.networks.registry import NETWORKS
from longlag.runs import directory as runs
from longlag.settings import Part, Registry, setting
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.registry import TASKS, task
from longlag.tasks.temporal_order import TemporalOrder


@dataclass(frozen=True, kw_only=True)
class Tool(Part):
    """A part with a setting of every kind."""

    size: int = setting(3, "a count", 1, 9)
    rate: float = setting(0.5, "a share", 0, 1)
    sharp: bool = setting(True, "whether")
    colour: Literal["red", "blue"] = setting("red", "one of two")
    label: str = "no setting"

    @property
    def name(self) -> str:
        return "tool"


@dataclass(frozen=True, kw_only=True)
class Hammer(Tool):
    """One more."""

    @property
    def name(self) -> str:
        return "hammer"


@dataclass(frozen=True, kw_only=True)
class FalseHammer(Tool):
    """Another of the same name."""

    @property
    def name(self) -> str:
        return "hammer"


class Nail:
    """No part at all."""


@dataclass(frozen=True, kw_only=True)
class Needy(Tool):
    """It cannot be made without an argument."""

    must: int


def tools() -> Registry[Tool]:
    return Registry("tool", Tool, Tool(), Hammer(size=4))


# -- settings -----------------------------------------------------------------------------------


def test_settings_are_the_fields_that_say_what_they_are() -> None:
    assert Tool(label="x").settings() == {"size": 3, "rate": 0.5, "sharp": True, "colour": "red"}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("size", 0, "size must be a whole number from 1 to 9, not 0"),
        ("size", 2.0, "size must be a whole number from 1 to 9, not 2.0"),
        ("size", True, "size must be a whole number from 1 to 9, not True"),
        ("rate", -0.1, "rate must be a number from 0 to 1, not -0.1"),
        ("rate", "1", "rate must be a number from 0 to 1, not '1'"),
        ("rate", float("nan"), "rate must be a number from 0 to 1, not nan"),
        ("sharp", 1, "sharp must be True or False, not 1"),
        ("colour", "green", "colour must be one of red, blue, not 'green'"),
        ("colour", None, "colour must be one of red, blue, not None"),
    ],
)
def test_a_wrong_type_or_range_is_refused_however_it_comes(
    name: str, value: Any, says: str
) -> None:
    for make in (lambda: Tool(**{name: value}), lambda: Tool().with_settings({name: value})):
        with pytest.raises(ValueError, match=f"^{says}$"):
            make()


def test_settings_become_plain_values_of_python() -> None:
    tool = Tool(size=np.int8(5), rate=np.float32(0.25), sharp=np.bool_(False))  # type: ignore
    assert json.loads(json.dumps(tool.settings())) == tool.settings()
    assert [type(v) for v in tool.settings().values()] == [int, float, bool, str]
    assert isinstance(Tool(rate=1).rate, float)


def test_a_copy_with_some_settings_changed() -> None:
    tool = Tool(label="kept")
    assert tool.with_settings({"size": 9}) == Tool(size=9, label="kept")
    assert tool == Tool(label="kept")
    with pytest.raises(ValueError, match=r"^tool has no setting 'sise'; did you mean 'size'"):
        tool.with_settings({"sise": 9})
    with pytest.raises(ValueError, match=r"^tool has no setting 'label'; known are size, rate"):
        tool.with_settings({"label": "x"})


# -- registries ---------------------------------------------------------------------------------


def test_parts_are_found_by_their_names() -> None:
    registry = tools()
    assert (list(registry), len(registry), registry.ready()) == (["tool", "hammer"], 2, [*registry])
    assert registry["hammer"] == Hammer(size=4), "with its settings as the defaults"
    assert "hammer" in registry
    assert "saw" not in registry


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hamer", r"^unknown tool 'hamer'; did you mean 'hammer'\?$"),
        ("ham", r"^unknown tool 'ham'; did you mean 'hammer'\?$"),
        ("xyzzy", "^unknown tool 'xyzzy'; known are tool, hammer$"),
        ("", "^unknown tool ''; known are tool, hammer$"),
        (None, "^unknown tool None"),
        (["tool"], "^unknown tool"),
        (3, "^unknown tool 3; known are tool, hammer$"),
    ],
)
def test_an_unknown_name_is_refused_and_the_nearest_suggested(name: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        tools()[name]


def test_a_part_registered_again_has_new_defaults() -> None:
    registry = tools()
    assert registry.register(Tool(size=9)) == registry["tool"] == Tool(size=9)
    assert len(registry) == 2


def test_a_name_of_another_kind_is_refused() -> None:
    registry = tools()
    with pytest.raises(ValueError, match=r"^there is another tool of the name 'hammer'$"):
        registry.register(FalseHammer())
    assert registry["hammer"] == Hammer(size=4)
    registry.later("saw", "tools:Saw")
    assert "saw" in registry
    assert "saw" not in registry.ready()


@pytest.mark.parametrize("bad", [Nail(), Tool, "tool", None, MarkedPairs()])
def test_something_else_than_such_a_part_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^a tool must be a Tool, not "):
        tools().register(bad)


def test_a_part_by_its_module_and_class() -> None:
    registry = tools()
    where = f"{__name__}:{Hammer.__name__}"
    assert registry[where] == Hammer(), "with its own defaults"
    assert where not in registry
    assert registry.kind(Hammer()) == "hammer"
    assert registry.kind(FalseHammer()) == f"{__name__}:FalseHammer"
    registry.later("late", where)
    assert registry["late"] == Hammer()


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("no.such.module:Class", "tool 'no.such.module:Class' cannot be loaded: No module named"),
        ("toys:Nothing", "tool 'toys:Nothing' cannot be loaded: .* has no attribute 'Nothing'"),
        ("toys:", "tool 'toys:' cannot be loaded"),
        (":Class", "tool ':Class' cannot be loaded: ValueError: Empty module name"),
        ("toys:Echo", "toys:Echo must be a Tool, not Echo"),
        (f"{__name__}:Nail", f"{__name__}:Nail must be a Tool, not Nail"),
        (f"{__name__}:Needy", f"tool '{__name__}:Needy' cannot be loaded: .*'must'"),
        (f"{__name__}:np", f"{__name__}:np must be a Tool, not module"),
    ],
)
def test_a_class_that_cannot_be_had_is_refused(where: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        tools()[where]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("x = 1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", r"SyntaxError: invalid syntax \(broken_part\.py, line 1\)"),
        ("raise ValueError('no luck')", "ValueError: no luck"),
    ],
)
def test_a_module_that_raises_is_refused_in_a_sentence(
    content: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_part.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=f"^tool 'broken_part:X' cannot be loaded: {says}$"):
        tools()["broken_part:X"]


def test_a_registry_is_a_mapping() -> None:
    assert longlag.TASKS.get("adding") == longlag.TASKS["adding"]
    assert longlag.TASKS.get("nothing") is None
    assert longlag.TASKS.get("nothing", 1) == 1


def test_a_name_in_a_file_imports_nothing_that_is_not_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = tools()
    assert registry.from_file("tool") == Tool()
    assert registry.from_file(f"{__name__}:Hammer") == Hammer(), "its module was imported"
    monkeypatch.delitem(sys.modules, "toys")
    with (
        pytest.raises(ValueError, match=r"^run\.npz cannot be read: its tool is toys:.*=toys "),
        files.damage_named(Path("run.npz")),
    ):
        registry.from_file("toys:Echo")
    assert "toys" not in sys.modules
    monkeypatch.setenv("LONGLAG_PARTS", "other,toys")
    with pytest.raises(ValueError, match=r"must be a Tool"):
        registry.from_file("toys:Echo")
    assert "toys" in sys.modules


# -- parts of recipes ---------------------------------------------------------------------------


@pytest.mark.parametrize("sort", PARTS)
def test_registered_parts_have_the_names_that_they_are_found_by(sort: str) -> None:
    for name in PARTS[sort].ready():
        part = PARTS[sort][name]
        assert (part.name, PARTS[sort].kind(part)) == (name, name)
        assert hash(part) == hash(part.with_settings({}))


def test_another_network_keeps_the_settings_that_both_have() -> None:
    before = recipe("robust", hidden=5, output="sigmoid", output_bias=0.75, min_length=50)
    after = before.with_settings({"network": "gru"})
    assert after.network == GatedRecurrentUnit(hidden=5, output="sigmoid", output_bias=0.75)
    assert (after.task, after.rule, after.stop) == (before.task, before.rule, before.stop)
    assert recipe("robust", network="gru").network == GatedRecurrentUnit(hidden=8)
    assert after.with_settings({"network": "lstm"}).network == ForgetGateLSTM(
        hidden=5, output="sigmoid", output_bias=0.75
    )


def test_the_same_network_by_name_keeps_all_settings() -> None:
    before = recipe("robust", hidden=5, forget_bias=1.5)
    assert before.with_settings({"network": "lstm", "task": "multiplication"}) == before


def test_another_task_keeps_the_lengths_and_the_rules_that_both_have() -> None:
    pairs = recipe("catalog", min_length=30, max_length=40)
    assert pairs.with_settings({"task": "adding"}).task == MarkedPairs(
        "adding", "catalog", min_length=30, max_length=40
    )
    order = pairs.with_settings({"task": "temporal-order"})
    assert order.task == TemporalOrder(min_length=30, max_length=40)
    assert order.with_settings({"min_length": 50}).task.max_length == 55


def test_a_setting_that_is_given_counts_and_not_the_one_that_would_be_kept() -> None:
    """What is kept may be out of the other kind's range, or imply what is not asked for."""
    wide = recipe("robust", network="gru", hidden=1000)
    with pytest.raises(ValueError, match=r"^hidden must be a whole number from 1 to 128, not 1000"):
        wide.with_settings({"network": "lstm"})
    assert wide.with_settings({"network": "lstm", "hidden": 9}).network == ForgetGateLSTM(hidden=9)
    short = recipe("robust", task="temporal-order", min_length=10)
    with pytest.raises(ValueError, match=r"^min_length must be at least 11 steps"):
        short.with_settings({"task": "adding"})
    for given, longest in (({"min_length": 40}, 44), ({"min_length": 40, "max_length": 41}, 41)):
        changed = short.with_settings({"task": "adding", **given}).task
        assert changed == MarkedPairs("adding", min_length=40, max_length=longest)


def test_several_parts_are_exchanged_at_once() -> None:
    r = recipe(
        "robust", task="temporal-order", network="lstm1997", rule="online", stop="recent",
        learning_rate=0.5, window=50, blocks=3, min_length=40,
    )  # fmt: skip
    assert [part.name for part in r.parts.values()] == [
        "temporal-order", "lstm1997", "online", "recent",
    ]  # fmt: skip
    assert (r.rule, r.stop) == (OnLine(learning_rate=0.5), Recent(window=50))
    assert recipe("robust", rule="online").rule == OnLine(learning_rate=0.025), "it has that, too"


@pytest.mark.parametrize("name", [n for n, r in RECIPES.items() if isinstance(r.rule, Minibatch)])
def test_stop_recent_needs_rule_online(name: str) -> None:
    says = "^stop recent is for sequences .* it needs rule online, not minibatch$"
    with pytest.raises(ValueError, match=says):
        recipe(name, stop="recent")
    with pytest.raises(ValueError, match=says):
        recipe("paper", rule="minibatch")
    assert recipe(name, stop="recent", rule="online").stop == Recent(
        test_size=recipe(name).stop.test_size
    )


def test_settings_that_belong_to_other_parts_are_told_so() -> None:
    for given, says in (
        ({"network": "gru", "forget_bias": 1.0}, "'forget_bias': it is a setting of network lstm"),
        ({"blocks": 3}, "'blocks': it is a setting of network lstm1997"),
        ({"window": 3}, "'window': it is a setting of stop recent"),
        ({"task": "temporal-order", "rules": "paper"}, "'rules': it is a setting of task mult"),
    ):
        with pytest.raises(ValueError, match=f"^recipe robust has no setting {says}"):
            recipe("robust", **given)


def test_two_parts_with_a_setting_of_one_name_are_refused() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Clashing(GatedRecurrentUnit):
        batch_size: int = setting(3, "a name that the rule has", 1, 9)

    with pytest.raises(ValueError, match=r"^two parts have a setting of the name 'batch_size'$"):
        Recipe(name="x", **{**recipe("robust").parts, "network": Clashing()})


def test_a_network_may_refuse_a_task() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Choosy(GatedRecurrentUnit):
        def check(self, task: Any) -> None:
            if task.symbols:
                raise ValueError("network choosy takes no symbols")

    parts = {**recipe("robust").parts, "network": Choosy()}
    assert Recipe(name="x", **parts).network == Choosy()
    with pytest.raises(ValueError, match=r"^network choosy takes no symbols$"):
        Recipe(name="x", **{**parts, "task": TemporalOrder()})


# -- a user's own -------------------------------------------------------------------------------

TINY = {"min_length": 12, "batch_size": 2, "max_iterations": 3, "test_every": 2, "test_size": 5}


@dataclass(frozen=True, kw_only=True)
class Forgetful(ForgetGateLSTM):
    """A network of the user's: one whose weights start small."""

    scale: float = setting(0.1, "share of the usual size", 0, 1)

    @property
    def name(self) -> str:
        return "forgetful"

    def start(self, task: Any, rng: np.random.Generator) -> np.ndarray:
        return (self.scale * super().start(task, rng)).astype(np.float32)


@pytest.fixture
def registered() -> Any:
    """The registry of networks with the user's own, for one test."""
    made = NETWORKS.register(Forgetful(hidden=3))
    yield made
    del NETWORKS._parts["forgetful"]


def test_a_registered_network_is_a_recipes_as_any_other(registered: Network) -> None:
    r = recipe("robust", network="forgetful", scale=0.5, hidden=2, **TINY)
    assert r.network == Forgetful(hidden=2, scale=0.5)
    assert r.settings()["network"] == "forgetful"
    assert Recipe.of(r.name, json.loads(json.dumps(r.settings()))) == r
    run = longlag.train(r, engine="numpy")
    assert (run.iterations, run.score.n) == (3, 5)
    usual = recipe("robust", hidden=2, **TINY)
    np.testing.assert_allclose(run.snapshots[0], 0.5 * usual.learner(0).weights, rtol=1e-6)
    with pytest.raises(ValueError, match=r"unknown network 'forgetfull'; did you mean 'forgetful'"):
        recipe("robust", network="forgetfull")
    with pytest.raises(ValueError, match=r"^scale must be a number from 0 to 1, not 2$"):
        recipe("robust", network="forgetful", scale=2)


@pytest.mark.parametrize(
    ("sort", "kind"), [("task", toys.Echo), ("network", Forgetful)], ids=lambda x: str(x)
)
def test_a_users_class_by_its_module(sort: str, kind: Any) -> None:
    where = f"{kind.__module__}:{kind.__name__}"
    r = recipe("robust", **{sort: where, **TINY})
    assert type(r.parts[sort]) is kind
    assert r.settings()[sort] == where
    assert Recipe.of("robust", json.loads(json.dumps(r.settings()))) == r
    assert recipe("catalog", **r.settings()).settings() == r.settings()
    assert longlag.train(r, engine="numpy").iterations == 3


def test_a_users_task_by_its_module() -> None:
    assert task("toys:Echo", min_length=30) == toys.Echo(min_length=30, max_length=33)
    with pytest.raises(ValueError, match=r"^task 'toys:Ecko' cannot be loaded"):
        task("toys:Ecko")


@pytest.mark.parametrize(
    ("sort", "where", "says"),
    [
        ("task", "longlag.networks.gru:GatedRecurrentUnit", "must be a Task, not Gated"),
        ("network", "toys:Echo", r"'toys:Echo' cannot be loaded: it must be a network, .*Echo"),
        ("rule", "longlag.learning.stopping:Strict", "must be a LearningRule, not Strict"),
        ("stop", "longlag.learning.rules:Minibatch", "must be a StoppingRule, not Minibatch"),
    ],
)
def test_a_users_class_of_another_sort_is_refused(sort: str, where: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        recipe("robust", **{sort: where})


def test_settings_of_a_file_that_lack_something_are_refused() -> None:
    whole = recipe("robust").settings()
    for name in ("hidden", "test_every"):
        short = {k: v for k, v in whole.items() if k != name}
        with pytest.raises(ValueError, match=f"its settings lack {name}"):
            Recipe.of("robust", short)
    with pytest.raises(ValueError, match="its settings lack network"):
        Recipe.of("robust", {k: v for k, v in whole.items() if k != "network"})
    with pytest.raises(ValueError, match=r"unknown setting 'hiden'; did you mean 'hidden'"):
        Recipe.of("robust", {**whole, "hiden": 3})
    with pytest.raises(ValueError, match=r"hidden must be a whole number"):
        Recipe.of("robust", {**whole, "hidden": 0})


def test_a_stop_below_a_target_keeps_the_tests_of_the_strict_rule() -> None:
    r = recipe("robust", test_every=7, stop="mse", target_test_mse=0.5)
    assert r.stop == Below(test_every=7, test_size=2560, target_test_mse=0.5)
    assert r.with_settings({"stop": "strict"}).stop == Strict(test_every=7)


def test_torch_is_imported_only_where_a_network_of_it_is_asked_for() -> None:
    code = (
        "import sys; from longlag.learning.recipe import recipe; import longlag\n"
        "recipe('robust', network='gru'); assert 'torch' not in sys.modules\n"
        "assert 'torch-gru' in longlag.learning.recipe.NETWORKS\n"
        "sys.modules['torch'] = None\n"
        "try:\n    recipe('robust', network='torch-gru')\n"
        "except ValueError as error:\n    print(error)\n"
    )
    words = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == (
        "network 'longlag.networks.cells.gru:TorchGRU' cannot be loaded: "
        "longlag.torch needs PyTorch: pip install 'longlag[torch]'\n"
    )


def test_a_run_whose_network_cannot_be_imported_here_is_not_damaged(tmp_path: Path) -> None:
    run = longlag.train(recipe("robust", max_iterations=1, test_every=1, test_size=10), 0)
    runs.save(run, tmp_path)
    history = tmp_path / "history.json"
    content = json.loads(history.read_text())
    content["config"] |= {"network": "torch-gru"}
    history.write_text(json.dumps(content))
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from longlag import cli\n"
        f"sys.exit(cli.main(['evaluate', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'longlag[torch]'" in done.stderr
    assert "damaged" not in done.stderr


def test_without_jax_a_sentence_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "import longlag, types\n"
        "sys.modules['mine'] = types.SimpleNamespace(PAIR=(print, print))\n"
        "try:\n    longlag.recipe('robust', network='mine:PAIR')\n"
        "except ValueError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    says = "cells in JAX need JAX: pip install 'longlag[jax]'"
    assert done.stdout == f"network 'mine:PAIR' cannot be loaded: {says}\n"


def test_a_users_task_is_no_registered_one() -> None:
    assert "toys:Echo" not in TASKS
    assert TASKS.kind(toys.Echo()) == "toys:Echo"
