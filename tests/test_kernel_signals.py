"""A signal ends a native call, whatever it computes, and extremes of its arguments are refused."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longlag.kernel import load_kernel
from longlag.learning.engine import choose
from longlag.learning.recipe import recipe
from longlag.learning.training import Training
from longlag.runs import directory as runs

kernel: Any = load_kernel()
pytestmark = pytest.mark.skipif(kernel is None, reason="no native kernel")
ISA = kernel.isas()[0] if kernel else ""
LSTM = {"hidden": 128, "sigmoid_output": False, "forget_gate": True, "isa": ISA}
P = 4 * 128 * 131 + 129
ADAM = {"optimizer": "adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "clip": 1.0}
OLD = {"blocks": 2, "block_size": 2, "reads_current": True, "isa": ISA}
FULL = {"tolerance": 0.04, "check_every": 10**9, "rate": 0.1, "full_gradient": True}


def batch(*shape: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Zeros of shape (..., T): inputs, lengths and targets."""
    inputs = np.zeros((*shape, 2), np.float32)
    return inputs, np.full(shape[:-1], shape[-1]), np.zeros(shape[:-1], np.float32)


def online(n: int, each: int, steps: int, weights: int = 93) -> tuple[np.ndarray, ...]:
    """The arguments of n trials of `each` sequences."""
    state = (
        np.zeros((n, weights), "f4"),
        np.zeros((n, 10), "f4"),
        np.zeros(n, int),
        np.zeros(n, int),
    )
    stops = (np.full((n, 1), -1), np.zeros((n, 1, weights), "f4"), np.zeros((n, 1, 2)))
    return *state, *stops, *batch(n, each, steps)


