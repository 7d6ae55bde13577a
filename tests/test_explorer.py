"""The explorer in a real browser: its arithmetic is the reference's, its panels obey."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import longlag
from browser import chromium, numbers, opened, settled, until, violations
from longlag import cli, explorer
from longlag.files import to_json
from longlag.learning.training import Run
from longlag.networks.lstm import LSTM, Parameters, flatten
from longlag.runs import contents
from longlag.runs import directory as runs
from longlag.tasks.marked_pairs import SHORTEST, MarkedPairs

SHORT = {"max_iterations": 60, "test_every": 20, "test_size": 32, "batch_size": 4}
STATES = ("cell", "hidden", "input_gate", "forget_gate", "output_gate", "candidate")
VARIANTS: dict[str, dict[str, Any]] = {
    "robust": {},
    "catalog": {"recipe": "catalog"},
    "adding, one cell, no forget gate": {
        "task": "adding",
        "hidden": 1,
        "forget_gate": False,
        "min_length": 11,
    },
    "shown, sigmoid, chrono": {
        "first_mark": "shown",
        "output": "sigmoid",
        "gate_biases": "chrono",
        "hidden": 3,
        "min_length": 23,
    },
}


def trained(recipe: str = "robust", seed: int = 0, **settings: Any) -> Run:
    return longlag.train(longlag.recipe(recipe, **(SHORT | settings)), seed, engine="numpy")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def variants() -> dict[str, Run]:
    return {name: trained(**settings) for name, settings in VARIANTS.items()}


@pytest.fixture(scope="module")
def files(variants: dict[str, Run], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    return {
        name: explorer.write_page({name: run}, folder / f"{k}.html")
        for k, (name, run) in enumerate(variants.items())
    }


@pytest.fixture
def page(browser: Any, files: dict[str, Path]) -> Iterator[Any]:
    """The page of `robust`, at T = 100."""
    with opened(browser, files["robust"]) as made:
        yield made


@pytest.fixture(scope="module")
def calculator(browser: Any, files: dict[str, Path]) -> Iterator[Any]:
    """A page that tests leave as it is."""
    with opened(browser, files["robust"]) as made:
        yield made


def doubled(network: LSTM) -> LSTM:
    """The same float32 weights, for arithmetic in float64."""
    wide = Parameters(*(array.astype(np.float64) for array in network.parameters))
    return replace(network, parameters=wide)


def shown(page: Any) -> tuple[np.ndarray, list[int]]:
    """The sequence on the page: inputs (T, 2), and its marks."""
    values, markers = (
        numbers(page, f"app.sequence.{name}.slice(0, app.sequence.length)")
        for name in ("values", "markers")
    )
    return np.stack([values, markers], axis=-1), page.evaluate("app.sequence.marks")


# -- the arithmetic ---------------------------------------------------------------------------


class Replay(np.random.Generator):
    """A random generator that gives out draws, refusing those that are out of range."""

    def __init__(self, values: np.ndarray, *whole: int) -> None:
        super().__init__(np.random.PCG64())
        self.values, self.whole = values, list(whole)

    def uniform(self, low: float, high: float, size: int) -> np.ndarray:  # type: ignore[override]
        assert len(self.values) == size
        assert np.all((low <= self.values) & (self.values <= high))
        return self.values

    def integers(self, low: int, high: int | None = None) -> int:  # type: ignore[override]
        low, high = (0, low) if high is None else (low, high)
        drawn = self.whole.pop(0)
        assert low <= drawn < high
        return drawn


def replayed(task: MarkedPairs, values: np.ndarray, marks: list[int], length: int) -> Any:
    """The sequence that `tasks/marked_pairs.py` makes of these draws."""
    uniform = (values + 1) / 2 if task.kind == "adding" else values
    first, second = marks
    drawn = second - (second > first) if task.rules == "paper" else second
    return task.sequence(Replay(uniform, first, drawn), length)


DRAW = """
function drawAll(task, T, n, seed) {
  const random = makeRandom(seed);
  const [low, high] = lengthRange(task, T);
  return Array.from({ length: n }, () => {
    const length = drawWhole(random, low, high);
    const values = new Float64Array(length), markers = new Float64Array(length);
    drawValues(task, length, random, values);
    const marks = drawMarks(task, T, random);
    setMarkers(task, length, marks, markers);
    const target = rightAnswer(task, ...countedValues(task, values, marks));
    return { length, values, markers, marks, target };
  });
}
"""


def drawn(page: Any, task: str, T: int, n: int, seed: int) -> list[dict[str, Any]]:
    """Sequences drawn by the page's rules."""
    found = page.evaluate(
        f"(() => {{ {DRAW} return drawAll({task}, {T}, {n}, {seed}).map((s) => ({{...s,"
        " values: [...s.values], markers: [...s.markers]})); })()"
    )
    for sequence in found:
        sequence["inputs"] = np.array([sequence.pop("values"), sequence.pop("markers")]).T
    return found


