"""Every number of measurement in the pages follows from a file of results.

docs/numbers_in_prose.py says which from which.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from longlag.kernel import load_kernel
from longlag.networks.lstm import flatten, parameter_count, unflatten
from test_published import PUBLISHED

ROOT = Path(__file__).parent.parent
if not (ROOT / "results").is_dir():
    pytest.skip("an sdist has no results", allow_module_level=True)
sys.path.insert(0, str(ROOT / "docs"))
prose = importlib.import_module("numbers_in_prose")
measured = importlib.import_module("measured")

DESCRIBED = "docs/reference/catalog.md"
PUBLISHED_HEAD = ("seed", "sequences", "final test MSE", "RMSE", "reached 0.030")


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


# -- the pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", prose.pages())
def test_numbers_are_those_of_the_results(page: str) -> None:
    assert prose.written(page, text_of(page)) == text_of(page)


@pytest.mark.parametrize("page", prose.every_page())
def test_no_number_looks_measured_that_is_not_held_to_a_result(page: str) -> None:
    text = text_of(page)
    if page == DESCRIBED:  # its own test, below, holds this table
        published = prose.table_in_page(text, PUBLISHED_HEAD)
        text = text[: published.start()] + text[published.end() :]
    assert not prose.unaccounted(page, text)


def test_the_published_table_is_the_one_that_is_tested() -> None:
    rows = prose.table_in_page(text_of(DESCRIBED), PUBLISHED_HEAD)[2].splitlines()
    assert len(rows) == len(PUBLISHED)
    for row, (seed, sequences, low, high, stopped_by) in zip(rows, PUBLISHED, strict=True):
        said = [cell.strip() for cell in row.strip("|").split("|")]
        assert said[:2] == [str(seed), f"{sequences:,}"]
        assert low <= float(said[2]) < high
        assert low**0.5 - 0.0005 <= float(said[3]) <= high**0.5 + 0.0005
        assert said[4].startswith("yes" if stopped_by == "target" else "no")


def test_what_is_said_of_all_seeds_is_true_of_all() -> None:
    """'robust solves every seed up to T = 10,000', in results/lag."""
    for T in prose.LENGTHS[: prose.LENGTHS.index(prose.FAR) + 1]:
        solved, n = measured.lag(T, "strict").split(" of ")
        assert solved == n, T


def test_the_kernels_tanh_is_as_near_as_its_page_says() -> None:
    kernel = load_kernel()
    if kernel is None:
        pytest.skip("the kernel was not built here")
    (most,) = re.findall(
        r"at most (\d+) units\s+in the last place", text_of("docs/explanation/kernel.md")
    )
    sizes = np.geomspace(1e-30, 20, 200_000)
    x = np.concatenate([-sizes, sizes]).astype(np.float32)
    weights = unflatten(np.zeros(parameter_count(1), np.float32), 1)
    weights.Wx[0, 3] = 1.0  # the candidate is tanh of the value
    looks = {"hidden": 1, "sigmoid_output": False, "forget_gate": True, "isa": kernel.isas()[0]}
    inputs = np.stack([x, np.zeros_like(x)], axis=1)[:, None, :]  # (B, 1, 2)
    states = kernel.states(flatten(weights), inputs, np.ones(len(x), np.int64), **looks)
    exact = np.tanh(x.astype(np.float64))
    ulp = np.spacing(np.abs(exact).astype(np.float32))
    assert 1 < np.max(np.abs(states["candidate"][:, 0, 0] - exact) / ulp) <= int(most)


# -- that this can fail ---------------------------------------------------------------------------


def test_a_number_of_yesterday_is_found_and_written_anew() -> None:
    """As kernel.md stood beside a later bench.txt: a sentence, and a table."""
    page = "docs/explanation/kernel.md"
    text = text_of(page)
    low, high = prose.in_page(text, "the kernel takes {} to {} times the floor").groups()
    old = text.replace(f"takes {low} to {high} times", "takes\n1.3 to 1.6 times")
    ours = measured.iterations(measured.SIZES[:1])[1]
    old = old.replace(f"| {ours[0]} | {ours[1]} |", f"| {ours[0]} | 41.8 |")
    assert old.count("41.8") == 1
    mended = prose.written(page, old)
    assert mended.split() == text.split()  # where a line is broken does not matter


def test_a_sentence_is_found_however_it_is_broken_and_only_once() -> None:
    template = "solves {} at T = 30 ({})."
    match = prose.in_page("It solves 10 of\n  10 at\n  T = 30 (0.692 to 1.000).", template)
    assert [" ".join(group.split()) for group in match.groups()] == ["10 of 10", "0.692 to 1.000"]
    for text in ("", "solves 3 of 3 at T = 30 (0.5). " * 2, "solves all at T = 30 (0.5)."):
        with pytest.raises(ValueError, match="not once"):
            prose.in_page(text, template)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It takes some 1,234 sequences.", ["1,234"]),
        ("94 % of a value is kept, 17 of\n  30 seeds are solved", ["94 %", "17 of 30"]),
        ("R² is 0.0223, or 10.0223", ["10.0223"]),  # the first is the paper's
        ("T = 100,000 takes 100,000", ["100,000"]),
        ("`--rate 0.5` in code, [0.0](1.5) in a link", ["0.0"]),
        ("with 8 cells at T = 30, in 1997", []),
    ],
)
def test_numbers_that_look_measured(text: str, found: list[str]) -> None:
    assert prose.unaccounted("a page", text) == found
