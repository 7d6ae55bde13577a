"""Settings and fixtures that the tests share.

Hypothesis draws the same examples in every run; HYPOTHESIS_PROFILE=explore looks for new ones.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy; the arrays are tiny

import pytest
from hypothesis import HealthCheck, settings

from longlag.recipes import Recipe, recipe

_SLOW = (HealthCheck.too_slow,)
settings.register_profile(
    "ci", deadline=None, derandomize=True, max_examples=40, suppress_health_check=_SLOW
)
settings.register_profile(
    "explore", deadline=None, max_examples=400, print_blob=True, suppress_health_check=_SLOW
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
def tiny() -> Recipe:
    """A recipe that trains in some milliseconds, with tests and the strict rule."""
    return recipe(
        "robust",
        min_length=11,
        hidden=3,
        batch_size=4,
        max_iterations=23,
        test_every=6,
        test_size=40,
        clip=1.0,
        average_decay=0.0,
    )
