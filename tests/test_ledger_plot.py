"""`longlag ledger plot`."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from longlag import cli
from longlag.cli import ledger_commands
from longlag.figures import cells
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


def test_settings_that_follow_from_x_are_in_no_legend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest length follows from the shortest: a line is one, not a dot for each."""
    seen: list[dict[str, list[Point]]] = []
    monkeypatch.setattr(
        ledger_commands.figure, "draw", lambda lines, *rest: seen.append(lines) or Figure()
    )
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        made = [trial("robust", 0, "numpy", **{**SHORT, "min_length": T}) for T in (20, 30, 40)]
        ledger.record({**perform(vars(one)), "key": one.key} for one in made)
    for x in ("min_length", "max_length"):
        words = ["ledger", "plot", str(tmp_path), "--x", x, "--out", str(tmp_path / f"{x}.png")]
        assert cli.main(words) == 0
    assert [[len(points) for points in lines.values()] for lines in seen] == [[3], [3]]


@pytest.mark.parametrize("value", [{"a": 1}, [1], float("nan"), 10**400, 1e308])
def test_a_value_that_cannot_be_drawn_is_named(value: Any, book: Path, capsys: Any) -> None:
    with Ledger.open(book / "ledger.sqlite") as ledger:
        one = trial("robust", 7, "numpy", **SHORT)
        row = perform(vars(one))
        settings = {**row["settings"], "learning_rate": value}
        ledger.record([{**row, "settings": settings, "key": "other"}])
    out = book / "no.png"
    words = ["ledger", "plot", str(book), "--x", "learning_rate", "--out", str(out)]
    assert cli.main(words) == 2
    assert "a trial has learning_rate " in capsys.readouterr().err
    assert not out.exists()


def test_trials_without_the_setting_are_counted(book: Path, capsys: Any) -> None:
    """Such as those of a task that has a lag in the place of a length."""
    with Ledger.open(book / "ledger.sqlite") as ledger:
        copy = {name: value for name, value in SHORT.items() if name != "min_length"}
        one = trial("robust", 0, "numpy", task="copy", lag=12, **copy)
        ledger.record([{**perform(vars(one)), "key": one.key}])
    words = ("ledger", "plot", str(book), "--out", str(book / "drawn.png"))
    assert cli.main([*words, "--x", "min_length"]) == 0
    assert capsys.readouterr().err == "not drawn: 1 trial without min_length\n"
    assert cli.main([*words, "--x", "learning_rate"]) == 0
    assert not capsys.readouterr().err


