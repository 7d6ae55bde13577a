"""Linear recurrences in parallel over time: h_t = a_t h_{t-1} + b_t with h_0 = 0."""

from __future__ import annotations

from longlag.networks.torch import Tensor, nn, torch


def log_scan(log_a: Tensor, log_b: Tensor) -> Tensor:
    """States of a recurrence with positive coefficients, from logarithms (Heinsen 2023).

    https://arxiv.org/abs/2311.06281. With A_t = a_1 ... a_t, h_t = A_t sum_s b_s / A_s.

    Args:
        log_a, log_b: (B, T, H).

    Returns:
        (B, T, H).
    """
    log_A = log_a.cumsum(dim=1)
    return torch.exp(log_A + torch.logcumsumexp(log_b - log_A, dim=1))


def constant_scan(a: Tensor, b: Tensor) -> Tensor:
    """The same with coefficients that are the same at every step, in log2 T doublings.

    After k of them a state is the sum over the latest 2^k steps (Hillis & Steele 1986).

    Args:
        a: (H,); b: (B, T, H); both may be complex.

    Returns:
        (B, T, H).
    """
    states, reach = b, 1
    while reach < b.shape[1]:
        earlier = nn.functional.pad(states[:, :-reach], (0, 0, reach, 0))
        states, a = states + a * earlier, a * a
        reach *= 2
    return states
