"""Learning on the explorer's page, in a real browser: the reference's arithmetic, the panels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import longlag
from browser import chromium, numbers, opened, settled, until
from longlag import explorer
from longlag.learning.optimizers import Adam, clip_by_global_norm
from longlag.learning.training import Run
from longlag.networks.lstm import LSTM, flatten, unflatten

SETTINGS = (
    "({length: 23, hidden: 5, output: 'linear', forget_gate: true, input_bias: -3,"
    " forget_bias: 3, output_bias: 0.25, learning_rate: 0.025, seed: 4})"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def run() -> Run:
    short = {"max_iterations": 60, "test_every": 20, "test_size": 32, "batch_size": 4}
    return longlag.train(longlag.recipe("robust", **short), engine="numpy")


@pytest.fixture(scope="module")
def file(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explorer.write_page({"run": run}, tmp_path_factory.mktemp("page") / "page.html")


@pytest.fixture(scope="module")
def calculator(browser: Any, file: Path) -> Iterator[Any]:
    """A page that tests leave as it is."""
    with opened(browser, file) as made:
        yield made


# -- the arithmetic ---------------------------------------------------------------------------


def batches(page: Any, source: str, n: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The next n batches of a source of sequences: inputs (8, T, 2), lengths and targets (8,)."""
    told = page.evaluate(
        f"(() => {{ const source = {source};"
        f" return Array.from({{length: {n}}}, () => source.batch(RULE.batch).map((s) => ({{...s,"
        " values: [...s.values], markers: [...s.markers]}))); })()"
    )
    found = []
    for batch in told:
        lengths = np.array([s["length"] for s in batch])
        inputs = np.zeros((len(batch), lengths.max(), 2))
        for row, s in zip(inputs, batch, strict=True):
            row[: s["length"]] = np.stack([s["values"], s["markers"]], axis=-1)
        found.append((inputs, lengths, np.array([s["target"] for s in batch])))
    return found


@pytest.mark.parametrize("forget_gate", [True, False])
@pytest.mark.parametrize("output", ["linear", "sigmoid"])
def test_gradients_are_the_references(calculator, output: str, forget_gate: bool) -> None:
    variant = {"output": output, "forget_gate": forget_gate}
    ours = numbers(
        calculator,
        "...(() => { const source = new Source(app.task, 23, makeRandom(9));"
        f" const settings = {{...{SETTINGS}, ...{longlag.files.to_json(variant)}}};"
        " const tape = makeTape(5, source.range[1]);"
        " return Array.from({length: 20}, (_, k) => {"
        "  const weights = startWeights(settings, makeRandom(k));"
        "  const sums = new Float64Array(weights.length);"
        "  const [network, gradient] = [weights, sums].map((v) => makeNetwork(v, settings));"
        "  const loss = batchGradient(network, source.batch(RULE.batch), tape, gradient, sums);"
        "  return [...weights, ...sums, loss]; }); })()",
    ).reshape(20, -1)
    size = (ours.shape[1] - 1) // 2
    data = batches(calculator, "new Source(app.task, 23, makeRandom(9))", 20)
    for row, batch in zip(ours, data, strict=True):
        network = LSTM(unflatten(row[:size], 5), **variant)  # type: ignore[arg-type]
        loss, gradient = network.gradient(*batch)
        np.testing.assert_allclose(row[size:-1], flatten(gradient), rtol=0, atol=1e-9)
        assert row[-1] == pytest.approx(loss, abs=1e-12)


