"""The native kernel, where it was built."""

from __future__ import annotations

import importlib
from typing import Any


def load_kernel() -> Any | None:
    """The compiled kernel, or None where the package was installed without a C++ compiler."""
    try:
        return importlib.import_module("longlag._kernel")
    except ImportError:
        return None
