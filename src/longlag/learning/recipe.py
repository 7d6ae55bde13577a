"""Recipes: every setting of a training, as frozen values in one registry.

A recipe and a seed determine a run. `recipe(name, **settings)` takes a registered recipe and
changes some of its settings; `settings()` gives them all as one flat dict, under the names that
the command line uses for its flags. A `Recipe` learns in mini-batches, an `OnlineRecipe` as the
paper did: one sequence, one update.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import (
    Any,
    Literal,
    NamedTuple,
    Self,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

import numpy as np

from longlag import checks
from longlag.networks.lstm import LSTM, Output, Parameters, flatten, parameter_shapes, unflatten
from longlag.networks.lstm1997 import LSTM1997, Reads, Weights, initial_weights, weight_shapes
from longlag.networks.lstm1997 import flatten as flatten1997
from longlag.networks.lstm1997 import unflatten as unflatten1997
from longlag.tasks.marked_pairs import Batch, MarkedPairs
from longlag.tasks.score import TOLERANCE

DrawOrder = Literal["blocks", "published"]
GateBiases = Literal["lag", "chrono", "constant"]
Optimizer = Literal["adam", "sgd"]
Stop = Literal["strict", "mse"]
ErrorTerm = Literal["squared", "halved"]
GradientTerm = Literal["truncated", "full"]
Scalar = str | int | float | bool
Network = LSTM | LSTM1997

TEST_SEED_OFFSET = 1_000_003  # the catalogue's second stream of test data
BLOCK_VALUES = 2**18  # at most so many values are drawn in one block of training data
WEIGHTS, TRAINING, TEST = range(3)  # spawn keys of an on-line trial's streams
LARGEST_NETWORK = 32  # cells and gates of the LSTM of 1997
ONLINE_BLOCK = 256  # sequences in a block of one on-line trial, at most
ONLINE_BLOCK_VALUES = 2**16  # and values


class Streams(NamedTuple):
    """Independent sources of random numbers of one trial."""

    weights: np.random.Generator
    training: np.random.Generator
    test: np.random.Generator


def setting(default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    """A dataclass field with its meaning and its allowed range, both ends included."""
    return field(default=default, metadata={"help": text, "low": low, "high": high})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every recipe has: a name, a task, and settings that are validated on construction."""

    name: str
    task: MarkedPairs

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"name must be a word, not {self.name!r}")
        if not isinstance(self.task, MarkedPairs):
            raise ValueError(f"task must be a MarkedPairs, not {self.task!r}")
        hints = get_type_hints(type(self))
        for f in fields(self):
            if f.name not in ("name", "task"):
                value = _checked(f.name, getattr(self, f.name), hints[f.name], f.metadata)
                object.__setattr__(self, f.name, value)

    @property
    def evaluation_task(self) -> MarkedPairs:
        """The task on which a run is tested."""
        return self.task

    # -- settings as one flat dict ------------------------------------------------------------

    def settings(self) -> dict[str, Scalar]:
        """Every setting by the name of its flag; `recipe(name, **settings)` undoes it."""
        flat: dict[str, Scalar] = {
            "task": self.task.kind,
            "rules": self.task.rules,
            "min_length": self.task.min_length,
            "max_length": self.task.max_length,
            "first_mark": self.task.first_mark,
        }
        own = (f.name for f in fields(self) if f.name not in ("name", "task"))
        return flat | {name: getattr(self, name) for name in own}

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """A copy with some settings changed; min_length alone implies max_length = 1.1 T.

        Raises:
            ValueError: an unknown setting (the nearest is suggested) or a value out of range.
        """
        if not isinstance(settings, Mapping):
            shown = checks.shown(settings)
            raise ValueError(f"settings must be a dict of values by name, not {shown}")
        known = self.settings()
        for name in settings:
            if name not in known:
                raise ValueError(_unknown(self.name, name, known))
        settings = dict(settings)
        if "min_length" in settings and "max_length" not in settings:
            settings["max_length"] = (
                checks.whole("min_length", settings["min_length"], 0) * 11 // 10
            )
        task_names = {"task": "kind", "rules": "rules"} | {
            name: name for name in ("min_length", "max_length", "first_mark")
        }
        of_task = {task_names[k]: v for k, v in settings.items() if k in task_names}
        own = {k: v for k, v in settings.items() if k not in task_names}
        return replace(self, task=replace(self.task, **of_task), **own)


