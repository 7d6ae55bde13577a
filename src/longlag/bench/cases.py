"""What `longlag bench` compares: trainings of some sizes, by several implementations."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from longlag.bench import floor
from longlag.kernel import load_kernel
from longlag.learning.native import LANES
from longlag.learning.recipe import Recipe, recipe
from longlag.networks.lstm1997 import weight_count


@dataclass(frozen=True)
class Unit:
    """What a time is given for: its names in a row, by the clock and by the processor."""

    name: str
    processor: str
    words: str
    per_second: float


ITERATION = Unit("us_per_iteration", "processor_us", "µs an iteration", 1e6)
TRIAL_STEP = Unit("ns_per_trial_step", "processor_ns", "ns a trial-step", 1e9)
ANSWER_STEP = Unit("ns_per_answer_step", "processor_ns", "ns a step of a sequence", 1e9)
UNITS = (ITERATION, TRIAL_STEP, ANSWER_STEP)


def unit_of(row: Mapping[str, Any]) -> Unit:
    """The unit of a row, or of a case's floor."""
    return next(unit for unit in UNITS if unit.name in row)


@dataclass(frozen=True)
class Case:
    """A training that all contestants do; nothing is left to a recipe that may change.

    size: what tells it from others of its unit, for JSON; in_iteration: units in an iteration of
    one training, on average; operations: floating-point operations of a unit; needs: the
    arithmetic of a step of one sequence; steps: such steps in a unit, on average.
    """

    name: str
    size: dict[str, Any]
    recipe: Recipe
    unit: Unit
    in_iteration: float
    operations: float
    needs: floor.Needs
    steps: float = 1.0

    @property
    def block(self) -> int:
        """Iterations whose data are drawn together."""
        return self.recipe.learner(0).block

    def figure(self, seconds: float) -> float:
        """What an iteration of one training takes, from seconds to the case's unit."""
        return self.unit.per_second * seconds / self.in_iteration

    def floor(self, gflops: float) -> float:
        """The same on a core that does nothing but multiply-adds at its peak."""
        return self.unit.per_second * self.operations / (1e9 * gflops)


def in_batches(min_length: int, hidden: int = 8, batch: int = 32, task: str | None = None) -> Case:
    """The LSTM with a forget gate: sequences of T to 1.1 T steps, T = min_length."""
    settings = recipe(
        "robust",
        **({} if task is None else {"task": task}),
        min_length=min_length,
        hidden=hidden,
        batch_size=batch,
        output="linear",
        optimizer="adam",
        learning_rate=5e-3,
        clip=1.0,
        average_decay=0.0,
        gate_biases="chrono",
        forget_bias=0.0,
        input_bias=0.0,
        test_every=50,
    )
    asked = settings.task
    named = "" if task is None else f"{task}, "
    return Case(
        name=f"{named}T = {min_length}, H = {hidden}",
        size={"task": asked.name, "min_length": min_length, "hidden": hidden, "batch": batch},
        recipe=settings,
        unit=ITERATION,
        in_iteration=1.0,
        operations=floor.operations(
            *(batch, asked.mean_length, hidden, asked.inputs, asked.outputs), asked.symbols
        ),
        needs=floor.needs(hidden, asked.inputs, asked.symbols),
        steps=batch * asked.mean_length,
    )


def answers(min_length: int, hidden: int = 8) -> Case:
    """Testing: fresh sequences of T to 1.1 T steps are answered; nothing is learned.

    An iteration is one sequence.
    """
    case = in_batches(min_length, hidden)
    steps = case.recipe.task.mean_length
    return replace(
        case,
        name=f"testing, {case.name}",
        size={"task": case.recipe.task.name, "min_length": min_length, "hidden": hidden},
        unit=ANSWER_STEP,
        in_iteration=steps,
        operations=floor.answer_operations(steps, hidden) / steps,
        needs=floor.needs(hidden, back=False),
        steps=1.0,
    )


# What a trial has that never stops, since every answer counts as wrong.
UNENDING: dict[str, Any] = {
    **{"window": 2000, "first_stop": 0, "last_stop": 1, "tolerance": 0.0, "check_every": 1},
    **{"max_sequences": 10**9, "error": "squared", "gradient": "truncated", "reads": "current"},
    **{"input_gate_bias": 0.0, "output": "sigmoid"},
}


def on_line(min_length: int) -> Case:
    """The network of 1997 in the paper's regime: one sequence, one update, 93 weights.

    An iteration is one sequence.
    """
    settings = recipe(
        "paper", min_length=min_length, blocks=2, block_size=2, learning_rate=0.1, **UNENDING
    )
    weights = weight_count(2, 2)
    return Case(
        name=f"on-line, T = {min_length}, {weights} weights",
        size={"task": settings.task.name, "min_length": min_length},
        recipe=settings,
        unit=TRIAL_STEP,
        in_iteration=settings.task.mean_length,
        operations=floor.online_operations(2, 2),
        needs=floor.online_needs(2, 2),
    )


