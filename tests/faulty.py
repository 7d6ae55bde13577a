"""Trials that go wrong in every way, for the tests of sweeps."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def quick(settings: Mapping[str, Any], seed: int, engine: str) -> dict[str, Any]:
    """A trial of some milliseconds whose result follows from its seed; some go wrong."""
    time.sleep(settings.get("sleep", 0))
    what = settings.get("wrong", {}).get(str(seed))
    if what == "raises":
        raise RuntimeError("this one always raises")
    if what == "kills":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "kills once" and not (flag := Path(settings["flag"])).exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "prints":
        print("words that are no row")
    if what in ("nonsense", "half a result"):
        return {"status": "target" if what == "half a result" else "solved", "sequences": 7}
    status = "diverged" if what == "diverges" else "target"
    score = {"n": 10, "mse": seed / 7, "wrong": seed % 3}
    return {"status": status, "sequences": 7 * seed, "score": score, "curve": [[1, 0.5, 3]]}
