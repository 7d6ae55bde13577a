"""The machine that this process runs on."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from longlag.version import __version__


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Of longlag, Python and numpy, and of what else computes, as far as it is in use."""
    own = {"longlag": __version__, "python": platform.python_version(), "numpy": np.__version__}
    used = {name: sys.modules.get(name) for name in ("torch", "jax", "optax")}
    return own | {name: str(held.__version__) for name, held in used.items() if held is not None}


def environment() -> dict[str, Any]:
    """Versions and machine, for the record."""
    return {
        **versions(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


# Parameters of glibc's mallopt, and what they become: bytes. Older releases take no more than
# OLDER_MOST for the second.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT, OLDER_MOST = 2**30, 2**25


@functools.cache
def keep_freed_memory() -> None:
    """Has glibc keep freed memory for this process's next use, where this is glibc's.

    Dask has its workers return it to the system at once. Every batch's tensors would then be new
    pages, which take as long as a long trial's arithmetic.
    """
    with suppress(OSError, AttributeError, TypeError):  # another system's library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, KEPT)
        if not mallopt(M_MMAP_THRESHOLD, KEPT):
            mallopt(M_MMAP_THRESHOLD, OLDER_MOST)
