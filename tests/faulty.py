"""Trials that go wrong in every way, for the tests of sweeps."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import longlag
from longlag.kernel import load_kernel


def quick(settings: Mapping[str, Any], seed: int, engine: str) -> dict[str, Any]:
    """A trial of some milliseconds whose result follows from its seed; some go wrong."""
    if "begun" in settings:
        (Path(settings["begun"]) / str(seed)).touch()
    time.sleep(settings.get("sleep", 0))
    what = settings.get("wrong", {}).get(str(seed))
    if what == "raises":
        raise RuntimeError("this one always raises")
    if what == "kills":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "kills once" and not (flag := Path(settings["flag"])).exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "kills afterwards once" and not (flag := Path(f"{settings['flag']}{seed}")).exists():
        flag.touch()
        threading.Timer(settings["after"], os.kill, (os.getpid(), signal.SIGKILL)).start()
    if what == "exits":
        raise SystemExit(3)
    if what == "prints":
        print("words that are no row")
        os.write(1, b"and words past Python\n")
    if what == "no JSON":
        return {"status": "target", "sequences": 7, "score": {"mse": np.float32(0.5)}}
    if what == "nothing":
        return None  # type: ignore[return-value]
    if what in ("nonsense", "half a result"):
        return {"status": "target" if what == "half a result" else "solved", "sequences": 7}
    status = "diverged" if what == "diverges" else "target"
    score = {"n": 10, "mse": seed / 7, "wrong": seed % 3}
    return {"status": status, "sequences": 7 * seed, "score": score, "curve": [[1, 0.5, 3]]}


def tells(settings: Mapping[str, Any], seed: int, engine: str) -> dict[str, Any]:
    """What a worker finds around it, in place of a curve."""
    found = {
        "threads": os.environ["OPENBLAS_NUM_THREADS"],
        "session": os.getsid(0) == os.getpid(),
        "longlag": longlag.__file__,
        "imported": sorted({name.partition(".")[0] for name in sys.modules}),
    }
    return {"status": "target", "sequences": 1, "score": {"mse": 0.0}, "curve": found}


def allocates(settings: Mapping[str, Any], seed: int, engine: str) -> dict[str, Any]:
    """How many new pages of memory an array of a megabyte takes on average, in place of a curve."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        np.ones(2**17)
    pages = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 100
    return {"status": "target", "sequences": 1, "score": {"mse": 0.0}, "curve": {"pages": pages}}


def native(settings: Mapping[str, Any], seed: int, engine: str) -> dict[str, Any]:
    """A trial of one native call, which takes about so many seconds."""
    few = _predicted(16)
    spent = _predicted(max(16, round(16 * settings["seconds"] / few)))
    return {"status": "target", "sequences": 1, "score": {"mse": spent}}


def _predicted(sequences: int) -> float:
    """The seconds that the kernel takes for so many sequences of 1000 steps."""
    kernel, hidden = load_kernel(), 64
    assert kernel is not None
    inputs = np.zeros((sequences, 1000, 2), np.float32)
    parameters = np.zeros(4 * hidden * (hidden + 3) + hidden + 1, np.float32)
    lengths, start = np.full(sequences, 1000), time.monotonic()
    how = {"hidden": hidden, "sigmoid_output": True, "forget_gate": True, "isa": "baseline"}
    kernel.predict(parameters, inputs, lengths, **how)
    return time.monotonic() - start
