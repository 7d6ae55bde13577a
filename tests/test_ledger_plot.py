"""`longlag ledger plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from longlag import cli
from longlag.figures.groups import Point, draw
from longlag.sweeps.ledger import Ledger
from longlag.sweeps.trial import perform, trial

SHORT: dict[str, Any] = {"min_length": 12, "max_iterations": 2, "test_every": 1, "test_size": 10}


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Two rates, two sizes, two seeds each."""
    trials = [
        trial("robust", seed, "numpy", learning_rate=rate, hidden=hidden, **SHORT)
        for rate in (0.001, 0.1)
        for hidden in (2, 3)
        for seed in (0, 1)
    ]
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.record({**perform(vars(one)), "key": one.key} for one in trials)
    return tmp_path


def test_a_ledger_is_drawn_against_a_setting(book: Path, capsys: Any) -> None:
    out = book / "drawn.png"
    words = ("ledger", "plot", str(book), "--x", "learning_rate", "--out", str(out))
    assert cli.main([*words]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    assert cli.main([*words, "--y", "sequences"]) == 2  # none was solved
    assert "holds nothing to draw" in capsys.readouterr().err
    assert cli.main(["ledger", "plot", str(book), "--x", "learning_rat", "--out", str(out)]) == 2
    assert "did you mean 'learning_rate'" in capsys.readouterr().err


def test_a_line_a_kind_and_words_in_their_order() -> None:
    lines = {"hidden 2": [Point("b", 0.5, (0, 1)), Point("a", 1, (0.4, 1))]}
    fig = draw({**lines, "hidden 3": lines["hidden 2"]}, "t", "s", ("x", "y"))
    (ax,) = fig.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["b", "a"]
    assert [line.get_label() for line in ax.get_lines()] == ["hidden 2", "hidden 3"]
    wide = draw({"": [Point(0.1, 1, (1, 1)), Point(0.001, 0, (0, 0))]}, "t", "s", ("x", "y"))
    assert wide.axes[0].get_xscale() == "log"
    assert list(wide.axes[0].get_lines()[0].get_xdata()) == [0.001, 0.1]
