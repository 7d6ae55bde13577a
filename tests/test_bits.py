"""Pinned bits: what a recipe and a seed become, of which `version.REVISION` is the number.

`bits.json` holds by revision a digest of all that the native kernel computes on each instruction
set (those with FMA have the same), and figures of what numpy computes, whose last bits depend on
the processor. Where a case differs, either the change was not meant to alter results, or
REVISION is to be raised and `python tests/test_bits.py` run, which adds the new revision's bits.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import longlag
from longlag.kernel import load_kernel
from longlag.learning.engine import choose
from longlag.learning.rules import Minibatch, snapshot_due
from longlag.learning.training import Training
from longlag.studies.register import probe
from longlag.sweeps.trial import Trial, perform
from longlag.version import REVISION

PINNED = Path(__file__).with_name("bits.json")
SHORT = {"max_iterations": 50, "test_every": 25, "test_size": 64}
ONLINE = {"max_sequences": 300, "window": 50, "first_stop": 51, "last_stop": 48, "test_size": 64}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "catalog": ("catalog", SHORT),
    "robust": ("robust", SHORT),
    "robust, long": ("robust", {**SHORT, "min_length": 300, "hidden": 3, "batch_size": 17}),
    "chrono, sigmoid, sgd": (
        "robust",
        {**SHORT, "gate_biases": "chrono", "output": "sigmoid", "optimizer": "sgd"},
    ),
    "no forget gate, adding": ("robust", {**SHORT, "forget_gate": False, "task": "adding"}),
    "paper": ("paper", ONLINE),
    "paper-adding": ("paper-adding", {**ONLINE, "first_stop": 0}),
    "paper, full gradient": ("paper", {**ONLINE, "gradient": "full", "reads": "current"}),
    "paper, three blocks": ("paper", {**ONLINE, "blocks": 3, "block_size": 1, "error": "halved"}),
}
SEED = 3


def trained(case: str, engine: str) -> longlag.Run:
    name, settings = CASES[case]
    recipe = longlag.recipe(name, **settings)
    every = 1 if isinstance(recipe.rule, Minibatch) else None
    training = Training(recipe, SEED, choose(engine), snapshot_every=every)
    while training.stopped_by is None:
        training.advance()
    return training.run()


def moments(run: longlag.Run) -> list[int]:
    """The snapshots that are pinned, whenever else a training keeps some."""
    if not isinstance(run.recipe.rule, Minibatch):
        return sorted(run.snapshots)
    return [k for k in run.snapshots if k in (0, run.iterations) or snapshot_due(k, 1.3)]


def digest(run: longlag.Run) -> str:
    """Of everything that a training computes."""
    scores = [run.score, *(stop.fresh for stop in run.stops)]
    stops = [(stop.sequences, stop.window_mse, stop.window_mae) for stop in run.stops]
    arrays = (
        *(part for k in moments(run) for part in (k, run.snapshots[k])),
        *run.network.parameters,
        run.history.train_losses,
        run.history.test_curve,
        [list(score.as_dict().values()) for score in scores],
        stops,
    )
    found = hashlib.sha256(run.stopped_by.encode())
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def figures(run: longlag.Run) -> dict[str, float]:
    """Some of what a training computes, to be compared to four digits."""
    weights = np.concatenate([w.ravel() for w in run.network.parameters]).astype(np.float64)
    losses = run.history.train_losses
    return {
        "weights": float(weights @ np.cos(np.arange(len(weights)))),
        "first loss": float(losses[0]),
        "last loss": float(losses[-1]),
        "mse": run.score.mse,
    }


def probed(seed: int) -> dict[str, float]:
    """Some of what the study of the register measures of a network."""
    settings = {**longlag.recipe("robust", **SHORT, min_length=20).settings()}
    sizes = {"sequences": 100, "searched": 20, "pairs": 20}
    row = perform(
        {
            **{"recipe": "robust", "settings": {**settings, **sizes}, "seed": seed},
            **{"engine": "numpy", "function": f"{probe.__name__}:trial"},
        }
    )
    assert row["error"] is None, row["error"]
    answers = row["curve"]["answers"]
    return {name: float(value) for name, value in answers.items() if isinstance(value, float)}


def pinned() -> dict[str, Any]:
    return json.loads(PINNED.read_text())[str(REVISION)]


def isas() -> list[str]:
    kernel = load_kernel()
    return [] if kernel is None else kernel.isas()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("isa", isas())
def test_the_kernels_bits_are_the_pinned_ones(
    case: str, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGLAG_ISA", isa)
    assert digest(trained(case, "native")) == pinned()[isa][case]


@pytest.mark.parametrize("case", CASES)
def test_numpys_figures_are_the_pinned_ones(case: str) -> None:
    assert figures(trained(case, "numpy")) == pytest.approx(pinned()["numpy"][case], rel=1e-4)


def test_the_registers_figures_are_the_pinned_ones() -> None:
    assert probed(SEED) == pytest.approx(pinned()["register"], rel=1e-4)


def test_a_digest_tells_the_least_change_apart() -> None:
    run = trained("robust", "numpy")
    before = digest(run)
    run.network.parameters.b[-1] = np.nextafter(run.network.parameters.b[-1], np.float32(9))
    assert digest(run) != before


def test_a_trials_key_holds_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Trial("robust", longlag.recipe("robust").settings(), 0, "native")
    before = one.key
    monkeypatch.setattr("longlag.sweeps.trial.REVISION", REVISION + 1)
    assert one.key != before


def digests(isa: str) -> dict[str, str]:
    os.environ["LONGLAG_ISA"] = isa
    return {case: digest(trained(case, "native")) for case in CASES}


def write() -> None:
    """Adds the bits of this revision; those of a revision that is there stay as they are."""
    known = json.loads(PINNED.read_text()) if PINNED.exists() else {}
    if str(REVISION) in known:
        raise SystemExit(f"{PINNED.name} has revision {REVISION} already: raise version.REVISION")
    known[str(REVISION)] = {
        **{isa: digests(isa) for isa in isas()},
        "numpy": {case: figures(trained(case, "numpy")) for case in CASES},
        "register": probed(SEED),
    }
    PINNED.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    write()
