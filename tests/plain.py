"""The kernel's plain form (kernel/plain.hpp), compiled for the tests that compare with it.

Arrays are float32 or float64 as the weights are; answers and targets have the axis of K: (B, K),
or (B, T, K) where every step is answered.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from longlag.networks.lstm1997 import USUAL, Variant
from longlag.tasks.drawn import Drawn

HERE = Path(__file__).parent
KERNEL = HERE.parent / "kernel"
COMPILER = shutil.which("c++") or shutil.which("g++")
OPTIONS = (
    *("-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"),
    "-ffp-contract=off",  # the bits of what is drawn are numpy's
)


class _Variant(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_bool)
        for name in (
            *("cell_biases", "gate_biases", "output_biases", "output_gate", "recurrent"),
            *("inputs_to_outputs", "logistic_g", "identity_h"),
        )
    )

    @classmethod
    def of(cls, variant: Variant) -> _Variant:
        return cls(
            variant.biases in ("hidden", "all"),
            variant.biases != "none",
            variant.biases == "all",
            variant.output_gate,
            variant.recurrent,
            variant.inputs_to_outputs,
            variant.g == "logistic",
            variant.h == "identity",
        )


class _Sizes(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("D", "K", "H", "N", "S")),
        *((name, ctypes.c_bool) for name in ("every", "sigmoid", "forget_gate", "reads_current")),
        ("truncated", ctypes.c_bool),
        ("variant", _Variant),
    )


class _Batch(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("B", "T")),
        *((name, ctypes.c_void_p) for name in ("x", "symbols", "lengths", "targets", "counted")),
    )


class _States(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_void_p) for name in ("gates", "c", "h", "y"))


class _Rule(ctypes.Structure):
    _fields_ = (
        ("adam", ctypes.c_bool),
        *((n, ctypes.c_double) for n in ("learning_rate", "beta1", "beta2", "epsilon", "clip")),
        ("count", ctypes.c_int64),
    )


class _Draws(ctypes.Structure):
    _fields_ = (
        ("M", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("at", "given")),
        *((name, ctypes.c_float) for name in ("low", "span")),
    )


class Data(NamedTuple):
    """inputs (B, T, D) or symbols (B, T) int64, lengths (B,) int64, targets (B, K) or (B, T, K);
    where every step is answered, perhaps counted (B, T) bool."""

    inputs: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray
    counted: np.ndarray | None = None

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> Data:
        """With every array changed."""
        return Data(*(array if array is None else change(array) for array in self))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Sizes:
    """Of a network: D, K, and H cells, or N blocks of S cells; and what it is asked."""

    D: int = 2
    K: int = 1
    H: int = 1
    N: int = 1
    S: int = 1
    every: bool = False
    sigmoid: bool = False
    forget_gate: bool = True
    reads_current: bool = True
    truncated: bool = True
    variant: Variant = USUAL


class Plain:
    """The functions; `library` is the compiled form."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))

    def states(self, n: Sizes, weights: np.ndarray, data: Data) -> dict[str, np.ndarray]:
        """As `LSTM.states`."""
        (B, T), H = data.inputs.shape[:2], n.H
        found = {}
        for name, shape in {
            "gates": (T, 4 * H),
            "c": (T + 1, H),
            "h": (T + 1, H),
            "y": (T, n.K),
        }.items():
            found[name] = np.zeros((B, *shape), weights.dtype)
        for name in ("c", "h"):
            found[name][:, 0] = np.nan  # the initial state is the plain form's own
        for b in range(B):
            one = _States(*(array[b].ctypes.data for array in found.values()))
            self._call("states", weights, n, weights, data, ctypes.c_int64(b), ctypes.byref(one))
        gates = ("input_gate", "forget_gate", "output_gate", "candidate")
        named = dict(zip(gates, np.split(found["gates"], 4, axis=2), strict=True))
        return named | {"cell": found["c"][:, 1:], "hidden": found["h"][:, 1:]}

    def gradient(
        self, n: Sizes, weights: np.ndarray, data: Data, name: str = "gradient"
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Loss, answers and gradient (P,) of the LSTM."""
        answers, gradient = np.zeros_like(data.targets), np.empty_like(weights)
        loss = self._call(name, weights, n, weights, data, answers, gradient)
        return loss, answers, gradient

    def gradient1997(
        self, n: Sizes, weights: np.ndarray, data: Data
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Loss, answers and gradient (P,) of the LSTM of 1997."""
        return self.gradient(n, weights, data, "gradient1997")

    def learn1997(self, n: Sizes, rate: float, weights: np.ndarray, data: Data) -> np.ndarray:
        """Answers before each update; changes the weights."""
        answers = np.zeros_like(data.targets)
        self._call("learn1997", weights, n, ctypes.c_double(rate), data, weights, answers)
        return answers

    def update(
        self,
        gradient: np.ndarray,
        weights: np.ndarray,
        moments: tuple[np.ndarray, np.ndarray],
        **rule: Any,
    ) -> float:
        """Changes weights and moments; the gradient's norm."""
        size = ctypes.c_int64(len(weights))
        given = ctypes.byref(_Rule(**rule))
        return self._call("update", weights, given, size, gradient, weights, *moments)

    def draw(self, drawn: Drawn) -> np.ndarray:
        """Inputs (B, T, D) of sequences that are drawn."""
        x = np.zeros(drawn.shape, np.float32)
        for b, length in enumerate(drawn.lengths.tolist()):
            words, at, given = drawn.streams[b], drawn.at[b], drawn.given[b]
            rest = _Draws(len(at), at.ctypes.data, given.ctypes.data, drawn.low, drawn.span)
            own = (ctypes.c_int64(length), x.shape[-1], ctypes.c_void_p(x[b].ctypes.data))
            self._library["draw_inputs"](
                ctypes.c_void_p(words.ctypes.data), ctypes.byref(rest), *own
            )
        return x

    def _call(self, name: str, like: np.ndarray, *arguments: Any) -> float:
        function = self._library[f"{name}_{'double' if like.dtype == np.float64 else 'float'}"]
        function.restype = ctypes.c_double
        return function(*(_passed(argument, like.dtype) for argument in arguments))


def _passed(argument: Any, dtype: Any) -> Any:
    if isinstance(argument, np.ndarray):
        assert argument.dtype == dtype
        assert argument.flags.c_contiguous
        return ctypes.c_void_p(argument.ctypes.data)
    if isinstance(argument, Sizes):
        return ctypes.byref(_Sizes(**vars(argument) | {"variant": _Variant.of(argument.variant)}))
    if isinstance(argument, Data):
        inputs, lengths, targets, counted = argument
        assert (lengths.dtype, targets.dtype) == (np.int64, dtype)
        assert inputs.dtype == (np.int64 if inputs.ndim == 2 else dtype)
        assert counted is None or counted.dtype == np.bool_
        assert all(array is None or array.flags.c_contiguous for array in argument)
        x, symbols = (None, inputs.ctypes.data) if inputs.ndim == 2 else (inputs.ctypes.data, None)
        mask = None if counted is None else counted.ctypes.data
        pointers = (x, symbols, lengths.ctypes.data, targets.ctypes.data, mask)
        return ctypes.byref(_Batch(*inputs.shape[:2], *pointers))
    return argument


def compiled(directory: Path) -> Plain:
    """The plain form; skips the test where there is no compiler."""
    if COMPILER is None:
        pytest.skip("there is no C++ compiler")
    library = directory / "plain.so"
    sources = [str(KERNEL / "plain.cpp"), str(HERE / "plain.cpp")]
    words = [COMPILER, *OPTIONS, f"-I{KERNEL}", *sources, "-o", str(library)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Plain(library)
