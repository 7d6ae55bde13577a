"""The kernel for 64-bit Arm: compiled for it, run under emulation, the bits of AVX2 and AVX-512."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from longlag.networks.lstm import parameter_count, unflatten
from longlag.networks.lstm1997 import weight_count

kernel = pytest.importorskip("longlag._kernel", reason="the kernel was not built")

HERE = Path(__file__).parent
SOURCES = HERE.parent / "kernel"
COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64-static"
# As in CMakeLists.txt.
OPTIONS = ("-std=c++17", "-O3", "-Wall", "-Wextra", "-Werror", "-static", "-pthread")
EXACT = ("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-DLONGLAG_ISA=neon")
PARTS = ("bptt", "peak", "online1997", "isas", "memory", "driver", "online_driver", "watch")

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for needed in (COMPILER, EMULATOR):
        if shutil.which(needed) is None:
            pytest.skip(f"there is no {needed}")
    made = tmp_path_factory.mktemp("neon") / "emulated"
    sources = [HERE / "emulated.cpp", *(SOURCES / f"{part}.cpp" for part in PARTS)]
    words = [COMPILER, *OPTIONS, *EXACT, f"-I{SOURCES}", *map(str, sources), "-o", str(made)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize(
    ("hidden", "sigmoid", "gate", "B", "bias"),
    [
        (8, False, True, 33, 0.0),
        (3, True, True, 5, 0.0),
        (17, True, False, 16, 0.0),
        (64, False, True, 4, 0.0),
        (8, False, True, 16, -12.0),  # gradients that vanish among denormals
    ],
)
def test_same_bits_as_on_x86(
    program: Path, hidden: int, sigmoid: bool, gate: bool, B: int, bias: float
) -> None:
    fused = [isa for isa in kernel.isas() if isa in ("avx512", "avx2")]
    if not fused:
        pytest.skip("this processor has no fused multiply-add to compare with")
    T, N, (blocks, size) = 60, 20, (2, 2)
    rng = np.random.default_rng([hidden, B])
    parameters = rng.normal(0, 0.4, parameter_count(hidden)).astype(np.float32)
    unflatten(parameters, hidden).b[: 2 * hidden] += bias  # of input and forget gates
    inputs = rng.uniform(-1, 1, (N, B, T, 2)).astype(np.float32)
    lengths = rng.integers(1, T + 1, (N, B))
    targets = rng.uniform(0, 1, (N, B)).astype(np.float32)
    rates = np.full(N, 0.01)
    weights = rng.normal(0, 0.7, weight_count(blocks, size)).astype(np.float32)
    sent = (
        *(np.array([hidden, sigmoid, gate, B, T, N]), rates, parameters),
        *(inputs, lengths, targets),
        *(np.array([blocks, size, B, T]), weights, inputs[0], lengths[0]),
    )
    done = subprocess.run(
        [EMULATOR, str(program)],
        input=b"".join(array.tobytes() for array in sent),
        capture_output=True,
        check=True,
    )
    second = np.zeros_like(parameters)
    losses, updates = kernel.train(
        *(parameters, np.zeros_like(parameters), second, 0, inputs, lengths, targets, rates),
        **{"hidden": hidden, "sigmoid_output": sigmoid, "forget_gate": gate},
        **{"optimizer": "adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "clip": 1.0},
        isa=fused[0],
    )
    answers = kernel.predict1997(
        *(weights, inputs[0], lengths[0]),
        **{"blocks": blocks, "block_size": size, "reads_current": True},
        isa=fused[0],
    )
    assert updates == N
    wanted = b"".join(array.tobytes() for array in (losses, parameters, second, answers))
    assert done.stdout == wanted
