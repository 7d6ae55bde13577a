"""JAX cells for the tests: pairs of functions (init, apply)."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp


def init(key: Any, D: int, K: int, size: int) -> dict[str, Any]:
    a, b, c = jax.random.split(key, 3)
    return {
        "W": jax.random.normal(a, (D, size)) / math.sqrt(D),
        "U": jax.random.normal(b, (size, size)) / math.sqrt(size),
        "read": {"W": jax.random.normal(c, (size, K)) / math.sqrt(size), "b": jnp.zeros(K)},
    }


def apply(p: dict[str, Any], inputs: Any, lengths: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        h = jnp.tanh(x @ p["W"] + h @ p["U"])
        return h, h

    start = jnp.zeros((inputs.shape[0], p["U"].shape[0]))
    _, states = jax.lax.scan(step, start, jnp.swapaxes(inputs, 0, 1))
    return jnp.swapaxes(states, 0, 1) @ p["read"]["W"] + p["read"]["b"]


def mixed(p: dict[str, Any], inputs: Any, lengths: Any) -> Any:
    return apply(p, inputs - inputs.mean(axis=0), lengths)


def pads(p: dict[str, Any], inputs: Any, lengths: Any) -> Any:
    return apply(p, inputs, lengths)[:, -1]


def ahead(p: dict[str, Any], inputs: Any, lengths: Any) -> Any:
    return apply(p, inputs + jnp.roll(inputs, -1, axis=1), lengths)


def rounds(p: dict[str, Any], inputs: Any, lengths: Any) -> Any:
    return apply(p, inputs, lengths).astype(int)


def constant(p: dict[str, Any], inputs: Any, lengths: Any) -> Any:
    return jax.lax.stop_gradient(apply(p, inputs, lengths))


def nan(p: dict[str, Any], inputs: Any, lengths: Any) -> Any:
    return apply(p, inputs, lengths) * jnp.nan


RNN = (init, apply)
MIXES = (init, mixed)
NAN = (init, nan)
PADS = (init, pads)
ROUNDS = (init, rounds)
CONSTANT = (init, constant)
AHEAD = (init, ahead)
NOTHING = (lambda key, D, K, size: {}, apply)
OTHER = (lambda key, size: {}, apply)
