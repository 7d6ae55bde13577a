"""How many threads the kernel takes, and that they share its work without a race."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag import machine

kernel = pytest.importorskip("longlag._kernel", reason="the kernel was not built")

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")
CORES = machine.cores()

Sizes = tuple[int, int, int, int]
SIZES = st.tuples(
    st.integers(1, 128), st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 1024)
)


def operations(hidden: int, batch: int, steps: int) -> int:
    """Of a training's iteration: groups of 16 sequences, 24 H² + 192 H a step (`longlag bench`)."""
    return -(-batch // 16) * 16 * steps * (24 * hidden**2 + 192 * hidden)


@given(sizes=SIZES)
def test_no_thread_is_used_in_vain(sizes: Sizes) -> None:
    hidden, batch, steps, threads = sizes
    used = kernel.threads_used(*sizes)
    assert 1 <= used <= min(threads, -(-batch // 16), CORES) or used == 1
    if used > 1:
        assert operations(hidden, batch, steps) / used >= 2e6
    worth = operations(hidden, batch, steps) // 2_000_000
    assert used >= min(threads, -(-batch // 16), CORES, worth)


@given(sizes=SIZES, more=SIZES)
def test_more_work_or_more_threads_never_take_fewer(sizes: Sizes, more: Sizes) -> None:
    larger = [max(pair) for pair in zip(sizes, more, strict=True)]
    assert kernel.threads_used(*sizes) <= kernel.threads_used(*larger)


@pytest.mark.parametrize(
    ("sizes", "used"),
    [
        ((8, 32, 30, 2), 1),  # an iteration of 30 µs
        ((8, 32, 40, 2), 1),  # 1.97 million operations a thread
        ((8, 32, 41, 2), 2),  # 2.02 million
        ((8, 32, 100, 2), 2),  # of 93 µs
        ((8, 16, 10_000, 2), 1),  # one group of sequences
        ((128, 32, 30, 2), 2),
        ((128, 32, 30, 1), 1),
    ],
)
def test_known_sizes(sizes: Sizes, used: int) -> None:
    assert kernel.threads_used(*sizes) == min(used, CORES)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("hidden", [0, 129, 8.0, None, True]),
        ("batch", [0, -1, 2**63, "3"]),
        ("steps", [0, -1, 2**63, None]),
        ("threads", [0, 1025, 1.5]),
    ],
)
def test_bad_sizes_are_refused(name: str, values: list[Any]) -> None:
    for value in values:
        sizes = {"hidden": 8, "batch": 32, "steps": 30, "threads": 2, name: value}
        with pytest.raises(ValueError, match=rf"^{name} must be an integer .*, not .*\.$"):
            kernel.threads_used(**sizes)


@pytest.mark.skipif(COMPILER is None, reason="there is no g++")
def test_every_item_is_done_once_a_round_without_a_race(tmp_path: Path) -> None:
    program = tmp_path / "crew"
    options = ("-std=c++17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread")
    words = [str(COMPILER), *options, "-fsanitize=thread", f"-I{HERE.parent / 'kernel'}"]
    made = subprocess.run(
        [*words, str(HERE / "crew.cpp"), "-o", str(program)], capture_output=True, text=True
    )
    if "libtsan" in made.stderr or "ltsan" in made.stderr:
        pytest.skip("g++ has no ThreadSanitizer here")
    assert made.returncode == 0, made.stderr
    done = subprocess.run([str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