def test_a_hundred_iterations_are_the_references(calculator) -> None:
    told = numbers(
        calculator,
        f"...(() => {{ const training = new LiveTraining(app.task, {SETTINGS}, 0.04);"
        " const start = training.descent.weights.slice();"
        " const losses = Array.from({length: 100}, () => training.iterate());"
        " return [start, training.descent.average, losses]; })()",
    )
    weights, average, losses = np.split(told, [(len(told) - 100) // 2, len(told) - 100])
    weights, mean = weights.copy(), weights.copy()
    adam = Adam(len(weights), epsilon=1e-12, dtype=np.float64)
    data = batches(calculator, "new Source(app.task, 23, makeRandom(3 * 4 + 1))", 100)
    for batch, expected in zip(data, losses, strict=True):
        loss, gradient = LSTM(unflatten(weights, 5)).gradient(*batch)
        assert expected == pytest.approx(loss, rel=1e-9)
        adam.update(weights, clip_by_global_norm(flatten(gradient), 0.1)[0], 0.025)
        mean = 0.99 * mean + 0.01 * weights
    np.testing.assert_allclose(average, mean, rtol=0, atol=1e-9)


def test_weights_start_as_the_references(calculator) -> None:
    found = unflatten(numbers(calculator, f"startWeights({SETTINGS}, makeRandom(1))"), 5)
    assert found.b.tolist() == [-3.0] * 5 + [3.0] * 5 + [0.0] * 10
    assert found.by.tolist() == [0.25]
    for array, limit in ((found.Wx, 2**-0.5), (found.Wh, 5**-0.5), (found.Wy, 5**-0.5)):
        assert 0.5 * limit < np.abs(array).max() <= limit


# -- training live ----------------------------------------------------------------------------


def test_two_networks_race_and_the_panels_follow(browser, file: Path) -> None:
    with opened(browser, file) as page:
        page.click("#live-open")
        page.fill("#live-length", "20")
        page.locator("#live-length").press("Tab")
        shut, leaky = page.locator(".racer").all()
        leaky.locator("select").select_option("leaky")
        knobs = [float(shut.locator(f".{k}").input_value()) for k in ("forget_bias", "input_bias")]
        assert knobs == pytest.approx([2 + np.log(22), -4 - np.log(22)], abs=1e-3)
        assert leaky.locator(".forget_bias").input_value() == "1"
        page.click("#live-start")
        until(page, "app.runs.length === 2 && app.runs[0].about.iterations.length > 12")
        assert page.text_content("#live-start") == "Stop"
        until(page, "app.live.racers[0].status.textContent.startsWith('✓ solved')")
        page.evaluate("app.live.learning && app.live.stop()")
        settled(page)
        run = page.evaluate_handle("app.runs[0]")
        names = page.locator(".run-name").all_text_contents()
        assert names == ["gates shut", "leaky (bias 1)"]
        wrong = run.evaluate("(run) => run.about.score.wrong")
        assert wrong <= 1
        # The network shown is the last snapshot, the averaged weights that were tested.
        network = LSTM(unflatten(numbers(page, "app.runs[0].about.snapshots.at(-1)"), 8))
        inputs = np.stack(
            [
                numbers(page, f"app.sequence.{name}.slice(0, app.sequence.length)")
                for name in ("values", "markers")
            ],
            axis=-1,
        )
        answer = page.evaluate("app.runs[0].answer")
        assert answer == pytest.approx(network.predict(inputs[None])[0], abs=1e-9)
        shares = page.locator(".scatter-text").all_text_contents()
        right = int(shares[0].split()[0])
        assert right > 0.97 * 512
        assert page.evaluate("app.timeline.moments[0]") == 0
        page.locator("#moment").press("Home")
        settled(page)
        assert page.evaluate("app.runs[0].iteration") == 0
        page.click("#live-back")
        settled(page)
        assert page.evaluate("[app.runs.length, app.runs[0].about.name]") == [1, "run"]


@pytest.mark.parametrize("preset", ["shut", "leaky", "carousel", "off"])
def test_a_preset_is_where_a_training_starts(calculator, preset: str) -> None:
    settings = calculator.evaluate(f"PRESETS.{preset}(110, 0.25)")
    assert settings["forget_gate"] == (preset != "carousel")
    assert settings["output_bias"] == (0.5 if preset == "off" else 0.25)
    if preset in ("shut", "off"):
        robust = longlag.recipe("robust")
        start = robust.network_of(robust.network.start(robust.task.tested, np.random.default_rng()))
        b = start.parameters.b
        assert [settings["input_bias"], settings["forget_bias"]] == pytest.approx([b[0], b[8]])
    if preset == "leaky":
        assert (settings["forget_bias"], settings["input_bias"]) == (1, 0)


def test_a_number_beyond_its_limits_is_set_within_them(browser, file: Path) -> None:
    with opened(browser, file) as page:
        page.click("#live-open")
        for box, given, taken in (
            ("length", "3", "11"),
            ("seed", "-7", "0"),
            ("length", "", "100"),
        ):
            page.fill(f"#live-{box}", given)
            assert page.evaluate(f"String(app.live.{box})") == taken


# -- the way back -----------------------------------------------------------------------------


def test_the_way_back_is_what_a_change_of_a_step_does(calculator) -> None:
    """Against central differences of the answer: of the values read, of the states carried."""
    found = numbers(
        calculator,
        "...(() => { const { length, values, markers } = app.sequence;"
        " const { network, back } = app.runs[0];"
        " const answerFrom = (state, t) => {"
        "  steps(network, state, values, markers, t, length);"
        "  return readAnswer(network, state.hidden); };"
        " const changed = (t, change) => {"
        "  const state = makeState(network); steps(network, state, values, markers, 0, t);"
        "  return change(state); };"
        " return [5, 40, 99].flatMap((t) => {"
        "  const x = values[t], step = 1e-4;"
        "  const read = [1, -1].map((sign) => changed(t, (state) => {"
        "   values[t] = x + sign * step; const y = answerFrom(state, t);"
        "   values[t] = x; return y; }));"
        "  const carried = Array.from({length: 8}, (_, j) => [1, -1].map((sign) =>"
        "   changed(t + 1, (state) => {"
        "    const o = state.gates[16 + j]; state.cell[j] += sign * step;"
        "    state.hidden[j] = o * Math.tanh(state.cell[j]); return answerFrom(state, t + 1); })));"
        "  const slope = ([up, down]) => (up - down) / 2 / step;"
        "  return [[back.values[t], back.cells[t],"
        "   Math.abs(slope(read)), Math.hypot(...carried.map(slope))]]; }); })()",
    ).reshape(3, 4)
    np.testing.assert_allclose(found[:, :2], found[:, 2:], rtol=1e-5, atol=1e-12)


def test_the_way_back_vanishes_in_a_leaky_network_alone(browser, file: Path) -> None:
    with opened(browser, file) as page:
        page.evaluate(
            "(() => { const { live } = app; live.racers[1].preset.value = 'leaky';"
            " live.racers[1].fill(); live.start(false); })()"
        )
        settled(page)
        shut, leaky = page.locator(".back-text").all_text_contents()
        share = [
            float(text.split()[4].replace("−", "-").replace(",", "")) for text in (shut, leaky)
        ]
        assert share[0] > 0.1
        assert share[1] < 1e-6
        first = page.evaluate("Math.min(...app.sequence.marks)")
        ratio = page.evaluate(f"app.runs[1].back.cells[{first}] / app.runs[1].back.cells.at(-1)")
        assert share[1] == pytest.approx(ratio, rel=0.06)


# -- the story --------------------------------------------------------------------------------


def test_the_story_drives_the_page_in_seven_steps(browser, file: Path) -> None:
    with opened(browser, file, reduced_motion="reduce") as page:
        page.click("#story-open")
        seen = []
        for step in range(7):
            settled(page)
            if step == 4:
                until(page, "!app.live.learning")
                settled(page)
            text = page.text_content("#story-text")
            names = [
                name.split(",")[0] for name in page.evaluate("app.runs.map((r) => r.about.name)")
            ]
            seen.append((page.text_content("#story-title"), text, names))
            told = page.locator(".told")
            assert told.count() == 1
            assert told.is_visible()
            if step == 5:
                answer, target = page.evaluate("[app.runs[0].answer, app.target]")
                assert f"{answer:.3f}, where {target:.3f} is right" in text
                assert answer == pytest.approx(target, abs=0.04)
            if step == 6:
                assert page.evaluate("app.sequence.length") == 400
            page.click("#story-next")
        assert [title[0] for title, *_ in seen] == list("1234567")
        assert len({text for _, text, _ in seen}) == 7
        shut, leaky = "gates shut", "leaky (bias 1)"
        assert [names for *_, names in seen] == [
            *(["run"], [leaky], [leaky], [shut, leaky], [shut], [shut], [shut])
        ]
        assert page.locator("#story").is_hidden()
        assert page.locator(".told").count() == 0
        page.click("#live-back")
        settled(page)
        assert page.evaluate("app.runs[0].about.name") == "run"


def test_the_story_can_be_skipped_and_gone_back_in(browser, file: Path) -> None:
    with opened(browser, file) as page:
        page.click("#story-open")
        assert page.locator("#story-back").is_disabled()
        page.click("#story-next")
        settled(page)
        assert "keeps about 0.7" in page.text_content("#story-text")
        page.click("#story-back")
        settled(page)
        assert page.evaluate("app.runs[0].about.name") == "run"
        page.click("#story-close")
        assert page.locator("#story").is_hidden()
