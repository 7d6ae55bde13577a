"""The native kernel: against the reference, against itself in every width, against bad input."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
import pytest

from longlag import machine
from longlag.learning.optimizers import Adam, clip_by_global_norm
from longlag.networks.lstm import LSTM, parameter_count, unflatten
from longlag.networks.network import flatten

kernel = pytest.importorskip("longlag._kernel", reason="the kernel was not built")

ISAS: list[str] = kernel.isas()
CORES = machine.cores()
FUSED = [isa for isa in ISAS if isa in ("avx512", "avx2")]
HIDDEN = (1, 3, 8, 17, 64, 128)
BATCHES = (1, 3, 16, 17, 33)
VARIANTS = [(sigmoid, gate) for sigmoid in (False, True) for gate in (True, False)]
ADAM = {"optimizer": "adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "clip": 1.0}


class Problem(NamedTuple):
    """Parameters (P,), inputs (B, T, 2), lengths (B,), targets (B,), and the variant."""

    parameters: np.ndarray
    inputs: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray
    variant: dict[str, Any]

    @property
    def batch(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.inputs, self.lengths, self.targets

    def reference(self) -> LSTM:
        """The reference network in float64."""
        hidden = self.variant["hidden"]
        parameters = unflatten(self.parameters.astype(np.float64), hidden)
        output = "sigmoid" if self.variant["sigmoid_output"] else "linear"
        return LSTM(parameters, output, self.variant["forget_gate"])


def problem(
    hidden: int, B: int, T: int, sigmoid_output: bool = False, forget_gate: bool = True
) -> Problem:
    rng = np.random.default_rng([hidden, B, T])
    scale = 1.2 / np.sqrt(hidden + 2)
    parameters = rng.normal(0, scale, parameter_count(hidden)).astype(np.float32)
    inputs = rng.uniform(-1, 1, (B, T, 2)).astype(np.float32)
    lengths = rng.integers(1, T + 1, B)
    lengths[rng.integers(B)] = T
    targets = rng.uniform(0, 1, B).astype(np.float32)
    variant = {"hidden": hidden, "sigmoid_output": sigmoid_output, "forget_gate": forget_gate}
    return Problem(parameters, inputs, lengths, targets, variant)


class Run(NamedTuple):
    """What training takes by position: moments and parameters are written to."""

    parameters: np.ndarray
    first_moment: np.ndarray
    second_moment: np.ndarray
    step: int
    inputs: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray
    learning_rates: np.ndarray


def training(hidden: int, B: int, T: int, N: int, rate: float = 0.01) -> Run:
    rng = np.random.default_rng([hidden, B, T, N])
    P = parameter_count(hidden)
    return Run(
        rng.normal(0, 1 / np.sqrt(hidden + 2), P).astype(np.float32),
        np.zeros(P, np.float32),
        np.zeros(P, np.float32),
        0,
        rng.uniform(-1, 1, (N, B, T, 2)).astype(np.float32),
        rng.integers(1, T + 1, (N, B)),
        rng.uniform(0, 1, (N, B)).astype(np.float32),
        np.full(N, rate),
    )


def fresh(run: Run) -> Run:
    """A copy to be trained."""
    return run._replace(**{name: getattr(run, name).copy() for name in Run._fields[:3]})


def variant(hidden: int, isa: str = ISAS[-1], **others: Any) -> dict[str, Any]:
    named = {"hidden": hidden, "sigmoid_output": False, "forget_gate": True, "isa": isa}
    return {**named, **others}


def assert_close(actual: Any, wanted: Any, rtol: float = 1e-4) -> None:
    """Within rtol of each entry, plus a fiftieth of that of the largest."""
    wanted = np.asarray(wanted)
    atol = rtol / 50 * np.max(np.abs(wanted), initial=1e-3)
    np.testing.assert_allclose(actual, wanted, rtol=rtol, atol=atol)


# The reference ---------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("sigmoid_output", "forget_gate"), VARIANTS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_agrees_with_the_reference(
    hidden: int, sigmoid_output: bool, forget_gate: bool, isa: str
) -> None:
    for B, T in ((1, 1), (3, 19), (16, 40), (17, 16), (33, 7)):
        p = problem(hidden, B, T, sigmoid_output, forget_gate)
        network = p.reference()
        loss, answers, gradient = kernel.gradient(p.parameters, *p.batch, **p.variant, isa=isa)
        wanted_loss, wanted_gradient = network.gradient(*p.batch)
        assert_close(loss, wanted_loss)
        assert_close(answers, network.predict(p.inputs, p.lengths))
        for part, wanted in zip(unflatten(gradient, hidden), wanted_gradient, strict=True):
            assert_close(part, wanted, rtol=5e-4)
        states = kernel.states(p.parameters, p.inputs, p.lengths, **p.variant, isa=isa)
        wanted_states = network.states(p.inputs, p.lengths)
        assert states.keys() == wanted_states.keys()
        for name, wanted in wanted_states.items():
            assert_close(states[name], wanted, rtol=5e-4)


def test_comparison_can_fail() -> None:
    p = problem(8, 17, 12)
    _, _, gradient = kernel.gradient(p.parameters, *p.batch, **p.variant, isa=ISAS[0])
    _, wanted = p.reference().gradient(*p.batch)
    right = unflatten(gradient, 8).Wh
    largest, typical = np.argsort(np.abs(right), axis=None)[[-1, right.size // 2]]
    for at, factor in ((largest, 1.001), (typical, 1.01)):
        wrong = right.copy()
        wrong.flat[at] *= factor
        with pytest.raises(AssertionError):
            assert_close(wrong, wanted.Wh, rtol=5e-4)


@pytest.mark.parametrize("isa", ISAS)
def test_fixed_forget_gate_has_no_gradient(isa: str) -> None:
    p = problem(17, 20, 33, forget_gate=False)
    _, _, gradient = kernel.gradient(p.parameters, *p.batch, **p.variant, isa=isa)
    parts = unflatten(gradient, 17)
    for part in (parts.Wx, parts.Wh, parts.b):
        assert not part[..., 17:34].any()
        assert part[..., :17].all()


@pytest.mark.parametrize("isa", ISAS)
def test_padding_is_never_read(isa: str) -> None:
    p = problem(8, 19, 25)
    noisy = p.inputs.copy()
    noisy[np.arange(25) >= p.lengths[:, None]] = 1e30
    clean = kernel.gradient(p.parameters, *p.batch, **p.variant, isa=isa)
    dirty = kernel.gradient(p.parameters, noisy, *p.batch[1:], **p.variant, isa=isa)
    for a, b in zip(clean, dirty, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("size", [1, 1e25], ids=["usual", "gradient far above the limit"])
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("hidden", [3, 8, 20])
def test_hundred_iterations_of_adam(hidden: int, isa: str, size: float) -> None:
    run = training(hidden, B=33, T=21, N=100)
    run = run._replace(targets=run.targets * np.float32(size))
    parameters = run.parameters.astype(np.float64)
    optimizer, wanted = Adam(len(parameters), dtype=np.float64), []
    network = LSTM(unflatten(parameters, hidden))
    for batch in zip(run.inputs, run.lengths, run.targets, strict=True):
        loss, gradient = network.gradient(*batch)
        wanted.append(loss)
        optimizer.update(parameters, clip_by_global_norm(flatten(gradient), 0.05)[0], 0.01)
    mine = fresh(run)
    losses, updates = kernel.train(*mine, **variant(hidden, isa), **{**ADAM, "clip": 0.05})
    assert updates == 100
    assert_close(losses, wanted, rtol=1e-3)
    assert_close(mine.parameters, parameters, rtol=1e-2)


@pytest.mark.parametrize("clip", [0.01, np.inf])
def test_gradient_descent_is_clipped(clip: float) -> None:
    run = training(8, B=5, T=9, N=1, rate=0.5)
    batch = (run.inputs[0], run.lengths[0], run.targets[0])
    loss, _, gradient = kernel.gradient(run.parameters, *batch, **variant(8))
    clipped, norm = clip_by_global_norm(gradient, clip)
    assert norm > 0.01
    mine = fresh(run)._replace(first_moment=None, second_moment=None)
    settings = {**ADAM, "optimizer": "sgd", "clip": clip}
    losses, updates = kernel.train(*mine, **variant(8), **settings)
    assert (losses.tolist(), updates) == ([loss], 1)
    wanted = run.parameters - np.float32(0.5) * clipped
    np.testing.assert_allclose(mine.parameters, wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("isa", ISAS)
def test_denormals_count_as_zero_in_the_update(isa: str) -> None:
    run, P = training(2, B=3, T=4, N=1), parameter_count(2)
    error = np.float32(1e-20)  # the gradient's square is a denormal
    run = run._replace(parameters=np.zeros(P, np.float32), targets=np.full((1, 3), error))
    kernel.train(*run, **variant(2, isa), **ADAM)
    assert run.first_moment[-1] == pytest.approx(-0.2e-20)
    assert not run.second_moment.any()


@pytest.mark.parametrize("isa", ISAS)
def test_moving_average(isa: str) -> None:
    run, average = training(8, B=4, T=9, N=3), np.zeros(parameter_count(8), np.float32)
    together = fresh(run)
    settings = {**variant(8, isa), **ADAM, "average_decay": 0.75}
    kernel.train(*together, **settings, average=average)
    step_by_step, wanted = fresh(run), np.zeros_like(average)
    for n in range(3):
        data = {name: getattr(run, name)[n : n + 1] for name in Run._fields[4:]}
        kernel.train(*step_by_step._replace(step=n, **data), **settings)
        wanted = np.float32(0.75) * wanted + np.float32(0.25) * step_by_step.parameters
    np.testing.assert_array_equal(together.parameters, step_by_step.parameters)
    np.testing.assert_array_equal(average, wanted)


# The bits --------------------------------------------------------------------------------------


def steps_for_threads(hidden: int, batch: int) -> int:
    """Steps from which on several threads are used, where the machine has them."""
    steps, most = 23, min(2, -(-batch // 16), CORES)
    while kernel.threads_used(hidden, batch, steps, 2) < most:
        steps *= 2
    return steps


@pytest.mark.parametrize("hidden", HIDDEN)
def test_same_bits_in_every_width_and_number_of_threads(hidden: int) -> None:
    for B in BATCHES:
        p = problem(hidden, B, steps_for_threads(hidden, B))
        by_isa: dict[str, set[bytes]] = {isa: set() for isa in ISAS}
        for isa in ISAS:
            for threads in (1, 2, 5):
                common = {**p.variant, "isa": isa, "threads": threads}
                loss, answers, gradient = kernel.gradient(p.parameters, *p.batch, **common)
                states = kernel.states(p.parameters, *p.batch[:2], **common)
                alone = kernel.predict(p.parameters, *p.batch[:2], **common)
                arrays = [np.float64(loss), answers, alone, gradient, *states.values()]
                by_isa[isa].add(b"".join(array.tobytes() for array in arrays))
        assert all(len(results) == 1 for results in by_isa.values())
        assert len(set.union(*(by_isa[isa] for isa in FUSED), set())) <= 1


@pytest.mark.parametrize(("hidden", "B"), [(1, 3), (8, 33), (17, 17), (32, 40)])
def test_same_bits_after_training(hidden: int, B: int) -> None:
    run = training(hidden, B, T=steps_for_threads(hidden, B), N=40, rate=0.02)
    results: dict[str, set[bytes]] = {}
    for isa in ISAS:
        for threads in (1, 2, 4):
            mine = fresh(run)
            settings = {**variant(hidden, isa, sigmoid_output=True, threads=threads), **ADAM}
            losses, _ = kernel.train(*mine, **settings)
            bits = b"".join(array.tobytes() for array in (losses, *mine[:3]))
            results.setdefault(isa, set()).add(bits)
    assert all(len(bits) == 1 for bits in results.values())
    assert len(set.union(*(results[isa] for isa in FUSED), set())) <= 1


@pytest.mark.parametrize("T", [40, 900])  # memory that is small, and large enough to be kept
def test_what_memory_held_before_changes_nothing(T: int) -> None:
    p = problem(8, 20, T)
    loud = p.inputs * np.float32(3e38)  # leaves infinities and NaN behind
    first = kernel.gradient(p.parameters, *p.batch, **p.variant, isa=ISAS[0])
    kernel.gradient(p.parameters, loud, *p.batch[1:], **p.variant, isa=ISAS[0])
    again = kernel.gradient(p.parameters, *p.batch, **p.variant, isa=ISAS[0])
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_memory_that_is_kept_is_large_enough_for_the_next_call() -> None:
    by_length = {T: problem(8, 20, T) for T in (900, 1700, 7000)}
    found: dict[int, list[bytes]] = {}
    for T in (900, 7000, 1700, 900, 7000, 1700):  # 3, 22 and 5 MB
        p = by_length[T]
        _, _, gradient = kernel.gradient(p.parameters, *p.batch, **p.variant, isa=ISAS[0])
        found.setdefault(T, []).append(gradient.tobytes())
    assert all(len(set(bits)) == 1 for bits in found.values())


def test_a_sequence_does_not_depend_on_its_company() -> None:
    p = problem(8, 33, 30)
    together = kernel.predict(p.parameters, p.inputs, p.lengths, **p.variant, isa=ISAS[0])
    for b in range(33):
        alone = (p.inputs[b : b + 1], p.lengths[b : b + 1])
        assert kernel.predict(p.parameters, *alone, **p.variant, isa=ISAS[0]) == together[b]


def test_a_run_in_two_calls_is_the_same_run() -> None:
    run = training(8, B=20, T=15, N=10)
    whole, halves = fresh(run), fresh(run)
    losses, _ = kernel.train(*whole, **variant(8), **ADAM)
    parts = []
    for start in (0, 5):
        data = {name: getattr(run, name)[start : start + 5] for name in Run._fields[4:]}
        part, updates = kernel.train(*halves._replace(step=start, **data), **variant(8), **ADAM)
        assert updates == 5
        parts.append(part)
    np.testing.assert_array_equal(losses, np.concatenate(parts))
    for a, b in zip(whole[:3], halves[:3], strict=True):
        np.testing.assert_array_equal(a, b)


# Runs that diverge -----------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("rate", [1e4, 1e15, 1e38])
def test_divergence_stops_before_the_update(rate: float, isa: str, threads: int) -> None:
    run = training(8, B=20, T=steps_for_threads(8, 20), N=60, rate=rate)
    settings = {**variant(8, isa, threads=threads), **ADAM, "optimizer": "sgd", "clip": np.inf}
    mine = fresh(run)
    losses, updates = kernel.train(*mine, **settings)
    assert updates < 60
    assert len(losses) == updates + 1
    assert np.isfinite(losses[:updates]).all()
    assert np.isfinite(mine.parameters).all()
    again = fresh(run)
    if updates:
        data = {name: getattr(run, name)[:updates] for name in Run._fields[4:]}
        kernel.train(*again._replace(**data), **settings)
    np.testing.assert_array_equal(mine.parameters, again.parameters)


@pytest.mark.parametrize("isa", ISAS)
def test_no_clamp_hides_an_overflow(isa: str) -> None:
    p = problem(8, 3, 5)
    parameters = p.parameters.copy()
    parameters[: 2 * 32] = np.tile(np.float32([3e38, -3e38]), 32)
    inputs = np.full_like(p.inputs, 2)
    inputs[:, :, 1] = -2  # inf - inf somewhere in every cell
    parts = unflatten(parameters, 8)
    parts.Wx[1] = parts.Wx[0]
    loss, *_ = kernel.gradient(parameters, inputs, *p.batch[1:], **p.variant, isa=isa)
    assert not np.isfinite(loss)


# The interpreter -------------------------------------------------------------------------------


def test_the_interpreter_is_free_meanwhile() -> None:
    run = training(64, B=64, T=100, N=20)
    worker = threading.Thread(target=lambda: kernel.train(*run, **variant(64, ISAS[0]), **ADAM))
    worker.start()
    turns = 0
    while worker.is_alive():
        turns += 1
    assert turns > 100


# Bad input -------------------------------------------------------------------------------------

P8 = parameter_count(8)
BAD_PARAMETERS = [
    ("parameters", np.zeros(P8 + 1, np.float32), f"({P8},), not an array of shape ({P8 + 1},)"),
    ("parameters", np.zeros((P8, 1), np.float32), f"of shape ({P8}, 1)"),
    ("parameters", np.zeros(P8), "an array of float64"),
    ("parameters", np.zeros(P8, ">f4"), "an array of >f4"),
    ("parameters", np.zeros(2 * P8, np.float32)[::2], "another memory order"),
    ("parameters", np.full(P8, np.nan, np.float32), "NaN at flat position 0"),
    ("parameters", [0.0] * P8, "an object of type list"),
    ("parameters", None, "an object of type NoneType"),
]
BAD_VARIANT = [
    ("hidden", 0, "an integer from 1 to 128, not 0"),
    ("hidden", 129, "not 129"),
    ("hidden", 2**70, "not 1180591620717411303424"),
    ("hidden", 8.0, "not 8.0"),
    ("hidden", True, "not True"),
    ("hidden", None, "not None"),
    ("hidden", 7, "shape"),
    ("sigmoid_output", 1, "True or False, not 1"),
    ("forget_gate", "yes", "True or False, not 'yes'"),
    ("input_size", 0, "an integer from 1 to 65536, not 0"),
    ("input_size", 3, "shape"),
    ("output_size", 65537, "not 65537"),
    ("output_size", 2, "shape"),
    ("symbols", None, "True or False, not None"),
    ("every", 0, "True or False, not 0"),
    ("isa", "sse9", "not 'sse9'"),
    ("isa", None, "not None"),
    ("isa", "\ud800", "not '\\ud800'"),
    ("threads", 0, "an integer from 1 to 1024, not 0"),
    ("threads", -(2**80), "not -1208925819614629174706176"),
    ("threads", 1.5, "not 1.5"),
]


def bad_inputs(lead: tuple[int, ...]) -> list[tuple[str, Any, str]]:
    """Bad inputs and lengths for a batch of 3 sequences of 5 steps, `lead` axes before it."""
    nan, inf = np.zeros((2, *lead, 3, 5, 2), np.float32)
    nan.flat[13], inf.flat[7] = np.nan, -np.inf
    short, long = np.full((2, *lead, 3), 5)
    short.flat[1], long.flat[2] = 0, 6
    return [
        ("inputs", np.zeros((*lead, 3, 5), np.float32), "not an array of shape"),
        ("inputs", np.zeros((*lead, 3, 5, 3), np.float32), "5, 3)"),
        ("inputs", np.zeros((*lead, 0, 5, 2), np.float32), "0, 5, 2)"),
        ("inputs", np.zeros((*lead, 3, 0, 2), np.float32), "3, 0, 2)"),
        ("inputs", np.zeros((*lead, 3, 5, 2), np.float16), "an array of float16"),
        ("inputs", np.zeros((*lead, 3, 5, 2), object), "an array of object"),
        ("inputs", np.zeros((*lead, 3, 2, 5), np.float32).swapaxes(-1, -2), "memory order"),
        ("inputs", np.frombuffer(bytes(1 + 120), np.uint8)[1:], "an array of uint8"),
        ("inputs", nan, "NaN at flat position 13"),
        ("inputs", inf, "-inf at flat position 7"),
        ("inputs", 3.5, "an object of type float"),
        ("lengths", np.full((*lead, 4), 5), "4,)" if not lead else "4)"),
        ("lengths", np.full((*lead, 3), 5, np.int32), "an array of int32"),
        ("lengths", np.full((*lead, 3), 5.0), "an array of float64"),
        ("lengths", np.full((*lead, 6), 5)[..., ::2], "memory order"),
        ("lengths", short, "0 at flat position 1"),
        ("lengths", long, "6 at flat position 2"),
        ("lengths", (5, 5, 5), "an object of type tuple"),
    ]


def bad_targets(lead: tuple[int, ...]) -> list[tuple[str, Any, str]]:
    return [
        ("targets", np.zeros((*lead, 2), np.float32), "not an array of shape"),
        ("targets", np.zeros((*lead, 3)), "an array of float64"),
        ("targets", np.full((*lead, 3), np.inf, np.float32), "inf at flat position 0"),
        ("targets", None, "an object of type NoneType"),
    ]


def bad_training() -> list[tuple[str, Any, str]]:
    locked = np.zeros(P8, np.float32)
    locked.flags.writeable = False
    cases: list[tuple[str, Any, str]] = [
        (name, value, told)
        for name in ("first_moment", "second_moment", "average")
        for _, value, told in BAD_PARAMETERS
        if not (name == "average" and value is None)
    ]
    cases += [
        (name, locked, "a read-only array")
        for name in ("parameters", "first_moment", "second_moment", "average")
    ]
    cases += [("second_moment", np.full(P8, -1, np.float32), "-1.0")]
    cases += [("inputs", np.zeros((0, 3, 5, 2), np.float32), "(0, 3, 5, 2)")]
    cases += [
        ("step", -1, "an integer from 0 to 4611686018427387903, not -1"),
        ("step", 1.0, "not 1.0"),
        ("step", 2**64, "not 18446744073709551616"),
        ("learning_rates", np.zeros(3), "(2,), not an array of shape (3,)"),
        ("learning_rates", np.zeros(2, np.float32), "an array of float32"),
        ("learning_rates", np.array([0.1, -0.1]), "-0.100000 at position 1"),
        ("learning_rates", np.array([np.inf, 0.1]), "inf at position 0"),
        ("learning_rates", 0.1, "an object of type float"),
        ("optimizer", "rmsprop", 'one of "adam", "sgd", not \'rmsprop\''),
        ("optimizer", b"adam", "not b'adam'"),
        ("beta1", 1.0, "from 0 to below 1, not 1.0"),
        ("beta1", "0.9", "not '0.9'"),
        ("beta2", -0.1, "not -0.1"),
        ("beta2", np.nan, "not nan"),
        ("epsilon", 0.0, "above 0, not 0.0"),
        ("epsilon", np.inf, "not inf"),
        ("clip", 0.0, "not 0.0"),
        ("clip", np.nan, "not nan"),
        ("clip", 10**400, "not 1000"),
        ("average_decay", 1.5, "from 0 to 1, not 1.5"),
        ("average_decay", None, "not None"),
    ]
    return cases


GOOD: dict[str, Any] = {
    "parameters": np.zeros(P8, np.float32),
    "inputs": np.zeros((3, 5, 2), np.float32),
    "lengths": np.full(3, 5),
}
GOOD_VARIANT = {**variant(8), "threads": 1}
GOOD_GRADIENT = {**GOOD, "targets": np.zeros(3, np.float32)}


def good_training() -> dict[str, Any]:
    run = Run(
        *np.zeros((3, P8), np.float32),
        0,
        np.zeros((2, 3, 5, 2), np.float32),
        np.full((2, 3), 5),
        np.zeros((2, 3), np.float32),
        np.zeros(2),
    )
    return run._asdict() | {"average": np.zeros(P8, np.float32), "average_decay": 0.5} | ADAM


SHARED = BAD_PARAMETERS + BAD_VARIANT
CASES = (
    [("predict", *case) for case in SHARED + bad_inputs(())]
    + [("states", *case) for case in SHARED + bad_inputs(())]
    + [("gradient", *case) for case in SHARED + bad_inputs(()) + bad_targets(())]
    + [("train", *case) for case in SHARED + bad_inputs((2,)) + bad_targets((2,)) + bad_training()]
)


@pytest.mark.parametrize(
    ("function", "argument", "value", "told"),
    CASES,
    ids=[f"{function}-{argument}-{n}" for n, (function, argument, *_) in enumerate(CASES)],
)
def test_bad_input_is_refused(function: str, argument: str, value: Any, told: str) -> None:
    by_function = {"gradient": GOOD_GRADIENT, "train": good_training()}
    arguments = {**by_function.get(function, GOOD), **GOOD_VARIANT}
    call = getattr(kernel, function)
    call(**arguments)
    with pytest.raises(ValueError, match=r"^\w+ must be .*, not .*\.$") as refusal:
        call(**{**arguments, argument: value})
    message = str(refusal.value)
    assert message.startswith("parameters" if told == "shape" else argument)
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (np.zeros((3, 5, 2), np.float32), "an array of float32"),
        (np.zeros((3, 5, 2), np.int64), "an array of shape (3, 5, 2)"),
        (np.arange(15).reshape(3, 5) % 3, "symbols from 0 to 1 throughout, not 2 at flat position"),
        (np.full((3, 5), -1), "not -1 at flat position 0"),
    ],
)
def test_bad_symbols_are_refused(inputs: np.ndarray, told: str) -> None:
    arguments = {**GOOD_GRADIENT, **GOOD_VARIANT, "symbols": True}
    kernel.gradient(**{**arguments, "inputs": np.ones((3, 5), np.int64)})
    with pytest.raises(ValueError, match=r"^inputs must be ") as refusal:
        kernel.gradient(**{**arguments, "inputs": inputs})
    assert told in str(refusal.value)


@pytest.mark.parametrize("shape", [(3,), (3, 5), (3, 4, 2), (3, 2)])
def test_targets_have_the_shape_of_the_answers(shape: tuple[int, ...]) -> None:
    asked = {"output_size": 2, "every": True}
    parameters = np.zeros(parameter_count(8, 2, 2), np.float32)
    arguments = {**GOOD_GRADIENT, **GOOD_VARIANT, **asked, "parameters": parameters}
    kernel.gradient(**{**arguments, "targets": np.zeros((3, 5, 2), np.float32)})
    with pytest.raises(ValueError, match=r"^targets must be .* of shape \(3, 5, 2\), not"):
        kernel.gradient(**{**arguments, "targets": np.zeros(shape, np.float32)})


EVERY: dict[str, Any] = {"hidden": 4, "sigmoid_output": False, "forget_gate": True, "every": True}


@pytest.mark.parametrize(
    ("counted", "named", "told"),
    [
        (np.zeros((3, 5), bool), {}, "true at a step of every batch, not false throughout"),
        (np.eye(3, 5, -2, bool), {"lengths": [1, 1, 1]}, None),
        (np.eye(3, 5, 1, bool), {"lengths": [1, 1, 1]}, "true at a step of every batch"),
        (np.ones((3, 5)), {}, "C-contiguous bool array of shape .3, 5., not an array of float64"),
        (np.ones((3, 4), bool), {}, "of shape .3, 5., not an array of shape .3, 4."),
        (np.ones((3, 5), bool), {"every": False}, "None, not steps where the last one alone"),
        (1, {}, "a C-contiguous bool array"),
    ],
)
def test_steps_that_count_are_checked(counted: Any, named: Any, told: str | None) -> None:
    asked = {"lengths": [5, 5, 5], **EVERY, "isa": ISAS[-1], **named}
    lengths = np.array(asked.pop("lengths"))
    targets = np.zeros((3, 5) if asked["every"] else 3, np.float32)
    given = (np.zeros(4 * 4 * 7 + 5, np.float32), np.zeros((3, 5, 2), np.float32), lengths, targets)
    if told is None:
        assert kernel.gradient(*given, counted=counted, **asked)[0] == 0
        return
    with pytest.raises(ValueError, match=rf"^counted must be .*{told}"):
        kernel.gradient(*given, counted=counted, **asked)


def test_shared_memory_is_refused() -> None:
    arguments = {**good_training(), **GOOD_VARIANT}
    memory = np.zeros(2 * P8, np.float32)
    arguments |= {"parameters": memory[:P8], "first_moment": memory[P8 - 1 : -1]}
    with pytest.raises(ValueError, match="first_moment must be an array of its own"):
        kernel.train(**arguments)
    kernel.train(**{**arguments, "optimizer": "sgd"})


def test_arguments_are_not_kept() -> None:
    array = bytearray(GOOD["inputs"].tobytes())
    inputs = np.frombuffer(array, np.float32).reshape(3, 5, 2)
    kernel.predict(**{**GOOD, "inputs": inputs}, **GOOD_VARIANT)
    del inputs
    array.clear()  # raises where a buffer is still exported


def test_isas_name_what_this_machine_runs() -> None:
    assert ISAS
    assert set(ISAS) <= {"avx512", "avx2", "baseline", "neon"}
    ISAS.copy().clear()
    assert kernel.isas() == ISAS
