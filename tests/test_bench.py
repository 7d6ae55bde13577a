"""`longlag bench`: its arithmetic, what it refuses, and that no contestant can bring it down.

Nothing here asserts a time.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longlag import bench, cli
from longlag.bench import alone, cases, floor, measure, words
from longlag.bench.cases import (
    CONTESTANTS,
    ITERATION,
    OURS,
    TRIAL_STEP,
    Contestant,
    Unit,
    answers,
    in_batches,
    on_line,
    very_long_lag,
)
from longlag.bench.measure import Entrant
from longlag.bench.process import Failed, Process, Took, processes, run
from longlag.kernel import load_kernel
from longlag.learning import engine as engines
from longlag.learning.recipe import Recipe
from longlag.networks.lstm import LSTM, parameter_count
from longlag.networks.lstm1997 import LSTM1997, Weights, initial_weights
from longlag.tasks.task import Batch

pytest.importorskip("longlag.benchmarks")

TINY = replace(
    cases.QUICK,
    cases=(in_batches(11, 2, 4),),
    rounds=2,
    seconds=0.01,
    long=in_batches(30, 2, 4),
)
NUMPY = next(c for c in CONTESTANTS[ITERATION] if c.family == "numpy")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of a second or two."""
    monkeypatch.setattr(bench, "QUICK", TINY)


