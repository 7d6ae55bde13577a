"""Native forget-gate LSTM: forward, backward, clip and update, in float32.

Arrays are C-contiguous. B sequences, T steps, D = `input_size` inputs, H = `hidden` cells (1 to
128), K = `output_size` outputs, N iterations, P = 4H(D + H + 1) + K(H + 1) parameters in the order
of `longlag.networks.lstm.Parameters`, flat. Inputs are (B, T, D) float32, or with `symbols` (B, T)
int64 from 0 to D - 1. Answers and targets are (B, K), or (B, T, K) with `every`; there is no axis
of K where K is 1. In place of numbers stand `Drawn` inputs (`longlag.tasks.drawn`): streams (B, 3),
at (B, M), given (B, M, D), T, low and span; the kernel draws them itself. What stands after a
sequence's end is not read, and answers there are zero. Every argument is checked first; a bad one
is a ValueError that names it. The results are the same bits whatever the number of threads, and
the same for "avx2", "avx512" and "neon".
`threads` is how many may be used: small work takes fewer.
"""

from collections.abc import Callable
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

Drawn = tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.float32], int, float, float]
Inputs = NDArray[np.float32] | NDArray[np.int64] | Drawn

class States(TypedDict):
    """Each (B, T, H); zero after a sequence's end."""

    cell: NDArray[np.float32]
    hidden: NDArray[np.float32]
    input_gate: NDArray[np.float32]
    forget_gate: NDArray[np.float32]
    output_gate: NDArray[np.float32]
    candidate: NDArray[np.float32]

def isas() -> list[str]:
    """The instruction sets this machine can run, best first."""

def peak(isa: str) -> float:
    """Measured multiply-adds of one core, in GFLOP/s (2 operations each); takes 50 ms."""

def needed(isa: str, products: int, sigmoids: int, tanhs: int) -> float:
    """Measured seconds of a step of one sequence that has nothing but so much arithmetic.

    products: multiply-adds, products and sums, an instruction each. All is in registers, and
    nothing waits for anything else; takes 50 ms.
    """

def threads_used(
    hidden: int,
    batch: int,
    steps: int,
    threads: int,
    *,
    input_size: int = 2,
    output_size: int = 1,
    symbols: bool = False,
    every: bool = False,
) -> int:
    """How many of `threads` threads `train` takes for batches (B, T) = (batch, steps).

    No more than there are cores or groups of 16 sequences, and none that less than 2 million
    operations of an iteration would fall to.
    """

