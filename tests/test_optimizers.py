"""Optimisers against PyTorch and against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.learning.optimizers import Adam, GradientDescent, can_learn_from, clip_by_global_norm


def gradients(n: int, size: int, dtype: type) -> np.ndarray:
    """n gradients of changing sizes, some entries exactly zero."""
    rng = np.random.default_rng(4)
    scale = 10.0 ** rng.uniform(-6, 2, (n, 1))
    g = scale * rng.standard_normal((n, size))
    g[:, 0] = 0
    return g.astype(dtype)


@pytest.mark.parametrize(
    ("settings", "rate"),
    [({}, 5e-3), ({"beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3}, 0.1), ({"beta1": 0.0}, 1e-2)],
)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_adam_is_pytorchs_over_100_steps(
    settings: dict[str, float], rate: float, dtype: type, rtol: float
) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    size = 12
    start = np.random.default_rng(1).standard_normal(size).astype(dtype)
    ours = start.copy()
    adam = Adam(size, dtype=dtype, **settings)
    theirs = torch.nn.Parameter(torch.from_numpy(start.copy()))
    betas = (settings.get("beta1", 0.9), settings.get("beta2", 0.999))
    peer = torch.optim.Adam([theirs], lr=rate, betas=betas, eps=settings.get("epsilon", 1e-8))
    for g in gradients(100, size, dtype):
        adam.update(ours, g, rate)
        theirs.grad = torch.from_numpy(g.copy())
        peer.step()
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=rtol, atol=rtol)
    assert adam.step == 100
    assert ours.dtype == dtype
    assert not np.allclose(ours[1:], start[1:], atol=rate)
    assert ours[0] == start[0]


def test_adam_moves_by_the_rate_under_a_constant_gradient() -> None:
    # The corrected moments of a constant gradient g are g and g**2 at every step.
    g = np.array([3.0, -0.02, 1e-5])
    adam = Adam(3, epsilon=1e-15, dtype=np.float64)
    p = np.zeros(3)
    for k in range(1, 200):
        adam.update(p, g, 0.01)
        np.testing.assert_allclose(p, -0.01 * k * np.sign(g), rtol=1e-8)


def test_adams_epsilon_stands_outside_the_root() -> None:
    adam = Adam(1, epsilon=0.5, dtype=np.float64)
    p = np.zeros(1)
    adam.update(p, np.array([2.0]), 1.0)
    assert p[0] == pytest.approx(-2 / 2.5, rel=1e-12)


def test_plain_descent_is_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(1).standard_normal(9)
    ours, descent = start.copy(), GradientDescent()
    theirs = torch.nn.Parameter(torch.from_numpy(start.copy()))
    peer = torch.optim.SGD([theirs], lr=0.1)
    for g in gradients(100, 9, np.float64):
        descent.update(ours, g, 0.1)
        theirs.grad = torch.from_numpy(g.copy())
        peer.step()
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-12, atol=1e-12)
    assert descent.step == 100
    assert descent.moments == {}


@pytest.mark.parametrize("make", [lambda: Adam(4), GradientDescent])
def test_updates_are_in_place_and_leave_the_gradient(make: Any) -> None:
    optimizer, p, g = make(), np.ones(4, np.float32), np.full(4, 0.5, np.float32)
    view = p[:]
    optimizer.update(p, g, 0.1)
    assert (view < 1).all()
    assert p.dtype == np.float32
    np.testing.assert_array_equal(g, np.full(4, 0.5, np.float32))


@given(
    values=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20),
    limit=st.floats(1e-6, 1e6),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_clipping_scales_to_the_limit_and_keeps_the_direction(
    values: list[float], limit: float, dtype: type
) -> None:
    g = np.array(values, dtype)
    before = g.copy()
    clipped, norm = clip_by_global_norm(g, limit)
    np.testing.assert_array_equal(g, before)
    assert clipped.dtype == dtype
    exact = float(np.linalg.norm(before.astype(np.float64)))
    assert norm == pytest.approx(exact, rel=1e-12)
    if exact <= limit:
        np.testing.assert_array_equal(clipped, before)
    else:
        tiny = float(np.finfo(dtype).tiny)
        expected = before.astype(np.float64) * (limit / exact)
        np.testing.assert_allclose(clipped, expected, rtol=1e-6, atol=tiny)


@pytest.mark.parametrize("limit", [0.1, 1.0, 1e3])
def test_clipping_is_pytorchs_but_for_its_small_constant(limit: float) -> None:
    torch = pytest.importorskip("torch")
    for g in gradients(50, 9, np.float64):
        clipped, norm = clip_by_global_norm(g, limit)
        parameter = torch.nn.Parameter(torch.zeros(9, dtype=torch.float64))
        parameter.grad = torch.from_numpy(g.copy())
        theirs = torch.nn.utils.clip_grad_norm_([parameter], limit)
        assert norm == pytest.approx(float(theirs), rel=1e-12)
        # PyTorch divides by norm + 1e-6.
        np.testing.assert_allclose(clipped, parameter.grad.numpy(), rtol=2e-5, atol=1e-12)


def test_the_norm_of_large_float32_gradients_does_not_overflow() -> None:
    g = np.full(4, 1e30, np.float32)
    clipped, norm = clip_by_global_norm(g, 1.0)
    assert norm == pytest.approx(2e30, rel=1e-6)
    np.testing.assert_allclose(clipped, 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("norm", "limit", "can"),
    [
        (1e32, 0.1, True),
        (1e37, 0.1, False),  # a scale below float32's normal numbers
        (1e18, np.inf, True),
        (1e20, np.inf, False),  # a square above float32
        (0.0, 1e-30, True),
        (np.inf, np.inf, False),
        (np.inf, 1.0, False),
        (np.nan, 1.0, False),
    ],
)
def test_a_clipped_gradient_must_be_float32(norm: float, limit: float, can: bool) -> None:
    assert can_learn_from(norm, limit) == can


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_shows_in_its_norm(bad: float) -> None:
    with np.errstate(invalid="ignore"):
        _, norm = clip_by_global_norm(np.array([1.0, bad]), 1.0)
    assert not np.isfinite(norm)