@dataclass(frozen=True, kw_only=True)
class Recipe(Settings):
    """All settings of a mini-batch training; validated on construction.

    Raises:
        ValueError: a setting out of its range; the message names it, its value and the range.
    """

    draw_order: DrawOrder = setting("blocks", "training data: whole blocks, or the published order")
    hidden: int = setting(8, "memory cells", 1, 128)
    forget_gate: bool = setting(True, "learn the forget gate, or fix it at 1")
    output: Output = setting("linear", "the answer: linear, or its sigmoid")
    gate_biases: GateBiases = setting(
        "lag", "initial biases: closed over a lag of T, drawn to match lags up to T, or constant"
    )
    forget_bias: float = setting(2.0, "initial forget-gate bias, added to the above", -1e3, 1e3)
    input_bias: float = setting(-4.0, "initial input-gate bias, added to the above", -1e3, 1e3)
    output_bias: float = setting(0.25, "initial bias of the answer", -1e3, 1e3)
    batch_size: int = setting(8, "sequences in a batch", 1, 65536)
    optimizer: Optimizer = setting("adam", "adam, or sgd (plain gradient descent)")
    learning_rate: float = setting(0.025, "step size of the optimiser", 0, 1e3)
    beta1: float = setting(0.9, "decay of Adam's first moment", 0, 0.999999)
    beta2: float = setting(0.999, "decay of Adam's second moment", 0, 0.999999)
    epsilon: float = setting(1e-12, "Adam's epsilon", 1e-30, 1)
    clip: float = setting(0.1, "limit on the gradient's global norm", 1e-30, 1e30)
    average_decay: float = setting(
        0.99,
        "the network judged has the moving average of the weights, with this decay",
        0,
        0.999999,
    )
    max_iterations: int = setting(25_000, "batches at most", 1, checks.LARGEST)
    stop: Stop = setting("strict", "rule: strict on two successive tests, or test MSE")
    target_test_mse: float = setting(0.030, "stop below this test MSE (stop = mse)", 0, 1e15)
    test_every: int = setting(100, "iterations between tests", 1, checks.LARGEST)
    test_size: int = setting(2560, "sequences in a test set", 1, 10**7)

    # -- what a recipe and a seed determine ---------------------------------------------------

    loss_every = 1  # iterations that a training loss is the mean of

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
        seed = check_seed(seed)
        if self.draw_order == "published":
            seeds = (seed, seed, seed + TEST_SEED_OFFSET)
            return Streams(*(np.random.default_rng(s) for s in seeds))
        spawned = np.random.SeedSequence(seed).spawn(3)
        return Streams(*(np.random.default_rng(s) for s in spawned))

    def network(self, rng: np.random.Generator) -> LSTM:
        """A network with its initial weights, float32.

        Weights are uniform in ± sqrt(1/2) (inputs) and ± sqrt(1/H) (recurrent, output). Gate
        biases, with T the longest sequence, are forget_bias and input_bias plus

            lag         b_f = log T, b_i = -log T: forgetting, and storing what is not marked,
                        both go at a rate of about 1/T a step, so that a memory lasts
            chrono      b_f = log U(1, T - 1), b_i = -b_f (Tallec & Ollivier 2018, section 3)
            constant    nothing
        """
        checks.generator("rng", rng)
        H, T = self.hidden, self.task.max_length
        from_inputs, from_cells = np.sqrt(1 / 2), np.sqrt(1 / H)
        Wx = rng.uniform(-from_inputs, from_inputs, (2, 4 * H))
        Wh = rng.uniform(-from_cells, from_cells, (H, 4 * H))
        Wy = rng.uniform(-from_cells, from_cells, (H, 1))
        memory: float | np.ndarray = 0.0
        if self.gate_biases == "chrono":
            memory = np.log(rng.uniform(1, T - 1, H))
        elif self.gate_biases == "lag":
            memory = np.log(T)
        b = np.zeros(4 * H)
        b[:H], b[H : 2 * H] = self.input_bias - memory, self.forget_bias + memory
        vector = flatten(Parameters(Wx, Wh, b, Wy, np.array([self.output_bias])))
        # Rounded at once: float64 logarithms differ in the last bit between processors.
        return self.network_of(vector.astype(np.float32))

    @property
    def architecture(self) -> str:
        """How many cells there are, in words."""
        return _counted(self.hidden, "cell")

    @property
    def shapes(self) -> Parameters:
        """Shapes of the network's parameters, by name."""
        return parameter_shapes(self.hidden)

    def network_of(self, vector: np.ndarray) -> LSTM:
        """The network with flat parameters (P,)."""
        return LSTM(unflatten(vector, self.hidden), self.output, self.forget_gate)


