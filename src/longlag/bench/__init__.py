"""`longlag bench`: this kernel beside its peers and the machine's limit, in one run.

Every contestant is a process of its own that lives through the run (`benchmarks/`). The rounds of
all contestants alternate (A B C A B C ...), so that what else the machine does falls on all of
them alike; a figure is the median of the rounds. First one thread each, then all cores. Beside
the time stands the processor time, which does not count waiting for a core that others use.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import select
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from longlag import machine
from longlag.kernel import load_kernel
from longlag.learning import engine as engines
from longlag.learning.recipe import OnlineRecipe, Recipe, recipe
from longlag.learning.side_by_side import LANES
from longlag.networks.lstm import parameter_count
from longlag.networks.lstm1997 import weight_count
from longlag.terminal import say
from longlag.version import __version__
from longlag.words import table

PEERS = ("numpy", "torch", "jax", "numba")
VMAP_SEEDS = 16
ACTIVATION = 26  # operations that a tanh or a sigmoid counts as

PREPARE_SECONDS = 60.0  # a contestant that takes longer to start or to compile is given up
RUN_SECONDS = 30.0  # the same for a round


@dataclass(frozen=True)
class Unit:
    """What a figure is in: its names in a row and its headings, by the clock and the processor."""

    name: str
    processor: str
    heading: str
    processor_heading: str


ITERATION = Unit("us_per_iteration", "processor_us", "µs an iteration", "processor µs")
TRIAL_STEP = Unit("ns_per_trial_step", "processor_ns", "ns a trial-step", "processor ns")


class _Sized:
    """What a case's recipe says of its data."""

    recipe: Any

    @property
    def block(self) -> int:
        """Iterations whose data are drawn together."""
        return self.recipe.block

    @property
    def mean_length(self) -> float:
        """Steps of a sequence, on average."""
        return self.recipe.task.mean_length


