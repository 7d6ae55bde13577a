"""What a notebook shows: well-formed HTML with the right numbers, and the tutorial, executed."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import longlag
from longlag import cli, studies
from longlag.kernel import load_kernel
from longlag.learning.recipe import recipe
from longlag.learning.training import History, Run
from longlag.studies.result import Result

ROOT = Path(__file__).parents[1]
VOID = {"path", "polygon", "polyline", "circle"}


class Page(HTMLParser):
    """The texts and the tags of a page; refuses one whose tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        self.open.append(tag)
        self.tags.append((tag, dict(attrs)))

    def handle_startendtag(self, tag, attrs) -> None:
        assert tag in VOID
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def page(shown: object) -> Page:
    return Page(shown._repr_html_())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def run() -> Run:
    return longlag.train(
        recipe(
            "robust",
            **{"min_length": 12, "hidden": 2, "batch_size": 4},
            **{"max_iterations": 30, "test_every": 10, "test_size": 20},
        ),
        seed=7,
        engine="numpy",
    )


def points(text: str | None) -> np.ndarray:
    assert text is not None
    return np.array([[float(n) for n in pair.split(",")] for pair in text.split()])


# -- cards ------------------------------------------------------------------------------------


def test_a_score_shows_its_numbers() -> None:
    judged = longlag.score(np.array([0.5, 0.5]), np.array([0.25, 0.5]))
    texts = page(judged).texts
    assert texts[texts.index("MSE") + 1] == "0.0312"
    assert texts[texts.index("RMSE") + 1] == "0.177"
    assert texts[texts.index("wrong") + 1] == "1 of 2 (50.00 %)"
    assert texts[texts.index("largest error") + 1] == "0.25"


def test_a_run_shows_what_it_is_of(run: Run) -> None:
    texts = page(run).texts
    assert "robust, seed 7" in texts
    assert "budget used up" in texts
    assert "multiplication, paper rules, T = 12 to 13 · 2 cells, linear output" in texts
    assert texts[texts.index("training sequences") + 1] == "120"
    assert "30 iterations" in texts
    whose = "tests are of averaged weights"
    assert whose in texts
    latest = dataclasses.replace(run, recipe=run.recipe.with_settings({"average_decay": 0.0}))
    assert whose not in page(latest).texts


def test_the_curve_is_the_history(run: Run) -> None:
    """Positions in the picture, read back, are the losses: a logarithm is a straight line."""
    shown = page(run)
    curve = points(shown.of("polyline")[0]["points"])
    assert len(curve) == run.iterations  # few enough for a column each
    logs = np.log10(run.history.train_losses)
    slope, offset = np.polyfit(logs, curve[:, 1], 1)
    assert slope < 0  # the y axis of SVG points down
    assert np.max(np.abs(slope * logs + offset - curve[:, 1])) < 0.1
    tests = np.array([[float(c[k] or "") for k in ("cx", "cy")] for c in shown.of("circle")])
    expected = sorted((k, slope * np.log10(mse) + offset) for k, mse in run.history.test_curve)
    tests = tests[np.argsort(tests[:, 0])]
    assert np.allclose(tests[:, 1], [y for _, y in expected], atol=0.1)
    assert np.allclose(tests[:, 0] / tests[-1, 0], [k / expected[-1][0] for k, _ in expected])


numbers = st.one_of(
    st.floats(1e-30, 1e30), st.sampled_from([np.nan, np.inf, 0.0]), st.floats(1e-3, 1.0)
)


@given(
    losses=st.lists(numbers, max_size=400),
    tests=st.lists(st.tuples(st.integers(1, 10**6), numbers), max_size=90),
    ending=st.sampled_from(["target", "max_iterations", "diverged", "imported"]),
)
def test_any_history_can_be_shown(run: Run, losses, tests, ending) -> None:
    scores = [(k, dataclasses.replace(run.score, mse=mse)) for k, mse in sorted(tests)]
    history = History(np.array(losses, float), scores, np.nan)
    score = dataclasses.replace(run.score, mse=np.nan, rmse=np.inf)
    odd = dataclasses.replace(run, history=history, stopped_by=ending, score=score)
    text = odd._repr_html_()
    shown = Page(text)
    assert not re.search(r"\b(nan|inf)\b", text)
    assert len(text) < 20_000
    for attrs in (*shown.of("polyline"), *shown.of("polygon")):
        if attrs["points"]:
            inside = points(attrs["points"])
            assert inside.min() >= 0
            assert inside[:, 1].max() <= 96


@given(name=st.text(max_size=30))
def test_names_are_escaped(run: Run, name: str) -> None:
    odd = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, name=name + "<i>&"))
    shown = page(odd)
    assert shown.of("i") == []
    result = Result(name + "<q>", {"rows": [], "out": "x"}, [("<i>", "1"), (name, "2")], ["<u>"])
    assert not {"q", "i", "u"} & {tag for tag, _ in page(result).tags}


