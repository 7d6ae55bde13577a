"""Inputs that are drawn where they are needed: by the kernel as it learns, or here as an array.

Every sequence has a stream of its own, which `random(dtype=float32)` of numpy's SFC64 defines: so
many sequences can be drawn side by side, in any order, a lane of the kernel each. What a task
draws beforehand is small: where streams start, and the few steps that are not like the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

WORDS = 3  # of 64 bits, that a stream starts from


class Drawn:
    """Inputs (..., T, D) float32, which `np.asarray` draws.

    The first of a step's D numbers is low + span u, u being the next float32 of its sequence's
    stream, and the others are 0; then the steps that are given take their places. Zeros follow a
    sequence's end.

    Args:
        streams: (..., 3) uint64, a, b and c of SFC64, whose counter starts at 1.
        lengths: (...) int64.
        at: (..., M) int64, steps of a sequence that are given.
        given: (..., M, D) float32, what stands there; of two at one step the later.
        steps: T.
        low, span: of the numbers that are drawn.
    """

    dtype: np.dtype[np.float32] = np.dtype(np.float32)
    streams: np.ndarray
    lengths: np.ndarray
    at: np.ndarray
    given: np.ndarray
    steps: int
    low: float
    span: float

    def __init__(
        self,
        streams: np.ndarray,
        lengths: np.ndarray,
        at: np.ndarray,
        given: np.ndarray,
        steps: int,
        low: float = 0.0,
        span: float = 1.0,
    ) -> None:
        self.streams, self.lengths, self.at, self.given = streams, lengths, at, given
        self.steps, self.low, self.span = steps, low, span

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.lengths.shape, self.steps, self.given.shape[-1])

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def _arrays(self) -> tuple[np.ndarray, ...]:
        return self.streams, self.lengths, self.at, self.given

    def _with(self, streams: Any, lengths: Any, at: Any, given: Any) -> Drawn:
        return Drawn(streams, lengths, at, given, self.steps, self.low, self.span)

    def __getitem__(self, index: Any) -> Any:
        """Some of the sequences, to be drawn later; of a tuple of indices, numbers."""
        if isinstance(index, tuple):
            return np.asarray(self)[index]
        return self._with(*(array[index] for array in self._arrays))

    def reshape(self, *shape: int) -> Drawn:
        """The same sequences in another shape (..., T, D)."""
        lead, n = shape[:-2], self.lengths.ndim
        return self._with(*(array.reshape(*lead, *array.shape[n:]) for array in self._arrays))

    @staticmethod
    def stack(pieces: Sequence[Drawn]) -> Drawn:
        """Pieces of one task and shape together, with an axis before the others."""
        arrays = zip(*(piece._arrays for piece in pieces), strict=True)
        return pieces[0]._with(*(np.stack(several) for several in arrays))

    @property
    def for_kernel(self) -> tuple[Any, ...]:
        """What the kernel takes in place of an array of inputs, beside the lengths."""
        arrays = (np.ascontiguousarray(a) for a in (self.streams, self.at, self.given))
        return (*arrays, self.steps, self.low, self.span)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        made = np.zeros(self.shape, np.float32)
        flat = made.reshape(-1, *self.shape[-2:])
        streams, lengths, at, given = (
            a.reshape(len(flat), *a.shape[self.lengths.ndim :]) for a in self._arrays
        )
        low, span, bits = np.float32(self.low), np.float32(self.span), np.random.SFC64(0)
        rng = np.random.Generator(bits)
        for row, words, length in zip(flat, streams, lengths.tolist(), strict=True):
            bits.state = {
                "bit_generator": "SFC64",
                "state": {"state": np.append(words, np.uint64(1))},
                "has_uint32": 0,
                "uinteger": 0,
            }
            row[:length, 0] = span * rng.random(length, dtype=np.float32) + low
        rows = np.arange(len(flat))
        for m in range(at.shape[-1]):
            flat[rows, at[:, m]] = given[:, m]
        return made.astype(np.float32 if dtype is None else dtype, copy=False)


def new_streams(n: int, rng: np.random.Generator) -> np.ndarray:
    """Where n streams start, (n, 3) uint64: words of `rng`, so that none needs a warm-up."""
    return rng.integers(0, 2**64, size=(n, WORDS), dtype=np.uint64)