def very_long_lag(lag: int) -> Case:
    """Experiment 2c with a lag q and as many distractors: 6 (q + 10) + 4 weights."""
    settings = recipe("paper-very-long-lag", lag=lag, distractors=lag, **UNENDING)
    weights = settings.network.size(settings.task)
    return Case(
        name=f"on-line, very-long-lag, q = p = {lag}, {weights} weights",
        size={"task": "very-long-lag", "lag": lag},
        recipe=settings,
        unit=TRIAL_STEP,
        in_iteration=settings.task.mean_length,
        operations=floor.online_operations(2, 1, symbols=True, biases=False),
        needs=floor.online_needs(2, 1, symbols=True, biases=False),
    )


@dataclass(frozen=True)
class Contestant:
    """A program in `benchmarks/`.

    family: its name for --against, empty for ours; needs: modules that must be installed; seeds:
    trainings that it does side by side; inputs: of what kinds it takes; longest: T at most.
    """

    who: str
    module: str
    family: str = ""
    variant: str = ""
    needs: tuple[str, ...] = ()
    seeds: int = 1
    inputs: tuple[str, ...] = ("numbers", "symbols")
    longest: int | None = None

    def takes(self, case: Case) -> bool:
        """Whether it takes part in a case."""
        if self.longest is not None and case.recipe.task.mean_length > 1.1 * self.longest:
            return False
        return ("symbols" if case.recipe.task.symbols else "numbers") in self.inputs

    def missing(self) -> str:
        """Why it cannot take part, or nothing."""
        missing = [name for name in self.needs if importlib.util.find_spec(name) is None]
        if missing:
            return f"not installed ({', '.join(missing)})"
        if not self.family and load_kernel() is None:
            return "not built (no C++ compiler when longlag was installed)"
        return ""


PEERS = ("numpy", "torch", "jax", "numba")
TORCH, JAX = ("torch",), ("jax", "optax")
NUMBERS, SYMBOLS = ("numbers",), ("symbols",)
# By unit; the first is what the ratios refer to.
CONTESTANTS: dict[Unit, tuple[Contestant, ...]] = {
    ITERATION: (
        Contestant("longlag kernel, data included", "longlag_kernel"),
        Contestant("longlag kernel, data as peers", "longlag_kernel", variant="drawn"),
        Contestant("numpy reference", "numpy_reference", "numpy"),
        Contestant("PyTorch eager", "torch_lstm", "torch", needs=TORCH),
        Contestant(
            "PyTorch eager, embedding", "torch_lstm", "torch", "embedding", TORCH, inputs=SYMBOLS
        ),
        Contestant(
            *("PyTorch torch.compile", "torch_lstm", "torch", "compile", TORCH),
            inputs=NUMBERS,
            longest=30,
        ),
        Contestant("JAX jit", "jax_lstm", "jax", needs=JAX),
        Contestant("JAX vmap, a seed of 16", "jax_lstm", "jax", needs=JAX, seeds=16),
    ),
    TRIAL_STEP: (
        Contestant("longlag kernel, data included", "online_kernel", seeds=LANES),
        Contestant("longlag kernel alone", "online_kernel", variant="drawn", seeds=LANES),
        Contestant(
            "PyTorch, a sequence at a time", "online_torch", "torch", needs=TORCH, inputs=NUMBERS
        ),
        Contestant(
            "numba, a scalar loop", "online_numba", "numba", needs=("numba",), inputs=NUMBERS
        ),
    ),
    ANSWER_STEP: (
        Contestant("longlag kernel, drawn and scored", "evaluation_kernel"),
        Contestant("longlag kernel alone", "evaluation_kernel", variant="drawn"),
    ),
}
OURS: Contestant = CONTESTANTS[ITERATION][0]


@dataclass(frozen=True)
class Plan:
    """How much is measured: rounds of so many seconds, and whether on all cores too.

    short, long: the cases for the cost of a step; the latter for the memory as well.
    """

    cases: tuple[Case, ...]
    rounds: int
    seconds: float
    all_cores: bool
    short: Case = in_batches(30)
    long: Case = in_batches(1000)


FULL = Plan(
    (
        *(in_batches(30), in_batches(100), in_batches(1000), in_batches(30, 32)),
        *(in_batches(30, 128), in_batches(100, task="temporal-order")),
        *(on_line(100), very_long_lag(1000)),
        *(answers(100), answers(10_000)),
    ),
    rounds=7,
    seconds=0.3,
    all_cores=True,
)
QUICK = Plan((in_batches(30),), rounds=5, seconds=0.1, all_cores=False)