def test_a_result_shows_its_table_and_aligns_numbers() -> None:
    table = [("rule", "seeds", "paper"), ("MSE < 0.03", "2 of 3", ""), ("none", "≥ 1", "–")]
    content = {"rows": [{"solved": 2}], "out": "there"}
    result = Result("Why?", content, table, ["All is well."], lead="3 trials")
    shown = page(result)
    cells = [text for text in shown.texts if text in {cell for row in table for cell in row}]
    assert cells == [cell for row in table for cell in row if cell]
    assert [attrs.get("class") for attrs in shown.of("td")] == [None, "n", "n"] * 3
    assert {"Why?", "3 trials", "All is well."} <= set(shown.texts)


def test_a_result_is_its_content_and_prints_its_table() -> None:
    content = {"rows": [{"solved": 2}], "out": "there", "quick": True}
    result = Result("Why?", content, [("rule", "n"), ("MSE", "2")], ["Well."])
    assert dict(result) == content
    assert result.rows == result["rows"] == [{"solved": 2}]
    assert str(result) == "rule  n\nMSE   2\n\nWell.\n\nfiles in there"
    assert repr(result) == "Result(title='Why?')"


# -- studies from Python ----------------------------------------------------------------------


def test_a_sweep_from_python_is_the_commands(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    result = longlag.study("seeds", trials=1, quick=True, lengths=30, workers=1, out="by-python")
    words = ["study", "seeds", "--trials", "1", "--quick", "--workers", "1", "--out", "by-cli"]
    assert cli.main([*words, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [row["solved"] for row in content["rows"]] == [row["solved"] for row in result.rows]
    assert content["study"] == result["study"] == "seeds"
    page = (tmp_path / "by-python" / "table.md").read_text()
    call = "longlag.study('seeds', trials=1, quick=True, lengths=30, workers=1, out='by-python')"
    assert call in page


def test_an_online_study_from_python(tmp_path: Path) -> None:
    result = longlag.study(
        "table8", trials=1, quick=True, max_sequences=512, error="halved", out=tmp_path
    )
    assert (result["max_sequences"], result["reading"]["error"]) == (512, "halved")
    assert result.lead.startswith("1 trials, each of at most 512 sequences; error halved")
    assert (tmp_path / "table.md").exists()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("seed", {}, "unknown study 'seed'; did you mean 'seeds'?"),
        (None, {}, "unknown study None; known are table1"),
        ("seeds", {"trails": 2}, "study seeds has no option 'trails'; did you mean 'trials'?"),
        ("table8", {"lengths": 2}, "study table8 has no option 'lengths'"),
        ("register", {"trails": 2}, "study register has no option 'trails'"),
        ("movement", {"trials": 2}, "study movement has no option 'trials'"),
        ("seeds", {"trials": 0}, "trials must be a whole number from 1"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(name, options, message, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        longlag.study(name, **options)


def test_python_and_the_command_line_know_the_same_studies() -> None:
    assert set(studies.STUDIES) == set(cli.parser().commands["study"].commands)


def test_importing_longlag_needs_no_pictures() -> None:
    """Nor anything else that only studies, notebooks and exports need."""
    heavy = {"matplotlib", "torch", "onnx", "safetensors", "shtab", "tqdm", "IPython"}
    code = f"import sys, longlag; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# -- the tutorial -----------------------------------------------------------------------------


def test_the_tutorial_shows_what_is_stored_in_it(tmp_path: Path, monkeypatch) -> None:
    """`python docs/store_outputs.py` stores it again."""
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.syspath_prepend(ROOT / "docs")
    stored = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    found = importlib.import_module("store_outputs").executed(
        ROOT / "docs/tutorial.ipynb", tmp_path
    )
    cards = [text for kind, text in shown(found) if kind == "text/html"]
    assert len(cards) >= 3
    for text in cards:
        Page(text)
    if (kernel := load_kernel()) is not None and "avx2" in kernel.isas():
        assert plain(found) == plain(stored)


def shown(notebook: Any) -> list[tuple[str, str]]:
    """What its cells show, each output by its kind."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    data = [output.get("data") or {"text/plain": output["text"]} for output in outputs]
    return [pair for one in data for pair in one.items()]


def plain(notebook: Any) -> list[str]:
    """The texts, as any version of numpy prints them."""
    texts = [text for kind, text in shown(notebook) if kind == "text/plain"]
    bare = (re.sub(r"np\.float(?:32|64)\((.*?)\)", r"\1", text) for text in texts)
    return [" ".join(text.split()) for text in bare]


def test_the_tutorial_names_no_machine() -> None:
    """No execution counts that depend on who ran it, no metadata, no paths."""
    content = json.loads((ROOT / "docs" / "tutorial.ipynb").read_text())
    assert all(cell["metadata"] == {} for cell in content["cells"])
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert content["metadata"] == {"kernelspec": kernel, "language_info": {"name": "python"}}
    assert not re.search(r"/(?:tmp|home|root|work)/", json.dumps(content))
