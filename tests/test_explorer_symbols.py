"""The explorer's page of the LSTM of 1997, and of symbols whose order is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import longlag
from browser import chromium, numbers, opened, settled, until, violations
from longlag import explorer
from longlag.learning.training import Run
from longlag.networks.lstm1997 import LSTM1997
from longlag.networks.network import flatten

ONLINE = {"max_sequences": 8, "test_size": 16}
BATCHES = {"max_iterations": 4, "test_every": 4, "test_size": 16, "batch_size": 2}
RUNS: dict[str, dict[str, Any]] = {
    "blocks on pairs": {"recipe": "paper", "min_length": 22, **ONLINE},
    "blocks on orders": {"recipe": "paper-temporal-order", "min_length": 30, **ONLINE},
    "variant on three": {
        **{"recipe": "paper-temporal-order-b", "min_length": 24, "reads": "previous"},
        **{"g": "logistic", "h": "identity", "biases": "gates", "output_gate": False, **ONLINE},
    },
    "forget gate on orders": {
        **{"recipe": "robust", "task": "temporal-order", "min_length": 20, "hidden": 5, **BATCHES}
    },
}
NAMES = ("cell", "hidden", "input_gate", "output_gate")


def grown(recipe: str, **settings: Any) -> Run:
    """A run whose weights are large enough that everything matters."""
    run = longlag.train(longlag.recipe(recipe, **settings), 0, engine="numpy")
    vector = np.random.default_rng(5).uniform(-1, 1, run.recipe.network.size(run.recipe.task))
    weights = {k: vector.astype(np.float32) for k in run.snapshots}
    return replace(run, network=run.recipe.network_of(vector.astype(np.float32)), snapshots=weights)


def doubled(network: Any) -> Any:
    """The same weights, for arithmetic in float64."""
    name = "weights" if isinstance(network, LSTM1997) else "parameters"
    wide = [np.asarray(array, np.float64) for array in getattr(network, name)]
    return replace(network, **{name: type(getattr(network, name))(*wide)})


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Run, Path]]:
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for k, (name, settings) in enumerate(RUNS.items()):
        run = grown(**settings)
        found[name] = run, explorer.write_page({name: run}, folder / f"{k}.html")
    return found


def read(page: Any) -> np.ndarray:
    """What the network reads on the page, a batch of one: pairs (1, T, 2), or symbols (1, T)."""
    values, markers = (
        numbers(page, f"app.sequence.{name}.slice(0, app.sequence.length)")
        for name in ("values", "markers")
    )
    if page.evaluate("Boolean(app.task.orders)"):
        return markers.astype(int)[None]
    return np.stack([values, markers], axis=-1)[None]


def cell_by_cell(network: Any, states: np.ndarray) -> np.ndarray:
    """States (T, H), where a gate of a block (T, B) stands beside each of its cells."""
    H = network.cells if isinstance(network, LSTM1997) else network.hidden
    return np.repeat(states, H // states.shape[1], axis=1)


def without(network: Any, cell: int) -> Any:
    """The network whose cell is seen by neither the others nor the outputs."""
    if isinstance(network, LSTM1997):
        W, Wk = (array.copy() for array in network.weights)
        W[:, network.inputs + cell] = Wk[..., cell] = 0
        return replace(network, weights=type(network.weights)(W, Wk))
    parts = [array.copy() for array in network.parameters]
    parts[1][cell] = parts[3][cell] = 0
    return replace(network, parameters=type(network.parameters)(*parts))


def outputs(page: Any) -> np.ndarray:
    return numbers(page, "app.runs[0].trace.outputs")


@pytest.mark.parametrize("name", RUNS)
def test_the_page_computes_what_the_reference_does(browser, made, name: str) -> None:
    run, file = made[name]
    network = doubled(run.network)
    task = run.recipe.task
    with opened(browser, file) as page:
        inputs = read(page)
        states = network.states(inputs)
        for state in NAMES:
            given = numbers(page, f"app.runs[0].trace.{state}")
            expected = cell_by_cell(network, states[state][0])
            np.testing.assert_allclose(given, expected.ravel(), rtol=0, atol=1e-12)
        answers = network.predict(inputs)[0]
        np.testing.assert_allclose(outputs(page), np.ravel(answers), rtol=0, atol=1e-12)

        # Fresh sequences: the worker's answers, and those that the rules say are right.
        fresh = page.evaluate(
            "(() => { const { answers, targets } = app.runs[0].scattered; const source ="
            " new Source(app.task, app.sequence.length, makeRandom(1)); return [[...answers],"
            " [...targets], source.batch(40).map(({ values, markers, marks }) =>"
            " [[...values], [...markers], marks])]; })()"
        )
        told, right, drawn = fresh
        for k, (values, markers, marks) in enumerate(drawn):
            batch = np.array(markers, int) if task.symbols else np.array([values, markers]).T
            answer = np.ravel(network.predict(batch[None]))
            wide = answer.size
            np.testing.assert_allclose(told[k * wide : (k + 1) * wide], answer, atol=1e-12)
            if task.symbols:
                assert all(mark in window for mark, window in zip(marks, task.windows, strict=True))
                kinds = batch[marks] - 6
                assert set(kinds) <= {0, 1}
                assert right[k] == task._order(kinds)
                assert (batch[0], batch[-1]) == (0, 1)
                assert set(np.delete(batch, [0, -1, *marks])) <= {2, 3, 4, 5}

        # A cell that is cut, and a gate that is shut.
        page.evaluate("app.runs[0].editCell(1, 'cut')")
        settled(page)
        expected = np.ravel(without(network, 1).predict(inputs))
        np.testing.assert_allclose(outputs(page), expected, rtol=0, atol=1e-12)
        page.evaluate("app.runs[0].edit({ ...NO_EDITS, clamp: {gate: 'input_gate', open: false} })")
        settled(page)
        assert not numbers(page, "app.runs[0].trace.cell").any()

        # A state that is put into another sequence.
        page.evaluate("app.setCursor(13); app.takeState(); app.drawSequence()")
        page.evaluate("app.runs[0].edit({ ...NO_EDITS, put: { number: 0, at: 15 } })")
        settled(page)
        spliced = np.concatenate([inputs[:, :14], read(page)[:, 16:]], axis=1)
        expected = np.ravel(network.predict(spliced))
        np.testing.assert_allclose(outputs(page), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", RUNS)
def test_the_way_back_is_what_a_change_of_a_step_does(browser, made, name: str) -> None:
    """Against central differences of the output that should be 1."""
    with opened(browser, made[name][1]) as page:
        found = numbers(
            page,
            """...(() => {
            const { length, values, markers } = app.sequence;
            const { network, back, output } = app.runs[0];
            const H = network.hidden, small = 1e-5;
            const after = (t, change) => {
              const state = makeState(network);
              steps(network, state, values, markers, 0, t + 1);
              change(state);
              steps(network, state, values, markers, t + 1, length);
              return readAnswer(network, state.read, output);
            };
            return [0, 7, length - 3].flatMap((t) => {
              const slopes = Array.from({ length: H }, (_, j) => [1, -1].map((sign) =>
                after(t, (state) => {
                  state.cell[j] += sign * small;
                  state.hidden[j] = state.gates[2 * H + j] * squashed(network, state.cell[j]);
                }))).map(([up, down]) => (up - down) / 2 / small);
              const bumped = [1, -1].map((sign) => {
                const other = values.slice();
                other[t] += sign * small;
                const state = makeState(network);
                steps(network, state, other, markers, 0, length);
                return readAnswer(network, state.read, output);
              });
              const slope = Math.abs(bumped[0] - bumped[1]) / 2 / small;
              const read = network.symbols ? back.values[t] : slope;
              return [[back.cells[t], back.values[t], Math.hypot(...slopes), read]];
            }); })()""",
        ).reshape(3, 4)
    np.testing.assert_allclose(found[:, :2], found[:, 2:], rtol=1e-5, atol=1e-10)
    assert np.all(found > 0)


def test_the_panels_show_blocks_and_their_shared_gates(browser, made) -> None:
    run, file = made["blocks on pairs"]
    with opened(browser, file) as page:
        titles = page.locator(".maps h4").all_inner_texts()
        assert [title.split(":")[0] for title in titles] == [
            *("Cell state c", "Hidden state h", "Input gate i", "Output gate o", "Written i · g"),
        ]
        assert [title.endswith("shared by a block") for title in titles] == [0, 0, 1, 1, 0]
        page.evaluate("app.runs[0].network_.allCells.checked = true")
        for sort in ("number", "cut", "x1", "share"):
            page.select_option(".sort", sort)
            settled(page)
            order = page.evaluate("app.runs[0].network_.order")
            assert sorted(order) == [0, 1, 2, 3]
            assert {order[0] // 2, order[1] // 2} in ({0}, {1}), "a block is torn apart"
        sentence = page.locator("#formula").inner_text()
        assert f"{np.ravel(run.network.predict(read(page)))[0]:.3f}" in sentence
        assert not violations(page)


def test_symbols_are_changed_by_pointer_and_keyboard(browser, made) -> None:
    run, file = made["blocks on orders"]
    orders = run.recipe.task.classes
    network = doubled(run.network)
    with opened(browser, file) as page:

        def consistent() -> str:
            """The order on the page, which its parts agree about."""
            settled(page)
            symbols = read(page)
            marks = page.evaluate("app.sequence.marks")
            order = "".join("XY"[kind - 6] for kind in symbols[0, marks])
            assert page.locator(".right").inner_text() == order
            assert f"{'XY'[symbols[0, marks[0]] - 6]} at {marks[0]}" in page.inner_text("#formula")
            pins = page.locator(".pin").all_inner_texts()
            assert "".join(pins) == order
            expected = np.ravel(network.predict(symbols))
            np.testing.assert_allclose(outputs(page), expected, rtol=0, atol=1e-12)
            given = page.locator(".figures .given").inner_text()
            assert given == orders[int(np.argmax(expected))]
            error = np.abs(expected - np.eye(4)[orders.index(order)]).max()
            assert float(page.locator(".figures .error").inner_text()) == pytest.approx(
                error, abs=5e-4
            )
            return order

        consistent()
        pin = page.locator(".pin").first
        for key, symbol in (("ArrowUp", "Y"), ("ArrowUp", "Y"), ("ArrowDown", "X")):
            pin.press(key)
            assert consistent()[0] == symbol
        before = consistent()
        pin.press("ArrowRight")
        pin.press("End")
        assert consistent() == before, "the symbol moves with its mark"
        low, high = run.recipe.task.windows[0][0], run.recipe.task.windows[0][-1]
        assert page.evaluate("app.sequence.marks[0]") == high
        pin.press("Home")
        assert consistent() == before
        assert page.evaluate("app.sequence.marks[0]") == low

        learned = page.locator(".learned")
        box = learned.bounding_box()
        for row, order in enumerate(orders):  # a row is an order
            learned.click(
                position={"x": box["width"] / 2, "y": box["height"] * (0.16 + 0.23 * row)}
            )
            assert consistent() == order
            until(page, "app.address.past.at(-1) === app.address.state")  # undone alone
        rows = numbers(page, "app.runs[0].surface.answers").reshape(4, 4)
        np.testing.assert_allclose(rows[-1], outputs(page), rtol=0, atol=1e-12)

        page.click("#undo")
        assert consistent() == orders[-2]
        assert "nan" not in page.locator(".scatter-text").inner_text().lower()
        assert page.locator("#live-open").is_hidden()
        assert page.locator("#story-open").is_hidden()
        page.click("#fresh")
        consistent()
        page.locator(".dots").scroll_into_view_if_needed()
        box = page.locator(".dots").bounding_box()
        target = page.evaluate(
            "(() => { const p = app.runs[0].scatter_, s = app.runs[0].scattered;"
            " const [x, y] = p.place(s.answers.subarray(12, 16), s.targets[3], 3);"
            " const b = p.box(widthOf(p.canvas)); return [b.x(x), b.y(y)]; })()"
        )
        page.mouse.click(box["x"] + target[0], box["y"] + target[1])
        consistent()
        until(page, "app.touched.size >= 20")
        assert not violations(page)


def test_three_symbols_have_three_pins_and_eight_bars(browser, made) -> None:
    with opened(
        browser, made["variant on three"][1], viewport={"width": 390, "height": 844}
    ) as page:
        assert page.locator(".pin").count() == 3
        assert len(outputs(page)) == 8
        assert "symbol 3" in page.locator(".sort").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not violations(page)
        address = page.evaluate("app.address.state")
        page.locator(".pin").nth(2).press("ArrowUp")
        page.locator(".pin").nth(2).press("ArrowDown")
        settled(page)
        page.evaluate(f"app.address.apply('{address}')")
        settled(page)
        assert page.evaluate("app.address.state") == address


def test_what_it_cannot_show_is_said_in_a_sentence(made) -> None:
    orders, three = made["blocks on orders"][0], made["variant on three"][0]
    with pytest.raises(ValueError, match="side by side: their networks have other inputs"):
        explorer.page({"a": orders, "b": three})
    straight = longlag.train(longlag.recipe("paper", inputs_to_outputs=True, **ONLINE), 0)
    with pytest.raises(ValueError, match="a network whose inputs lead to its outputs"):
        explorer.page({"a": straight})


def test_snapshots_are_told_in_the_order_of_the_page(made) -> None:
    for run, _ in made.values():
        told = explorer.content.of({"a": run})["runs"][0]
        wide = len(explorer.content._in_order(run.network))
        assert wide >= len(flatten(run.network.parameters))
        assert len(told["weights"]) >= 4 * wide * len(told["iterations"]) * 4 / 3