def stacked(sequences: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Drawn sequences as one batch: inputs (n, T, 2), with zeros after the ends, lengths (n,)."""
    lengths = np.array([sequence["length"] for sequence in sequences])
    inputs = np.zeros((len(sequences), lengths.max(), 2))
    for row, sequence in zip(inputs, sequences, strict=True):
        row[: sequence["length"]] = sequence["inputs"]
    return inputs, lengths


@pytest.mark.parametrize("name", VARIANTS)
def test_states_and_answers_are_the_references(browser, files, variants, name: str) -> None:
    network = doubled(variants[name].network)
    with opened(browser, files[name]) as page:
        T = page.evaluate("app.content.length")
        sequences = drawn(page, "app.task", T, 50, 7)
        given = numbers(
            page,
            f"...(() => {{ {DRAW} return drawAll(app.task, {T}, 50, 7).flatMap((s) => {{"
            " const trace = traceStates(app.runs[0].network, s.values, s.markers, s.length);"
            f" return [...{list(STATES)}.map((name) => trace[name]), trace.outputs]; }}); }})()",
        )
    start = 0
    for sequence in sequences:
        inputs, length = sequence["inputs"][None], sequence["length"]
        states = network.states(inputs)
        answer = network.predict(inputs)
        expected = np.concatenate([*(states[name].ravel() for name in STATES), answer])
        got = given[start : start + len(expected)]
        start += len(expected)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)
        assert len(inputs[0]) == length
    assert start == len(given)


TASKS = {
    "paper": MarkedPairs(),
    "shown": MarkedPairs(first_mark="shown"),
    "adding": MarkedPairs("adding"),
    "catalog": MarkedPairs(rules="catalog", min_length=30, max_length=30),
}


def as_told(task: MarkedPairs) -> str:
    """The task as the page is told it."""
    return to_json(explorer.content.rules_of(task))


@pytest.mark.parametrize("name", TASKS)
def test_drawn_sequences_are_what_the_rules_make_of_the_same_draws(calculator, name: str) -> None:
    task = TASKS[name]
    for T in (SHORTEST[task.rules], 13, 20, 23, 100):
        seen = set()
        stretched = replace(
            task, min_length=T, max_length=T if name == "catalog" else T * 110 // 100
        )
        for sequence in drawn(calculator, as_told(task), T, 400 if T < 14 else 60, 3 * T):
            inputs, marks = sequence["inputs"], sequence["marks"]
            assert stretched.min_length <= len(inputs) <= stretched.max_length
            made = replayed(stretched, inputs[:, 0], marks, len(inputs))
            np.testing.assert_allclose(inputs, made.inputs, rtol=0, atol=1e-15)
            assert sequence["target"] == pytest.approx(made.target, abs=1e-15)
            assert tuple(marks) == made.marks
            seen.add(tuple(marks))
        assert T > 13 or seen == legal_marks(task.at_length(T))


def legal_marks(task: MarkedPairs) -> set[tuple[int, int]]:
    """Every pair of marks that the task can draw."""
    values, length = np.full(task.min_length, 0.5), task.min_length
    found = set()
    for first in range(10):
        for second in range(length):
            try:
                found.add(task.sequence(Replay(values, first, second), length).marks)
            except AssertionError:
                continue
    return found


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("T", [12, 13, 21, 30])
def test_a_mark_moves_to_the_nearest_legal_place(calculator, name: str, T: int) -> None:
    task = TASKS[name].at_length(T)
    legal = sorted(legal_marks(task))
    moved = calculator.evaluate(
        "([task, T, pairs]) => pairs.map((marks) => [0, 1].map((which) =>"
        " Array.from({ length: T + 4 }, (_, k) =>"
        " nearestLegal(task, T, which, marks[1 - which], k - 2))))",
        [explorer.content.rules_of(task), T, legal],
    )
    for marks, both in zip(legal, moved, strict=True):
        for which, places in enumerate(both):
            other = marks[1 - which]
            allowed = [pair[which] for pair in legal if pair[1 - which] == other]
            for wanted, place in zip(range(-2, T + 2), places, strict=True):
                assert place in allowed
                assert abs(place - wanted) == min(abs(p - wanted) for p in allowed)


def test_windows_follow_a_change_of_length(calculator) -> None:
    legal = {T: legal_marks(MarkedPairs().at_length(T)) for T in (11, 12, 19, 20, 40)}
    for T, pairs in legal.items():
        for marks in ([9, 48], [0, 9], [9, 4], [3, 4], [5, 0]):
            found = calculator.evaluate(f"legalMarks(app.task, {T}, {marks})")
            assert tuple(found) in pairs


@pytest.mark.parametrize("name", VARIANTS)
def test_the_scatter_and_the_surface_are_the_references(browser, files, variants, name) -> None:
    run = variants[name]
    network, task = doubled(run.network), run.recipe.task.tested
    with opened(browser, files[name]) as page:
        fresh = drawn(page, "app.task", task.min_length, 512, 1)
        answers, targets, *responds = (
            numbers(page, f"app.runs[0].{what}")
            for what in (
                *("scattered.answers", "scattered.targets"),
                *(f"responds.{column}" for column in ("x1", "x2", "target")),
            )
        )
        grid = numbers(page, "app.runs[0].surface.answers").reshape(21, 21)
        inputs, marks = shown(page)
        caption = page.text_content(".scatter-text")
    assert len(answers) == 512
    padded, lengths = stacked(fresh)
    np.testing.assert_allclose(answers, network.predict(padded, lengths), rtol=0, atol=1e-9)
    assert targets.tolist() == [sequence["target"] for sequence in fresh]
    last = network.forward(padded, lengths).c[lengths, np.arange(512)]
    score = longlag.score(answers, targets)
    assert caption.startswith(f"{512 - score.wrong} of 512 within 0.04")
    for j in range(run.network.hidden):
        expected = np.corrcoef(last[:, j], targets)[0, 1]
        assert responds[2][j] == pytest.approx(expected, abs=1e-9)
    values = np.linspace(-1 if task.kind == "adding" else 0, 1, 21)
    batch = np.repeat(inputs[None], 441, axis=0)
    batch[:, marks[0], 0] = np.tile(values, 21)
    batch[:, marks[1], 0] = np.repeat(values, 21)
    np.testing.assert_allclose(grid, network.predict(batch).reshape(21, 21), rtol=0, atol=1e-9)


# -- the sequence -----------------------------------------------------------------------------


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*((a + b) / 2 for a, b in zip(start, end, strict=True)))
    page.mouse.move(*end)
    page.mouse.up()
    settled(page)


def middle(page: Any, selector: str) -> tuple[float, float]:
    box = page.locator(selector).first.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def bar(page: Any, step: int, share: float) -> tuple[float, float]:
    """Where a step's bar is as high as a share of the greatest value."""
    box = page.locator("#sequence-plot canvas").bounding_box()
    scale = f"timeScale({box['width']}, app.sequence.length).x({step})"
    top, bars = page.evaluate("[PLOT.top, PLOT.bars]")
    return box["x"] + page.evaluate(scale), box["y"] + top + (1 - share) * bars


def assert_consistent(page: Any, network: LSTM) -> None:
    """All that is shown is of the sequence that is shown."""
    settled(page)
    inputs, marks = shown(page)
    task = MarkedPairs().at_length(len(inputs))
    made = replayed(task, inputs[:, 0], marks, len(inputs))
    np.testing.assert_array_equal(inputs, made.inputs)
    answer = doubled(network).predict(inputs[None])[0]
    assert page.evaluate("app.runs[0].answer") == pytest.approx(answer, abs=1e-9)
    assert page.evaluate("app.target") == pytest.approx(made.target, abs=1e-15)
    assert float(page.text_content(".answer .right")) == pytest.approx(made.target, abs=5.01e-4)
    error = abs(answer - made.target)
    assert float(page.text_content(".answer .error")) == pytest.approx(error, abs=5.01e-4)
    assert ("✓" in page.text_content(".verdict")) == (error <= 0.04)
    first, second, product = re.findall(r"\d\.\d+", page.text_content("#formula"))[:3]
    assert f"{float(first) * float(second):.3f}" == product == f"{made.target:.3f}"


def test_marks_are_dragged_within_their_windows(page, variants) -> None:
    network = variants["robust"].network
    far = bar(page, 95, 1)[0]
    for which, last in ((0, 9), (1, 49)):
        x, y = middle(page, f".pin >> nth={which}")
        drag(page, (x, y), (far, y))
        assert page.evaluate(f"app.sequence.marks[{which}]") == last
        assert_consistent(page, network)
    x, y = middle(page, ".pin >> nth=1")
    drag(page, (x, y), (bar(page, 30, 1)[0], y + 40))
    assert page.evaluate("app.sequence.marks") == [9, 30]
    x, y = middle(page, ".pin >> nth=0")
    drag(page, (x, y), (bar(page, 0, 1)[0], y))
    assert page.evaluate("app.sequence.marks[0]") == 0
    assert_consistent(page, network)
    assert "the network sees −1 there" in page.text_content("#sequence-note")


def test_values_are_dragged(page, variants) -> None:
    for step, share in ((70, 0.25), (99, 0.5), (0, 0.75)):
        value = page.evaluate(f"app.sequence.values[{step}]")
        drag(page, bar(page, step, value / 2), bar(page, step, share))
        assert page.evaluate(f"app.sequence.values[{step}]") == pytest.approx(share, abs=0.01)
        assert page.evaluate("app.cursor") == step
    mark = page.evaluate("app.sequence.marks[1]")
    drag(page, bar(page, mark, 0.1), (bar(page, mark, 0)[0], 2000))
    assert page.evaluate(f"app.sequence.values[{mark}]") == 0
    assert_consistent(page, variants["robust"].network)


def test_all_that_is_dragged_obeys_the_keyboard(page, variants) -> None:
    before = page.evaluate("app.sequence.marks")
    page.locator(".pin").nth(0).focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    until(page, "app.sequence.marks[0] === 2")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    until(page, "app.sequence.marks[1] === 49")
    page.keyboard.press("PageDown")
    until(page, "app.sequence.marks[1] === 39")
    assert before != page.evaluate("app.sequence.marks")
    settled(page)
    pin = page.locator(".pin").nth(1)
    value = page.evaluate("app.sequence.values[39]")
    assert pin.get_attribute("aria-valuenow") == "39"
    assert pin.get_attribute("aria-valuemax") == "49"
    assert pin.get_attribute("aria-valuetext") == f"step 39, value {value:.2f}"
    page.keyboard.press("Tab")  # to the ring, at the time cursor
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    for _ in range(12):
        page.keyboard.press("Shift+ArrowUp")
    assert page.evaluate("[app.cursor, app.sequence.values[1]]") == [1, 1]
    assert_consistent(page, variants["robust"].network)
    until(page, "document.getElementById('live').textContent.startsWith('Network ')")
    assert "target" in page.text_content("#live")


def test_the_pair_moves_on_the_surface(page) -> None:
    box = page.locator(".learned").bounding_box()
    side = box["width"] - 32
    start = middle(page, ".surface .point")
    drag(page, start, (box["x"] + 26 + 0.5 * side, box["y"] + 8 + 0.75 * side))
    x1, x2 = page.evaluate("app.sequence.marks.map((t) => app.sequence.values[t])")
    assert (x1, x2) == (pytest.approx(0.5, abs=0.01), pytest.approx(0.25, abs=0.01))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    after = page.evaluate("app.sequence.marks.map((t) => app.sequence.values[t])")
    assert after == [pytest.approx(x1 + 0.01), pytest.approx(x2 + 0.1)]


def test_an_answer_is_judged_by_the_papers_tolerance(page, variants) -> None:
    for off, verdict in ((0.03, "✓"), (0.05, "✗"), (-0.05, "✗"), (-0.03, "✓")):
        for _ in range(5):  # the answer moves a little with the values
            page.evaluate(f"app.setPair(1, app.runs[0].answer + {off}), app.frame()")
        assert page.evaluate("app.target - app.runs[0].answer") == pytest.approx(off, abs=0.005)
        assert page.text_content(".verdict").startswith(verdict)
        assert_consistent(page, variants["robust"].network)


def test_length_changes_up_to_four_times_the_training(page, variants) -> None:
    before = shown(page)[0][:, 0]
    box = page.locator("#length")
    box.fill("9999")
    box.press("Enter")
    until(page, "app.sequence.length === 440")
    assert_consistent(page, variants["robust"].network)
    assert "440 to 484 steps" in page.text_content(".scatter-text")
    np.testing.assert_array_equal(shown(page)[0][:100, 0], before)
    assert box.input_value() == "440"
    box.fill("3")
    box.press("Enter")
    until(page, "app.sequence.length === 11")
    assert_consistent(page, variants["robust"].network)
    page.locator("#length-range").press("ArrowRight")
    until(page, "app.sequence.length === 12")
    assert_consistent(page, variants["robust"].network)


def test_new_sequences(page, variants) -> None:
    before = shown(page)[0]
    page.click("#fresh")
    settled(page)
    assert not np.array_equal(before, shown(page)[0])
    assert_consistent(page, variants["robust"].network)
    fresh = numbers(page, "app.runs[0].scattered.targets")
    page.click(".others")
    settled(page)
    assert not np.array_equal(fresh, numbers(page, "app.runs[0].scattered.targets"))


# -- the network ------------------------------------------------------------------------------


def unfold(page: Any) -> None:
    """Shows all cells, not only those that are needed."""
    page.evaluate("app.runs[0].network_.allCells.checked = true; app.changed('drawing')")
    settled(page)


def test_the_cells_that_are_needed_come_first_and_the_rest_is_folded(
    browser, variants, tmp_path: Path
) -> None:
    """Of a network that reads two cells alone, and whose cells do not see each other."""
    run = variants["robust"]
    parameters = Parameters(*(array.copy() for array in run.network.parameters))
    parameters.Wh[:] = 0
    parameters.Wy[[0, 1, 3, 5, 6, 7]] = 0
    parameters.Wy[[2, 4]] = 5.0
    made = replace(run, network=replace(run.network, parameters=parameters), snapshots={})
    with opened(browser, explorer.write_page({"two": made}, tmp_path / "page.html")) as page:
        assert {*page.evaluate("app.runs[0].network_.order")} == {2, 4}
        low = page.locator(".maps").bounding_box()["height"]
        page.select_option(".follow", "6")
        settled(page)
        assert {*page.evaluate("app.runs[0].network_.order")} == {2, 4, 6}
        page.check(".all-cells")
        settled(page)
        order = page.evaluate("app.runs[0].network_.order")
        assert {*order[:2]} == {2, 4}
        assert sorted(order) == list(range(8))
        assert page.locator(".maps").bounding_box()["height"] > low + 300
        canvas = page.locator(".maps canvas[role]").first
        box = canvas.bounding_box()
        canvas.click(position={"x": 100, "y": box["height"] - 4})
        settled(page)
        assert page.evaluate("app.runs[0].followed") == order[-1]


def test_maps_tell_their_numbers(page) -> None:
    unfold(page)
    page.select_option(".sort", "number")
    canvas = page.evaluate_handle("app.runs[0].network_.canvases.hidden.canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x = box["x"] + page.evaluate(f"timeScale({box['width']}, 100).x(42)")
    page.mouse.move(x, box["y"] + 2.5 * 15)
    until(page, "app.cursor === 42 && app.pending.size === 0")
    value = page.evaluate("app.runs[0].trace.hidden[42 * 8 + 2]")
    tip = page.locator("#tip").text_content()
    assert tip == f"cell 3, step 42: h = {value:.4f}".replace("-", "−")
    page.mouse.down()
    page.mouse.up()
    until(page, "app.runs[0].followed === 2 && app.pending.size === 0")
    readout = page.text_content(".readout")
    assert "step42" in readout
    assert "cell3" in readout
    assert "Cell 3" in page.text_content(".carried-title")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    until(page, "app.runs[0].followed === 3 && app.cursor === 41")
    page.mouse.move(5, 5)
    assert page.locator("#tip").is_hidden()


def test_heat_maps_have_the_colours_of_their_values(calculator) -> None:
    """A pixel in the middle of a cell's step has the colour that the scale gives the state."""
    unfold(calculator)
    for name in ("cell", "forget_gate"):
        for step, cell in ((10, 0), (57, 4), (98, 7)):
            painted, expected = calculator.evaluate(
                f"""(() => {{
                const run = app.runs[0], panel = run.network_, name = "{name}";
                const {{ canvas }} = panel.canvases[name];
                const ratio = canvas.width / canvas.clientWidth, row = 15;
                const x = timeScale(canvas.clientWidth, 100).x({step}) + 1;
                const y = (panel.order.indexOf({cell}) + 0.5) * row;
                const copy = document.createElement("canvas").getContext("2d");
                copy.drawImage(canvas, x * ratio, y * ratio, 1, 1, 0, 0, 1, 1);
                const data = copy.getImageData(0, 0, 1, 1).data;
                const scale = name === "cell" ? stateScale(run.limits[name]) : gateScale(100);
                const word = colourOf(scale, run.trace[name][{step} * 8 + {cell}], 0);
                return [[...data], [...new Uint8Array(Uint32Array.of(word).buffer)]];
                }})()"""
            )
            assert painted == expected


def test_cells_are_sorted_by_how_they_respond(page, variants) -> None:
    unfold(page)
    network = doubled(variants["robust"].network)
    inputs, marks = shown(page)
    states = network.states(inputs[None])
    cell = states["cell"][0]
    change = sum(np.abs(cell[t] - cell[t - 1]) for t in marks)
    share = np.abs(states["hidden"][0, -1] * network.parameters.Wy[:, 0])
    target = np.abs(numbers(page, "app.runs[0].responds.target"))
    for kind, keys in (("change", change), ("share", share), ("target", target)):
        page.select_option(".sort", kind)
        settled(page)
        assert page.evaluate("app.runs[0].network_.order") == np.argsort(-keys).tolist()
    page.select_option(".sort", "number")
    settled(page)
    assert page.evaluate("app.runs[0].network_.order") == list(range(8))
    page.select_option(".follow", "5")
    settled(page)
    assert page.evaluate("app.runs[0].followed") == 5
    page.click("details summary")
    until(page, "document.querySelectorAll('.cells tr').length === 10")
    row = page.locator(".cells tr").nth(1).locator("td").all_text_contents()
    assert row[0] == "1"
    assert float(row[5]) == pytest.approx(change[0], abs=5.01e-4)
    assert page.locator(".cells tr.followed td").first.text_content() == "6"


def without_cell(network: LSTM, cell: int) -> LSTM:
    """The network in which neither the other cells nor the answer see a cell."""
    Wh, Wy = (array.copy() for array in (network.parameters.Wh, network.parameters.Wy))
    Wh[cell], Wy[cell] = 0, 0
    return replace(network, parameters=network.parameters._replace(Wh=Wh, Wy=Wy))


def test_the_cell_followed_is_the_one_that_the_final_network_needs_most(page, variants) -> None:
    unfold(page)
    network = doubled(variants["robust"].network)
    fresh = stacked(drawn(page, "app.task", 100, 64, 1))
    whole = network.predict(*fresh)
    gaps = [without_cell(network, j).predict(*fresh) - whole for j in range(8)]
    expected = [np.sqrt(np.mean(gap**2)) for gap in gaps]
    np.testing.assert_allclose(numbers(page, "app.runs[0].effects"), expected, atol=1e-9)
    needed = int(np.argmax(expected))
    assert page.evaluate("app.runs[0].followed") == needed
    page.locator("#moment").press("Home")  # the same one through the training
    settled(page)
    assert page.evaluate("app.runs[0].followed") == needed
    page.select_option(".sort", "cut")
    settled(page)
    assert page.evaluate("app.runs[0].network_.order") == np.argsort(expected)[::-1].tolist()


def test_the_carried_value_is_the_followed_cells(calculator, variants) -> None:
    network = doubled(variants["robust"].network)
    inputs, marks = shown(calculator)
    cell = network.states(inputs[None])["cell"][0]
    j, later = calculator.evaluate("app.runs[0].followed"), max(marks)
    text = calculator.text_content(".carried-text").replace("−", "-")
    held, end, steps, drift = (float(x) for x in re.findall(r"-?[\d.]+", text))
    assert held == pytest.approx(cell[later, j], abs=5.01e-4)
    assert end == pytest.approx(cell[-1, j], abs=5.01e-4)
    assert steps == 99 - later
    fresh, lengths = stacked(drawn(calculator, "app.task", 100, 512, 1))
    last = network.forward(fresh, lengths).c[lengths, np.arange(512), j]
    assert drift == pytest.approx(100 * abs(cell[-1, j] - cell[later, j]) / np.ptp(last), abs=0.501)


def test_the_answer_that_would_be_given_after_each_step(browser, files, variants) -> None:
    for name in ("robust", "adding, one cell, no forget gate", "shown, sigmoid, chrono"):
        network = doubled(variants[name].network)
        with opened(browser, files[name]) as page:
            inputs, _ = shown(page)
            lengths = np.arange(1, len(inputs) + 1)
            given = numbers(page, "app.runs[0].trace.answers")
            repeated = np.repeat(inputs[None], len(lengths), axis=0)
            expected = network.predict(repeated, lengths)
            np.testing.assert_allclose(given, expected, rtol=0, atol=1e-9)
            label = page.locator("#asked canvas").get_attribute("aria-label")
            assert label.endswith(f"{expected[-1]:.3f} at the end")


def test_the_answer_is_a_sum_of_terms(calculator, variants) -> None:
    network = doubled(variants["robust"].network)
    inputs, _ = shown(calculator)
    terms = network.states(inputs[None])["hidden"][0, -1] * network.parameters.Wy[:, 0]
    told = calculator.locator(".terms").get_attribute("aria-label").replace("−", "-")
    bias, *cells, total = (float(x) for x in re.findall(r"-?\d\.\d+", told))
    assert bias == pytest.approx(network.parameters.by[0], abs=5.01e-4)
    np.testing.assert_allclose(cells, terms, rtol=0, atol=5.01e-4)
    assert total == pytest.approx(network.predict(inputs[None])[0], abs=5.01e-4)
    largest = calculator.evaluate(  # of twenty cells, those that count
        "(() => { const hidden = Float64Array.from({length: 20}, (_, j) => j);"
        " const network = { hidden: 20, by: [1], Wy: new Float64Array(20).fill(1) };"
        " const trace = { read: hidden };"
        " return termColumns({ about: { hidden: 20 }, trace, network, output: 0 }); })()"
    )
    assert [name for name, _ in largest] == ["bias", *map(str, range(12, 21)), "rest"]
    assert sum(term for _, term in largest) == 191


def test_errors_are_shown_at_other_lengths(page, variants) -> None:
    network = doubled(variants["robust"].network)
    lengths = page.evaluate("app.runs[0].lengths.lengths")
    assert [lengths[0], lengths[4], lengths[-1]] == [25, 100, 400]
    for k in (0, 8):
        fresh, ends = stacked(drawn(page, "app.task", lengths[k], 64, 1))
        targets = np.array([s["target"] for s in drawn(page, "app.task", lengths[k], 64, 1)])
        off = np.abs(network.predict(fresh, ends) - targets)
        right, error = page.evaluate(
            f"[app.runs[0].lengths.right[{k}], app.runs[0].lengths.errors[{k}]]"
        )
        assert right == np.mean(off <= 0.04)
        assert error == pytest.approx(np.sqrt(np.mean(off**2)), abs=1e-9)
    assert "at T = 400" in page.text_content(".lengths-text")


def saved_as(page: Any, card: str, kind: str, folder: Path) -> Path:
    """The file that a panel is saved as."""
    with page.expect_download() as saving:
        page.select_option(f"{card} .save-as", kind)
    file = folder / saving.value.suggested_filename
    saving.value.save_as(file)
    return file


CARDS = ("#sequence", ".network", ".answer", ".surface", ".scatter", ".lengths", ".curve")


def test_the_numbers_of_every_panel_are_saved_as_tables(page, variants, tmp_path: Path) -> None:
    files = {card: saved_as(page, card, "CSV", tmp_path) for card in CARDS}
    assert [file.name for file in files.values()][:2] == ["sequence.csv", "robust-network.csv"]
    tables = {
        card: np.genfromtxt(file, delimiter=",", names=True, dtype=None, encoding="utf8")
        for card, file in files.items()
    }
    inputs, marks = shown(page)
    network = doubled(variants["robust"].network)
    states = network.states(inputs[None])
    answer = network.predict(inputs[None])[0]
    table = tables[".network"]
    np.testing.assert_array_equal(table["value"], inputs[:, 0])
    np.testing.assert_allclose(table["c3"], states["cell"][0, :, 2], rtol=0, atol=1e-9)
    np.testing.assert_allclose(table["f8"], states["forget_gate"][0, :, 7], rtol=0, atol=1e-9)
    assert table["answer"][-1] == pytest.approx(answer, abs=1e-9)
    assert tables["#sequence"]["robust"][-1] == pytest.approx(answer, abs=1e-9)
    parts = {str(name): value for name, value in tables[".answer"]}
    assert len(parts) == 11
    total = sum(value for name, value in parts.items() if name not in ("answer", "right"))
    assert total == pytest.approx(parts["answer"], abs=1e-9)
    surface = tables[".surface"]
    np.testing.assert_allclose(surface["right"], surface["x1"] * surface["x2"], atol=1e-12)
    corner = inputs.copy()
    corner[marks, 0] = 1.0
    assert surface["answer"][-1] == pytest.approx(network.predict(corner[None])[0], abs=1e-9)
    assert len(tables[".scatter"]) == 512
    assert list(tables[".lengths"]["T"][[0, -1]]) == [25, 400]
    kinds, mses = tables[".curve"]["of"], tables[".curve"]["mse"]
    assert {*kinds} == {"batch", "mean", "test"}
    history = variants["robust"].history
    np.testing.assert_allclose(mses[kinds == "test"], [t.mse for _, t in history.tests], rtol=1e-3)


def test_every_panel_is_saved_as_a_picture(page, tmp_path: Path) -> None:
    """As SVG with what is drawn as paths and text, and as PNG of twice its size."""
    page.click("#theme")  # dark, so that the ground is not that of an empty picture
    for card in CARDS:
        root = ElementTree.parse(saved_as(page, card, "SVG", tmp_path)).getroot()
        box = page.locator(card).bounding_box()
        assert (float(root.get("width")), float(root.get("height"))) == pytest.approx(
            (box["width"], box["height"]), abs=1
        )
        words = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
        assert page.locator(f"{card} :is(h2, h3)").first.inner_text() in words
        assert len(words) > 6, "the axes have their numbers"
        drawn = [part.tag.split("}")[1] for part in root.iter()]
        assert sum(drawn.count(name) for name in ("path", "rect", "image")) > 2
        if card not in ("#sequence", ".curve"):
            continue  # a PNG is drawn from the SVG
        picture = np.asarray(Image.open(saved_as(page, card, "PNG", tmp_path)).convert("RGB"))
        assert picture.shape[:2] == (2 * int(root.get("height")), 2 * int(root.get("width")))
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
        ground = [int(page.evaluate("theme.card")[k : k + 2], 16) for k in (1, 3, 5)]
        np.testing.assert_array_equal(picture[2, 2], ground)


def test_the_cursor_walks_through_time_and_halts(page) -> None:
    page.evaluate("app.setCursor(95)")
    page.click("#walk")
    until(page, "app.sequencePanel.walking === null")
    assert page.evaluate("app.cursor") == 99
    page.click("#walk")
    until(page, "app.cursor > 1 && app.cursor < 90")
    assert page.text_content("#walk") == "Halt"
    page.click("#walk")
    assert page.locator("#walk").get_attribute("aria-pressed") == "false"


# -- the address ------------------------------------------------------------------------------


def test_the_followed_cell_is_drawn_with_its_valves(page, variants) -> None:
    """Its numbers at the cursor are the reference's; a part shows the map that it belongs to."""
    inputs, marks = shown(page)
    states = doubled(variants["robust"].network).states(inputs[None])
    names = ("input_gate", "forget_gate", "output_gate", "candidate", "cell", "hidden")
    for step, cell in ((marks[1], 3), (0, 1), (99, 7)):
        page.evaluate(f"app.setCursor({step}); app.runs[0].followCell({cell})")
        settled(page)
        read = page.locator(".cell-drawing .reads").inner_html()
        assert read == f"x {inputs[step, 0]:.2f}"
        before = states["cell"][0, step - 1, cell] if step else 0
        words = page.locator(".cell-drawing .before").inner_html().replace("−", "-").split()[1]
        assert float(words) == pytest.approx(before, rel=0.06, abs=1e-6)
        for name in names:
            value = states[name][0, step, cell]
            words = page.locator(f".cell-drawing [data-value={name}]").inner_html()
            number = words.replace("1 − ", "1-").replace("−", "-").split()[1]
            told = 1 - float(number[2:]) if number.startswith("1-") else float(number)
            assert told == pytest.approx(value, rel=0.06, abs=6e-4), name
            if name.endswith("_gate"):
                blade = page.locator(f".cell-drawing [data-map={name}] .blade")
                turned = float(blade.evaluate("(node) => parseFloat(node.style.rotate)"))
                assert turned == pytest.approx(90 * (1 - value), abs=1e-3)
    page.locator(".cell-drawing [data-map=forget_gate] circle").hover()
    assert page.locator(".plot.meant").count() == 1
    assert "Forget gate" in page.locator(".plot.meant canvas").get_attribute("aria-label")
    page.locator(".cell-drawing .reads").hover()
    assert page.locator(".plot.meant").get_attribute("id") == "sequence-plot"
    page.mouse.move(1, 1)
    assert page.locator(".meant").count() == 0


def test_the_cursor_walks_in_few_steps_where_less_motion_is_asked_for(browser, files) -> None:
    with opened(browser, files["robust"], reduced_motion="reduce") as page:
        page.evaluate("app.setCursor(0)")
        page.click("#walk")
        until(page, "app.cursor > 0")
        assert page.evaluate("app.cursor") == 8  # a twelfth of the sequence, in a second
        page.click("#walk")


def test_the_address_says_what_is_shown(browser, files, page, variants) -> None:
    page.evaluate("app.setLength(150)")
    page.evaluate("app.moveMark(1, 60)")
    page.evaluate("app.setPair(0.5, 0.25), app.setValue(70, 0.125)")
    page.evaluate("app.timeline.go(4)")
    page.select_option(".follow", "3")
    page.select_option(".cell-edit", "cut")
    page.select_option(".clamp", "output_gate 1")
    page.check(".blind")
    settled(page)
    state = page.evaluate("app.address.state")
    until(page, f"location.hash === '#{state}'")
    first, told = (
        numbers(page, "app.runs[0].scattered.answers"),
        page.evaluate("app.runs[0].answer"),
    )
    inputs, marks = shown(page)
    address = page.url
    with opened(browser, files["robust"], fragment=address.split("#")[1]) as other:
        assert other.evaluate("app.address.state") == state
        np.testing.assert_allclose(shown(other)[0], inputs, rtol=0, atol=1e-6)
        assert shown(other)[1] == marks == page.evaluate("app.sequence.marks")
        assert other.evaluate("app.runs[0].answer") == pytest.approx(told, abs=1e-5)
        np.testing.assert_array_equal(numbers(other, "app.runs[0].scattered.answers"), first)
        assert other.text_content(".edits-text") == page.text_content(".edits-text")


@pytest.mark.parametrize(
    "fragment",
    [
        *("nonsense", "T=-5&marks=3&values=a:b&moment=x&cells=99&edits=88cut.q1", "%E0%A4%A"),
        "T=99999999&marks=5000,9000&values=1:7,999999:1&draw=1e9&moment=99999999999",
    ],
)
def test_an_address_that_makes_no_sense_breaks_nothing(
    browser, files, variants, fragment: str
) -> None:
    with opened(browser, files["robust"], fragment=fragment) as page:
        assert 11 <= page.evaluate("app.sequence.length") <= 440
        assert_consistent(page, variants["robust"].network)


def test_changes_are_undone_one_by_one_or_all(page) -> None:
    assert page.locator("#undo").is_disabled()
    states = [page.evaluate("app.address.state")]
    for change in ("app.setPair(0.5, 0.25)", "app.runs[0].editCell(2, 'cut')", "app.setLength(30)"):
        page.evaluate(change)
        settled(page)
        until(page, f"app.address.past.length === {len(states) + 1}")
        states.append(page.evaluate("app.address.state"))
    page.click("#undo")
    settled(page)
    assert page.evaluate("app.address.state") == states[2]
    page.locator("#theme").press("Control+z")
    settled(page)
    assert page.evaluate("app.address.state") == states[1]
    page.evaluate("app.setLength(50)")
    page.click("#reset")
    settled(page)
    assert page.evaluate("app.address.state") == states[0]
    assert page.locator("#reset").is_disabled()


def test_a_dot_of_the_scatter_is_a_sequence(page) -> None:
    answer, target = page.evaluate(
        "[app.runs[0].scattered.answers[37], app.runs[0].scattered.targets[37]]"
    )
    page.evaluate("app.setFresh(37)")
    settled(page)
    assert page.evaluate("app.runs[0].answer") == pytest.approx(answer, abs=1e-9)
    assert page.evaluate("app.target") == pytest.approx(target, abs=1e-12)
    page.click("#fresh")
    settled(page)
    page.locator(".dots").scroll_into_view_if_needed()
    box = page.locator(".dots").bounding_box()
    x, y = page.evaluate(  # the dot of the largest target, which has no other on top
        "(() => { const { scatter_, scattered } = app.runs[0];"
        " const k = scattered.targets.indexOf(Math.max(...scattered.targets));"
        " const { x, y } = scatter_.box(scatter_.canvas.clientWidth);"
        " return [x(scattered.targets[k]), y(scattered.answers[k])]; })()"
    )
    largest = page.evaluate("Math.max(...app.runs[0].scattered.targets)")
    page.mouse.click(box["x"] + x, box["y"] + y)
    settled(page)
    assert page.evaluate("app.target") == pytest.approx(largest, abs=1e-3)


# -- changes by hand --------------------------------------------------------------------------


def columns(gate: str, H: int = 8) -> slice:
    """The columns of a gate."""
    start = H * ("input_gate", "forget_gate", "output_gate").index(gate)
    return slice(start, start + H)


def clamped(network: LSTM, gate: str, at: int) -> LSTM:
    """The network in which a gate of every cell is fixed."""
    Wx, Wh, b = (array.copy() for array in network.parameters[:3])
    Wx[:, columns(gate)] = Wh[:, columns(gate)] = 0
    b[columns(gate)] = 800 if at else -800
    return replace(network, parameters=network.parameters._replace(Wx=Wx, Wh=Wh, b=b))


def blind(network: LSTM) -> LSTM:
    """The network whose gates do not see the cells."""
    Wh = network.parameters.Wh.copy()
    Wh[:, :24] = 0
    return replace(network, parameters=network.parameters._replace(Wh=Wh))


def with_means(network: LSTM, cell: int, mean: float) -> LSTM:
    """The network that sees a number in place of a cell's hidden state."""
    Wh, b, Wy, by = (array.copy() for array in network.parameters[1:])
    cut = without_cell(network, cell).parameters
    b, by = b + mean * Wh[cell], by + mean * Wy[cell]
    return replace(network, parameters=cut._replace(b=b, by=by))


def test_a_network_is_changed_by_hand(page, variants) -> None:
    network = doubled(variants["robust"].network)
    inputs, _ = shown(page)
    fresh, lengths = stacked(drawn(page, "app.task", 100, 512, 1))
    sample, ends = stacked(drawn(page, "app.task", 100, 64, 1))
    last = network.forward(sample, ends).h[ends, np.arange(64)]

    def check(changed: LSTM, words: str) -> None:
        settled(page)
        answer = page.evaluate("app.runs[0].answer")
        assert answer == pytest.approx(changed.predict(inputs[None])[0], abs=1e-9)
        answers = numbers(page, "app.runs[0].scattered.answers")
        np.testing.assert_allclose(answers, changed.predict(fresh, lengths), rtol=0, atol=1e-9)
        assert words in page.text_content(".edits-text")
        pair = app_pair(page)
        corner = page.evaluate("app.runs[0].surface.answers[20]")
        assert corner == pytest.approx(changed.predict(pair[None])[0], abs=1e-9)

    page.select_option(".follow", "3")
    page.select_option(".cell-edit", "cut")
    check(without_cell(network, 3), "cell 4 cut")
    page.select_option(".cell-edit", "mean")
    check(with_means(network, 3, last[:, 3].mean()), "cell 4 seen at its mean")
    page.select_option(".cell-edit", "")
    page.select_option(".clamp", "forget_gate 1")
    check(clamped(network, "forget_gate", 1), "f = 1 in all cells")
    page.check(".blind")
    check(blind(clamped(network, "forget_gate", 1)), "gates blind")
    page.click(".as-learned")
    check(network, "")
    page.locator(".maps").press("Delete")
    check(without_cell(network, 3), "cell 4 cut")
    page.locator(".maps").press("Delete")
    check(network, "")
    assert page.locator(".as-learned").is_hidden()


def app_pair(page: Any) -> np.ndarray:
    """The inputs shown, with the values that the surface's lower right corner has."""
    inputs, marks = shown(page)
    inputs[marks, 0] = 1, 0
    return inputs


def test_a_state_is_put_into_another_sequence(page, variants) -> None:
    """The network then answers to the past of one sequence and the rest of the other."""
    network = doubled(variants["robust"].network)
    first, _ = shown(page)
    assert page.locator(".put").is_hidden()
    page.evaluate("app.setCursor(61)")
    page.click(".take")
    page.click("#fresh")
    page.evaluate("app.setCursor(70)")
    page.click(".put")
    settled(page)
    second, _ = shown(page)
    answer = network.predict(np.concatenate([first[:62], second[71:]])[None])[0]
    assert page.evaluate("app.runs[0].answer") == pytest.approx(answer, abs=1e-12)
    assert answer != pytest.approx(network.predict(second[None])[0], abs=1e-9)
    assert "after step 70 of every sequence" in page.locator(".edits-text").inner_text()
    back = numbers(page, "app.runs[0].back.cells")
    assert np.all(back[:70] == 0)
    assert np.all(back[70:] > 0)
    sequence = page.evaluate(  # one of the fresh ones, and one of other values
        "(() => { const { values, markers } = new Source(app.task, 100, makeRandom(1)).draw();"
        " return [[...values], [...markers]]; })()"
    )
    fresh = np.concatenate([first[:62], np.array(sequence).T[71:]])
    told = page.evaluate("app.runs[0].scattered.answers[0]")
    assert told == pytest.approx(network.predict(fresh[None])[0], abs=1e-12)
    surface = numbers(page, "app.runs[0].surface.answers")
    np.testing.assert_allclose(surface, answer, rtol=0, atol=1e-12)  # both marks lie before
    until(page, "app.address.past.at(-1) === app.address.state")
    page.click("#undo")
    settled(page)
    assert page.evaluate("app.runs[0].edits.put") is None
    page.click(".put")
    page.click(".as-learned")
    settled(page)
    expected = network.predict(shown(page)[0][None])[0]
    assert page.evaluate("app.runs[0].answer") == pytest.approx(expected, abs=1e-12)


def test_a_cell_is_held_after_the_later_mark(page, variants) -> None:
    network = doubled(variants["robust"].network)
    page.select_option(".follow", "2")
    page.select_option(".cell-edit", "held")
    settled(page)

    def answered(inputs: np.ndarray, marks: list[int]) -> float:
        state = (np.zeros((1, 8)), np.zeros((1, 8)))
        for t, x in enumerate(inputs):
            gates, (c, h) = network.step(x[None], state)
            if t > max(marks):
                c[0, 2] = state[0][0, 2]
                h[0, 2] = gates[0, 18] * np.tanh(c[0, 2])
            state = c, h
        return (state[1] @ network.parameters.Wy + network.parameters.by).item()

    inputs, marks = shown(page)
    assert page.evaluate("app.runs[0].answer") == pytest.approx(answered(inputs, marks), abs=1e-9)
    corner = page.evaluate("app.runs[0].surface.answers[20]")
    assert corner == pytest.approx(answered(app_pair(page), marks), abs=1e-9)
    fresh = drawn(page, "app.task", 100, 3, 1)
    answers = numbers(page, "app.runs[0].scattered.answers.subarray(0, 3)")
    expected = [answered(s["inputs"], s["marks"]) for s in fresh]
    np.testing.assert_allclose(answers, expected, rtol=0, atol=1e-9)
    held = page.evaluate(
        "[Math.max(...app.sequence.marks), 99].map((t) => app.runs[0].trace.cell[8 * t + 2])"
    )
    assert held[0] == held[1]


# -- the time of the training -----------------------------------------------------------------


def test_every_panel_shows_the_network_as_it_was(page, variants) -> None:
    run = variants["robust"]
    moments = list(run.snapshots)
    slider = page.locator("#moment")
    assert int(slider.get_attribute("max")) == len(moments) - 1
    surfaces = set()
    for key, index in (("Home", 0), ("ArrowRight", 1), ("End", len(moments) - 1)):
        slider.press(key)
        settled(page)
        assert page.evaluate("app.runs[0].iteration") == moments[index]
        network = run.network_at(moments[index])
        assert_consistent(page, network)
        fresh = drawn(page, "app.task", 100, 3, 1)
        given = numbers(page, "app.runs[0].scattered.answers.subarray(0, 3)")
        expected = [doubled(network).predict(s["inputs"][None])[0] for s in fresh]
        np.testing.assert_allclose(given, expected, rtol=0, atol=1e-9)
        inputs, marks = shown(page)
        inputs[marks, 0] = 1, 0
        corner = page.evaluate("app.runs[0].surface.answers[20]")
        assert corner == pytest.approx(doubled(network).predict(inputs[None])[0], abs=1e-9)
        assert f"{4 * moments[index]:,} training sequences" in page.text_content("#moment-text")
        surfaces.add(numbers(page, "app.runs[0].surface.answers").tobytes())
    assert len(surfaces) == 3


def test_the_curve_has_chance_and_the_papers_lines_where_they_belong(
    browser, files, calculator
) -> None:
    legend = calculator.text_content(".curve .legend")
    assert "chance 0.059" in legend
    assert "paper, first stop: 0.0223 (read as RMSE), 482,000 sequences" in legend
    assert "second stop: 0.0139 (read as RMSE), 1,273,000 sequences" in legend
    lines = calculator.evaluate("app.content.runs[0].curve.paper.map(([mse]) => mse)")
    assert lines == [pytest.approx(0.0223**2), pytest.approx(0.0139**2)]
    with opened(browser, files["catalog"]) as page:
        legend = page.text_content(".curve .legend")
        assert "chance 0.049" in legend
        assert "not drawn here" in legend
        assert page.evaluate("app.content.runs[0].curve.paper") == []


def test_a_click_on_the_curve_goes_to_its_moment(page) -> None:
    page.locator(".lines").scroll_into_view_if_needed()
    box = page.locator(".lines").bounding_box()
    page.mouse.click(box["x"] + 59, box["y"] + 100)
    until(page, "app.runs[0].iteration === 0")
    page.mouse.click(box["x"] + box["width"] - 11, box["y"] + 100)
    until(page, "app.runs[0].iteration === 60")


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_play_runs_through_the_training_and_stops(browser, files, motion: str) -> None:
    with opened(browser, files["robust"], reduced_motion=motion) as page:
        play = page.locator("#play")
        clicked = "play => [play.click(), play.textContent, app.runs[0].iteration]"  # at once
        assert play.evaluate(clicked)[1:] == ["Pause", 0]
        until(page, "app.runs[0].iteration > 1")
        play.click()
        assert play.get_attribute("aria-pressed") == "false"
        at = page.evaluate("app.runs[0].moment")
        page.wait_for_timeout(500)
        assert page.evaluate("app.runs[0].moment") == at
        page.evaluate("app.timeline.go(app.timeline.moments.length - 2)")
        play.click()
        until(page, "app.timeline.timer === null")
        assert page.evaluate("app.runs[0].iteration") == 60


# -- how it looks -----------------------------------------------------------------------------

CONTRAST = """
() => {
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) =>
      c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const rgba = channels(getComputedStyle(at).backgroundColor);
      if (rgba.length === 3 || rgba[3] > 0) return rgba.slice(0, 3);
    }
    throw new Error("no ground");
  };
  const worst = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !node.getClientRects().length) continue;
    if (["SCRIPT", "OPTION", "NOSCRIPT"].includes(node.tagName)) continue;
    const colour = channels(getComputedStyle(node).color).slice(0, 3);
    const [a, b] = [luminance(colour), luminance(ground(node))].sort((p, q) => q - p);
    worst.push([(a + 0.05) / (b + 0.05), node.className || node.tagName]);
  }
  const canvas = ["muted", "network"].map((name) => {
    const probe = document.createElement("i");
    probe.style.color = theme[name];
    document.body.append(probe);
    const colour = channels(getComputedStyle(probe).color);
    probe.style.color = theme.card;
    const card = channels(getComputedStyle(probe).color);
    probe.remove();
    const [a, b] = [luminance(colour), luminance(card)].sort((p, q) => q - p);
    return [(a + 0.05) / (b + 0.05), `canvas ${name}`];
  });
  return [...worst, ...canvas].sort((p, q) => p[0] - q[0]);
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_either_theme(browser, files, scheme: str) -> None:
    with opened(browser, files["robust"], color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        page.click("details summary")
        page.click("#help")
        page.locator(".pin").nth(0).press("Home")  # a note appears
        settled(page)
        assert page.locator("#sequence-note").is_visible()
        ratios = page.evaluate(CONTRAST)
        assert len(ratios) > 60
        assert ratios[0][0] >= 4.5, ratios[:3]


def test_the_theme_is_the_systems_until_it_is_switched(page) -> None:
    def ground() -> Any:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = ground()
    page.emulate_media(color_scheme="dark")
    until(page, "document.documentElement.dataset.theme === 'dark'")
    dark = ground()
    assert dark != light
    page.click("#theme")
    assert ground() == light
    page.locator("#theme").press("Enter")
    assert ground() == dark
    settled(page)


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_it_without_scrolling_sideways(browser, files, variants, width) -> None:
    settings = {
        "viewport": {"width": width, "height": 844},
        "has_touch": True,
        "is_mobile": True,
        "device_scale_factor": 2,
    }
    with opened(browser, files["robust"], **settings) as page:
        page.locator("details summary").tap()
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator("#fresh").tap()
        assert_consistent(page, variants["robust"].network)
        page.locator("#sequence-plot canvas").scroll_into_view_if_needed()
        page.touchscreen.tap(*bar(page, 60, 0.5))
        settled(page)
        assert page.evaluate("app.sequence.values[app.cursor]") == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, files, scheme: str) -> None:
    with opened(browser, files["robust"], color_scheme=scheme, reduced_motion="reduce") as page:
        assert violations(page) == []
        for button in ("#help", "#live-open", "details summary"):
            page.click(button)
        page.select_option(".cell-edit", "cut")
        page.evaluate("app.live.racers[1].preset.value = 'leaky', app.live.racers[1].fill()")
        settled(page)
        assert violations(page) == []
        page.click("#story-open")
        for _ in range(3):  # to where two networks are side by side
            page.click("#story-next")
        settled(page)
        assert violations(page) == []


def test_everything_has_a_name(calculator) -> None:
    nameless = calculator.evaluate(
        """() => [...document.querySelectorAll("button, input, select, canvas[role], [tabindex]")]
        .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim()
          || node.labels?.length)).map((node) => node.outerHTML)"""
    )
    assert nameless == []
    sliders = calculator.locator("[role=slider]")
    for k in range(sliders.count()):
        for name in ("valuemin", "valuemax", "valuenow", "valuetext"):
            assert sliders.nth(k).get_attribute(f"aria-{name}")


def test_the_first_screen_of_a_laptop_holds_what_matters(browser, files) -> None:
    with opened(browser, files["robust"], viewport={"width": 1440, "height": 900}) as page:
        for part in ("#sequence-plot", "#asked", ".carried", ".back", ".answer", ".terms"):
            box = page.locator(part).bounding_box()
            assert box["y"] + box["height"] <= 900, part
        assert page.locator(".help").first.is_hidden()
        page.click("#help")
        settled(page)
        assert page.locator("#sequence .help").first.is_visible()
        assert page.locator("#help").get_attribute("aria-pressed") == "true"
        page.click("#help")
        settled(page)


def test_every_panel_has_a_sentence_of_help(calculator) -> None:
    lacking = calculator.evaluate(
        "[...document.querySelectorAll('section.card')].filter((card) =>"
        " !card.querySelector('.help')?.textContent.trim().endsWith('.')).length"
    )
    assert lacking == 0


# -- other runs -------------------------------------------------------------------------------


def test_two_runs_side_by_side(browser, variants, tmp_path: Path) -> None:
    pair = {"first": variants["robust"], "second": trained(seed=1, batch_size=8, hidden=3)}
    file = explorer.write_page(pair, tmp_path / "two.html")
    with opened(browser, file) as page:
        boxes = [page.locator(".run").nth(k).bounding_box() for k in (0, 1)]
        assert boxes[0]["y"] == boxes[1]["y"]
        assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
        seen = {4 * k for k in pair["first"].snapshots} | {8 * k for k in pair["second"].snapshots}
        assert page.evaluate("app.timeline.moments") == sorted(seen)
        page.evaluate("app.timeline.goTo(100)")
        settled(page)
        now = page.evaluate("app.timeline.sequences")
        inputs, _ = shown(page)
        for k, (run, batch) in enumerate(zip(pair.values(), (4, 8), strict=True)):
            shown_at = max(i for i in run.snapshots if i * batch <= now)
            expected = doubled(run.network_at(shown_at)).predict(inputs[None])[0]
            assert page.evaluate(f"app.runs[{k}].answer") == pytest.approx(expected, abs=1e-9)
            assert f"{list(pair)[k]}: " in page.text_content("#formula")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        page.set_viewport_size({"width": 390, "height": 844})
        for _ in range(100):  # the page follows the window a little later
            settled(page)
            if (width := page.evaluate("document.documentElement.scrollWidth")) <= 390:
                break
        assert width <= 390


def test_two_runs_of_different_tasks(browser, variants, tmp_path: Path) -> None:
    pair = {"a": variants["catalog"], "b": variants["adding, one cell, no forget gate"]}
    with opened(browser, explorer.write_page(pair, tmp_path / "two.html")) as page:
        notes = page.locator(".run-head .moment").all_text_contents()
        assert "another task" not in notes[0]
        assert "Trained on another task (sum, paper rules, T = 11–12" in notes[1]
        assert page.evaluate("app.task.kind") == "multiplication"
        assert "Forget gate f: fixed at 1" in page.locator(".run").nth(1).text_content()


def test_a_run_without_snapshots_says_so(browser, variants, tmp_path: Path) -> None:
    bare = replace(variants["robust"], snapshots={})
    with opened(browser, explorer.write_page({"bare": bare}, tmp_path / "bare.html")) as page:
        assert page.locator("#timeline").is_hidden()
        assert "snapshots.npz is missing" in page.text_content("header.top")
        assert_consistent(page, bare.network)


def test_an_imported_network_has_no_curve(browser, variants, tmp_path: Path) -> None:
    own = replace(variants["robust"], snapshots={}, stopped_by="imported")
    pair = {"own": own, "trained": variants["robust"]}
    with opened(browser, explorer.write_page(pair, tmp_path / "own.html")) as page:
        assert page.locator(".card.curve").count() == 1
        words = page.locator(".run .moment").first.text_content()
        assert words == "This network was imported: how it learned is not known."
        assert_consistent(page, own.network)


@pytest.mark.parametrize("scale", [1e30, np.nan])
def test_a_diverged_run_is_shown(browser, variants, tmp_path: Path, scale: float) -> None:
    run = variants["robust"]
    parameters = Parameters(*(np.full_like(a, scale) for a in run.network.parameters))
    network = replace(run.network, parameters=parameters)
    last = {run.iterations: flatten(parameters)}
    diverged = replace(run, network=network, stopped_by="diverged", snapshots=run.snapshots | last)
    with opened(browser, explorer.write_page({"far": diverged}, tmp_path / "far.html")) as page:
        assert "diverged" in page.text_content("header.top")
        assert "wrong" in page.text_content(".verdict")
        assert page.text_content(".scatter-text").startswith("0 of 512")
        page.locator("#moment").press("Home")
        settled(page)
        assert page.text_content(".answer .given") != "not a number"


def test_a_name_cannot_break_out_of_the_page(browser, variants, tmp_path: Path) -> None:
    name = "</script><script>boom()</script><!-- style --> & <b>"
    with opened(browser, explorer.write_page({name: variants["robust"]}, tmp_path / "n.html")) as p:
        assert p.title() == f"longlag: {name}"
        assert p.text_content("header.top .about").startswith(name)


def test_long_sequences_are_drawn_with_all_their_spikes(browser, tmp_path: Path) -> None:
    few = {"max_iterations": 2, "test_every": 2, "test_size": 2, "batch_size": 1}
    run = trained(min_length=600, hidden=1, **few)
    with opened(browser, explorer.write_page({"long": run}, tmp_path / "long.html")) as page:
        words = page.evaluate(
            "(() => { const states = new Float64Array(600); states[434] = 1;"
            " const edges = timeScale(1e9, 600).columns(100);"
            " const words = heatWords(states, [0], edges, stateScale({limit: 1, width: 1}));"
            " return new Set(words).size; })()"
        )
        assert words == 2
        steps = page.evaluate(
            "thinned((t) => (t === 434 ? 1 : t === 77 ? -1 : 0),"
            " timeScale(MARGIN.left + 100 + MARGIN.right, 600))"
        )
        assert {77, 434} <= set(steps)
        assert len(steps) <= 200
        page.locator("#length").fill("2640")
        page.locator("#length").press("Enter")
        until(page, "app.sequence.length === 2640 && app.pending.size === 0")


def test_the_marks_of_a_long_sequence_are_magnified(browser, tmp_path: Path) -> None:
    few = {"max_iterations": 2, "test_every": 2, "test_size": 2, "batch_size": 1}
    run = trained(min_length=1000, hidden=2, **few)
    with opened(browser, explorer.write_page({"long": run}, tmp_path / "long.html")) as page:
        mark = bar(page, page.evaluate("app.sequence.marks[1]"), 1)[0]
        box = middle(page, ".pin >> nth=1")
        assert mark == pytest.approx(box[0], abs=1)
        page.evaluate("app.sequence.marks = [5, 400], app.changed('sequence')")
        settled(page)
        wide = "timeScale(700, 1000).wide"
        assert page.evaluate(f"[5, 400, 409].every((t) => {wide}(t) > 3)")
        assert page.evaluate(f"{wide}(200)") < 1
        back = page.evaluate(
            "(() => { const { x, step } = timeScale(1500, 1000);"
            " return Array.from({length: 1000}, (_, t) => step(x(t))); })()"
        )
        assert back == list(range(1000))
        edges = page.evaluate("[...timeScale(1e4, 1000).columns(9000)]")
        assert edges == sorted(edges)
        assert set(edges) == set(range(1001))  # no step is without a column
        cursor = "getComputedStyle(document.querySelector('#asked .cursor')).left"
        page.evaluate("app.setCursor(400), app.frame()")
        at = page.evaluate(
            f"[parseFloat({cursor}), timeScale(app.sequencePanel.asked.canvas"
            ".clientWidth, 1000).x(400)]"
        )
        assert at[0] == pytest.approx(at[1], abs=0.6)
        page.uncheck("#magnify")
        settled(page)
        assert page.evaluate(f"{wide}(400)") < 1


def test_gates_are_told_by_how_far_they_are_from_shut_or_open(calculator) -> None:
    texts = calculator.evaluate("[1e-4, 0.5, 1 - 2 ** -14, 1].map(gateText)")
    assert texts == ["1.0e−4", "0.50", "1 − 6.1e−5", "1.0"]
    for T, end in ((30, "1.0e−3"), (100, "1.0e−3"), (1000, "1.0e−4")):
        ends = calculator.evaluate(f"gateScale({T}).ends")
        assert ends == [end, f"1 − {end}"]
        share = calculator.evaluate(f"gateScale({T}).share(1 - Math.min(0.001, 0.1 / {T}))")
        assert share == pytest.approx(1)
    assert calculator.evaluate("[-0.005, 5e-7, 0, 123456].map(tickText)") == [
        *("−0.005", "5e−7", "0", "1e5"),
    ]


def test_what_is_written_is_input_gate_times_candidate(calculator, variants) -> None:
    inputs, _ = shown(calculator)
    states = doubled(variants["robust"].network).states(inputs[None])
    expected = (states["input_gate"] * states["candidate"]).ravel()
    found = numbers(calculator, "app.runs[0].trace.written")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_the_surface_follows_while_a_value_is_dragged(page) -> None:
    """A change at every frame: surfaces are shown before the last of them."""
    shown_meanwhile = page.evaluate(
        "(async () => { const seen = new Set(), run = app.runs[0];"
        " for (let k = 0; k < 60; k++) { app.setValue(70, k / 60);"
        "  await new Promise(requestAnimationFrame); seen.add(run.surface.id); }"
        " return seen.size; })()"
    )
    assert shown_meanwhile > 2


def test_a_page_says_that_weights_are_averaged(browser, calculator, tmp_path: Path) -> None:
    assert "moving average of the weights" in calculator.text_content(".curve .legend")
    plain = trained(average_decay=0, max_iterations=2)
    with opened(browser, explorer.write_page({"a": plain}, tmp_path / "a.html")) as page:
        assert "moving average" not in page.text_content(".curve .legend")


def test_a_swipe_over_a_canvas_scrolls(calculator) -> None:
    blocking = calculator.evaluate(
        "[...document.querySelectorAll('canvas')].filter((canvas) =>"
        " getComputedStyle(canvas).touchAction === 'none').length"
    )
    assert blocking == 0


# -- the file and the command -----------------------------------------------------------------


def large(run: Run, hidden: int, moments: int) -> Run:
    """A run of many cells, many snapshots and a long curve."""
    recipe = run.recipe.with_settings({"hidden": hidden})
    rng = np.random.default_rng(0)
    vector = rng.uniform(-0.1, 0.1, recipe.network.size(recipe.task)).astype(np.float32)
    losses = rng.uniform(0.001, 0.1, 50_000)
    tests = [(k, replace(run.score, mse=0.01)) for k in range(1, 50_001, 5)]
    at = np.unique(np.geomspace(1, 50_000, moments).astype(int))
    return replace(
        run,
        recipe=recipe,
        network=recipe.network_of(vector),
        history=replace(run.history, train_losses=losses, tests=tests),
        iterations=50_000,
        snapshots={0: vector} | {int(k): vector for k in at},
    )


@pytest.mark.parametrize(("hidden", "least"), [(8, 50), (32, 20), (128, 1)])
def test_the_file_stays_small(variants, hidden: int, least: int) -> None:
    run = large(variants["robust"], hidden, 200)
    for group in ({"a": run}, {"a": run, "b": run}):
        assert len(explorer.page(group).encode()) < 1_500_000
        for told in explorer.content.of(group)["runs"]:
            kept = told["iterations"]
            assert len(kept) >= least
            assert kept[-1] == 50_000
            assert len(kept) == 1 or kept[0] == 0
            assert f"holds {len(kept)}," in told["notes"][0]


def test_a_network_of_many_cells(browser, variants, tmp_path: Path) -> None:
    run = large(variants["robust"], 64, 9)
    with opened(browser, explorer.write_page({"wide": run}, tmp_path / "wide.html")) as page:
        assert page.evaluate("app.runs[0].scattered.answers.length") < 512
        assert "Fewer than 512" in page.text_content(".scatter-text")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.parametrize("hidden", [16, 32])
def test_the_numbers_of_many_cells_are_whole(browser, variants, tmp_path: Path, hidden) -> None:
    """Of the rows there is room for; none runs into its neighbour or out of its map."""
    run = large(variants["robust"], hidden, 2)
    with opened(browser, explorer.write_page({"wide": run}, tmp_path / "wide.html")) as page:
        unfold(page)
        height, told = page.evaluate(
            "(() => { const { canvas } = app.runs[0].network_.canvases.hidden;"
            " const texts = recorded(app).get(canvas).group.querySelectorAll('text');"
            " return [canvas.clientHeight,"
            " [...texts].map((t) => [t.textContent, Number(t.getAttribute('y'))])]; })()"
        )
        followed = page.evaluate("app.runs[0].followed")
    assert str(followed + 1) in [name for name, _ in told]
    places = np.array(sorted(y for _, y in told))
    assert len(places) >= 6
    assert np.all(np.diff(places) >= 10)
    assert places[0] >= 9  # a digit's height above its foot
    assert places[-1] <= height


def test_two_runs_stand_one_below_the_other_on_a_phone(browser, variants, tmp_path: Path) -> None:
    group = {"first": variants["robust"], "second": variants["catalog"]}
    file = explorer.write_page(group, tmp_path / "two.html")
    phone: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True}
    with opened(browser, file, **phone, has_touch=True) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        boxes = [page.locator(".run").nth(k).bounding_box() for k in (0, 1)]
        assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
        assert all(box["width"] > 340 for box in boxes)
        for k in (0, 1):
            panels = [page.locator(f".run:nth-of-type({k + 1}) {card}") for card in CARDS[1:]]
            assert all(panel.bounding_box()["width"] > 340 for panel in panels)
        assert violations(page) == []


def test_it_can_be_printed_and_read_in_forced_colours(browser, files) -> None:
    with opened(browser, files["robust"], forced_colors="active", color_scheme="dark") as page:
        pin = page.locator(".pin").first
        assert pin.evaluate("(node) => getComputedStyle(node).backgroundColor") == "rgb(179, 71, 0)"
        page.emulate_media(media="print")
        settled(page)
        for part in ("#fresh", ".save-as", ".cursor", ".ring", ".edits"):
            assert page.locator(part).first.is_hidden(), part
        for part in ("#sequence-plot canvas", ".carried", ".dots", ".verdict"):
            assert page.locator(part).first.is_visible(), part
        page.emulate_media(media="screen")
        settled(page)


def test_more_than_two_runs_are_refused(variants) -> None:
    run = variants["robust"]
    for group in ({}, {"a": run, "b": run, "c": run}):
        with pytest.raises(ValueError, match=f"one run or two, not {len(group)}"):
            explorer.page(group)


@pytest.fixture
def saved(tmp_path: Path, variants: dict[str, Run]) -> Path:
    directory = tmp_path / "run"
    directory.mkdir()
    runs.save(variants["robust"], directory)
    return directory


def call(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    status = cli.main(["explore", *map(str, args)])
    return status, *capsys.readouterr()


def test_the_command_writes_the_page(saved: Path, tmp_path: Path, capsys) -> None:
    assert call(capsys, saved) == (0, f"{saved / 'explorer.html'}\n", "")
    other = shutil.copytree(saved, tmp_path / "other")
    out = tmp_path / "new" / "page.html"
    assert call(capsys, saved, other, "--out", out)[:2] == (0, f"{out}\n")
    assert out.read_text().count('"hidden":') == 2
    runs.save(runs.load(saved), saved)
    assert not (saved / "explorer.html").exists(), "a page of an earlier run was left"


def test_the_command_refuses_in_one_sentence(saved: Path, tmp_path: Path, capsys) -> None:
    damaged = shutil.copytree(saved, tmp_path / "damaged")
    (damaged / "weights.npz").write_bytes(b"no")
    later = shutil.copytree(saved, tmp_path / "later")
    history = later / "history.json"
    history.write_text(history.read_text().replace(contents.FORMAT, "longlag run 9"))
    other = tmp_path / "gru"
    other.mkdir()
    runs.save(trained(network="gru", min_length=11), other)
    order = tmp_path / "order"
    order.mkdir()
    runs.save(trained(task="temporal-order", min_length=10), order)
    grammar = tmp_path / "grammar"
    grammar.mkdir()
    few = {"max_sequences": 4, "test_every": 4, "test_size": 2}
    runs.save(longlag.train(longlag.recipe("paper-reber", **few), engine="numpy"), grammar)
    blocked = tmp_path / "file"
    blocked.touch()
    for args, words in (
        ((saved, saved, damaged), "one run directory or two, not 3"),
        ((saved, saved), "twice"),
        ((tmp_path / "none",), "no such directory"),
        ((damaged,), "weights.npz is damaged"),
        ((saved, later), "its format is 'longlag run 9'"),
        ((saved, other), "the page cannot show network gru"),
        (
            (saved, order),
            "cannot show runs of the product of the two marked values and of the order",
        ),
        ((grammar,), "cannot show task reber: it knows multiplication, adding and temporal"),
        ((saved, "--out", tmp_path), "is a directory"),
        ((saved, "--out", saved / "weights.npz"), "choose another --out"),
        ((saved, "--out", blocked / "page.html"), "cannot write into"),
    ):
        status, out, err = call(capsys, *args)
        assert (status, out) == (2, "")
        assert words in err
        assert err.count("\n") == 1
    assert not (saved / "explorer.html").exists()


def test_a_run_directory_without_snapshots_makes_a_page(saved: Path, capsys) -> None:
    (saved / "snapshots.npz").unlink()
    assert call(capsys, saved)[0] == 0
    assert "snapshots.npz is missing" in (saved / "explorer.html").read_text()
