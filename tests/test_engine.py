"""The choice of an engine, and that the native kernel trains as the reference does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import longlag
from longlag import cli, machine
from longlag.kernel import load_kernel
from longlag.learning import engine
from longlag.learning.recipe import Recipe
from longlag.learning.streams import WEIGHTS, stream
from longlag.learning.training import Training
from longlag.networks.lstm import LSTM, ForgetGateLSTM
from longlag.networks.lstm1997 import LSTM1997, BlockLSTM
from longlag.networks.network import Network, flatten
from longlag.tasks.task import Task
from toys import toy

ROOT = Path(__file__).resolve().parent.parent
needs_kernel = pytest.mark.skipif(load_kernel() is None, reason="no native kernel")


def hundred_losses(recipe: Recipe, name: str) -> np.ndarray:
    """The losses of the first hundred iterations of a training."""
    training = Training(recipe, 3, engine.choose(name))
    while training.iteration < 100:
        training.advance()
    return np.array(training.losses[:100])


@needs_kernel
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("catalog", {"test_every": 100}),
        ("robust", {"test_every": 50}),
        ("robust", {"test_every": 100, "task": "adding", "hidden": 17, "batch_size": 33}),
        ("robust", {"test_every": 100, "forget_gate": False, "hidden": 3, "min_length": 11}),
        ("robust", {"test_every": 100, "output": "sigmoid", "gate_biases": "chrono", "hidden": 1}),
        ("robust", {"test_every": 100, "optimizer": "sgd", "average_decay": 0.0, "hidden": 64}),
        ("robust", {"test_every": 100, "task": "temporal-order", "min_length": 100}),
        ("robust", {"test_every": 100, "task": "toys:Echo", "min_length": 30}),
        ("robust", {"test_every": 100, "task": "copy", "lag": 20, "counts": "recall"}),
        ("robust", {"test_every": 100, "task": "memorization", "lag": 9, "counts": "recall"}),
        ("robust", {"test_every": 100, "task": "permutation", "lag": 9, "counts": "recall"}),
    ],
)
def test_a_hundred_iterations_of_real_training_agree(name: str, changes: dict) -> None:
    recipe = longlag.recipe(name, test_size=20, **changes)
    native, reference = hundred_losses(recipe, "native"), hundred_losses(recipe, "numpy")
    np.testing.assert_allclose(native, reference, rtol=2e-3, atol=1e-6)
    assert np.ptp(reference) > 1e-3, "the losses differ enough to tell trainings apart"


# What counts, or what a window looks at, is not all that is answered.
OWN_RULES: list[dict[str, Any]] = [
    {"task": "copy", "lag": 5, "counts": "recall", "output": "sigmoid"},
    {"task": "memorization", "lag": 5, "counts": "recall", "output": "linear"},
    {"task": "permutation", "lag": 6, "alphabet": 5, "output": "sigmoid", "learning_rate": 1.0},
    {"task": "long-lag", "lag": 6, "middle": "random", "output": "sigmoid", "learning_rate": 1.0},
    {"task": "two-sequence", "variant": "c", "min_length": 20, "output": "sigmoid"},
]
# The networks of Experiments 1, 2 and 3.
VARIANTS: list[dict[str, Any]] = [
    {"task": "reber", "blocks": 3, "biases": "gates", "output_gate_bias": -1.0},
    {
        **{"task": "long-lag", "lag": 9, "blocks": 1, "block_size": 1, "biases": "none"},
        **{"inputs_to_outputs": True, "output_gate": False, "recurrent": False},
        **{"g": "logistic", "h": "identity", "learning_rate": 1.0},
    },
    {"task": "very-long-lag", "lag": 20, "distractors": 9, "block_size": 1, "biases": "none"},
    {"task": "two-sequence", "min_length": 20, "blocks": 3, "block_size": 1, "biases": "hidden"},
]
DIVERGING = {"task": "toys:Echo", "output": "linear", "gradient": "full", "min_length": 20}


@needs_kernel
def test_on_line_training_diverges_at_the_same_sequence() -> None:
    recipe = longlag.recipe("paper", **DIVERGING, max_sequences=60, test_size=20)
    native, reference = (longlag.train(recipe, 3, engine=name) for name in ("native", "numpy"))
    assert native.stopped_by == reference.stopped_by == "diverged"
    assert native.iterations == reference.iterations
    assert np.isfinite(flatten(native.network.weights)).all()


@needs_kernel
@pytest.mark.parametrize("reads", ["current", "previous"])
@pytest.mark.parametrize(
    "changes",
    [
        {"task": "temporal-order", "output": "sigmoid"},
        {"task": "temporal-order", "output": "linear", "blocks": 3, "block_size": 1},
        {"task": "temporal-order", "output": "sigmoid", "gradient": "full"},
        {"task": "toys:Echo", "output": "sigmoid", "min_length": 20},
        {**DIVERGING, "learning_rate": 0.01},
        {"task": "reber", "output": "sigmoid"},
        *OWN_RULES,
        *VARIANTS,
    ],
)
def test_on_line_training_agrees_on_any_task(changes: dict[str, Any], reads: str) -> None:
    few = {"max_sequences": 60, "window": 40, "first_stop": 0, "last_stop": 39, "test_size": 20}
    few |= {"output": "sigmoid", "input_gate_bias": 0.0}
    recipe = longlag.recipe("paper", **{**few, "reads": reads, **changes})
    native, reference = (longlag.train(recipe, 3, engine=name) for name in ("native", "numpy"))
    assert (native.iterations, native.stopped_by) == (reference.iterations, reference.stopped_by)
    for mine, wanted in zip(native.network.weights, reference.network.weights, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-3, atol=2e-4)
    start = native.recipe.network.start(recipe.task, stream(3, WEIGHTS))
    assert np.abs(flatten(native.network.parameters) - start).max() > 0.01
    np.testing.assert_allclose(native.score.mse, reference.score.mse, rtol=1e-3)
    np.testing.assert_allclose(
        native.history.train_losses, reference.history.train_losses, rtol=1e-3
    )


@needs_kernel
@pytest.mark.parametrize("changes", OWN_RULES)
def test_the_window_sees_what_the_task_judges(changes: dict[str, Any]) -> None:
    """The same errors, and other ones than those to the targets at every step."""
    rule = {"max_sequences": 20, "window": 20, "first_stop": 0, "last_stop": 1}
    recipe = longlag.recipe("paper", **{**rule, "initial_range": 2.0, **changes})
    native, reference = (Training(recipe, 3, engine.choose(name)) for name in ("native", "numpy"))
    for training in (native, reference):
        while training.stopped_by is None:
            training.advance()
    seen = native.learner.recent
    np.testing.assert_allclose(seen, reference.learner.recent, rtol=1e-3, atol=1e-4)
    batch = recipe.task.sample(20, np.random.default_rng(0))
    answers = recipe.network_of(native.learner.weights).predict(batch.inputs, batch.lengths)
    to_targets = np.abs(answers - batch.targets).reshape(20, -1).max(axis=1)
    assert np.abs(recipe.task._errors(answers, batch) - to_targets).max() > 0.001


@needs_kernel
def test_the_comparison_of_trainings_can_fail() -> None:
    recipe = longlag.recipe("robust", test_size=20, test_every=100)
    other = recipe.with_settings({"learning_rate": recipe.rule.learning_rate * 1.02})
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(
            hundred_losses(other, "native"), hundred_losses(recipe, "numpy"), rtol=2e-3, atol=1e-6
        )


@needs_kernel
def test_a_whole_run_agrees_and_answers_the_same() -> None:
    recipe = longlag.recipe("robust", min_length=30)
    native = longlag.train(recipe, 1, engine="native")
    assert native.stopped_by == "target"
    chosen = engine.choose("native")
    assert isinstance(chosen, engine.NativeEngine)
    batch = recipe.task.sample(37, np.random.default_rng(0))
    reference = native.network.predict(batch.inputs, batch.lengths)
    fast = chosen.predict(native.network, batch.inputs, batch.lengths)
    np.testing.assert_allclose(fast, reference, rtol=1e-4, atol=2e-5)


def threads_used(recipe: Recipe, name: str, threads: int) -> int:
    return engine.choose(name, threads, recipe).threads_used(recipe)


@needs_kernel
@pytest.mark.parametrize("threads", [2, 3])
def test_a_run_has_the_same_bits_on_any_number_of_threads(threads: int) -> None:
    recipe = longlag.recipe("robust", min_length=80, batch_size=40, max_iterations=60)
    assert threads_used(recipe, "native", threads) == min(threads, machine.cores())
    one, more = (longlag.train(recipe, 0, engine="native", threads=n) for n in (1, threads))
    assert np.array_equal(one.history.train_losses, more.history.train_losses)
    assert one.score == more.score


@needs_kernel
def test_threads_are_used_only_where_they_gain_and_the_command_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = min(2, machine.cores())
    wide = ["--batch-size", "64", "--min-length", "100", "--max-iterations", "2"]
    for words, used in ((["--min-length", "12", "--max-iterations", "2"], 1), (wide, two)):
        flags = ("--threads", "2", "--json", "--overwrite", "--quiet")
        status = cli.main(["train", *words, *flags, "--save-dir", str(tmp_path / "run")])
        assert status == 0
        assert json.loads(capsys.readouterr().out)["threads"] == used
    assert threads_used(longlag.recipe("robust", batch_size=64), "numpy", 2) == 1
    assert threads_used(longlag.recipe("paper"), "native", 2) == 1
    assert cli.main(["doctor"]) == 0
    assert "threads_used  catalog 1, robust 1\n" in capsys.readouterr().out


@needs_kernel
def test_a_run_has_the_same_bits_on_avx2_and_avx512(tmp_path: Path) -> None:
    usable = load_kernel().isas()  # type: ignore[union-attr]
    if not {"avx512", "avx2"} <= set(usable):
        pytest.skip("one of the two is not on this processor")
    for isa in ("avx512", "avx2"):
        words = ["train", "--min-length", "30", "--save-dir", str(tmp_path / isa), "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "longlag.cli", *words],
            env={**os.environ, "LONGLAG_ISA": isa},
            capture_output=True,
            check=True,
        )
        assert json.loads(done.stdout)["isa"] == isa
    same = ((tmp_path / isa / "weights.npz").read_bytes() for isa in ("avx512", "avx2"))
    assert len(set(same)) == 1


@needs_kernel
def test_auto_takes_the_kernel_and_numpy_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine.choose("auto").name == "native"
    assert engine.choose("numpy").name == "numpy"
    monkeypatch.setenv("LONGLAG_ISA", "baseline")
    assert engine.choose("auto").isa in ("baseline", "neon")


@needs_kernel
def test_an_instruction_set_that_is_not_here_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LONGLAG_ISA", "mmx")
    assert cli.main(["doctor"]) == 2
    assert "LONGLAG_ISA must be one of" in capsys.readouterr().err


LACKING: list[tuple[dict[str, Any], str]] = [
    ({"network": "gru"}, "network gru with rule minibatch"),
    ({"network": "lstm1997", "output": "sigmoid"}, "network lstm1997 with rule minibatch"),
    ({"rule": "online"}, "network lstm with rule online"),
    ({"network": "gru", "rule": "online"}, "network gru with rule online"),
    ({"network": f"{__name__}:Leaky"}, "network leaky"),
    (
        {"network": f"{__name__}:LeakyBlocks", "rule": "online", "output": "sigmoid"},
        "network leaky",
    ),
]
FEW: dict[str, Any] = {"min_length": 12, "test_every": 2, "test_size": 9}


class LeakyLSTM(LSTM):
    """A user's own arithmetic."""

    def predict(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        return super().predict(inputs, lengths) + 1000


@dataclass(frozen=True, kw_only=True)
class Leaky(ForgetGateLSTM):
    """An LSTM whose arithmetic the kernel does not know."""

    @property
    def name(self) -> str:
        return "leaky"

    def of(self, weights: np.ndarray, task: Task) -> LSTM:
        return LeakyLSTM(**vars(super().of(weights, task)))


@dataclass(frozen=True, kw_only=True)
class LeakyBlocks(BlockLSTM):
    """The same of 1997."""

    @property
    def name(self) -> str:
        return "leaky"

    def of(self, weights: np.ndarray, task: Task) -> LSTM1997:
        return super().of(weights, task)


@dataclass(frozen=True, kw_only=True)
class Quiet(ForgetGateLSTM):
    """One that differs in how it starts alone."""

    def start(self, task: Task, rng: np.random.Generator) -> np.ndarray:
        return (super().start(task, rng) / 2).astype(np.float32)


@needs_kernel
@pytest.mark.parametrize(("given", "lacks"), LACKING, ids=[words for _, words in LACKING])
def test_native_refuses_what_the_kernel_lacks_and_auto_takes_numpy(
    given: dict[str, Any], lacks: str
) -> None:
    few = {"max_sequences": 3} if "rule" in given else {"max_iterations": 3, "batch_size": 2}
    recipe = longlag.recipe("robust", **given, **FEW, **few)
    for ask in (engine.choose, lambda name, _, r: longlag.train(r, engine=name)):
        with pytest.raises(ValueError, match=f"^engine native has no {lacks}.*: use engine numpy$"):
            ask("native", 1, recipe)
    assert engine.choose("auto", 1, recipe).name == "numpy"
    run = longlag.train(recipe, engine="auto")
    assert (run.engine, run.isa) == ("numpy", None)
    with pytest.raises(ValueError, match=f"^engine native has no {lacks}"):
        longlag.evaluate(run, 10, engine="native")
    np.testing.assert_array_equal(
        run.history.train_losses, longlag.train(recipe, engine="numpy").history.train_losses
    )


@needs_kernel
@pytest.mark.parametrize("name", ["catalog", "robust", "paper", "paper-adding"])
def test_auto_takes_the_kernel_for_another_task_of_a_recipe(name: str) -> None:
    assert engine.choose("auto", 1, longlag.recipe(name, task="adding")).name == "native"


@needs_kernel
@pytest.mark.parametrize("name", longlag.RECIPES)
def test_auto_takes_the_kernel_for_every_recipe(name: str) -> None:
    assert engine.choose("auto", 1, longlag.recipe(name)).name == "native"


@needs_kernel
def test_a_network_that_only_starts_otherwise_has_the_kernel() -> None:
    given = {**FEW, "max_iterations": 20, "average_decay": 0.0}
    recipe = longlag.recipe("robust", network=f"{__name__}:Quiet", **given)
    native, reference = (longlag.train(recipe, 1, engine=name) for name in ("native", "numpy"))
    np.testing.assert_array_equal(native.snapshots[0], reference.snapshots[0])
    np.testing.assert_allclose(
        native.history.train_losses, reference.history.train_losses, rtol=2e-3, atol=1e-6
    )
    assert np.ptp(reference.history.train_losses) > 1e-3


@needs_kernel
@pytest.mark.parametrize("kind", [(2, 1, "last", True), (3, 1), (2, 2), (2, 1, "every"), (2, 1)])
@pytest.mark.parametrize(
    "network",
    [
        *(ForgetGateLSTM(hidden=3), BlockLSTM(), BlockLSTM(output="linear"), Leaky(hidden=3)),
        BlockLSTM(inputs_to_outputs=True, output_gate=False, biases="gates", h="identity"),
    ],
)
def test_answers_to_any_task_are_the_references(kind: Any, network: Network) -> None:
    """Of what the kernel does not have, it asks the reference."""
    task = toy(*kind)(min_length=5, max_length=9)
    net = network.of(network.start(task, np.random.default_rng(0)), task)
    batch = task.sample(20, np.random.default_rng(1))
    answers = engine.choose("native").predict(net, batch.inputs, batch.lengths)
    assert answers.shape == batch.targets.shape
    counted: Any = slice(None)
    if task.answered == "every":
        counted = np.arange(9) < batch.lengths[:, None]
    wanted = net.predict(batch.inputs, batch.lengths)
    np.testing.assert_allclose(answers[counted], wanted[counted], rtol=1e-4, atol=1e-5)


def test_without_a_kernel_numpy_works_and_native_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(engine, "load_kernel", lambda: None)
    assert engine.choose("auto").name == "numpy"
    assert cli.main(["doctor"]) == 0
    assert "numpy" in capsys.readouterr().out
    assert cli.main(["train", "--engine", "native", "--save-dir", str(tmp_path / "run")]) == 2
    assert "the kernel was not built when longlag was installed" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


LONG_LAG = {"task": "very-long-lag", "lag": 1000, "distractors": 1000, "test_size": 256}
OF_2C = {"blocks": 2, "block_size": 1, "biases": "none", "input_gate_bias": 0.0}
PEAK = """
import longlag
from pathlib import Path
run = longlag.train(longlag.recipe({0!r}, **{1!r}), 1, engine="native")
lines = Path("/proc/self/status").read_text().splitlines()
print(run.iterations, next(line for line in lines if line.startswith("VmHWM")).split()[1])
"""


@needs_kernel
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone tells the peak")
@pytest.mark.parametrize(
    ("name", "changes", "iterations"),
    [
        ("paper", {**OF_2C, "output": "sigmoid", "window": 50, "max_sequences": 200}, 200),
        ("robust", {"max_iterations": 20, "test_every": 10}, 20),
    ],
)
def test_a_thousand_symbols_over_a_thousand_steps_take_less_than_200_megabytes(
    name: str, changes: dict[str, Any], iterations: int
) -> None:
    """Of a whole process, tests included: nothing of size T × D is made."""
    code = PEAK.format(name, LONG_LAG | changes)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    trained, kilobytes = map(int, done.stdout.split())
    assert trained == iterations
    assert kilobytes < 200_000


@pytest.mark.skipif("CI" not in os.environ, reason="a machine without a compiler is allowed")
def test_on_ci_the_kernel_is_in_use() -> None:
    assert engine.choose("auto").name == "native"


@pytest.mark.long
@pytest.mark.survives(
    "`pip install` with a compiler that does not work", "numpy alone, and says so"
)
def test_without_a_compiler_the_package_installs_and_trains(tmp_path: Path) -> None:
    """The fallback of pyproject.toml: a pure wheel."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    none = {**os.environ, "CC": "/bin/false", "CXX": "/bin/false"}
    install = [python, "-m", "pip", "install", "--quiet", str(ROOT)]
    subprocess.run([*install, "-C", f"build-dir={tmp_path / 'build'}"], env=none, check=True)
    longlag = tmp_path / "venv" / "bin" / "longlag"
    doctor = subprocess.run([longlag, "doctor", "--json"], capture_output=True, check=True)
    assert json.loads(doctor.stdout)["engine"] == "numpy"
    words = ["train", "--min-length", "12", "--max-iterations", "20", "--json"]
    train = [longlag, *words, "--save-dir", tmp_path / "run"]
    done = subprocess.run(train, capture_output=True, check=True)
    assert json.loads(done.stdout)["engine"] == "numpy"


@pytest.mark.parametrize("name", ["numpy", pytest.param("native", marks=needs_kernel)])
@pytest.mark.parametrize(("clip", "made"), [(0.1, 20), (1e30, 0)])
def test_a_gradient_far_above_the_limit_is_clipped(name: str, clip: float, made: int) -> None:
    far = {"task": "toys:Far", "min_length": 20, "output": "linear", "output_bias": 0.0}
    short = {"max_iterations": 20, "test_size": 20, "test_every": 20}
    run = longlag.train(longlag.recipe("catalog", **far, **short, clip=clip), 3, engine=name)
    assert run.iterations == made
    assert run.stopped_by == ("max_iterations" if made else "diverged")