def test_recipes_that_their_name_alone_tells_apart_have_a_line_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is not at its end counts for nothing."""
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        for name, status in (("robust", "target"), ("catalog", "max_iterations")):
            for length in (12, 14):
                one = trial("robust", 0, "numpy", **{**SHORT, "min_length": length})
                row = perform(vars(one)) | {"recipe": name, "status": status}
                ledger.record([{**row, "key": f"{name} {length}"}])
        one = trial("paper", 0, "numpy", min_length=12, max_sequences=2)
        ledger.record([{**perform(vars(one)), "key": "paper", "status": "unfinished"}])
    drawn: list[Any] = []
    monkeypatch.setattr("longlag.figures.groups.draw", lambda *all: drawn.append(all) or Figure())
    words = ("ledger", "plot", str(tmp_path), "--x", "min_length", "--out", str(tmp_path / "a.png"))
    assert cli.main([*words]) == 0
    ((lines, *_),) = drawn
    rates = {name: [point.y for point in points] for name, points in lines.items()}
    assert rates == {"recipe robust": [1.0, 1.0], "recipe catalog": [0.0, 0.0]}


def test_a_line_a_kind_and_words_in_their_order() -> None:
    lines = {"hidden 2": [Point("b", 0.5, (0, 1)), Point("a", 1, (0.4, 1))]}
    fig = draw({**lines, "hidden 3": lines["hidden 2"]}, "t", "s", ("x", "y"))
    (ax,) = fig.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["b", "a"]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["hidden 2", "hidden 3"]
    wide = draw({"": [Point(0.1, 1, (1, 1)), Point(0.001, 0, (0, 0))]}, "t", "s", ("x", "y"))
    assert wide.axes[0].get_xscale() == "log"
    assert list(wide.axes[0].get_lines()[0].get_xdata()) == [0.001, 0.1]


def pixels(fig: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def visible(fig: Figure, ax: Axes, colour: str) -> int:
    """Pixels of a colour in the middle between the first two values."""
    shown = pixels(fig)
    box = ax.get_window_extent()
    middle = int(box.x0 + box.width / 2)
    rows = shown[:, middle - 8 : middle + 8]
    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    return int((np.abs(rows - wanted).max(axis=2) < 60).sum())


@pytest.mark.parametrize("n", [2, 4, 10])
def test_equal_lines_are_all_seen(n: int) -> None:
    """The lines, half way between the values, and each marker at a place of its own."""
    flat = [Point(0.01, 0.5, (0.2, 0.8)), Point(0.1, 0.5, (0.2, 0.8))]
    fig = draw({f"kind {k}": flat for k in range(n)}, "t", "s", ("x", "solved"))
    fig.set_dpi(200)
    (ax,) = fig.axes
    assert all(visible(fig, ax, colour) for colour in cells.COLOURS[:n])
    markers = [line for line in ax.get_lines() if line.get_marker() != "None"]
    at = [line.get_transform().transform(line.get_xydata())[0] for line in markers]
    assert len({round(x) for x, _ in at}) == n
    middle = ax.transData.transform((0.01, 0.5))
    np.testing.assert_allclose(np.mean(at, axis=0), middle, atol=0.01)
    assert all(y == pytest.approx(middle[1]) for _, y in at)  # at their true height


def test_rates_have_the_whole_axis() -> None:
    few = {"": [Point(1, 0.1, (0, 0.2)), Point(2, 0.2, (0.1, 0.3))]}
    (ax,) = draw(few, "t", "s", ("x", "solved")).axes
    low, high = ax.get_ylim()
    assert -0.05 < low < 0 < 1 < high < 1.05
    (ax,) = draw(few, "t", "s", ("x", "sequences")).axes
    assert ax.get_ylim()[1] < 0.5


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ((0.003, 0.01, 0.03), "log"),
        ((2, 3, 4), "linear"),
        ((0, 1, 100), "linear"),
        ((5,), "linear"),
    ],
)
def test_the_ticks_are_at_the_values(values: tuple[float, ...], scale: str) -> None:
    (ax,) = draw({"": [Point(x, 0.5, (0, 1)) for x in values]}, "t", "s", ("x", "solved")).axes
    assert ax.get_xscale() == scale
    assert {*values} - {*ax.get_xticks()} == ({1} if 100 in values else set())  # no room beside 0
    low, high = ax.get_xlim()
    assert low < min(values)
    assert high > max(values)


def test_words_of_an_axis_and_of_a_legend_do_not_overlap() -> None:
    names = [f"a_module_of_mine:AndALongClass{k}" for k in range(6)]
    points = [Point(name, 0.5, (0, 1)) for name in names]
    fig = draw({f"network {name}": points for name in names}, "t", "s", ("x", "solved"))
    pixels(fig)
    (ax,) = fig.axes
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))
    legend = fig.legends[0].get_window_extent()
    assert legend.x1 < fig.bbox.width
    assert legend.y1 < ax.xaxis.label.get_window_extent().y0


KINDS = {".pdf": b"%PDF", ".svg": b"<?xml", ".PNG": b"\x89PNG"}


@pytest.mark.parametrize("ending", KINDS)
def test_a_picture_is_what_its_name_says(ending: str, book: Path) -> None:
    found = []
    for name in ("a", "b"):
        out = book / f"{name}{ending}"
        assert cli.main(["ledger", "plot", str(book), "--x", "hidden", "--out", str(out)]) == 0
        found.append(out.read_bytes())
    assert found[0].startswith(KINDS[ending])
    assert found[0] == found[1]  # and has no date


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("plot", "--x", "hidden", "--out", "new/e.jpg"),
            "must end with .png, .pdf or .svg, not be new",
        ),
        (
            ("export", "--out", "new/x.xlsx"),
            "must end with .csv, .md or .parquet, not be new/x.xlsx",
        ),
        (("export", "--out", "new/x.md", "--format", "csv"), "must end as --format csv does"),
    ],
)
def test_a_name_that_says_another_format_is_refused_before_any_work(
    words: tuple[str, ...], says: str, book: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(book)
    assert cli.main(["ledger", words[0], "ledger.sqlite", *words[1:]]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1
    assert not Path("new").exists()


def test_an_export_has_the_format_of_its_name_or_the_one_given(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(book)
    for more in (["--out", "a.md"], ["--out", "b.txt", "--format", "markdown"]):
        assert cli.main(["ledger", "export", "ledger.sqlite", *more]) == 0
        assert Path(more[1]).read_text().startswith("| ")