@dataclass(frozen=True)
class Case(_Sized):
    """A task and a size: sequences of T = min_length to 1.1 T steps by the paper's rules."""

    min_length: int
    hidden: int = 8
    batch: int = 32
    unit: ClassVar[Unit] = ITERATION
    units_per_us: ClassVar[float] = 1.0  # its figure for an iteration that takes a microsecond

    @cached_property
    def recipe(self) -> Recipe:
        """The training that all contestants do; nothing is left to a recipe that may change."""
        return recipe(
            "robust",
            min_length=self.min_length,
            hidden=self.hidden,
            batch_size=self.batch,
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

    @property
    def sequence_steps(self) -> float:
        """Steps of all sequences of a batch, on average."""
        return self.batch * self.mean_length

    @property
    def name(self) -> str:
        return f"T = {self.min_length}, H = {self.hidden}"


@dataclass(frozen=True)
class OnlineCase(_Sized):
    """The network of 1997 in the paper's regime: one sequence, one update, 93 weights.

    An iteration is one sequence of one trial; ours takes `LANES` trials through it side by side.
    """

    min_length: int
    unit: ClassVar[Unit] = TRIAL_STEP

    @cached_property
    def recipe(self) -> OnlineRecipe:
        """The training that all contestants do. It never stops: every answer counts as wrong."""
        return recipe(
            "paper",
            min_length=self.min_length,
            blocks=2,
            block_size=2,
            input_gate_bias=0.0,
            learning_rate=0.1,
            error="squared",
            gradient="truncated",
            reads="current",
            window=2000,
            first_stop=0,
            last_stop=1,
            tolerance=0.0,
            check_every=1,
            max_sequences=10**9,
        )

    @property
    def name(self) -> str:
        weights = weight_count(self.recipe.blocks, self.recipe.block_size)
        return f"on-line, T = {self.min_length}, {weights} weights"

    @property
    def units_per_us(self) -> float:
        """Its figure for an iteration that takes a microsecond."""
        return 1e3 / self.mean_length


@dataclass(frozen=True)
class Contestant:
    """A program in `benchmarks/`.

    family: its name for --against, empty for ours; needs: modules that must be installed; seeds:
    trainings that one iteration of the program advances.
    """

    who: str
    module: str
    family: str = ""
    variant: str = ""
    needs: tuple[str, ...] = ()
    seeds: int = 1


OURS = Contestant("longlag kernel, data included", "longlag_kernel")
CONTESTANTS = (
    OURS,
    Contestant("longlag kernel, data as peers", "longlag_kernel", variant="drawn"),
    Contestant("numpy reference", "numpy_reference", "numpy"),
    Contestant("PyTorch eager", "torch_lstm", "torch", needs=("torch",)),
    Contestant("PyTorch torch.compile", "torch_lstm", "torch", "compile", ("torch",)),
    Contestant("JAX jit", "jax_lstm", "jax", needs=("jax", "optax")),
    Contestant("JAX vmap, a seed of 16", "jax_lstm", "jax", "vmap", ("jax", "optax"), VMAP_SEEDS),
)

OUR_TRIALS = Contestant("longlag kernel, data included", "online_kernel", seeds=LANES)
ONLINE_CONTESTANTS = (
    OUR_TRIALS,
    Contestant("longlag kernel alone", "online_kernel", variant="drawn", seeds=LANES),
    Contestant("PyTorch, a sequence at a time", "online_torch", "torch", needs=("torch",)),
    Contestant("numba, a scalar loop", "online_numba", "numba", needs=("numba",)),
)
REFERENCES = (OURS, OUR_TRIALS)  # what the ratios refer to


@dataclass(frozen=True)
class Plan:
    """How much is measured: cases, rounds of so many seconds, and whether on all cores too."""

    cases: tuple[Case, ...]
    rounds: int
    seconds: float
    all_cores: bool
    long: Case  # for the cost of a step and the memory
    online: OnlineCase | None = None


FULL = Plan(
    (Case(30), Case(100), Case(1000), Case(30, 32), Case(30, 128)),
    *(7, 0.3, True, Case(1000), OnlineCase(100)),
)
QUICK = Plan((Case(30),), 5, 0.1, False, Case(1000))


# -- the floor --------------------------------------------------------------------------------


def operations(batch: int, steps: float, hidden: int) -> float:
    """Floating-point operations of one training iteration; a multiply-add is two.

    Counted for D = 2 inputs, H cells, a tanh or a sigmoid as `ACTIVATION` = 26. A step of a
    sequence:

        forward   z = x Wx + h Wh + b    4H (H + 2) multiply-adds (the sum starts at b)  8H (H + 2)
                  i, f, o, g, tanh(c)    five activations                                    130 H
                  c = f c + i g          a product and a multiply-add                          3 H
                  h = o tanh(c)                                                                  H
        backward  dc += dh o (1 - tanh(c)²)   a product, two multiply-adds                     5 H
                  dz of i, f, o, g            two products, a multiply-add each               16 H
                  dc = dc f                                                                      H
                  dh = dz Wh'                 4H H multiply-adds                             8 H H
                  dWx += x dz, dWh += h dz    4H (H + 2) multiply-adds                   8H (H + 2)
                  db += dz                                                                     4 H

    in all 24 H² + 192 H. A sequence adds 5 H + 5: its answer and loss (2 H + 4) and, on the way
    back, the gradient of Wy and by and the first dh (3 H + 1). A parameter adds 16 in the update:
    2 for the norm, 1 for the clipping, 3 and 4 for the two moments, and 6 for the step (correct
    the second moment, root, sum, product with the rate, quotient, difference).

    Batch 32, T = 30 (31.5 steps on average) and H = 8 give 3.1 million.
    """
    step = 24 * hidden**2 + 192 * hidden
    sequence = 5 * hidden + 5
    return batch * (steps * step + sequence) + 16 * parameter_count(hidden)


def floor(case: Case, gflops: float) -> float:
    """Microseconds of an iteration on a core that does nothing but multiply-adds at its peak."""
    return operations(case.batch, case.mean_length, case.hidden) / (gflops * 1e3)


def online_operations(blocks: int = 2, block_size: int = 2) -> int:
    """Floating-point operations of one step of one on-line trial; a multiply-add is two.

    For B blocks of S cells, C = B S cells and U = C + 2 B units, by the truncated gradient:

        forward   net = W v            U (U + 2) multiply-adds, a sum for the bias  U (2U + 5)
                  f of nets, h(s)      U + C activations                            26 (U + C)
                  g = 4 f - 2          a multiply-add                                      2 C
                  s = s + y_in g       a multiply-add                                      2 C
                  h = 2 f - 1          a multiply-add                                      2 C
                  y_c = y_out h        a product                                             C
        backward  d of a cell          two products, f - f² a multiply-add                 4 C
                  d of an input gate   a multiply-add for each of its cells                2 C
                                       y - y² a multiply-add, a product                    3 B
                  dW += d v'           U + 2 multiply-adds, a sum for the bias, for
                                       each cell and each input gate          (C + B)(2U + 5)

    The error of a state is the same at every step; it and what is linear in it alone (4 e for a
    cell, -2 Σ e for a gate) belong to a sequence, as the answer, the output gates' gradient and
    the update do: together less than a hundredth of 100 steps, and left out.

    The paper's 2 blocks of 2 cells give 168 + 312 + 28 and 16 + 14 + 126: 664.
    """
    cells = blocks * block_size
    units = cells + 2 * blocks
    into_unit = 2 * (units + 2) + 1
    forward = units * into_unit + ACTIVATION * (units + cells) + 7 * cells
    return forward + 6 * cells + 3 * blocks + (cells + blocks) * into_unit


def online_floor(case: OnlineCase, gflops: float) -> float:
    """Nanoseconds of a step of one trial on a core at its peak."""
    return online_operations(case.recipe.blocks, case.recipe.block_size) / gflops


# -- a contestant's process -------------------------------------------------------------------


class Failed(Exception):
    """A contestant could not do it; the message is one line."""


class Process:
    """A contestant's process and the conversation with it (`benchmarks/harness.py`).

    Raises (every request): Failed. After a time-out or a death the process is gone.
    """

    gone: str

    def __init__(self, contestant: Contestant, threads: int) -> None:
        package, paths = _package()
        command = [sys.executable, "-P", "-m", f"{package}.{contestant.module}"]
        command += ["--threads", str(threads), "--variant", contestant.variant]
        self.gone = ""
        self._words = tempfile.TemporaryFile("w+")  # noqa: SIM115 (until `close`)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            text=True,
            env=_environment(threads, paths),
        )

    def send(self, do: str, **request: Any) -> None:
        assert self._process.stdin is not None
        if self.gone:
            raise Failed(self.gone)
        try:
            self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._give_up(self._last_words())

    def receive(self, seconds: float = RUN_SECONDS) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            self._give_up(f"took longer than {seconds:g} s")
        line = self._process.stdout.readline()
        if not line:
            self._give_up(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def ask(self, do: str, seconds: float = RUN_SECONDS, **request: Any) -> dict[str, Any]:
        self.send(do, **request)
        return self.receive(seconds)

    def prepare(self, case: Case | OnlineCase) -> None:
        self.ask("prepare", PREPARE_SECONDS, case=asdict(case))

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._words):
            with contextlib.suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]

    def _give_up(self, why: str) -> None:
        self.gone = why
        self._process.kill()
        raise Failed(why)

    def _last_words(self) -> str:
        status = self._process.wait()
        self._words.seek(0)
        lines = [line.strip() for line in self._words if line.strip()]
        return (lines[-1] if lines else f"ended with status {status}")[:300]


