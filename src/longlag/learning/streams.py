"""Where a trial's random numbers come from.

Every trial has its own streams, spawned from its seed, so that its result does not depend on
others.
"""

from __future__ import annotations

import numpy as np

from longlag import checks

# Spawn keys: of a trial's streams; of `evaluate`'s sequences; of what figures show; of the register
# study's measurements; of a dataset's batches.
WEIGHTS, TRAINING, TEST, DECIDING, EVALUATION, FIGURES, REGISTER, DATASET = range(8)


def check_seed(seed: int) -> int:
    """The seed, refused outside 0 .. 2**63 - 1."""
    return checks.whole("seed", seed, 0, 2**63 - 1)


def stream(seed: int, *key: int) -> np.random.Generator:
    """The stream of a seed and a spawn key, independent of all others."""
    return np.random.default_rng(np.random.SeedSequence(check_seed(seed), spawn_key=key))