def call(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of `longlag bench`."""
    status = cli.main(["bench", *args])
    out, err = capsys.readouterr()
    return status, out, err


# -- the floor --------------------------------------------------------------------------------


class Counted:
    """A number that counts the operations done with it; `tanh` and `sigmoid` count 26."""

    done = 0

    def __add__(self, other: Counted) -> Counted:
        Counted.done += 1
        return self

    __mul__ = __sub__ = __truediv__ = __add__

    def activated(self) -> Counted:
        Counted.done += 26
        return self


def counted_step(hidden: int, inputs: int = 2, symbols: bool = False) -> int:
    """Operations of a step forward and back, by doing it in scalars."""
    products = hidden if symbols else inputs + hidden
    Counted.done = 0
    n = Counted()
    for _ in range(hidden):
        for _gate in range(4):
            z = n  # the bias, in a symbol's weight
            for _input in range(products):
                z = z + n * n
            z.activated()
        c = n * n + n * n
        _h = n * c.activated()
        dc = n + n * n * (n - n * n)
        for _dz in range(3):
            dc * n * (n - n * n)
        n * n * (n - n * n)
        dc * n
    for _ in range(hidden):  # dh of the step before: a sum over the gates, from zero
        for _gate in range(4 * hidden):
            n + n * n
    for _ in range(4 * hidden):  # gradients
        for _input in range(products):
            n + n * n
        for _one in range(1 + symbols):  # the bias, and a symbol
            n + n
    return Counted.done


@pytest.mark.parametrize("hidden", [1, 3, 8, 32])
@pytest.mark.parametrize("kind", [(2, 1, False), (5, 3, False), (8, 4, True)])
def test_a_step_has_the_operations_of_a_count_by_hand(
    hidden: int, kind: tuple[int, int, bool]
) -> None:
    inputs, _, symbols = kind
    one, two = (floor.operations(1, steps, hidden, *kind) for steps in (10, 11))
    assert two - one == counted_step(hidden, inputs, symbols)


def test_a_sequence_of_several_outputs_has_the_operations_of_a_count_by_hand() -> None:
    """Answers, losses, gradients of their weights, and the first dh."""
    Counted.done, n = 0, Counted()
    for _output in range(4):
        for _cell in range(8):
            n + n * n
        n * (n + (n - n) * n)
        for _cell in range(8):
            n + n * n
        n + n
    for _cell in range(8):
        n * n
        for _output in range(3):
            n + n * n
    update = 16 * parameter_count(8, 8, 4)
    assert floor.operations(1, 0, 8, 8, 4, True) == Counted.done + update


def test_operations_of_the_whole_iteration() -> None:
    # An answer and its loss: H multiply-adds, then y - t, its square, the sum, the scale; back:
    # H multiply-adds and a sum for the output's weights, H products for dh.
    hidden, batch = 8, 32
    a_sequence = 2 * hidden + 4 + 3 * hidden + 1
    a_parameter = 2 + 1 + 3 + 4 + 6  # norm, clipping, two moments, step
    expected = batch * (31.5 * counted_step(hidden) + a_sequence)
    assert floor.operations(batch, 31.5, hidden) == expected + a_parameter * parameter_count(hidden)
    assert floor.operations(32, 31.5, 8) == pytest.approx(3.0e6, rel=0.05)


def counted_online_step(blocks: int, size: int, symbols: bool = False, biases: bool = True) -> int:
    """Operations of an on-line step of one trial, by doing it in scalars."""
    Counted.done = 0
    n = Counted()
    cells = blocks * size
    units = cells + 2 * blocks
    sums = symbols + biases  # a symbol's weight, the bias
    for _ in range(units):
        for _input in range(units if symbols else 2 + units):
            n + n * n
        for _one in range(sums):
            n + n
        n.activated()
    for _ in range(cells):
        g = n * n + n
        (n + n * g).activated()
        h = n * n + n
        n * h
    for _ in range(cells):  # errors of the nets; n stands for those of the states
        n * n * (n - n * n)
    for _ in range(blocks):
        for _cell in range(size):
            n + n * n
        n * (n - n * n)
    for _ in range(cells + blocks):  # gradients
        for _input in range(units if symbols else 2 + units):
            n + n * n
        for _one in range(sums):
            n + n
    return Counted.done


@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize(("blocks", "size"), [(1, 1), (2, 2), (3, 2), (1, 4)])
def test_an_online_step_has_the_operations_of_a_count_by_hand(
    blocks: int, size: int, symbols: bool, biases: bool
) -> None:
    how = (blocks, size, symbols, biases)
    assert floor.online_operations(*how) == counted_online_step(*how)


def test_the_papers_network_has_664_operations_a_step() -> None:
    assert floor.online_operations() == 664
    assert on_line(100).floor(132.8) == pytest.approx(5.0)


def test_the_long_lags_of_the_papers_experiment_have_its_weights() -> None:
    case = very_long_lag(1000)
    assert case.name == "on-line, very-long-lag, q = p = 1000, 6064 weights"
    assert case.recipe.task.mean_length == pytest.approx(1012)
    assert case.recipe.settings()["biases"] == "none"


def test_the_floor_is_operations_over_peak() -> None:
    case = in_batches(30)
    assert case.recipe.task.mean_length == 31.5
    assert case.floor(100.0) == pytest.approx(floor.operations(32, 31.5, 8) / 100e9 * 1e6)
    assert math.isnan(case.floor(math.nan))


def test_the_peak_is_measured_for_every_instruction_set() -> None:
    kernel = load_kernel()
    if kernel is None:
        pytest.skip("no kernel here")
    for isa in kernel.isas():
        assert 0 < kernel.peak(isa) < 1e5
    for bad in ("sse9", 3, None):
        with pytest.raises(ValueError, match="isa must be"):
            kernel.peak(bad)


@pytest.mark.parametrize("hidden", [1, 8, 32])
@pytest.mark.parametrize("symbols", [False, True])
def test_the_instructions_of_a_step_are_those_of_its_operations(hidden: int, symbols: bool) -> None:
    """A multiply-add is one instruction and two operations; of a sum or a product it is one."""
    needs = floor.needs(hidden, 2, symbols)
    none, one = (floor.operations(1, steps, hidden, 2, 1, symbols) for steps in (0, 1))
    assert (needs.sigmoids, needs.tanhs) == (3 * hidden, 2 * hidden)
    arithmetic = one - none - floor.ACTIVATION * 5 * hidden
    assert arithmetic / 2 <= needs.products <= arithmetic
    weights = 12 * hidden**2 + (0 if symbols else 16 * hidden)  # on both ways, a multiply-add each
    assert needs.products - weights == (27 if symbols else 23) * hidden
    assert floor.needs(hidden, 2, symbols, back=False).products < needs.products / 2


def test_the_papers_network_has_its_instructions() -> None:
    """By hand: 8 units of 10 multiply-adds and a sum forward, 6 of them back."""
    assert floor.online_needs(2, 2) == (14 * 11 + 8 * 4 + 2 * 2, 12, 0)


def test_the_floor_of_testing_is_the_way_forward() -> None:
    case = answers(100)
    assert case.name == "testing, T = 100, H = 8"
    assert case.operations == pytest.approx(8 * 8 * 10 + 134 * 8, rel=0.01)
    assert case.operations < in_batches(100).operations / in_batches(100).steps


def test_a_step_in_registers_is_measured_for_every_instruction_set() -> None:
    kernel = load_kernel()
    if kernel is None:
        pytest.skip("no kernel here")
    for isa in kernel.isas():
        assert 0 < kernel.needed(isa, *floor.needs(8)) < 1e-3
    with pytest.raises(ValueError, match="products must be above 0"):
        kernel.needed(kernel.isas()[0], 0, 0, 0)


# -- what is asked for ------------------------------------------------------------------------


def test_against_is_a_list_of_peers() -> None:
    assert bench.parse_against("numpy,torch,jax") == ("numpy", "torch", "jax")
    assert bench.parse_against(" jax , numpy,jax") == ("jax", "numpy")
    assert bench.parse_against("numba") == ("numba",)
    assert bench.parse_against(cli.parse(["bench"]).against) == bench.PEERS


@pytest.mark.parametrize("bad", ["keras", "numpy,tensorflow", "numpy,"])
def test_an_unknown_peer_is_refused_in_one_sentence(bad: str, capsys) -> None:
    status, out, err = call(capsys, "--against", bad)
    assert (status, out) == (2, "")
    assert err == f"longlag: against must be a list of numpy, torch, jax, numba, not {bad!r}\n"


def test_cases_are_the_papers_task_with_the_common_optimiser() -> None:
    recipe = in_batches(100, 32).recipe
    assert (recipe.task.rules, recipe.task.min_length, recipe.task.max_length) == (
        "paper",
        100,
        110,
    )
    settings = recipe.settings()
    asked = {"hidden": 32, "batch_size": 32, "learning_rate": 5e-3, "optimizer": "adam"}
    asked |= {"clip": 1.0, "output": "linear", "forget_gate": True, "average_decay": 0}
    assert settings == {**settings, **asked}


def test_the_online_case_is_the_papers_and_never_stops() -> None:
    case = on_line(100)
    recipe = case.recipe
    assert (recipe.task.rules, recipe.task.min_length, recipe.task.max_length) == (
        "paper",
        100,
        110,
    )
    assert case.name == "on-line, T = 100, 93 weights"
    settings = recipe.settings()
    assert settings == {**settings, "gradient": "truncated", "tolerance": 0}
    assert recipe.rule.rate == 0.1
    assert case.figure(1e-6) == pytest.approx(1e3 / 105)  # of 105 steps on average


# -- a run ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tiny")
def test_json_is_one_object_with_rows_floor_and_machine(capsys) -> None:
    status, out, err = call(capsys, "--against", "numpy", "--quick", "--json")
    assert status == 0
    result = json.loads(out)
    assert {"rows", "floor", "machine", "checks"} <= set(result)
    whos = [row["who"] for row in result["rows"]]
    assert whos == [contestant.who for contestant in CONTESTANTS[ITERATION][:3]]
    for row in result["rows"]:
        assert {"who", "what", "us_per_iteration", "ratio", "min", "max", "threads"} <= set(row)
        assert row["what"] == "T = 11, H = 2, 1 thread"
    theirs = result["rows"][-1]
    assert 0 < theirs["min"] <= theirs["us_per_iteration"] <= theirs["max"]
    assert theirs["rounds"] == 2
    assert "bench: T = 11, H = 2, 1 thread" in err
    if load_kernel() is not None:
        _check_ours(result)


def _check_ours(result: dict) -> None:
    """What must hold where there is a kernel."""
    ours, drawn, theirs = result["rows"]
    assert ours["ratio"] == 1
    assert drawn["floors"] > 0
    assert theirs["ratio"] == pytest.approx(theirs["us_per_iteration"] / ours["us_per_iteration"])
    floor = result["floor"]
    assert floor["us_per_iteration"] == pytest.approx(floor["operations"] / floor["gflops"] / 1e3)
    assert ours["floors"] == pytest.approx(ours["us_per_iteration"] / floor["us_per_iteration"])
    checks = result["checks"]
    assert checks["cost_per_step"]["lengths"] == [30, 30]
    assert all(one["needed_bytes"] == 4 * 14 * 4 * 31.5 for one in checks["memory"])


def test_the_online_network_is_a_section_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    absent = Contestant("absent", "online_numba", "numba", needs=("no_such_module",))
    monkeypatch.setattr(bench, "QUICK", replace(TINY, cases=(*TINY.cases, on_line(12))))
    monkeypatch.setitem(CONTESTANTS, TRIAL_STEP, (*CONTESTANTS[TRIAL_STEP][:2], absent))
    monkeypatch.setattr(bench, "_checks", lambda plan, cores: {"error": "not asked for"})
    status, out, _ = call(capsys, "--against", "numba", "--quick", "--json")
    assert status == 0
    result = json.loads(out)
    ours, alone, missing = (row for row in result["rows"] if "ns_per_trial_step" in row)
    assert ours["what"] == "on-line, T = 12, 93 weights, 1 thread"
    assert "us_per_iteration" not in ours
    assert missing["error"] == "not installed (no_such_module)"
    floor = result["floor"]["cases"][-1]
    assert floor["operations"] == 664
    if load_kernel() is None:
        assert ours["error"].startswith("not built")
        return
    assert floor["ns_per_trial_step"] == pytest.approx(664 / result["floor"]["gflops"])
    assert 0 < alone["min"] <= alone["ns_per_trial_step"] <= alone["max"]
    assert ours["ratio"] == 1
    for row in (ours, alone):
        times = row["ns_per_trial_step"] / floor["ns_per_trial_step"]
        assert row["floors"] == pytest.approx(times)


@pytest.mark.usefixtures("tiny")
def test_without_a_kernel_ours_is_a_row_without_a_figure(
    monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    for module in (bench, cases, engines):
        monkeypatch.setattr(module, "load_kernel", lambda: None)
    status, out, _ = call(capsys, "--against", "numpy", "--quick", "--json")
    assert status == 0
    ours, _, theirs = json.loads(out)["rows"]
    assert (ours["us_per_iteration"], theirs["ratio"]) == (None, None)
    assert ours["error"].startswith("not built")
    assert theirs["us_per_iteration"] > 0


@pytest.mark.usefixtures("tiny")
def test_whoever_is_missing_or_fails_is_a_row_with_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    contestants = (
        Contestant("absent", "torch_lstm", "torch", needs=("no_such_module",)),
        Contestant("broken", "no_such_program", "torch"),
        NUMPY,
    )
    monkeypatch.setitem(CONTESTANTS, ITERATION, contestants)
    monkeypatch.setattr(bench, "_checks", lambda plan, cores: {"error": "not asked for"})
    status, out, _ = call(capsys, "--quick")
    assert status == 0
    assert "absent: not installed (no_such_module)\n" in out
    assert "broken: ModuleNotFoundError: No module named" in out
    assert any(line.startswith(NUMPY.who) and "%" in line for line in out.splitlines())


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_the_text_has_figures_ratios_and_floors_in_80_columns() -> None:
    row = {
        "who": OURS.who,
        "what": "T = 30, H = 8, 1 thread",
        **{"us_per_iteration": 60.0, "min": 48.0, "max": 72.0, "ratio": 1.0, "floors": 2.0},
        **{"processor_us": 45.0, "processor_ratio": 1.0, "processor_floors": 1.5},
    }
    peer = row | {"who": "a peer", "us_per_iteration": 123456.4, "ratio": 2057.3}
    nobody = row | {"who": "nobody", "error": "not here"}
    trial = {name: value for name, value in row.items() if name != "us_per_iteration"}
    trial |= {"what": "on-line, 1 thread", "ns_per_trial_step": 15.0}
    rows = [row, peer, nobody, row | {"what": "T = 30, H = 8, 2 threads"}, trial]
    del rows[3]["floors"]
    one, two, online = words.sections(rows, 100.0)
    head, _, _, _, least, ours, theirs, nobodys = one.splitlines()
    assert head == "T = 30, H = 8, 1 thread: µs an iteration"
    assert cells(least) == ["floor, at 100 GFLOP/s", "30.0", "1", "1"]
    assert cells(ours) == [OURS.who, "60.0", "40 %", "1.00", "2.00", "1.00", "1.50"]
    assert cells(theirs)[:4] == ["a peer", "123,456", "0 %", "2,057"]
    assert nobodys == "nobody: not here"
    assert "floor," not in two
    assert online.splitlines()[0] == "on-line, 1 thread: ns a trial-step"
    assert cells(online.splitlines()[-1])[1:] == ["15.0", "160 %", "1.00", "2.00", "1.00", "1.50"]
    assert max(map(len, f"{one}\n{two}\n{online}\n{words.NOTE}".splitlines())) <= 80


# -- a contestant's process -------------------------------------------------------------------


@pytest.fixture
def process() -> Iterator[Process]:
    with processes([NUMPY]) as (process,):
        yield process


def test_a_contestant_that_takes_too_long_is_given_up(process: Process) -> None:
    for _ in range(2):  # and stays given up
        with pytest.raises(Failed, match=r"^took longer than 0\.1 s$"):
            process.ask(time.sleep, 600, seconds=0.1)
    assert process._process.exitcode == -signal.SIGKILL


def test_a_contestant_that_dies_says_how(process: Process) -> None:
    for _ in range(2):
        with pytest.raises(Failed, match=r"^its process ended with status 3$"):
            process.ask(os._exit, 3)


def test_what_a_contestant_raises_is_a_line_and_it_goes_on(process: Process) -> None:
    with pytest.raises(Failed, match=r"^ModuleNotFoundError: No module named 'none_such'$"):
        process.ask(importlib.import_module, "none_such")
    with pytest.raises(Failed, match=r"^SystemExit: two$"):
        process.ask(sys.exit, "two\nlines")
    with pytest.raises(Failed, match="no case is prepared"):
        process.ask(run, 1)
    assert process.ask(abs, -1) == 1


def test_who_fails_in_a_round_has_no_figures(process: Process) -> None:
    entrant = Entrant(process, in_batches(11), rounds=[Took(1.0, 1.0)])
    entrant.attempt(process.ask, os._exit, 3)
    (row,) = measure.rows([entrant], 100.0)
    assert row["error"] == "its process ended with status 3"
    assert (row["rounds"], math.isnan(row["us_per_iteration"])) == (0, True)


@pytest.mark.parametrize("threads", [1, 2])
def test_ours_stands_beside_its_floor_on_one_thread(threads: int) -> None:
    with processes([OURS], threads) as (process,):
        entrant = Entrant(process, in_batches(30), rounds=[Took(1e-6, 2e-6), Took(3e-6, 2e-6)])
        (row,) = measure.rows([entrant], 100.0)
    assert (row["us_per_iteration"], row["processor_us"]) == pytest.approx((2, 2))
    expected = [2 / in_batches(30).floor(100.0)] if threads == 1 else []
    assert [row[name] for name in ("floors",) if name in row] == pytest.approx(expected)


def test_what_a_contestant_prints_is_no_result(capfd) -> None:
    with processes([NUMPY]) as (process,):
        process.ask(os.system, "echo some words")
    assert capfd.readouterr() == ("", "some words\n")


def test_threads_are_fixed_before_the_process_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_own")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with processes([NUMPY], 1) as (one,), processes([NUMPY], 3) as (three,):
        assert one.ask(os.getenv, "OMP_NUM_THREADS") == "1"
        assert one.ask(os.getenv, "XLA_FLAGS") == "--xla_own --xla_cpu_multi_thread_eigen=false"
        assert three.ask(os.getenv, "OPENBLAS_NUM_THREADS") == "3"
        assert three.ask(os.getenv, "XLA_FLAGS") == "--xla_own"
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_behind(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "longlag.cli", "bench", "--against", "numpy"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as started:
        assert started.stderr is not None
        assert started.stderr.readline() == b"bench: T = 30, H = 8, 1 thread\n"
        try:
            if number == signal.SIGINT:  # from a terminal, to all of them
                os.killpg(started.pid, number)
            else:
                started.send_signal(number)
            _, words = started.communicate(timeout=60)  # ends when nobody holds it any more
        except BaseException:
            os.killpg(started.pid, signal.SIGKILL)
            raise
    if number == signal.SIGINT:
        assert (started.returncode, words) == (130, b"longlag: interrupted\n")
    if number == signal.SIGTERM:
        assert started.returncode == 143


# -- the contestants do the same work ---------------------------------------------------------


def reference(recipe: Recipe) -> tuple[LSTM, list[Batch]]:
    """A network to start from, and three batches with lengths of their own."""
    data = recipe.learner(0).draw(0, 3).each(np.asarray)
    drawn = [Batch(*arrays) for arrays in zip(*data, strict=True)][:3]
    return recipe.network_of(recipe.learner(0).weights), drawn


def reference_losses(recipe: Recipe) -> np.ndarray:
    _, drawn = reference(recipe)
    data = Batch(*(np.stack(arrays) for arrays in zip(*drawn, strict=True)))
    (learned,) = engines.NumpyEngine().learn(recipe, [recipe.learner(0)], [data])
    return learned.losses


@pytest.mark.parametrize("task", ["multiplication", "temporal-order"])
def test_pytorch_does_the_same_work(task: str) -> None:
    torch = pytest.importorskip("torch")
    from longlag.benchmarks import torch_lstm

    recipe = in_batches(100, 3, 5, task).recipe
    start, drawn = reference(recipe)
    p, H = start.parameters, start.hidden
    order = np.r_[0 : 2 * H, 3 * H : 4 * H, 2 * H : 3 * H]  # PyTorch's: i, f, g, o
    network = torch_lstm.Network(recipe.task, H, embedding=False)
    with torch.no_grad():
        network.lstm.weight_ih_l0[:] = torch.from_numpy(p.Wx[:, order].T.copy())
        network.lstm.weight_hh_l0[:] = torch.from_numpy(p.Wh[:, order].T.copy())
        network.lstm.bias_ih_l0[:] = torch.from_numpy(p.b[order])
        network.lstm.bias_hh_l0.zero_()
        network.head.weight[:] = torch.from_numpy(p.Wy.T.copy())
        network.head.bias[:] = torch.from_numpy(p.by)
    network.lstm.bias_hh_l0.requires_grad_(False)  # the reference has one bias
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = [
        float(torch_lstm.update(network, network, optimizer, *batch))
        for batch in torch_lstm.tensors(recipe.task, drawn)
    ]
    np.testing.assert_allclose(losses, reference_losses(recipe), rtol=1e-4)


@pytest.mark.parametrize("task", ["multiplication", "temporal-order"])
def test_jax_does_the_same_work(task: str) -> None:
    jax = pytest.importorskip("jax")
    pytest.importorskip("optax")
    from longlag.benchmarks import jax_lstm

    recipe = in_batches(100, 3, 5, task).recipe
    start, drawn = reference(recipe)
    parameters = {name: jax.numpy.asarray(a) for name, a in start.parameters._asdict().items()}
    state, losses = jax_lstm.optimizer.init(parameters), []
    for batch in drawn:
        arrays = (batch.inputs, batch.lengths.astype(np.int32), batch.targets)
        parameters, state, loss = jax_lstm.update(parameters, state, arrays)
        losses.append(float(loss))
    np.testing.assert_allclose(losses, reference_losses(recipe), rtol=1e-4)


def online_reference() -> tuple[Weights, list[tuple[np.ndarray, np.float32]]]:
    """Weights in float32, larger than a training starts from, and sequences to learn in turn."""
    rng = np.random.default_rng(5)
    small = initial_weights(rng)
    data = on_line(30).recipe.learner(0).draw(0, 6).each(np.asarray)
    drawn = zip(data.inputs, data.lengths, data.targets, strict=True)
    start = Weights(8 * small.W, 8 * small.Wk)
    return start, [(x[:length].copy(), target) for x, length, target in list(drawn)]


def learned_online(rate: float) -> tuple[np.ndarray, Weights]:
    """Answers and the last weights of the reference, in float64."""
    start, drawn = online_reference()
    weights, answers = Weights(*(array.astype(float) for array in start)), []
    for inputs, target in drawn:
        network = LSTM1997(weights)
        answers.append(network.predict(inputs[None].astype(float))[0])
        gradient = network.truncated_gradient(inputs.astype(float), float(target))
        steps = zip(weights, gradient, strict=True)
        weights = Weights(*(weight - rate * change for weight, change in steps))
    return np.array(answers), weights


def check_online(answers: list[float], W: np.ndarray, Wk: np.ndarray, rate: float) -> None:
    expected, weights = learned_online(rate)
    start, _ = online_reference()
    np.testing.assert_allclose(answers, expected, atol=2e-6)
    assert np.abs(weights.W - start.W).max() > 1e-2  # there was something to learn
    np.testing.assert_allclose(W, weights.W, atol=5e-6)
    np.testing.assert_allclose(Wk, weights.Wk, atol=5e-6)


def test_pytorch_on_line_does_the_same_work() -> None:
    torch = pytest.importorskip("torch")
    from longlag.benchmarks import online_torch

    start, drawn = online_reference()
    network = online_torch.Network(start, 2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    answers = [
        float(online_torch.update(network, optimizer, torch.from_numpy(x), torch.tensor(target)))
        for x, target in drawn
    ]
    check_online(answers, network.W.detach().numpy(), network.Wk.detach().numpy(), 0.5)


def test_numba_on_line_does_the_same_work() -> None:
    pytest.importorskip("numba")
    from longlag.benchmarks import online_numba

    start, drawn = online_reference()
    rate, space = np.float32(0.5), online_numba.room(33)
    answers = [online_numba.update(*start, x, target, rate, *space) for x, target in drawn]
    check_online(answers, *start, 0.5)


def test_what_pytorch_compiles_are_the_steps_of_its_layer() -> None:
    torch = pytest.importorskip("torch")
    from longlag.benchmarks import torch_lstm

    task: Any = in_batches(12).recipe.task
    layer: Any = torch_lstm.Network(task, 5, False)
    written: Any = torch_lstm.WrittenOut(task, 5)
    with torch.no_grad():
        written.inputs.weight.copy_(layer.lstm.weight_ih_l0)
        written.inputs.bias.copy_(layer.lstm.bias_ih_l0 + layer.lstm.bias_hh_l0)
        written.states.weight.copy_(layer.lstm.weight_hh_l0)
        written.head.load_state_dict(layer.head.state_dict())
        inputs, lengths, _ = torch_lstm.tensors(task, [task.sample(6, np.random.default_rng(0))])[0]
        torch.testing.assert_close(written(inputs, lengths), layer(inputs, lengths))


ALL_CONTESTANTS = [
    pytest.param(unit, contestant, id=f"{contestant.module} {contestant.variant}")
    for unit, contestants in CONTESTANTS.items()
    for contestant in contestants
]


@pytest.mark.parametrize(("unit", "contestant"), ALL_CONTESTANTS)
def test_every_contestant_prepares_and_trains(unit: Unit, contestant: Contestant) -> None:
    if contestant.missing() or contestant.variant == "compile":
        pytest.skip("not here")
    module = importlib.import_module(f"longlag.benchmarks.{contestant.module}")
    on = unit == TRIAL_STEP
    numbers = on_line(11) if on else in_batches(11, 2, 4)
    symbols = very_long_lag(9) if on else in_batches(100, 2, 4, "temporal-order")
    taken = [case for case in (numbers, symbols) if contestant.takes(case)]
    for case in taken:
        train = module.prepare(case.recipe, 1, contestant.seeds, contestant.variant)
        assert train(3) is None
    assert taken


def test_memory_and_peak_are_measured_in_the_kernels_process() -> None:
    if load_kernel() is None or not Path("/proc/self/clear_refs").exists():
        pytest.skip("not here")
    case = in_batches(1000)
    with processes([OURS]) as (process,):
        assert process.ask(measure.core_peak) > 0
    answer = alone.memory(case, 1)
    assert answer["needed_bytes"] == 4 * 50 * 32 * 1050
    assert 0.2 < answer["ratio"] < 2


def test_without_the_contestants_the_package_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(bench.importlib.util, "find_spec", lambda name: None)
    status, out, err = call(capsys, "--quick")
    assert (status, out) == (2, "")
    assert "install it again" in err


def test_words_of_the_checks_that_failed() -> None:
    failed = {"error": "it fell over"}
    checks = {"cost_per_step": failed, "two_seeds": failed, "memory": failed}
    assert words.checks_text(checks).count("it fell over") == 3
    assert "it fell over" in words.checks_text(failed)