def _package() -> tuple[str, list[str]]:
    """The package that holds the contestants, and where it must be looked for.

    Raises:
        ValueError: neither installed nor beside the source.
    """
    if importlib.util.find_spec("longlag.benchmarks") is not None:
        return "longlag.benchmarks", []
    source = Path(__file__).resolve().parents[1]
    if (source.parent / "benchmarks" / "harness.py").exists():
        return "benchmarks", [str(source.parent), str(source)]
    raise ValueError("bench needs the benchmarks that come with the package: install longlag anew")


def _environment(threads: int, paths: Sequence[str]) -> dict[str, str]:
    """The environment of a contestant that is to use so many threads."""
    environment = dict(os.environ)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC", "PJRT_NPROC")
    environment |= dict.fromkeys(names, str(threads))
    if threads == 1:
        flags = environment.get("XLA_FLAGS", "")
        environment["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    if paths:
        old = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([*paths, *([old] if old else [])])
    return environment


# -- one case ---------------------------------------------------------------------------------


@dataclass
class Entrant:
    """A contestant in a pass of the run: its process, or why there is none."""

    contestant: Contestant
    threads: int
    process: Process | None = None
    error: str = ""
    iterations: int = 0  # of a round
    samples: list[float] = field(default_factory=list)  # µs an iteration, by round
    busy: list[float] = field(default_factory=list)  # the same of processor time

    def attempt(self, action: Callable[[Process], None]) -> None:
        """Does it where there is a process and nothing went wrong yet; notes what goes wrong."""
        if self.process is None or self.error:
            return
        try:
            action(self.process)
        except Failed as failure:
            self.error = str(failure)

    def start_case(self, case: Case | OnlineCase, seconds: float) -> None:
        """Prepares a case and finds how many iterations take so many seconds."""
        self.samples, self.busy = [], []
        if self.process is None:
            return
        self.error = self.process.gone
        self.attempt(lambda process: process.prepare(case))
        unit = 1 if self.contestant.family else case.block
        self.attempt(lambda process: self._calibrate(process, unit, seconds))

    def _calibrate(self, process: Process, unit: int, seconds: float) -> None:
        blocks, took = 1, 0.0
        while took < seconds / 3:
            took = process.ask("run", iterations=blocks * unit)["seconds"]
            blocks = max(1, math.ceil(blocks * min(seconds / max(took, 1e-9), 20)))
        self.iterations = blocks * unit

    def round(self) -> None:
        """One round."""
        self.attempt(self._round)

    def _round(self, process: Process) -> None:
        answer = process.ask("run", iterations=self.iterations)
        done = self.iterations * self.contestant.seeds
        self.samples.append(1e6 * answer["seconds"] / done)
        self.busy.append(1e6 * answer["processor_seconds"] / done)

    @property
    def median(self) -> float:
        """µs an iteration; NaN where it failed."""
        return statistics.median(self.samples) if self.samples and not self.error else math.nan

    @property
    def processor(self) -> float:
        """µs of processor time an iteration; NaN where it failed."""
        return statistics.median(self.busy) if self.busy and not self.error else math.nan


@contextlib.contextmanager
def _entrants(chosen: Sequence[Contestant], threads: int) -> Iterator[list[Entrant]]:
    """The contestants, with a process each for those that are there."""
    with contextlib.ExitStack() as stack:
        entrants = []
        for contestant in chosen:
            entrant = Entrant(contestant, threads, error=_missing(contestant))
            if not entrant.error:
                entrant.process = Process(contestant, threads)
                stack.callback(entrant.process.close)
            entrants.append(entrant)
        yield entrants


def _missing(contestant: Contestant) -> str:
    """Why a contestant cannot take part, or nothing."""
    missing = [name for name in contestant.needs if importlib.util.find_spec(name) is None]
    if missing:
        return f"not installed ({', '.join(missing)})"
    if not contestant.family and load_kernel() is None:
        return "not built (no C++ compiler when longlag was installed)"
    return ""


def _measure(case: Case | OnlineCase, entrants: Sequence[Entrant], plan: Plan) -> list[float]:
    """Runs the rounds of a case; the core's peak in GFLOP/s as measured between them."""
    peaks: list[float] = []
    for entrant in entrants:
        entrant.start_case(case, plan.seconds)
    for _ in range(plan.rounds):
        for entrant in entrants:
            entrant.round()
            if entrant.contestant in REFERENCES:
                entrant.attempt(lambda process: peaks.append(process.ask("peak")["gflops"]))
    return peaks


def _rows(case: Case | OnlineCase, entrants: Sequence[Entrant]) -> list[dict[str, Any]]:
    """A row a contestant."""
    ours = next((e for e in entrants if e.contestant in REFERENCES), None)
    time, busy = (ours.median, ours.processor) if ours else (math.nan, math.nan)
    rows = []
    for entrant in entrants:
        samples = [case.units_per_us * s for s in entrant.samples] if not entrant.error else []
        row = {
            "who": entrant.contestant.who,
            "what": f"{case.name}, {_threads(entrant.threads)}",
            case.unit.name: case.units_per_us * entrant.median,
            "ratio": entrant.median / time,
            "min": min(samples, default=math.nan),
            "max": max(samples, default=math.nan),
            case.unit.processor: case.units_per_us * entrant.processor,
            "processor_ratio": entrant.processor / busy,
            "threads": entrant.threads,
            "rounds": len(samples),
            "iterations": entrant.iterations,
            "case": asdict(case),
        }
        rows.append(row | ({"error": entrant.error} if entrant.error else {}))
    return rows


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


# -- the kernel by itself ---------------------------------------------------------------------


def _checks(plan: Plan, cores: int) -> dict[str, Any]:
    """What a step costs at length, two seeds on two cores, and memory; None where it failed."""
    if missing := _missing(OURS):
        return {"error": missing}
    checks: dict[str, Any] = {}
    for name, check in (
        ("cost_per_step", lambda: _cost_per_step(plan)),
        ("two_seeds", lambda: _two_seeds(plan) if cores > 1 else {"error": "there is one core"}),
        ("memory", lambda: [_memory(plan.long, threads) for threads in sorted({1, cores})]),
    ):
        say(f"bench: {name.replace('_', ' ')}")
        try:
            checks[name] = check()
        except Failed as failure:
            checks[name] = {"error": str(failure)}
    return checks


@contextlib.contextmanager
def _processes(count: int, threads: int = 1) -> Iterator[list[Process]]:
    """Processes of the kernel."""
    with contextlib.ExitStack() as stack:
        processes = []
        for _ in range(count):
            processes.append(Process(OURS, threads))
            stack.callback(processes[-1].close)
        yield processes


def _kernels(processes: Sequence[Process], cases: Sequence[Case], plan: Plan) -> list[Entrant]:
    """Entrants that are ready for their rounds."""
    entrants = [Entrant(OURS, 1, process) for process in processes]
    for entrant, case in zip(entrants, cases, strict=True):
        entrant.start_case(case, plan.seconds)
    return entrants


def _cost_per_step(plan: Plan) -> dict[str, Any]:
    """ns a step of a sequence, whole iterations: short sequences and long ones, in turn."""
    cases = (Case(30), plan.long)
    with _processes(len(cases)) as processes:
        entrants = _kernels(processes, cases, plan)
        for _ in range(plan.rounds):
            for entrant in entrants:
                entrant.round()
    for entrant in entrants:
        if entrant.error:
            raise Failed(entrant.error)
    steps = [case.sequence_steps for case in cases]
    time = [1e3 * e.median / n for e, n in zip(entrants, steps, strict=True)]
    busy = [1e3 * e.processor / n for e, n in zip(entrants, steps, strict=True)]
    return {
        "lengths": [case.min_length for case in cases],
        "ns_per_step": time,
        "ratio": time[1] / time[0],
        "processor_ratio": busy[1] / busy[0],
    }


def _two_seeds(plan: Plan) -> dict[str, Any]:
    """Two trainings at once, a process each, against one alone, in turn."""
    alone: list[dict[str, float]] = []
    together: list[dict[str, float]] = []
    with _processes(2) as processes:
        entrants = _kernels(processes, (Case(30), Case(30)), plan)
        iterations = max(entrant.iterations for entrant in entrants)
        for number in range(2 * plan.rounds):
            alone.append(processes[number % 2].ask("run", iterations=iterations))
            for process in processes:
                process.send("run", iterations=iterations)
            answers = [process.receive() for process in processes]
            together.append({name: max(a[name] for a in answers) for name in answers[0]})

    def median(rounds: list[dict[str, float]], name: str) -> float:
        return 1e6 * statistics.median(r[name] for r in rounds) / iterations

    one, two = median(alone, "seconds"), median(together, "seconds")
    one_busy, two_busy = (median(r, "processor_seconds") for r in (alone, together))
    return {
        "us_alone": one,
        "us_together": two,
        "speedup": 2 * one / two,
        "processor_speedup": 2 * one_busy / two_busy,
    }


def _memory(case: Case, threads: int) -> dict[str, Any]:
    """Peak memory of an iteration against the activations that BPTT must keep.

    Those are 6H + 2 floats a step of a sequence: four gates, the cell state and its tanh, and the
    two inputs. With fewer threads than groups of 16 sequences the kernel keeps fewer.
    """
    with _processes(1, threads) as (process,):
        used = process.ask("memory", PREPARE_SECONDS, case=asdict(case), threads=threads)["bytes"]
    needed = round(4 * (6 * case.hidden + 2) * case.sequence_steps)
    return {"threads": threads, "bytes": used, "needed_bytes": needed, "ratio": used / needed}


# -- the whole run ----------------------------------------------------------------------------


def parse_against(text: str) -> tuple[str, ...]:
    """Peers from a list such as `numpy,torch`.

    Raises:
        ValueError: a name that is not a peer's.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in PEERS:
            raise ValueError(f"against must be a list of {', '.join(PEERS)}, not {text!r}")
    return tuple(dict.fromkeys(names))


def run(against: Sequence[str] = PEERS, quick: bool = False) -> dict[str, Any]:
    """Measures it all; words on standard error.

    Returns:
        `rows` (one a contestant, case and number of threads), `floor` (the core's peak and what
        follows from it for each case), `checks` and `machine`, ready for JSON.
    """
    plan = QUICK if quick else FULL
    _package()
    cores = machine.cores()
    rows: list[dict[str, Any]] = []
    peaks: list[float] = []
    for contestants, cases, threads in _passes(plan, cores):
        chosen = [c for c in contestants if not c.family or c.family in against]
        with _entrants(chosen, threads) as entrants:
            for case in cases:
                say(f"bench: {case.name}, {_threads(threads)}")
                peaks += _measure(case, entrants, plan)
                rows += _rows(case, entrants)
    floors = _floors(plan, max(peaks, default=math.nan))
    _add_floors(rows, floors)
    return {
        "rows": rows,
        "floor": floors,
        "checks": _checks(plan, cores),
        "machine": _machine(cores),
    }


Pass = tuple[Sequence[Contestant], Sequence[Case | OnlineCase], int]


def _passes(plan: Plan, cores: int) -> list[Pass]:
    """Who does which cases with how many threads; the on-line network on one."""
    counts = sorted({1, cores}) if plan.all_cores else [1]
    passes: list[Pass] = [(CONTESTANTS, plan.cases, threads) for threads in counts]
    if plan.online is not None:
        passes.append((ONLINE_CONTESTANTS, [plan.online], 1))
    return passes


def _floors(plan: Plan, gflops: float) -> dict[str, Any]:
    """The floor of every case, of the first one at the top, and of the on-line network.

    gflops: the best that the core was seen to do in the run; less, and it was disturbed.
    """
    each = [
        {
            "what": case.name,
            "operations": operations(case.batch, case.mean_length, case.hidden),
            "us_per_iteration": floor(case, gflops),
        }
        for case in plan.cases
    ]
    floors = {"gflops": gflops, **each[0], "cases": each}
    if plan.online is not None:
        recipe = plan.online.recipe
        floors["online"] = {
            "what": plan.online.name,
            "operations": online_operations(recipe.blocks, recipe.block_size),
            "ns_per_trial_step": online_floor(plan.online, gflops),
        }
    return floors


def _add_floors(rows: Sequence[dict[str, Any]], floors: dict[str, Any]) -> None:
    """Adds to our rows on one core how many times the floor they take."""
    least = _least(floors)
    ours = [c.who for c in (*CONTESTANTS, *ONLINE_CONTESTANTS) if not c.family]
    for row in rows:
        if row["who"] in ours and row["threads"] == 1:
            unit = _unit(row)
            row["floors"] = row[unit.name] / least[row["what"]]
            row["processor_floors"] = row[unit.processor] / least[row["what"]]


def _least(floors: dict[str, Any]) -> dict[str, float]:
    """The floors by what the rows on one core say they are about, in the unit of these rows."""
    online = [floors["online"]] if "online" in floors else []
    each = [*floors["cases"], *online]
    return {f"{at['what']}, {_threads(1)}": at[_unit(at).name] for at in each}


def _unit(row: dict[str, Any]) -> Unit:
    return TRIAL_STEP if TRIAL_STEP.name in row else ITERATION


def _machine(cores: int) -> dict[str, Any]:
    known = ("numpy", "torch", "jax", "optax", "numba")
    names = [name for name in known if importlib.util.find_spec(name)]
    kernel = load_kernel()
    return {
        "processor": machine.processor(),
        "cores": cores,
        "isa": None if kernel is None else engines.choose("native").isa,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "longlag": __version__,
        **{name: importlib.metadata.version(name) for name in names},
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }


# -- in words ---------------------------------------------------------------------------------


def render(result: dict[str, Any]) -> str:
    """The table, the checks and the machine."""
    about = ", ".join(
        f"{name} {value}" if name not in ("processor", "system", "date") else str(value)
        for name, value in result["machine"].items()
    )
    note = (
        "Medians of rounds that alternate between the contestants, a process each. Ours draws its\n"
        "data within the time (first line), and is what the ratios refer to; the peers' data are\n"
        "drawn beforehand. Floor: the operations of an iteration at the core's measured\n"
        "multiply-add peak. Processor time leaves out waiting for a core that others use."
    )
    if "online" in result["floor"]:
        note += (
            "\nOn-line (one sequence, one update) a figure is for a step of one trial: ours takes\n"
            f"{LANES} trials through it side by side, the peers one."
        )
    return f"{_table(result)}\n\n{_checks_text(result['checks'])}\n\n{note}\n{about}"


def _headings(unit: Unit) -> tuple[str, ...]:
    compared = ("theirs / ours", "× floor")
    return ("what", "who", unit.heading, "min – max", *compared, unit.processor_heading, *compared)


def _table(result: dict[str, Any]) -> str:
    """The rows, a section for each unit."""
    rows, floors = result["rows"], result["floor"]
    of_units = [[row for row in rows if _unit(row) is unit] for unit in (ITERATION, TRIAL_STEP)]
    return "\n\n".join(_section(section, floors) for section in of_units if section)


def _section(rows: Sequence[dict[str, Any]], floors: dict[str, Any]) -> str:
    """Rows of one unit."""
    headings = _headings(_unit(rows[0]))
    lines: list[tuple[str, ...]] = [headings]
    gflops, least = floors["gflops"], _least(floors)
    errors: dict[int, str] = {}  # by line
    shown = ""
    for row in rows:
        first = row["what"] != shown
        shown = row["what"]
        if first and row["threads"] == 1 and not math.isnan(gflops):
            speed = f"floor, at {gflops:.0f} GFLOP/s"
            time = _figure(least[shown])
            lines.append((shown, speed, time, "", "", "1", time, "", "1"))
            first = False
        lines.append((shown if first else "", row["who"], *_figures(row)))
        errors[len(lines) - 1] = row.get("error", "")
    aligned = table(lines).splitlines()
    at = aligned[0].index(headings[2])
    return "\n".join(
        line.ljust(at) + errors[n] if errors.get(n) else line for n, line in enumerate(aligned)
    )


def _figures(row: dict[str, Any]) -> tuple[str, ...]:
    """A row's cells beside its name; none of one that failed."""
    if "error" in row:
        return ("",) * 7
    unit = _unit(row)
    return (
        _figure(row[unit.name]),
        f"{_figure(row['min'])} – {_figure(row['max'])}",
        _multiple(row["ratio"]),
        _multiple(row.get("floors", math.nan)),
        _figure(row[unit.processor]),
        _multiple(row["processor_ratio"]),
        _multiple(row.get("processor_floors", math.nan)),
    )


def _multiple(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _checks_text(checks: dict[str, Any]) -> str:
    """The kernel by itself, a line each."""
    if "error" in checks:
        return f"the kernel by itself: {checks['error']}"
    return "\n".join((_cost_text(checks), _seeds_text(checks), *_memory_texts(checks)))


def _cost_text(checks: dict[str, Any]) -> str:
    cost = checks["cost_per_step"]
    if "error" in cost:
        return f"cost of a step: {cost['error']}"
    (short, long), (fast, slow) = cost["lengths"], cost["ns_per_step"]
    return (
        f"cost of a sequence's step: {fast:.1f} ns at T = {short}, {slow:.1f} ns at T = {long} "
        f"(× {cost['ratio']:.2f}; processor time × {cost['processor_ratio']:.2f})"
    )


def _seeds_text(checks: dict[str, Any]) -> str:
    seeds = checks["two_seeds"]
    if "error" in seeds:
        return f"two seeds on two cores: {seeds['error']}"
    return (
        f"two seeds on two cores: × {seeds['speedup']:.2f} of one ({seeds['us_alone']:.1f} µs "
        f"alone, {seeds['us_together']:.1f} µs side by side; "
        f"by processor time × {seeds['processor_speedup']:.2f})"
    )


def _memory_texts(checks: dict[str, Any]) -> list[str]:
    memory = checks["memory"]
    if "error" in memory:
        return [f"memory: {memory['error']}"]
    return [
        f"memory with {_threads(one['threads'])}: "
        f"{one['bytes'] / 1e6:.1f} MB, × {one['ratio']:.2f} of the {one['needed_bytes'] / 1e6:.1f} "
        "MB that BPTT must keep"
        for one in memory
    ]
