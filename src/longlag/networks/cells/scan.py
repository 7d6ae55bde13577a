"""The linear recurrence h_t = a_t h_{t-1} + b_t with h_0 = 0, and its gradient."""

from __future__ import annotations

import math
from typing import Any

from longlag.networks.torch import Tensor, nn, torch


def scan(a: Tensor, b: Tensor) -> Tensor:
    """States of h_t = a_t h_{t-1} + b_t, with h_0 = 0, in about 2 √T operations.

    Args:
        a: coefficients, in a shape that broadcasts to b's.
        b: (B, T, H); both may be complex.

    Returns:
        (B, T, H).
    """
    a, b = torch.broadcast_tensors(a, b)
    states: Any = _Scan.apply(a.transpose(0, 1), b.transpose(0, 1))
    return states.transpose(0, 1)


class _Scan(torch.autograd.Function):
    """The states and their gradient; time comes first here: (T, B, H)."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        h = _states(a, b)
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # the decorator hides names
        ctx: Any, grad_h: Tensor
    ) -> tuple[Tensor, Tensor]:
        a, h = ctx.saved_tensors
        # dL/db is the same recurrence back in time: g_t = conj(a_{t+1}) g_{t+1} + dL/dh_t.
        grad_b = _states(a.conj().roll(-1, 0).flip(0), grad_h.flip(0)).flip(0)
        grad_a = torch.zeros_like(h)
        torch.mul(grad_b[1:], h[:-1].conj(), out=grad_a[1:])
        return grad_a, grad_b


def _states(a: Tensor, b: Tensor) -> Tensor:
    """The states, in √T blocks of √T steps.

    All blocks are computed at once, each from 0; then, block by block, the share of the state
    before it is added.
    """
    T = len(b)
    steps = math.isqrt(T - 1) + 1
    blocks = -(-T // steps)
    padding = (0, 0) * (b.ndim - 1) + (0, blocks * steps - T)
    shape = (blocks, steps, *b.shape[1:])
    a, b = (nn.functional.pad(x, padding).view(shape) for x in (a, b))
    h, decay = torch.empty_like(b), torch.empty_like(b)
    h[:, 0], decay[:, 0] = b[:, 0], a[:, 0]
    for t in range(1, steps):
        torch.addcmul(b[:, t], a[:, t], h[:, t - 1], out=h[:, t])
        torch.mul(a[:, t], decay[:, t - 1], out=decay[:, t])
    for block in range(1, blocks):
        h[block].addcmul_(decay[block], h[block - 1, -1])
    return h.flatten(0, 1)[:T]
