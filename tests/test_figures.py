"""The figures show what they say: aligned, legible, true to the run, and never in the way."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

import longlag
from longlag import cli
from longlag.figures import (
    animation,
    cell_state,
    curves,
    examples,
    lag_scaling,
    panels,
    pred_vs_target,
    sample_sequences,
    solved_share,
    style,
    training_curve,
    write_animation,
    write_figures,
)
from longlag.figures import cells as cells_compared
from longlag.learning import streams
from longlag.learning.recipe import Recipe
from longlag.learning.training import History, Run
from longlag.studies import stops
from longlag.tasks.marked_pairs import TABLE8, Kind, MarkedPairs, Sequence
from longlag.tasks.score import TOLERANCE, score

NAMES = ["training_curve", "sample_sequences", "cell_state", "pred_vs_target"]
DRAW = [training_curve.draw, sample_sequences.draw, cell_state.draw, pred_vs_target.draw]

SHORT = {"max_iterations": 40, "test_every": 20, "test_size": 32, "batch_size": 4}


SHORT_ONLINE = {"max_sequences": 2048, "test_size": 32, "min_length": 12}


def trained(name: str = "robust", seed: int = 0, **settings: object) -> Run:
    made = longlag.recipe(name)
    short = SHORT_ONLINE if name.startswith("paper") else SHORT
    short = {key: value for key, value in short.items() if key in made.settings()}
    recipe = made.with_settings(short | settings)
    return longlag.train(recipe, seed, engine="numpy")


@pytest.fixture(scope="module")
def paper() -> Run:
    return trained()


@pytest.fixture(scope="module")
def catalog() -> Run:
    return trained("catalog", hidden=3)


def constant_network(recipe: Recipe, value: float) -> Any:
    """A network that answers `value` to everything."""
    weights = np.zeros(recipe.network.size(recipe.task))
    weights[-recipe.task.outputs :] = value  # by
    return recipe.network_of(weights)


def diverged(run: Run) -> Run:
    """The run as it would be had its weights become NaN in the very first update."""
    vector = np.full_like(run.snapshots[0], np.nan)
    nan = float("nan")
    return replace(
        run,
        network=run.recipe.network_of(vector),
        history=History(np.array([]), [], 0.0),
        score=replace(run.score, mse=nan, rmse=nan, mae=nan, max_error=nan, wrong=run.score.n),
        stopped_by="diverged",
        iterations=0,
        snapshots={0: vector},
    )


def panel(fig: Figure, label: str) -> Axes:
    (found,) = (ax for ax in fig.axes if ax.get_label() == label)
    return found


def titles(ax: Axes) -> tuple[str, str]:
    return ax.get_title(loc="left"), ax.get_title(loc="right")


# -- files -------------------------------------------------------------------------------------


def test_writes_four_pictures_and_the_curves(paper: Run, tmp_path: Path) -> None:
    out = tmp_path / "made" / "on the way"
    written = write_figures(paper, out)
    assert [p.name for p in written] == [f"{name}.png" for name in NAMES] + ["training_curve.csv"]
    assert sorted(out.iterdir()) == sorted(written)  # and no temporary file is left
    for path in written[:4]:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.width == 1660  # twice a README's 830 pixels
            assert picture.convert("L").getextrema() < (60, 256)  # something black is on it
    assert written[-1].read_text() == curves.csv(paper)


def test_csv_reads_back_as_the_history(paper: Run) -> None:
    header, *rows = (line.split(",") for line in curves.csv(paper).splitlines())
    assert header == ["iteration", "sequences", "train_mse", "test_mse"]
    assert [int(row[0]) for row in rows] == list(range(1, paper.iterations + 1))
    assert [int(row[1]) for row in rows] == [4 * k for k in range(1, paper.iterations + 1)]
    assert [float(row[2]) for row in rows] == paper.history.train_losses.tolist()
    tests = [(int(row[0]), float(row[3])) for row in rows if row[3]]
    assert tests == paper.history.test_curve
    assert len(tests) == 2


def packed(colours: np.ndarray) -> np.ndarray:
    """Each colour (..., 3) as one number."""
    return colours.astype(np.int64) @ np.array([65536, 256, 1])


def test_animation(paper: Run, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = write_animation(
        paper,
        tmp_path / "new" / "a.gif",
        n_frames=5,
        fps=10,
        progress=lambda done, n: seen.append((done, n)),
    )
    assert seen == [(k, 5) for k in range(1, 6)]
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_size < 5 * 80_000
    with Image.open(path) as film:
        assert (film.format, film.size, film.n_frames) == ("GIF", (830, 550), 5)
        assert film.info["loop"] == 0
        durations, frames = [], []
        for k in range(5):
            film.seek(k)
            durations.append(film.info["duration"])
            frames.append(np.asarray(film.convert("RGB")))
    assert durations == [100, 100, 100, 100, 3000]
    for frame in frames:  # one palette: nothing flickers
        assert np.isin(packed(frame), packed(animation.palette())).all()
    # Frames differ in the numbers, the heat map, the bars and the curve, and nowhere else.
    changed = np.any([np.any(a != b, axis=2) for a, b in pairwise(frames)], axis=0)
    assert changed.any()
    assert not changed[40:60].any()  # subtitle
    assert not changed[110:245, 50:483].any()  # input


def test_a_run_without_snapshots_is_not_animated(catalog: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run must have snapshots to be animated"):
        write_animation(replace(catalog, snapshots={}), tmp_path / "a.gif")
    assert not any(tmp_path.iterdir())


def test_animation_of_another_length(catalog: Run) -> None:
    usual = animation.gif(catalog, n_frames=2)
    for length in (50, 4 * 30):  # the longest allowed
        assert animation.gif(catalog, n_frames=2, length=length) != usual


def test_animation_refuses_impossible_numbers(catalog: Run, tmp_path: Path) -> None:
    for settings, named in (
        ({"n_frames": 1}, "n_frames"),
        ({"fps": 0}, "fps"),
        ({"fps": 51}, "fps"),
    ):
        with pytest.raises(ValueError, match=f"{named}.*, not"):
            write_animation(catalog, tmp_path / "new" / "a.gif", **settings)
    for length in (5, 4 * 30 + 1):
        with pytest.raises(ValueError, match=f"length .* from 12 to 120, not {length}"):
            write_animation(catalog, tmp_path / "new" / "a.gif", length=length)
    assert not (tmp_path / "new").exists()


def test_style_is_its_own(catalog: Run) -> None:
    before = dict(mpl.rcParams)
    plain = style.png(pred_vs_target.draw(catalog))
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20}):
        assert style.png(pred_vs_target.draw(catalog)) == plain
    assert dict(mpl.rcParams) == before


def test_pyplot_is_never_loaded() -> None:
    code = "import sys, longlag.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# -- legibility --------------------------------------------------------------------------------


def drawn_texts(fig: Figure, monkeypatch: pytest.MonkeyPatch) -> list[Text]:
    """The texts that really reach the paper when the figure is drawn."""
    drawn: list[Text] = []
    plain = Text.draw

    def draw(self: Text, renderer: object, *args: object, **kwargs: object) -> object:
        if self.get_visible() and self.get_text().strip():
            drawn.append(self)
        return plain(self, renderer, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Text, "draw", draw)
    fig.draw_without_rendering()
    monkeypatch.setattr(Text, "draw", plain)
    return drawn


def assert_legible(fig: Figure, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = drawn_texts(fig, monkeypatch)
    assert len(texts) > 10
    boxes = [text.get_window_extent() for text in texts]
    for text, box in zip(texts, boxes, strict=True):
        assert text.get_fontsize() >= 6.5, text  # 9 pixels where the figure is 830 wide
        assert 0 <= box.x0 < box.x1 <= fig.bbox.width, text
        assert 0 <= box.y0 < box.y1 <= fig.bbox.height, text
    for i, a in enumerate(boxes):
        for j in range(i):
            b = boxes[j]
            apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0
            assert apart, (texts[i], texts[j])


# What any task and any network may be, beside the LSTM with numbers as inputs and one answer.
OTHERS: list[tuple[str, dict[str, object]]] = [
    ("robust", {"task": "temporal-order", "network": "gru", "min_length": 20}),
    ("robust", {"network": "lstm1997", "min_length": 20}),
    ("paper", {}),
    ("robust", {"network": "torch-gru", "min_length": 20}),
    ("paper-reber", {"max_symbols": 40, "max_sequences": 64}),
    ("paper-long-lag", {"lag": 20, "max_sequences": 64}),
]


def in_words(made: tuple[str, dict[str, object]]) -> str:
    name, settings = made
    return " ".join([name, *(f"{k}={v}" for k, v in settings.items())])


@pytest.fixture(
    scope="module",
    params=[
        ("catalog", {}),
        ("robust", {}),
        ("robust", {"task": "adding", "min_length": 20}),
        ("robust", {"hidden": 128, "max_iterations": 1, "test_every": 1}),
        ("robust", {"forget_gate": False, "hidden": 1}),
        ("robust", {"min_length": 1000, "max_iterations": 2, "test_every": 2}),
        ("catalog", {"min_length": 12, "max_length": 12, "max_iterations": 1}),
        ("robust", {"optimizer": "sgd", "learning_rate": 1000.0, "clip": 1000.0}),
        ("diverged", {}),
        *OTHERS,
    ],
    ids=in_words,
)
def any_run(request: pytest.FixtureRequest) -> Run:
    name, settings = request.param
    if settings.get("network") == "torch-gru":
        pytest.importorskip("torch")
    return diverged(trained()) if name == "diverged" else trained(name, **settings)


@pytest.mark.parametrize("draw", DRAW, ids=NAMES)
def test_every_text_is_legible(any_run: Run, draw: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(draw)
    assert_legible(draw(any_run), monkeypatch)


def test_the_animation_is_legible(any_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = [examples.one_sequence(any_run), *examples.spread_sequences(any_run, 6)]
    frames = animation.film(any_run, sorted(any_run.snapshots)[-1:], sequences)
    stage = animation.Stage(any_run, sequences, frames)
    pixels = stage.show(frames[0])
    assert pixels.shape == (550, 830, 3)
    assert_legible(stage.figure, monkeypatch)


# -- words and what they speak of ----------------------------------------------------------------

HUES = {"red": 0, "orange": 30, "yellow": 60, "green": 120, "blue": 210, "purple": 290}


def colour_word(colour: Any) -> str:
    """What a reader would call a colour."""
    hue, saturation, value = mpl.colors.rgb_to_hsv(mpl.colors.to_rgb(colour))
    if value < 0.25:
        return "black"
    if saturation < 0.15:
        return "grey"
    return min(HUES, key=lambda word: min(abs(360 * hue - HUES[word] - turn) for turn in (0, 360)))


def test_colours_go_by_their_names(paper: Run) -> None:
    """Marked values are said to have the colour that they have; and so are truth and answer."""
    fig = cell_state.draw(paper)
    (said,) = re.findall(r"marked \((\w+)\)", titles(panel(fig, "input"))[0])
    assert said == colour_word(style.MARK)
    (marked,) = (
        group
        for group in panel(fig, "input").collections
        if len(group.get_paths()) == 2 and colour_word(group.get_facecolor()[0]) != "black"
    )
    assert colour_word(marked.get_facecolor()[0]) == said

    sequences = [examples.one_sequence(paper), *examples.spread_sequences(paper, 6)]
    frames = animation.film(paper, sorted(paper.snapshots)[-1:], sequences)
    stage = animation.Stage(paper, sequences, frames)
    truth, given = re.findall(r"\((\w+)\)", stage.bars.get_title(loc="left"))
    first, *_, last = (patch.get_facecolor() for patch in stage.bars.patches)
    assert (colour_word(first), colour_word(last)) == (truth, given)


def legend_words(fig: Figure) -> list[str]:
    return [text.get_text() for legend in fig.legends for text in legend.get_texts()]


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_tests_of_averaged_weights_are_said_to_be(decay: float) -> None:
    run = trained(average_decay=decay, max_iterations=20)
    entries = {name: "averaged" in name for name in legend_words(training_curve.draw(run))}
    assert sum(entries.values()) == (decay > 0)
    assert [name for name in entries if name.startswith("test")] == [curves.name_of_tests(run)]
    sequences = [examples.one_sequence(run), *examples.spread_sequences(run, 6)]
    stage = animation.Stage(run, sequences, animation.film(run, [20], sequences))
    assert ("averaged weights" in stage.figure.texts[1].get_text()) == (decay > 0)


# -- one time axis -----------------------------------------------------------------------------


SHOWN = {
    "lstm": ["cell", "hidden", "input_gate", "forget_gate", "output_gate"],
    "lstm1997": ["cell", "hidden", "input_gate", "output_gate"],
    "gru": ["hidden", "candidate", "reset_gate", "update_gate"],
    "torch-gru": ["hidden"],
}


def test_all_panels_of_cell_state_share_one_time_axis(any_run: Run) -> None:
    fig = cell_state.draw(any_run)
    fig.draw_without_rendering()
    timed = [ax for ax in fig.axes if ax.get_label() != "colour bar"]
    assert [ax.get_label() for ax in timed] == ["input", *SHOWN[any_run.recipe.network.name]]
    shown = examples.one_sequence(any_run)
    steps, roles = len(shown.inputs), any_run.recipe.task.drawing(shown).roles
    marks = getattr(shown, "marks", roles.get("mark"))
    for ax in timed:
        place = ax.get_position()
        assert (place.x0, place.x1) == (timed[0].get_position().x0, timed[0].get_position().x1)
        assert ax.get_xlim() == (-0.5, steps - 0.5)
        assert sorted(set(_vertical_lines(ax))) == sorted(marks)


def _vertical_lines(ax: Axes) -> list[float]:
    return [
        x[0]
        for x in (np.asarray(line.get_xdata(), dtype=float) for line in ax.lines)
        if len(x) == 2 and x[0] == x[1]
    ]


def test_the_animation_has_one_time_axis_and_fixed_colours(paper: Run) -> None:
    sequences = [examples.one_sequence(paper), *examples.spread_sequences(paper, 6)]
    frames = animation.film(paper, sorted(paper.snapshots), sequences)
    stage = animation.Stage(paper, sequences, frames)
    first = stage.heat.get_clim()
    largest = max(np.abs(frame.cells).max() for frame in frames)
    assert first == pytest.approx((-largest, largest))
    for frame in (frames[0], frames[-1]):
        stage.show(frame)
        above, below = stage.input.get_position(), stage.cells.get_position()
        assert (above.x0, above.x1) == (below.x0, below.x1)
        assert stage.input.get_xlim() == stage.cells.get_xlim()
        assert stage.heat.get_clim() == first
        np.testing.assert_array_equal(stage.heat.get_array(), frame.cells.T)


# -- the content -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "chance"),
    [
        ("catalog", {}, 7 / 144),
        ("robust", {}, 0.0592),
        ("robust", {"min_length": 30}, 0.0629),
        ("robust", {"task": "adding"}, 0.0392),
    ],
)
def test_chance_is_that_of_the_rules(name: str, settings: dict, chance: float) -> None:
    run = trained(name, **(settings | {"max_iterations": 1}))
    fig = training_curve.draw(run)
    dashed = [
        float(np.asarray(line.get_ydata())[0])
        for line in panel(fig, "curve").lines
        if line.get_linestyle() == "--" and line.get_color() == style.INK
    ]
    assert dashed == pytest.approx([chance], abs=5e-5)
    labels = [text.get_text() for legend in fig.legends for text in legend.get_texts()]
    assert f"chance {chance:.4f} ({run.recipe.task.rules} rules)" in labels


def test_the_papers_results_stand_on_the_papers_task_alone() -> None:
    def squares(**settings: object) -> list[float]:
        run = trained("robust", **(settings | {"max_iterations": 1}))
        lines = panel(training_curve.draw(run), "curve").lines
        return [
            float(np.asarray(line.get_ydata())[0])
            for line in lines
            if line.get_color() == style.PAPER
        ]

    assert squares() == [0.0223**2, 0.0139**2]
    assert squares(task="adding") == squares(min_length=50) == squares(rules="catalog") == []


def test_the_papers_stop_that_comes_a_little_later_is_on_the_curve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = longlag.train(longlag.recipe("paper", max_sequences=64, test_size=16), 0, engine="numpy")
    for later, shown in ((1.05, True), (1.5, False)):
        stops = [
            stop._replace(sequences=at)
            for stop, at in zip(TABLE8, (32, later * run.iterations), strict=True)
        ]
        monkeypatch.setattr(training_curve, "TABLE8", stops)
        end = panel(training_curve.draw(run), "curve").get_xlim()[1]
        assert (end > later * run.iterations) == shown


def test_training_curve_shows_the_history(paper: Run) -> None:
    lines = {line.get_label(): line for line in panel(training_curve.draw(paper), "curve").lines}
    batch = lines["one batch (4 sequences)"]
    np.testing.assert_array_equal(batch.get_ydata(), paper.history.train_losses)
    tests = lines["test (averaged weights)"]
    points = zip(np.asarray(tests.get_xdata()), np.asarray(tests.get_ydata()), strict=True)
    assert [tuple(p) for p in points] == paper.history.test_curve


@pytest.mark.parametrize(
    ("mse", "says"),
    [
        (0.0592 / 40, "Test MSE falls to 0.00148 (RMSE 0.0385), 40 times below chance"),
        (0.0592 / 1.6, "Test MSE falls to 0.0370 (RMSE 0.192), 1.6 times below chance"),
        (0.0592, "At chance: test MSE 0.0592, chance 0.0592"),
        (0.3, "Worse than chance: test MSE 0.300, chance 0.0592"),
        (float("nan"), "Training diverged after 40 iterations"),
    ],
)
def test_headline_says_what_happened(paper: Run, mse: float, says: str) -> None:
    assert training_curve.headline(replace(paper, score=replace(paper.score, mse=mse))) == says


def test_smoothing_is_a_mean_and_thinning_keeps_extremes() -> None:
    losses = np.random.default_rng(0).exponential(size=1000)
    smoothed = curves.smooth(losses, 5)
    assert smoothed[500] == pytest.approx(losses[498:503].mean())
    assert smoothed[0] == pytest.approx(losses[:3].mean())
    assert smoothed[-1] == pytest.approx(losses[-3:].mean())
    np.testing.assert_allclose(curves.smooth(losses[:3], 1), losses[:3])

    x, y = curves.thin(np.arange(1000), losses, most=100)
    assert len(x) <= 100
    assert (y.min(), y.max()) == (losses.min(), losses.max())
    assert np.all(np.diff(x) > 0)
    np.testing.assert_array_equal(y, losses[x])


def test_sample_sequences_are_judged_by_the_tolerance(paper: Run) -> None:
    sequences = examples.five_sequences(paper)
    near = replace(paper, network=constant_network(paper.recipe, sequences[1].target + 0.039))
    far = replace(paper, network=constant_network(paper.recipe, sequences[1].target + 0.041))
    for run, off, sign in ((near, "0.039", "✓"), (far, "0.041", "✗")):
        left, right = titles(panel(sample_sequences.draw(run), "sequence 2"))
        assert left == run.recipe.task.explain(sequences[1])
        assert right.endswith(f"off by {off}  {sign}")


def test_hidden_marks_are_shown_where_rules_hide_them(paper: Run, catalog: Run) -> None:
    for run, hidden in ((paper, [False] * 4 + [True]), (catalog, [False] * 5)):
        assert [run.recipe.task.is_special(s) for s in examples.five_sequences(run)] == hidden
    for run, expected in ((paper, [0, 0, 0, 0, 1]), (catalog, [0] * 5)):
        fig = sample_sequences.draw(run)
        outlined = [
            sum(isinstance(p, Rectangle) and not p.get_fill() for p in ax.patches)
            for ax in fig.axes
        ]
        assert outlined == expected
        (legend,) = fig.legends
        explained = any("hidden" in text.get_text() for text in legend.get_texts())
        assert explained == (sum(expected) == 1)
        assert ("1 (hidden) ×" in titles(fig.axes[4])[0]) == explained


def test_bars_are_the_sequence(paper: Run) -> None:
    fig = sample_sequences.draw(paper)
    for ax, sequence in zip(fig.axes, examples.five_sequences(paper), strict=True):
        colour_of = {0.0: style.FAINT, 1.0: style.MARK, -1.0: style.INK}
        bars = {}
        for group in ax.collections:
            (colour,) = np.asarray(group.get_facecolor())
            for path in group.get_paths():
                box = path.get_extents()
                bars[round((box.x0 + box.x1) / 2)] = (box.y0, box.y1, tuple(colour))
        assert len(bars) == len(sequence.inputs)
        for t, (value, marker) in enumerate(sequence.inputs):
            assert bars[t] == (0, value, mpl.colors.to_rgba(colour_of[marker]))


def test_formula_adds_up() -> None:
    product = MarkedPairs("multiplication", min_length=20, max_length=22)
    total = MarkedPairs("adding", min_length=20, max_length=22)
    inputs = np.zeros((20, 2))
    inputs[[0, 3, 7], 0] = 0.9, 0.5, -0.25
    said = product.explain(Sequence(abs(inputs), 0.125, (7, 3)))
    assert said == "0.500 × 0.250 = 0.125"
    said = product.explain(Sequence(inputs, 0.5, (0, 3)))
    assert said == "1 (hidden) × 0.500 = 0.500"
    said = total.explain(Sequence(inputs, 0.5625, (3, 7)))
    assert said == "½ + (0.500 − 0.250) / 4 = 0.562"
    said = total.explain(Sequence(inputs, 0.4375, (7, 0)))
    assert said == "½ + (0 (hidden) − 0.250) / 4 = 0.438"


@pytest.mark.parametrize("task", ["multiplication", "adding"])
def test_what_a_formula_prints_has_the_result_that_it_prints(task: Kind) -> None:
    """0.99 × 0.19 = 0.191 would be wrong, whatever was rounded."""
    marked, rng = MarkedPairs(task, min_length=20, max_length=22), np.random.default_rng(0)
    half = Decimal("0.0005")
    for _ in range(300):
        sequence = marked.sequence(rng)
        left, result = marked.explain(sequence).split(" = ")
        assert result == f"{sequence.target:.3f}"
        numbers = re.findall(r"[−-]? ?[\d.]+", left.replace("½", "").replace("/ 4", ""))
        x1, x2 = (Decimal(x.replace("−", "-").replace(" ", "")) for x in numbers)
        made = x1 * x2 if task == "multiplication" else Decimal("0.5") + (x1 + x2) / 4
        assert abs(made - Decimal(result)) <= half, (left, result)


def test_scatter_shows_all_answers_and_marks_the_wrong(paper: Run) -> None:
    fig = pred_vs_target.draw(paper)
    task, rng = paper.recipe.task.tested, examples.stream(paper, "scatter")
    drawn = [task.sequence(rng) for _ in range(256)]
    targets = np.array([s.target for s in drawn])
    result = score(examples.answers(paper.network, task, drawn), targets)
    ax = panel(fig, "answers")
    assert ax.get_aspect() == 1
    counts: dict[tuple[str, bool], int] = {}
    for line in ax.lines:
        if line.get_linestyle() == "None":
            kind = (str(line.get_color()), line.get_marker() == "D")
            counts[kind] = counts.get(kind, 0) + len(np.asarray(line.get_xdata()))
            y, x = np.asarray(line.get_ydata()), np.asarray(line.get_xdata())
            assert np.all((abs(y - x) > TOLERANCE) == (line.get_color() == style.MARK))
    assert sum(counts.values()) == 256
    assert sum(n for (colour, _), n in counts.items() if colour == style.MARK) == result.wrong
    hidden = sum(task.is_special(s) for s in drawn)
    assert sum(n for (_, diamond), n in counts.items() if diamond) == hidden > 0
    assert fig.texts[0].get_text().startswith(f"{256 - result.wrong} of 256")
    (said,) = (t.get_text() for t in ax.texts)
    assert f"{result.wrong} of 256 wrong" in said
    assert f"RMSE {style.number(result.rmse)}" in said


def test_scatter_keeps_what_lies_beyond_the_panel(paper: Run) -> None:
    run = replace(paper, network=constant_network(paper.recipe, 7.0))
    for name in ("answers", "errors"):
        ax = panel(pred_vs_target.draw(run), name)
        top = ax.get_ylim()[1]
        arrows = [line for line in ax.lines if line.get_marker() == "^"]
        assert sum(len(np.asarray(line.get_xdata())) for line in arrows) == 256
        assert all(np.all(np.asarray(line.get_ydata()) == top) for line in arrows)


def test_heat_map_shows_the_states_on_a_symmetric_scale(paper: Run) -> None:
    shown = examples.one_sequence(paper)
    states = paper.network.states(shown.inputs[None])
    fig = cell_state.draw(paper)
    for name in ("cell", "hidden"):
        (image,) = panel(fig, name).images
        np.testing.assert_allclose(image.get_array(), states[name][0].T, rtol=1e-6)
        largest = np.abs(states[name]).max()
        assert image.get_clim() == pytest.approx((-largest, largest))
    line = panel(fig, "forget_gate").lines[0]
    np.testing.assert_allclose(line.get_ydata(), states["forget_gate"][0].mean(axis=1), rtol=1e-5)


def stage_of(run: Run) -> tuple[animation.Stage, list[animation.Frame]]:
    sequences = [examples.one_sequence(run), *examples.spread_sequences(run, 6)]
    frames = animation.film(run, sorted(run.snapshots), sequences)
    return animation.Stage(run, sequences, frames), frames


@pytest.mark.parametrize(("name", "settings"), OTHERS, ids=map(in_words, OTHERS))
def test_any_task_and_network_is_drawn(name: str, settings: dict, tmp_path: Path) -> None:
    """Pictures and film are written, and what they show inside is what the network says."""
    if settings.get("network") == "torch-gru":
        pytest.importorskip("torch")
    run = trained(name, **settings)
    written = write_figures(run, tmp_path)
    assert sorted(path.stem for path in written if path.suffix == ".png") == sorted(NAMES)
    with Image.open(write_animation(run, tmp_path / "a.gif", n_frames=3)) as gif:
        assert (gif.size, gif.n_frames) == ((830, 550), min(3, len(run.snapshots)))

    states = run.network.states(examples.one_sequence(run).inputs[None])
    fig = cell_state.draw(run)
    assert set(states) <= {ax.get_label() for ax in fig.axes}
    for label, values in states.items():
        ax = panel(fig, label)
        assert ax.get_title(loc="left") == run.network.titles[label]
        if label.endswith("_gate"):
            drawn = np.mean([line.get_ydata() for line in data_lines(ax)], axis=0)
            np.testing.assert_allclose(drawn, values[0].mean(axis=1), rtol=1e-5)
        else:
            np.testing.assert_allclose(ax.images[0].get_array(), values[0].T, rtol=1e-5)

    stage, frames = stage_of(run)
    for frame in (frames[0], frames[-1]):
        stage.show(frame)
        if stage.heat is None:
            assert states == {}
            assert "shows no states" in stage.cells.texts[0].get_text()
        else:
            memory = examples.memory(
                run.network_at(frame.iteration).states(examples.one_sequence(run).inputs[None])
            )
            np.testing.assert_allclose(stage.heat.get_array(), memory[0].T, rtol=1e-5)


def data_lines(ax: Axes) -> list[Any]:
    """The lines of a panel that are no marks."""
    return [line for line in ax.lines if len(np.asarray(line.get_xdata())) > 2]


@pytest.fixture(scope="module")
def order() -> Run:
    return trained(**OTHERS[0][1])


def test_several_outputs_are_judged_by_the_tasks_rule(order: Run) -> None:
    task = order.recipe.task
    for value in (0.29, 0.71):  # no answer is right with one output alone
        run = replace(order, network=constant_network(order.recipe, value))
        assert all(titles(ax)[1].endswith("✗") for ax in sample_sequences.draw(run).axes)
        assert pred_vs_target.draw(run).texts[0].get_text().startswith("0 of 256")
    weights = np.zeros(order.recipe.network.size(task))
    weights[-4:] = 0.29, 0.29, 0.29, 0.71  # by: YY, and just so
    run = replace(order, network=order.recipe.network_of(weights))
    shown = examples.five_sequences(run)
    assert 0 < sum(s.target[3] for s in shown) < 5
    for ax, sequence in zip(sample_sequences.draw(run).axes, shown, strict=True):
        said, verdict = titles(ax)
        assert said == task.explain(sequence)
        off, mark = ("0.290", "✓") if sequence.target[3] else ("0.710", "✗")
        assert verdict == f"network: YY, off by {off}  {mark}"
        letters = [text.get_text() for text in ax.texts]
        assert letters == [*task.explain(sequence)[-2:], "E", "B"]

    fig, rng = pred_vs_target.draw(run), examples.stream(run, "scatter")
    drawn = [task.sequence(rng) for _ in range(256)]
    solved = sum(int(s.target[3]) for s in drawn)
    assert fig.texts[0].get_text() == f"{solved} of 256 sequences are answered right"
    dots = {
        line.get_label(): len(np.asarray(line.get_xdata())) for line in panel(fig, "errors").lines
    }
    assert dots == {"right": solved, "wrong": 256 - solved}
    table = np.asarray(panel(fig, "classes").images[0].get_array())
    np.testing.assert_array_equal(table, np.eye(4)[[3] * 4])  # YY, whatever was right


def test_answers_at_every_step_are_counted_by_step_and_by_class() -> None:
    task = longlag.task("reber", max_symbols=30)
    run = trained("robust", task="reber", max_symbols=30, max_iterations=1)

    class Grammarian:
        """Knows all but what came second: it answers T where T or P comes again."""

        parameters = run.network.parameters

        def predict(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
            strings = [
                "".join("BTSXPVE"[s] for s in x[:n]) for x, n in zip(inputs, lengths, strict=True)
            ]
            given = np.zeros((*inputs.shape, 7))
            for row, string in zip(given, strings, strict=True):
                whole = task.spelled(string + "E")
                row[: len(string)] = whole.truth
                row[len(string) - 2] = np.eye(7)[1]
            return given

    run = replace(run, network=Grammarian())
    fig, rng = pred_vs_target.draw(run), examples.stream(run, "scatter")
    drawn = [task.sequence(rng) for _ in range(256)]
    second = sum(int(s.inputs[1]) == 1 for s in drawn)
    assert fig.texts[0].get_text() == f"{second} of 256 sequences are answered right"
    (line,) = panel(fig, "steps").lines
    shares = np.asarray(line.get_ydata())
    assert shares[0] == shares[1] == 1
    assert shares.min() < 1
    table = np.asarray(panel(fig, "classes").images[0].get_array())
    names = [text.get_text() for text in panel(fig, "classes").get_yticklabels()]
    assert names == list("BTSXPVE")
    assert table[names.index("P"), names.index("T")] > 0
    assert table[0, 0] == table[6, 6] == 1
    for ax, shown in zip(
        sample_sequences.draw(run).axes, examples.five_sequences(run), strict=True
    ):
        wrong = int(shown.inputs[1] != 1)
        steps = len(shown.inputs)
        assert f"{steps - wrong} of {steps} steps right" in titles(ax)[1]


def test_bars_of_several_outputs_are_those_that_should_be_one(order: Run) -> None:
    stage, frames = stage_of(order)
    stage.show(frames[-1])
    wanted = [
        a[np.argmax(s.target)] for a, s in zip(frames[-1].answers, stage.sequences, strict=True)
    ]
    heights = [bar.get_height() for bar in stage.given]
    assert heights == pytest.approx(np.array(wanted)[stage.order])
    said = style.answer(order.recipe.task.classes[int(np.argmax(frames[-1].answers[0]))])
    assert stage.answer.get_text() == said


@pytest.mark.parametrize(("value", "words"), [(np.nan, "not a number"), (np.inf, "infinite")])
def test_an_answer_that_is_no_number_is_not_named(order: Run, value: float, words: str) -> None:
    run = replace(order, network=constant_network(order.recipe, value))
    assert titles(panel(cell_state.draw(run), "input"))[1] == f"network: {words}"
    assert all(f"network: {words}" in titles(ax)[1] for ax in sample_sequences.draw(run).axes)


def test_colours_show_one_large_cell_and_the_small_ones() -> None:
    towering = np.zeros((30, 8))
    towering[5:15, 1], towering[15:, 1] = 7.0, 10.0  # the first mark, the second
    towering[:, 0], towering[:, 2] = 0.5, -0.8
    steps = style.heat_colours().N
    seen = np.floor(steps * panels.colour_norm(towering)(towering)) - steps // 2
    assert seen[20, 1] - seen[10, 1] >= 5
    assert seen[20, 1] >= steps // 2  # the largest value at the end of the scale, none beyond
    assert seen[0, 0] >= 5  # on a linear scale 3
    assert seen[0, 2] <= -8  # and 5
    assert not seen[:, 3].any()

    even = np.linspace(-1, 1, 101)  # where nothing towers, nearly linear
    np.testing.assert_allclose(panels.colour_norm(even)(even), (even + 1) / 2, atol=0.05)


def test_the_colour_scale_holds_all_frames_and_suits_the_last() -> None:
    early, last = np.full((5, 2), -50.0), np.linspace(0, 2, 10).reshape(5, 2)
    early[0, 0] = np.inf
    norm, alone = panels.colour_norm(early, last), panels.colour_norm(last)
    assert (norm.vmin, norm.vmax) == (-50, 50)
    assert (alone.vmin, alone.vmax) == (-2, 2)
    root = np.sqrt(np.mean(last**2))
    assert norm.linear_width == pytest.approx(root) == alone.linear_width


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e-320, 1e-5])
def test_states_that_are_next_to_nothing_are_white(value: float) -> None:
    values = np.array([[value, 0.0]])
    norm = panels.colour_norm(values)
    assert (norm.vmin, norm.vmax) == (-1e-3, 1e-3)
    assert norm(0.0) == 0.5


@pytest.mark.parametrize(
    ("largest", "others", "ticks"),
    [
        (4.46, 0.3, [-4, -2, 0, 2, 4]),
        (0.176, 0.001, [-0.15, -0.05, 0, 0.05, 0.15]),
        (1.0, 1.0, [-1, -0.5, 0, 0.5, 1]),
        (2e30, 1.0, [-2e30, -5e29, 0, 5e29, 2e30]),
    ],
)
def test_ticks_of_the_colour_bar_are_round(
    largest: float, others: float, ticks: list[float]
) -> None:
    values = np.full((10, 1), others)
    values[0] = -largest
    assert panels.colour_ticks(panels.colour_norm(values)) == pytest.approx(ticks)


def test_the_colour_bar_says_true_units(catalog: Run) -> None:
    for bar in (ax for ax in cell_state.draw(catalog).axes if ax.get_label() == "colour bar"):
        said = [text.get_text() for text in bar.get_yticklabels()]
        assert [float(text.replace("−", "-")) for text in said] == pytest.approx(bar.get_yticks())
        low, high = bar.get_ylim()
        assert low == -high <= bar.get_yticks()[0] < 0 < bar.get_yticks()[-1] <= high


def test_a_fixed_forget_gate_is_said_to_be_fixed() -> None:
    fig = cell_state.draw(trained(forget_gate=False, max_iterations=1))
    assert "fixed at 1" in titles(panel(fig, "forget_gate"))[0]
    assert "fixed" not in titles(panel(fig, "input_gate"))[0]


# -- which sequences, which frames -------------------------------------------------------------


def test_sequences_depend_on_the_seed_and_not_on_the_network(paper: Run) -> None:
    other = replace(paper, network=constant_network(paper.recipe, 0.0))
    for draw in (examples.five_sequences, lambda run: [examples.one_sequence(run)]):
        for a, b in zip(draw(paper), draw(other), strict=True):
            np.testing.assert_array_equal(a.inputs, b.inputs)
    again = replace(paper, seed=1)
    assert examples.one_sequence(again).target != examples.one_sequence(paper).target


def test_streams_meet_no_other_stream(paper: Run, catalog: Run) -> None:
    seed = paper.seed
    numbers = [examples.stream(paper, name).random() for name in examples.STREAMS]
    numbers += [streams.stream(seed, streams.WEIGHTS).random()]
    for run, names in (
        (paper, ("training_stream", "test_stream")),
        (catalog, ("training_stream",)),
    ):
        state = run.recipe.learner(seed).state()
        for name in names:
            rng = np.random.default_rng()
            rng.bit_generator.state = json.loads(state[name])
            numbers.append(rng.random())
    online = longlag.recipe("paper").learner(seed)
    numbers += [online.test_stream(k).random() for k in range(2)]
    numbers += [streams.stream(seed, streams.TRAINING, k).random() for k in range(2)]
    apart = (streams.EVALUATION, streams.REGISTER)
    numbers += [streams.stream(seed, key).random() for key in apart]
    numbers += [streams.stream(seed, streams.DATASET, k).random() for k in range(4)]
    assert len(set(numbers)) == len(numbers)


def test_answers_do_not_depend_on_the_chunk(paper: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = examples.five_sequences(paper)
    task = paper.recipe.task
    together = examples.answers(paper.network, task, sequences)
    monkeypatch.setattr(examples, "FORWARD_VALUES", 1)
    apart = examples.answers(paper.network, task, sequences)
    np.testing.assert_allclose(apart, together, rtol=1e-5)


def test_shown_sequence_is_clear(paper: Run, catalog: Run) -> None:
    for run in (paper, catalog):
        for seed in range(20):
            first, second = examples.one_sequence(replace(run, seed=seed)).marks
            assert min(first, second) > 0
            assert abs(first - second) >= 2


def learned_late(paper: Run) -> Run:
    """A plateau of 900 batches, a fall to a hundredth in 50, and a plateau again."""
    steps = np.arange(1, 1001)
    losses = 0.06 * 10.0 ** (-2 * np.clip((steps - 900) / 50, 0, 1))
    snapshots = dict.fromkeys(range(0, 1001, 5), paper.snapshots[0])
    history = History(losses, [], 0.0)
    return replace(paper, history=history, iterations=1000, snapshots=snapshots)


def test_frames_dwell_on_the_moment_of_learning(paper: Run) -> None:
    chosen = animation.chosen_iterations(learned_late(paper), 30)
    assert len(chosen) == len(set(chosen)) == 30
    assert chosen == sorted(chosen)
    assert (chosen[0], chosen[-1]) == (0, 1000)
    assert sum(880 <= k <= 970 for k in chosen) >= 12  # of the time it is a tenth
    assert sum(k < 880 for k in chosen) >= 10


@pytest.mark.parametrize("n", [2, 3, 17, 150, 200, 201, 500])
def test_frames_are_as_many_as_there_can_be(paper: Run, n: int) -> None:
    chosen = animation.chosen_iterations(learned_late(paper), n)
    assert len(chosen) == min(n, 201)
    assert chosen == sorted(set(chosen))
    assert {0, 1000} <= set(chosen)


def test_frames_of_a_run_that_learned_nothing(paper: Run) -> None:
    flat = replace(learned_late(paper), history=History(np.full(1000, 0.06), [], 0.0))
    gaps = np.diff(animation.chosen_iterations(flat, 21))
    assert set(gaps) == {50}


def test_frames_of_a_noisy_plateau_are_nearly_even(paper: Run) -> None:
    losses = 0.06 * np.random.default_rng(0).uniform(0.7, 1.3, size=1000)
    flat = replace(learned_late(paper), history=History(losses, [], 0.0))
    assert np.diff(animation.chosen_iterations(flat, 21)).max() <= 60


def test_title_counts_sequences(paper: Run) -> None:
    sequences = [examples.one_sequence(paper), *examples.spread_sequences(paper, 6)]
    frames = animation.film(paper, [0, 40], sequences)
    stage = animation.Stage(paper, sequences, frames)
    stage.show(frames[1])
    assert re.split(r"\s+·\s+", stage.title.get_text()) == ["Iteration 40", "160 sequences seen"]
    said = style.answer(paper.recipe.task.say(frames[1].answers[0]))
    assert stage.answer.get_text() == said
    np.testing.assert_array_equal(stage.batch_line.get_ydata(), paper.history.train_losses)
    heights = [bar.get_height() for bar in stage.given]
    assert heights == pytest.approx(frames[1].answers[stage.order])
    targets = np.array([s.target for s in sequences])[stage.order]
    assert np.all(np.diff(targets) >= 0)


def test_palette_is_small_and_exact() -> None:
    colours = animation.palette()
    assert len(colours) < 256  # one is left for GIF's transparency
    pixels = np.random.default_rng(0).choice(colours, size=(9, 11))
    image = animation.in_palette(pixels, colours)
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), pixels)
    for colour in (style.INK, style.MARK, style.NETWORK, style.FAINT, "white"):
        rgb = np.round(255 * np.array(mpl.colors.to_rgb(colour)))
        assert (colours == rgb).all(axis=1).any(), colour
    heat = style.heat_colours()
    exact = np.round(255 * heat(np.arange(heat.N))[:, :3])
    assert np.isin(packed(exact), packed(colours)).all()


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (0.000136, "0.000136"),
        (0.0592, "0.0592"),
        (0.3, "0.300"),
        (13761.4, "13761"),
        (2e8, "2.00e+08"),
        (0.0, "0.000"),
        (float("nan"), "not a number"),
        (float("inf"), "infinite"),
    ],
)
def test_numbers_are_readable(x: float, said: str) -> None:
    assert style.number(x) == said


# -- figures of studies ------------------------------------------------------------------------

LENGTHS = (30, 100, 1000)


def lag_series() -> list[lag_scaling.Series]:
    """Five recipes at lengths of their own; one solves nothing, one a single length."""

    def point(T: int, solved: int) -> lag_scaling.Point:
        counts, seconds = [7200.0 + T] * solved, [T / 100] * solved
        return lag_scaling.Point(T, solved / 3, (0.1, 0.9), counts, seconds)

    solved = {
        **{"robust": (3, 3, 3), "bias 1": (0, 0, 0), "bias log T": (3, 1, 0)},
        **{"GRU": (2,), "ReLU": (3, 2)},
    }
    return [
        lag_scaling.Series(name, [point(T, n) for T, n in zip(LENGTHS, of, strict=False)])
        for name, of in solved.items()
    ]


def test_every_mark_of_lag_scaling_stands_at_its_own_length() -> None:
    fig = lag_scaling.draw(lag_series(), "Lag scaling")
    fig.draw_without_rendering()
    seen = [float(x) for ax in fig.axes for line in ax.lines for x in np.asarray(line.get_xdata())]
    assert len(seen) > 30
    assert set(seen) == set(LENGTHS)
    for ax in fig.axes:  # nor is a mark shifted on its way to the paper
        for line in ax.lines:
            assert line.get_transform() == ax.transData
        assert [tick for tick in ax.get_xticks() if tick in LENGTHS] == list(LENGTHS)


def test_lag_scaling_shows_every_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    series = lag_series()
    fig = lag_scaling.draw(series, "Lag scaling")
    counts, _, *rows = fig.axes
    for one, row in zip(series, rows, strict=True):
        assert row.get_ylabel() == one.label
        rates, *whiskers = row.lines
        assert np.asarray(rates.get_ydata()).tolist() == [p.rate for p in one.points]
        assert [tuple(np.asarray(w.get_ydata())) for w in whiskers] == [(0.1, 0.9)] * len(whiskers)
        colour = rates.get_color()
        medians = [line for line in counts.lines if line.get_color() == colour][-1]
        expected = [(p.T, np.median(p.sequences)) for p in one.points if p.sequences]
        assert [tuple(p) for p in medians.get_xydata()] == expected
        assert medians.get_marker() not in ("", "None", None)  # a single point has no line
    assert_legible(fig, monkeypatch)


def stopped(label: str, sequences: list[int], paper: float, budget: int) -> solved_share.Curve:
    counted = sequences + [budget] * (4 - len(sequences))
    mean = float(np.mean(counted))
    less = len(sequences) < 4
    return solved_share.Curve(label, sequences, 4, budget, mean, (mean, mean), less, paper)


def test_of_many_that_never_stopped_the_legend_alone_tells() -> None:
    every = [stopped(f"T = {T}", [] if T else [90_000], 74_000, 500_000) for T in range(9)]
    ax = panel(solved_share.draw(every, "Table 7", "reading"), "solved")
    assert not ax.texts
    widths = [line.get_linewidth() for line in ax.lines if line.get_drawstyle() == "steps-post"]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] < 5


@pytest.mark.parametrize(
    ("reached", "never", "budgets"),
    [
        ({"T = 100": [], "T = 500": []}, ["T = 100", "T = 500"], (500_000, 500_000)),
        ({"T = 100": [], "T = 500": []}, ["T = 100", "T = 500"], (700_000, 400_000)),
        ({"T = 100": [90_000, 100_000], "T = 500": []}, ["T = 500"], (100_000, 100_000)),
        ({"T = 100": [90_000] * 4, "T = 500": [300_000] * 4}, [], (500_000, 500_000)),
    ],
    ids=["none", "none, in budgets of their own", "some, below the paper's", "all"],
)
def test_a_figure_of_trials_that_never_stopped_says_so(
    reached: dict[str, list[int]],
    never: list[str],
    budgets: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    papers = (74_000, 209_000)
    every = [
        stopped(*one, paper, budget)
        for one, paper, budget in zip(reached.items(), papers, budgets, strict=True)
    ]
    reading = stops.in_words(longlag.recipe("paper-adding").settings())
    fig = solved_share.draw(every, "Table 7", reading)
    ax = panel(fig, "solved")
    said = [text.get_text() for text in ax.texts]
    own = dict(zip(reached, budgets, strict=True))
    expected = [f"{label}: no trial stopped within {own[label]:,} sequences" for label in never]
    assert sorted(said) == sorted(expected)
    steps = [line for line in ax.lines if line.get_drawstyle() == "steps-post"]
    assert len(steps) == 2
    start, end = ax.get_xlim()
    for line, curve in zip(steps, every, strict=True):
        x, share = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        assert x[0] == start
        looked = min(curve.budget, end) if curve.restricted else end
        assert x[-1] == looked
        assert share[-1] == len(curve.sequences) / 4
    assert steps[0].get_linewidth() > steps[1].get_linewidth() + 1  # seen where both are at 0
    marks = [line for line in ax.lines if line.get_marker() == "D"]
    assert [float(np.asarray(line.get_xdata())[0]) for line in marks] == list(papers)
    least = any("at least" in words for words in legend_words(fig))
    assert least == any(curve.restricted for curve in every)
    assert_legible(fig, monkeypatch)


# -- figures drawn again from the trials that are committed ------------------------------------


@pytest.fixture(scope="module")
def redraw() -> Any:
    """The script results/redraw.py."""
    path = Path(__file__).parent.parent / "results" / "redraw.py"
    if not path.is_file():
        pytest.skip("an sdist has no results")
    spec = importlib.util.spec_from_file_location("redraw", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lag_scaling_is_drawn_again_from_its_trials(redraw: Any) -> None:
    fig = redraw.lag(redraw.HERE / "lag")
    lines = redraw.trials(redraw.HERE / "lag")
    solved = [line for line in lines if line["n_seq = 13"]]
    names = list(dict.fromkeys(line["recipe"] for line in lines))
    assert [ax.get_ylabel() for ax in fig.axes[2:]] == names
    dots = [line for line in fig.axes[0].lines if line.get_linestyle() == "None"]
    drawn = sorted(tuple(point) for line in dots for point in line.get_xydata())
    assert drawn == sorted((float(line["T"]), float(line["sequences"])) for line in solved)


def test_shares_of_trials_are_drawn_again_from_them(redraw: Any) -> None:
    """The means drawn are those of the table beside them."""
    for path in redraw.stopped():
        ax = panel(redraw.solved(path.parent), "solved")
        means = [
            float(np.asarray(line.get_xdata())[0])
            for line in ax.lines
            if line.get_marker() == "o" and len(np.asarray(line.get_xdata())) == 1
        ]
        table = (path.parent / "table.md").read_text()
        said = re.findall(r"\| here \| \d+ of \d+ \| (?:≥ )?([\d,]+)", table)
        assert [f"{mean:,.0f}" for mean in means] == said


def test_pictures_of_another_run_are_not_replaced(tmp_path: Path, capsys: Any) -> None:
    words = "--engine numpy --min-length 12 --batch-size 4 --max-iterations 4 --test-every 2"
    for name in "ab":
        assert cli.main(["train", *words.split(), "--save-dir", str(tmp_path / name)]) == 0
    capsys.readouterr()
    assert cli.main(["figures", str(tmp_path / "a"), "--out", str(tmp_path / "b")]) == 2
    assert "b is the directory of another run, with its own pictures" in capsys.readouterr().err
    assert not list((tmp_path / "b").glob("*.png"))
    assert cli.main(["figures", str(tmp_path / "a"), "--out", str(tmp_path / "b/../a")]) == 0


# -- cells compared ----------------------------------------------------------------------------


def compared(names: list[str], T: tuple[int, ...] = (100, 1000)) -> Figure:
    """Cells that are all solved on half of their seeds."""
    points = [cells_compared.Point(name, "copy", t, 5, 10, (0.2, 0.8)) for name in names for t in T]
    fig = cells_compared.draw(points, "Cells", "rates")
    fig.canvas.draw()
    return fig


@pytest.mark.parametrize("n", [1, 2, 10])
def test_cells_lie_side_by_side_around_their_tick(n: int) -> None:
    fig = compared([f"cell{k}" for k in range(n)])
    ax = fig.axes[0]
    markers = [line for line in ax.get_lines() if line.get_marker() != "None"]
    at = np.array([line.get_transform().transform(line.get_xydata()) for line in markers])
    ticks = ax.transData.transform([(100, 0.5), (1000, 0.5)])
    np.testing.assert_allclose(at.mean(axis=0), ticks, atol=0.01)
    assert len({*at[:, 0, 0].round(2)}) == n
    left, right = ax.get_window_extent().x0, ax.get_window_extent().x1
    assert left < at[..., 0].min() < at[..., 0].max() < right


def test_the_map_has_a_dash_where_a_cell_was_not_tried() -> None:
    tried = [("gru", 100), ("gru", 1000), ("rnn", 100)]
    points = [cells_compared.Point(name, "copy", T, 5, 10, (0.2, 0.8)) for name, T in tried]
    texts = cells_compared.draw(points, "Cells", "rates").axes[-1].texts
    said = {tuple(int(x) for x in text.get_position()): text.get_text() for text in texts}
    assert said == {(0, 0): "5/10", (0, 1): "5/10", (1, 0): "5/10", (1, 1): "–"}


LONG = "a_rather_long_name_of_a_cell"


@pytest.mark.parametrize(
    "names",
    [
        [LONG, "lstm", f"{LONG}_of_mine", f"another_{LONG}", "AnotherOneInCamelCaseWithoutBreaks"],
        [*(f"my_new_cell_with_gates{k}" for k in range(11))],
        ["lstm"],
    ],
    ids=["long", "many", "one"],
)
def test_names_of_cells_do_not_overlap(names: list[str]) -> None:
    fig = compared(names)
    ax = fig.axes[-1]
    assert ax.get_label() == "map"
    labels = ax.get_xticklabels()
    assert [label.get_text().replace("\n", "") for label in labels] == names
    boxes = [label.get_window_extent() for label in labels]
    assert all(a.x1 <= b.x0 + 1 for a, b in pairwise(boxes))
    legend = fig.legends[0].get_window_extent()
    assert max(box.y1 for box in boxes) < legend.y0
    assert max(legend.x1, boxes[-1].x1) < fig.bbox.width
    assert legend.y1 < fig.axes[0].xaxis.label.get_window_extent().y0


def test_a_name_is_broken_where_its_parts_end() -> None:
    assert style.wrapped("a_rather_long-name.of:a cell", 10) == "a_rather_\nlong-name.\nof:a cell"
    assert style.wrapped("abcdefghijkl", 8) == "abcdefg\nhijkl"
    assert style.wrapped("lstm", 4) == "lstm"