@dataclass(frozen=True, kw_only=True)
class OnlineRecipe(Settings):
    """All settings of an on-line training of the LSTM of 1997; validated on construction.

    A trial stops for the first time when fewer than `first_stop` and for good when fewer than
    `last_stop` of the `window` most recent training sequences had errors above `tolerance`, and
    their mean absolute error is below `mean_error`.

    Raises:
        ValueError: a setting out of its range; the message names it, its value and the range.
    """

    blocks: int = setting(2, "memory cell blocks; each shares its gates", 1, 8)
    block_size: int = setting(2, "memory cells in a block", 1, 8)
    input_gate_bias: float = setting(
        0.0,
        "initial input-gate bias of block 1; block k has k times it; 0: drawn like all weights",
        -100,
        100,
    )
    learning_rate: float = setting(0.1, "step size of gradient descent", 1e-30, 1e3)
    error: ErrorTerm = setting(
        "squared", "the error is (t - y)², eq. 16, or half of it, as eq. 19 has it"
    )
    gradient: GradientTerm = setting("truncated", "the paper's truncated gradient, or the full one")
    reads: Reads = setting("previous", "the answer reads this step's or the previous step's cells")
    window: int = setting(2000, "most recent sequences that the stopping rule looks at", 1, 10**6)
    first_stop: int = setting(
        140, "fewer wrong than this: the first stop; 0: there is none", 0, 10**6
    )
    last_stop: int = setting(13, "fewer wrong than this: the last stop", 1, 10**6)
    tolerance: float = setting(TOLERANCE, "an error above this is wrong", 0, 1e3)
    mean_error: float = setting(
        1e9, "stop only with a mean error in the window below this", 1e-9, 1e9
    )
    check_every: int = setting(1, "sequences between two looks at the window", 1, checks.LARGEST)
    max_sequences: int = setting(3_000_000, "training sequences at most", 1, checks.LARGEST)
    test_size: int = setting(2560, "fresh sequences in a test", 1, 10**7)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.first_stop <= self.last_stop:
            raise ValueError(
                f"first_stop must be 0 or above last_stop ({self.last_stop}), not {self.first_stop}"
            )
        if self.blocks * (self.block_size + 2) > LARGEST_NETWORK:
            raise ValueError(
                f"blocks times (block_size + 2) must be at most {LARGEST_NETWORK}, "
                f"not {self.blocks} times {self.block_size + 2}"
            )

    batch_size = 1  # an iteration learns from one sequence
    loss_every = 1000  # iterations that a training loss is the mean of

    @property
    def max_iterations(self) -> int:
        """Updates at most: one a sequence."""
        return self.max_sequences

    @property
    def stops(self) -> tuple[int, ...]:
        """The paper's n_seq of each stopping point, falling."""
        return (self.first_stop, self.last_stop) if self.first_stop else (self.last_stop,)

    @property
    def rate(self) -> float:
        """What multiplies the gradient of (t - y)²."""
        return self.learning_rate * (0.5 if self.error == "halved" else 1)

    @property
    def block(self) -> int:
        """Sequences of a trial that are drawn together: a power of two."""
        most = max(1, ONLINE_BLOCK_VALUES // self.task.max_length)
        return min(ONLINE_BLOCK, 1 << (most.bit_length() - 1))

    def training_data(self, seed: int, block: int) -> Batch:
        """Block number `block` of the training sequences of trial `seed`.

        Every block has a random stream of its own, so that a trial can go on from any block.
        """
        return self.task.sample(self.block, _stream(seed, TRAINING, block))

    def test_data(self, seed: int, stop: int) -> Batch:
        """Fresh sequences for trial `seed` at its stopping point number `stop`."""
        return self.task.sample(self.test_size, _stream(seed, TEST, stop))

    def initial(self, seed: int) -> np.ndarray:
        """The initial weights of trial `seed`, flat (P,), float32."""
        biases = None
        if self.input_gate_bias:
            biases = tuple(self.input_gate_bias * (k + 1) for k in range(self.blocks))
        rng = _stream(seed, WEIGHTS)
        return flatten1997(initial_weights(rng, self.blocks, self.block_size, biases))

    @property
    def architecture(self) -> str:
        """How many cells there are, in words."""
        return f"{_counted(self.blocks, 'block')} of {_counted(self.block_size, 'cell')}"

    @property
    def shapes(self) -> Weights:
        """Shapes of the network's weights, by name."""
        return weight_shapes(self.blocks, self.block_size)

    def network_of(self, vector: np.ndarray) -> LSTM1997:
        """The network with flat weights (P,)."""
        return LSTM1997(
            unflatten1997(vector, self.blocks, self.block_size), self.blocks, self.reads
        )


def _stream(seed: int, *key: int) -> np.random.Generator:
    """A stream of an on-line trial, independent of all others."""
    return np.random.default_rng(np.random.SeedSequence(check_seed(seed), spawn_key=key))


def _counted(n: int, thing: str) -> str:
    """'1 cell', '8 cells'."""
    return f"{n} {thing}" + ("" if n == 1 else "s")


def check_seed(seed: int) -> int:
    """The seed, refused outside 0 .. 2**63 - 1."""
    return checks.whole("seed", seed, 0, 2**63 - 1)


def _checked(name: str, value: Any, kind: Any, limits: Mapping[str, Any]) -> Scalar:
    """A setting as a plain Python value, refused where its type or range is wrong."""
    if get_origin(kind) is Literal:
        return checks.one_of(name, value, get_args(kind))
    if kind is bool:
        return checks.flag(name, value)
    check = checks.whole if kind is int else checks.number
    return check(name, value, limits["low"], limits["high"])


def _unknown(recipe: str, name: Any, known: Mapping[str, Any]) -> str:
    """That a recipe has no such setting, in one sentence."""
    others = [other for other, r in RECIPES.items() if name in r.settings()]
    if others:
        return f"recipe {recipe} has no setting {name!r}: it is a setting of {' and '.join(others)}"
    return f"unknown setting {name!r}{checks.nearest(name, known)}"


BATCH_RECIPES: dict[str, Recipe] = {
    r.name: r
    for r in (
        # The described system, to the digit.
        Recipe(
            name="catalog",
            task=MarkedPairs(rules="catalog", min_length=20, max_length=30),
            draw_order="published",
            output="sigmoid",
            gate_biases="constant",
            forget_bias=1.0,
            input_bias=0.0,
            output_bias=0.0,
            batch_size=32,
            learning_rate=5e-3,
            epsilon=1e-8,
            clip=1.0,
            average_decay=0.0,
            max_iterations=6000,
            stop="mse",
            test_every=500,
            test_size=512,
        ),
        # The paper's task rules at T = 100, and settings that solve it from few sequences, and lags
        # far beyond: behind closed gates gradients begin at about 3e-4 / T, hence the epsilon.
        Recipe(name="robust", task=MarkedPairs(min_length=100, max_length=110)),
    )
}

ONLINE_RECIPES: dict[str, OnlineRecipe] = {
    r.name: r
    for r in (
        # Experiment 5 as published (section 5.5, table 8).
        OnlineRecipe(name="paper", task=MarkedPairs(min_length=100, max_length=110)),
        # Experiment 4 (section 5.4, table 7): stop when all of the most recent 2000 are correct.
        OnlineRecipe(
            name="paper-adding",
            task=MarkedPairs("adding", min_length=100, max_length=110),
            input_gate_bias=-3.0,
            learning_rate=0.5,
            first_stop=0,
            last_stop=1,
            mean_error=0.01,
        ),
    )
}

AnyRecipe = Recipe | OnlineRecipe
RECIPES: dict[str, AnyRecipe] = {**BATCH_RECIPES, **ONLINE_RECIPES}


@overload
def recipe(name: Literal["catalog", "robust"], **settings: Any) -> Recipe: ...
@overload
def recipe(name: Literal["paper", "paper-adding"], **settings: Any) -> OnlineRecipe: ...
@overload
def recipe(name: str, **settings: Any) -> Any: ...
def recipe(name: str, **settings: Any) -> AnyRecipe:
    """The registered recipe `name`, with some settings changed.

    >>> recipe("robust", min_length=300).task.max_length
    330

    Raises:
        ValueError: an unknown recipe or setting (the nearest is suggested), or a value out of
            range.
    """
    if not isinstance(name, str) or name not in RECIPES:
        raise ValueError(f"unknown recipe {checks.shown(name)}{checks.nearest(name, RECIPES)}")
    return RECIPES[name].with_settings(settings)


def as_recipe(given: Any) -> AnyRecipe:
    """A recipe as it is, or the registered one of that name.

    Raises:
        ValueError: an unknown name (the nearest is suggested), or something else.
    """
    if isinstance(given, (Recipe, OnlineRecipe)):
        return given
    if isinstance(given, str):
        return recipe(given)
    raise ValueError(
        f"recipe must be one from longlag.recipe(name), or its name, not {checks.shown(given)}"
    )
