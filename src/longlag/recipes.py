"""Recipes: every setting of a training, as frozen values in one registry.

A recipe and a seed determine a run. `recipe(name, **settings)` takes a registered recipe and
changes some of its settings; `Recipe.settings()` gives them all as one flat dict, under the names
that the command line uses for its flags.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np

from longlag.networks.lstm import LSTM, Output, Parameters, flatten, unflatten
from longlag.tasks import MarkedPairs

DrawOrder = Literal["blocks", "published"]
GateBiases = Literal["chrono", "constant"]
Optimizer = Literal["adam", "sgd"]
Stop = Literal["strict", "mse"]
Scalar = str | int | float | bool

TEST_SEED_OFFSET = 1_000_003  # the catalogue's second stream of test data
BLOCK_VALUES = 2**18  # at most so many values are drawn in one block of training data


class Streams(NamedTuple):
    """Independent sources of random numbers of one trial."""

    weights: np.random.Generator
    training: np.random.Generator
    test: np.random.Generator


def setting(default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    """A dataclass field with its meaning and its allowed range, both ends included."""
    return field(default=default, metadata={"help": text, "low": low, "high": high})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a mini-batch training; validated on construction.

    Raises:
        ValueError: a setting out of its range; the message names it, its value and the range.
    """

    name: str
    task: MarkedPairs
    draw_order: DrawOrder = setting("blocks", "training data: whole blocks, or the published order")
    hidden: int = setting(8, "memory cells", 1, 128)
    forget_gate: bool = setting(True, "learn the forget gate, or fix it at 1")
    output: Output = setting("linear", "the answer: linear, or its sigmoid")
    gate_biases: GateBiases = setting(
        "chrono", "initial biases: drawn to match lags up to T (chrono), or constant"
    )
    forget_bias: float = setting(1.0, "initial forget-gate bias where constant", -1e3, 1e3)
    input_bias: float = setting(0.0, "initial input-gate bias where constant", -1e3, 1e3)
    output_bias: float = setting(0.25, "initial bias of the answer", -1e3, 1e3)
    batch_size: int = setting(16, "sequences in a batch", 1, 65536)
    optimizer: Optimizer = setting("adam", "adam, or sgd (plain gradient descent)")
    learning_rate: float = setting(0.01, "step size of the optimiser", 0, 1e3)
    beta1: float = setting(0.9, "decay of Adam's first moment", 0, 0.999999)
    beta2: float = setting(0.999, "decay of Adam's second moment", 0, 0.999999)
    epsilon: float = setting(1e-8, "Adam's epsilon", 1e-30, 1)
    clip: float = setting(1.0, "limit on the gradient's global norm", 1e-30, 1e30)
    average_decay: float = setting(0.0, "decay of the moving average of the weights", 0, 0.999999)
    max_iterations: int = setting(50_000, "batches at most", 1, 10**9)
    stop: Stop = setting("strict", "rule: strict on two successive test sets, or test MSE")
    target_test_mse: float = setting(0.030, "stop below this test MSE (stop = mse)", 0, 1e30)
    test_every: int = setting(50, "iterations between tests", 1, 10**9)
    test_size: int = setting(2560, "sequences in a test set", 1, 10**7)

    def __post_init__(self) -> None:
        hints = get_type_hints(Recipe)
        for f in fields(self):
            if f.name not in ("name", "task"):
                _check(f.name, getattr(self, f.name), hints[f.name], f.metadata)

    # -- settings as one flat dict ------------------------------------------------------------

    def settings(self) -> dict[str, Scalar]:
        """Every setting by the name of its flag; `recipe(name, **settings)` undoes it."""
        flat: dict[str, Scalar] = {
            "task": self.task.kind,
            "rules": self.task.rules,
            "min_length": self.task.min_length,
            "max_length": self.task.max_length,
        }
        own = (f.name for f in fields(self) if f.name not in ("name", "task"))
        return flat | {name: getattr(self, name) for name in own}

    def with_settings(self, settings: Mapping[str, Any]) -> Recipe:
        """A copy with some settings changed; min_length alone implies max_length = 1.1 T.

        Raises:
            ValueError: an unknown setting (the nearest is suggested) or a value out of range.
        """
        known = self.settings()
        for name in settings:
            if name not in known:
                raise ValueError(f"unknown setting {name!r}{_nearest(name, known)}")
        settings = dict(settings)
        if "min_length" in settings and "max_length" not in settings:
            _check("min_length", settings["min_length"], int, {"low": 1, "high": 10**9})
            settings["max_length"] = settings["min_length"] * 11 // 10
        task_names = {"task": "kind", "rules": "rules"} | {
            name: name for name in ("min_length", "max_length")
        }
        of_task = {task_names[k]: v for k, v in settings.items() if k in task_names}
        own = {k: v for k, v in settings.items() if k not in task_names}
        return replace(self, task=replace(self.task, **of_task), **own)

    # -- what a recipe and a seed determine ---------------------------------------------------

    @property
    def evaluation_task(self) -> MarkedPairs:
        """The task on which a run is tested: the catalogue holds T at its longest."""
        if self.task.rules == "catalog":
            return self.task.at_length(self.task.max_length)
        return self.task

    @property
    def block(self) -> int:
        """Iterations whose data are drawn in one block; a divisor of `test_every`."""
        if self.draw_order == "published":
            return 1
        most = max(1, BLOCK_VALUES // (self.batch_size * self.task.max_length))
        return max(d for d in range(1, min(most, self.test_every) + 1) if self.test_every % d == 0)

    def streams(self, seed: int) -> Streams:
        """The random streams of trial `seed`, independent of every other trial's."""
        check_seed(seed)
        if self.draw_order == "published":
            seeds = (seed, seed, seed + TEST_SEED_OFFSET)
            return Streams(*(np.random.default_rng(s) for s in seeds))
        spawned = np.random.SeedSequence(seed).spawn(3)
        return Streams(*(np.random.default_rng(s) for s in spawned))

    def network(self, rng: np.random.Generator) -> LSTM:
        """A network with its initial weights, float32.

        Weights are uniform in ± sqrt(1/2) (inputs) and ± sqrt(1/H) (recurrent, output). Chrono
        biases (Tallec & Ollivier 2018, section 3): b_f = log U(1, T - 1), b_i = -b_f, with T the
        longest sequence.
        """
        H = self.hidden
        from_inputs, from_cells = np.sqrt(1 / 2), np.sqrt(1 / H)
        Wx = rng.uniform(-from_inputs, from_inputs, (2, 4 * H))
        Wh = rng.uniform(-from_cells, from_cells, (H, 4 * H))
        Wy = rng.uniform(-from_cells, from_cells, (H, 1))
        b = np.zeros(4 * H)
        if self.gate_biases == "chrono":
            forget = np.log(rng.uniform(1, self.task.max_length - 1, H))
            b[:H], b[H : 2 * H] = -forget, forget
        else:
            b[:H], b[H : 2 * H] = self.input_bias, self.forget_bias
        vector = flatten(Parameters(Wx, Wh, b, Wy, np.array([self.output_bias])))
        # Rounded at once: float64 logarithms differ in the last bit between processors.
        return LSTM(unflatten(vector.astype(np.float32), H), self.output, self.forget_gate)


def check_seed(seed: int) -> None:
    """Refuses a seed outside 0 .. 2**63 - 1."""
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be a whole number from 0 to 2**63 - 1, not {seed!r}")


def _check(name: str, value: Any, kind: Any, limits: Mapping[str, Any]) -> None:
    """Refuses a value of the wrong type or out of range."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            allowed = ", ".join(get_args(kind))
            raise ValueError(f"{name} must be one of {allowed}, not {value!r}")
        return
    if kind is bool:
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, not {value!r}")
        return
    number = (int, np.integer) if kind is int else (int, float, np.integer, np.floating)
    low, high = limits["low"], limits["high"]
    if not isinstance(value, number) or isinstance(value, bool) or not low <= value <= high:
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name} must be {what} from {low:g} to {high:g}, not {value!r}")


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    """A hint for a misspelt name."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


RECIPES: dict[str, Recipe] = {
    r.name: r
    for r in (
        # The described system, to the digit.
        Recipe(
            name="catalog",
            task=MarkedPairs(rules="catalog", min_length=20, max_length=30),
            draw_order="published",
            output="sigmoid",
            gate_biases="constant",
            output_bias=0.0,
            batch_size=32,
            learning_rate=5e-3,
            max_iterations=6000,
            stop="mse",
            test_every=500,
            test_size=512,
        ),
        # The paper's task rules at T = 100, and the settings that solve it from fewest sequences.
        Recipe(name="robust", task=MarkedPairs(min_length=100, max_length=110)),
    )
}


def recipe(name: str, **settings: Any) -> Recipe:
    """The registered recipe `name`, with some settings changed.

    >>> recipe("robust", min_length=300).task.max_length
    330

    Raises:
        ValueError: an unknown recipe or setting (the nearest is suggested), or a value out of
            range.
    """
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r}{_nearest(name, RECIPES)}")
    return RECIPES[name].with_settings(settings)