def predict(
    parameters: NDArray[np.float32],
    inputs: Inputs,
    lengths: NDArray[np.int64],
    *,
    hidden: int,
    sigmoid_output: bool,
    forget_gate: bool,
    input_size: int = 2,
    output_size: int = 1,
    symbols: bool = False,
    every: bool = False,
    isa: str,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Answers to inputs."""

def states(
    parameters: NDArray[np.float32],
    inputs: Inputs,
    lengths: NDArray[np.int64],
    *,
    hidden: int,
    sigmoid_output: bool,
    forget_gate: bool,
    input_size: int = 2,
    output_size: int = 1,
    symbols: bool = False,
    every: bool = False,
    isa: str,
    threads: int = 1,
) -> States:
    """What every cell holds at every step."""

def gradient(
    parameters: NDArray[np.float32],
    inputs: Inputs,
    lengths: NDArray[np.int64],
    targets: NDArray[np.float32],
    *,
    hidden: int,
    sigmoid_output: bool,
    forget_gate: bool,
    input_size: int = 2,
    output_size: int = 1,
    symbols: bool = False,
    every: bool = False,
    isa: str,
    threads: int = 1,
    counted: NDArray[np.bool_] | None = None,
) -> tuple[float, NDArray[np.float32], NDArray[np.float32]]:
    """Loss (mean squared error), answers and gradient (P,), not clipped.

    `counted` (B, T): which of the answers at every step the loss is the mean of; all before a
    sequence's end where it is not given.
    """

def train(
    parameters: NDArray[np.float32],
    first_moment: NDArray[np.float32] | None,
    second_moment: NDArray[np.float32] | None,
    step: int,
    inputs: Inputs,
    lengths: NDArray[np.int64],
    targets: NDArray[np.float32],
    learning_rates: NDArray[np.float64],
    *,
    hidden: int,
    sigmoid_output: bool,
    forget_gate: bool,
    input_size: int = 2,
    output_size: int = 1,
    symbols: bool = False,
    every: bool = False,
    optimizer: Literal["adam", "sgd"],
    beta1: float,
    beta2: float,
    epsilon: float,
    clip: float,
    isa: str,
    threads: int = 1,
    average: NDArray[np.float32] | None = None,
    average_decay: float = 0.0,
    counted: NDArray[np.bool_] | None = None,
    observe: Callable[[float], Any] | None = None,
) -> tuple[NDArray[np.float64], int]:
    """N iterations on data with an axis of N before B; changes its first arguments in place.

    `step` counts the updates made before. Returns the losses, each before its update, and the
    number of updates made: N of both in a run that stays finite. Otherwise the run stopped
    without the update whose loss, gradient norm or outcome was not finite: the number of losses
    is the number of updates and one. `observe` is called with the share of the work that is done,
    20 times a second at most.
    """

def online1997(
    weights: NDArray[np.float32],
    recent: NDArray[np.float32],
    seen: NDArray[np.int64],
    wrong: NDArray[np.int64],
    stops: NDArray[np.int64],
    stop_weights: NDArray[np.float32],
    stop_errors: NDArray[np.float64],
    inputs: Inputs,
    lengths: NDArray[np.int64],
    targets: NDArray[np.float32],
    *,
    thresholds: NDArray[np.int64],
    tolerance: float,
    check_every: int,
    rate: float,
    blocks: int,
    block_size: int,
    reads_current: bool,
    full_gradient: bool,
    input_size: int = 2,
    output_size: int = 1,
    symbols: bool = False,
    every: bool = False,
    sigmoid_output: bool = True,
    isa: str,
    threads: int = 1,
    mean_error_below: float = ...,
    counted: NDArray[np.bool_] | None = None,
    wanted: NDArray[np.float32] | None = None,
    judged: NDArray[np.bool_] | None = None,
    biases: Literal["none", "gates", "hidden", "all"] = "all",
    inputs_to_outputs: bool = False,
    output_gate: bool = True,
    recurrent: bool = True,
    g: Literal["centered", "logistic"] = "centered",
    h: Literal["centered", "identity"] = "centered",
) -> NDArray[np.float32]:
    """M trials of the LSTM of 1997 learn N sequences each, on-line; answers to each before it.

    Weights (M, P) in the order of `longlag.networks.lstm1997.Weights`; data have axes of M and N
    in place of B. Everything before `inputs` is changed in place. `wanted`, in the shape of
    `targets`, and `judged` (M, N, T): what the errors in `recent` are to, and at which steps, where
    that is not what the loss has; the rest of the settings are those of
    `longlag.networks.lstm1997.Variant`. Answers are NaN from where a
    trial learned no more. The docstring at run time says what each array holds.
    """

def predict1997(
    weights: NDArray[np.float32],
    inputs: Inputs,
    lengths: NDArray[np.int64],
    *,
    blocks: int,
    block_size: int,
    reads_current: bool,
    input_size: int = 2,
    output_size: int = 1,
    symbols: bool = False,
    every: bool = False,
    sigmoid_output: bool = True,
    isa: str,
    threads: int = 1,
    biases: Literal["none", "gates", "hidden", "all"] = "all",
    inputs_to_outputs: bool = False,
    output_gate: bool = True,
    recurrent: bool = True,
    g: Literal["centered", "logistic"] = "centered",
    h: Literal["centered", "identity"] = "centered",
) -> NDArray[np.float32]:
    """Answers of the LSTM of 1997 with weights (P,) to inputs."""

def stack_depths(stream: NDArray[np.int64], loaded: int) -> NDArray[np.int64]:
    """Depths (R,), 1 at the top, of the R reads of a trace (N,) on an LRU stack with liveness.

    The codes of a trace are those of `longlag.movement.tracing`; an instruction has at most 16
    reads.
    """