def trace(reads: int) -> np.ndarray:
    """A stream of instructions that read two of many values each."""
    values = np.random.default_rng(0).integers(2**20, size=(reads // 2, 2))
    ends = np.full((reads // 2, 1), -2)
    return np.append(np.hstack([values, ends]).ravel(), -3)


WIDE = {"blocks": 4, "block_size": 6}
# Calls that take many seconds; each makes its arguments when it is asked for.
LONG: dict[str, Callable[[], Callable[..., Any]]] = {
    "predict": lambda: partial(kernel.predict, np.zeros(P, "f4"), *batch(64, 200_000)[:2], **LSTM),
    "one sequence": lambda: partial(
        kernel.predict, np.zeros(P, "f4"), *batch(1, 2_000_000)[:2], **LSTM
    ),
    "gradient": lambda: partial(kernel.gradient, np.zeros(P, "f4"), *batch(8192, 400), **LSTM),
    "train": lambda: partial(
        kernel.train,
        *(np.zeros(P, "f4"), np.zeros(P, "f4"), np.zeros(P, "f4"), 0),
        *(*batch(40, 64, 1000), np.full(40, 0.01)),
        **(LSTM | ADAM),
    ),
    "online1997": lambda: partial(
        kernel.online1997,
        *online(16, 2000, 1000, 32 * 35 + 25),
        thresholds=np.array([0]),
        **(OLD | WIDE | FULL),
    ),
    "stack_depths": lambda: partial(kernel.stack_depths, trace(2**24), 2**20),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", LONG)
def test_a_signal_ends_a_native_call(name: str, threads: int) -> None:
    """What the handler raises comes out of the call, which has computed for a part of its time."""
    call, main = LONG[name](), threading.main_thread().ident
    more = {} if name == "stack_depths" else {"threads": threads}
    assert main is not None
    timer = threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    started = time.process_time()
    with pytest.raises(KeyboardInterrupt):
        call(**more)
    assert time.process_time() - started < 4


def test_a_signal_ends_a_call_whose_caller_waits_for_another_thread() -> None:
    """The first group of sequences is short; the caller has nothing more to do itself."""
    inputs, lengths, _ = batch(32, 400_000)
    lengths[:16] = 1
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    started = time.process_time()
    with pytest.raises(KeyboardInterrupt):
        kernel.predict(np.zeros(P, "f4"), inputs, lengths, threads=2, **LSTM)
    assert time.process_time() - started < 8


def some_iterations() -> tuple[list[Any], dict[str, Any]]:
    """Arguments of `train`: three iterations of a quarter of a second."""
    rng = np.random.default_rng(0)
    inputs, lengths, targets = batch(3, 384, 100)
    inputs[...], targets[...] = rng.random(inputs.shape), rng.random(targets.shape)
    lengths[...] = rng.integers(1, 100, lengths.shape)
    weights = rng.uniform(-0.1, 0.1, P).astype("f4")
    moments = np.zeros(P, "f4"), np.zeros(P, "f4")
    return [weights, *moments, 0, inputs, lengths, targets, np.full(3, 0.01)], LSTM | ADAM


@pytest.mark.parametrize("threads", [1, 2])
def test_a_training_tells_how_much_is_done(threads: int) -> None:
    shares: list[float] = []
    (heard, named), (unheard, _) = some_iterations(), some_iterations()
    kernel.train(*heard, **named, threads=threads, observe=shares.append)
    kernel.train(*unheard, **named, threads=threads)
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 1
    assert heard[0].tobytes() == unheard[0].tobytes()


def test_what_an_observer_raises_ends_the_call() -> None:
    def observe(share: float) -> None:
        raise LookupError(share)

    arguments, named = some_iterations()
    with pytest.raises(LookupError):
        kernel.train(*arguments, **named, observe=observe)
    with pytest.raises(ValueError, match=r"^observe must be a callable, or None, not 3\.$"):
        kernel.train(*arguments, **named, observe=3)


def test_an_interrupted_training_goes_on_to_the_same_bits() -> None:
    made = recipe("robust", min_length=30, hidden=64, max_iterations=200, test_every=100)
    whole, cut = (Training(made, 3, choose("native")) for _ in range(2))
    main = threading.main_thread().ident
    assert main is not None
    interrupted = 0
    while cut.stopped_by is None:
        timer = threading.Timer(0.06, signal.pthread_kill, (main, signal.SIGINT))
        if interrupted < 3:
            timer.start()
        try:
            cut.advance()
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            timer.cancel()
    while whole.stopped_by is None:
        whole.advance()
    assert np.array_equal(cut.learner.weights, whole.learner.weights)
    assert cut.losses == whole.losses
    assert cut.tests == whole.tests


def test_ctrl_c_ends_a_training_in_the_midst_of_its_first_iteration(tmp_path: Path) -> None:
    words = ["--hidden", "128", "--batch-size", "4096", "--min-length", "2000"]
    command = [sys.executable, "-m", "longlag", "train", *words, "--save-dir", "run"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "run" / runs.CHECKPOINT).exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith(b"longlag: interrupted at iteration 0; --resume continues\n")


# -- extremes -------------------------------------------------------------------------------------

NUMBERS = (0, -1, 2**31, 2**32 - 1, 2**32 + 1, 2**62 - 1, 2**62 + 1, 2**63 - 1, 2**64)
SMALL = {"hidden": 3, "sigmoid_output": False, "forget_gate": True, "isa": ISA, "threads": 1}
FEW = 4 * 3 * 6 + 4


def calls() -> dict[str, tuple[list[Any], dict[str, Any]]]:
    """A call of each function that works: its arguments in order, and by name."""
    parameters = [np.zeros(FEW, "f4")]
    sizes = {"input_size": 2, "output_size": 1, "symbols": False, "every": False}
    old = {**OLD, "threads": 1, "thresholds": np.array([0]), **FULL, "check_every": 1}
    every = {"every": True, "counted": np.ones((2, 3, 5), bool)}
    wanted = np.zeros((2, 3, 5), "f4")
    every |= {"wanted": wanted, "judged": np.ones((2, 3, 5), bool)}
    variant = {"biases": "all", "inputs_to_outputs": False, "output_gate": True, "recurrent": True}
    variant |= {"g": "centered", "h": "centered"}
    return {
        "predict": ([*parameters, *batch(2, 5)[:2]], SMALL | sizes),
        "states": ([*parameters, *batch(2, 5)[:2]], SMALL | sizes),
        "gradient": ([*parameters, *batch(2, 5)], SMALL | sizes),
        "train": (
            [
                *(*(np.zeros(FEW, "f4") for _ in range(3)), 0, *batch(2, 2, 5)[:2]),
                *(np.zeros((2, 2, 5), "f4"), np.full(2, 0.1)),
            ],
            {
                **(SMALL | sizes | ADAM),
                **{"average": np.zeros(FEW, "f4"), "average_decay": 0.5},
                **{"every": True, "counted": np.ones((2, 2, 5), bool), "observe": 3},
            },
        ),
        "online1997": ([*online(2, 3, 5)[:-1], wanted.copy()], old | every | variant),
        "predict1997": ([np.zeros(93, "f4"), *batch(2, 5)[:2]], {**OLD, "threads": 1} | variant),
        "stack_depths": ([np.array([0, 1, -1, 2, -2, -3]), 2], {}),
        "threads_used": ([3, 2, 5, 1], sizes),
        "peak": ([ISA], {}),
        "needed": ([ISA, 10, 3, 2], {}),
    }


def forms(value: Any) -> Iterator[Any]:
    """Extremes in the place of an argument."""
    if isinstance(value, (bool, float, str)):
        yield from (None, "", 2, -1, 1e400, float("nan"), 2**70)
    elif isinstance(value, int):
        yield from NUMBERS
    else:
        if value.dtype == np.int64:
            for number in NUMBERS[:-1]:
                changed = value.copy()
                changed.flat[-1] = number
                yield changed
        yield from (value[:0], value[..., :0], value[..., None], value[::-1], value.T)
        yield np.broadcast_to(value.flat[0], value.shape)
        yield np.lib.stride_tricks.as_strided(value, value.shape, (0,) * value.ndim)
        frozen = value.copy()
        frozen.flags.writeable = False
        yield frozen
        yield (
            np.frombuffer(b"\0" * (value.nbytes + 1), np.uint8)[1:]
            .view(value.dtype)
            .reshape(value.shape)
        )


def attempts(name: str) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Calls with one extreme each, and with two arrays that share memory."""
    for k in range(len(calls()[name][0])):
        for form in forms(calls()[name][0][k]):
            arguments, named = calls()[name]
            arguments[k] = form
            yield arguments, named
    for key in calls()[name][1]:
        for form in forms(calls()[name][1][key]):
            arguments, named = calls()[name]
            yield arguments, {**named, key: form}
    arguments, named = calls()[name]
    for a, b in itertools.permutations(range(len(arguments)), 2):
        if isinstance(arguments[a], np.ndarray) and isinstance(arguments[b], np.ndarray):
            shared = list(arguments)
            shared[a] = shared[b]
            yield shared, named


def throw(name: str) -> int:
    """Throws every extreme at a function; each is refused in a sentence, or taken."""
    tried, unclear = 0, 0
    for arguments, named in attempts(name):
        tried += 1
        try:
            getattr(kernel, name)(*arguments, **named)
        except (ValueError, MemoryError) as error:
            unclear += "\n" in str(error)
    return 0 if unclear else tried


@pytest.mark.parametrize("name", calls() if kernel else [])
def test_extremes_are_refused_or_taken(name: str) -> None:
    """In a process of its own, which a crash would end."""
    code = f"import test_kernel_signals as t; print(t.throw({name!r}))"
    words = [sys.executable, "-X", "faulthandler", "-c", code]
    done = subprocess.run(
        words, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5


def test_every_function_of_the_module_is_thrown_at() -> None:
    functions = {name for name in dir(kernel) if callable(getattr(kernel, name))}
    assert functions - {"isas"} == set(calls())


def test_what_was_seen_cannot_overflow() -> None:
    arguments, named = calls()["online1997"]
    arguments[2][:] = 2**63 - 2
    with pytest.raises(
        ValueError, match=r"seen must be from 0 to \d+ throughout, not 9223372036854775806"
    ):
        kernel.online1997(*arguments, **named)
