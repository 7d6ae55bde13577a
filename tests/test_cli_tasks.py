"""`longlag tasks`: it lists the tasks, and shows sequences of one in words and as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import longlag
from longlag.cli import main
from longlag.cli.task_commands import in_characters
from longlag.tasks.registry import TASKS, task


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command prints, and on standard error."""

    def run(*words: str, status: int = 0) -> tuple[str, str]:
        assert main(["tasks", *words]) == status
        return capsys.readouterr()

    return run


def test_all_tasks_are_listed_with_what_they_ask(says: Any) -> None:
    heads, *rows = says()[0].splitlines()
    for head in ("task", "inputs", "outputs", "answered", "chance MSE", "chance right", "source"):
        assert head in heads
    assert [row.split()[0] for row in rows] == TASKS.ready()
    for row, name in zip(rows, TASKS.ready(), strict=True):
        made = TASKS[name]
        assert row.endswith(made.source)
        assert f"{made.inputs} {'symbols' if made.symbols else 'real'} " in row
        assert f"  {made.chance_mse:.3g} " in row
    listed = json.loads(says("--json")[0])["tasks"]
    assert [one["task"] for one in listed] == TASKS.ready()
    assert all(one["chance_mse"] == TASKS[one["task"]].chance_mse for one in listed)
    assert [one["settings"] for one in listed] == [TASKS[name].settings() for name in TASKS.ready()]


@pytest.mark.parametrize("name", TASKS.ready())
def test_sequences_of_a_task_are_told_and_drawn(says: Any, tmp_path: Path, name: str) -> None:
    made, rng = TASKS[name], np.random.default_rng(4)
    told = [made.explain(made.sequence(rng)) for _ in range(2)]
    shown = says(name, "--n", "2", "--seed", "4")[0]
    assert all(text in shown.splitlines() for text in told)
    assert shown.splitlines()[-1].startswith(
        f"{name}: the answer is {made.asks}; in the first sequence"
    )
    assert json.loads(says(name, "--n", "2", "--seed", "4", "--json")[0])["sequences"] == told
    out = tmp_path / "made" / "x.png"
    assert str(out) in says(name, "--n", "2", "--out", str(out))[0]
    assert out.read_bytes().startswith(b"\x89PNG")


def test_settings_of_the_task_are_flags(says: Any) -> None:
    shown = json.loads(says("copy", "--lag", "20", "--counts", "recall", "--json")[0])
    assert shown["settings"] == {"lag": 20, "counts": "recall"}
    assert shown["lengths"] == [40, 40]
    shown = json.loads(says("adding", "--min-length", "50", "--json")[0])
    assert shown["lengths"] == [50, 55]
    assert json.loads(says("toys:Echo", "--json")[0])["task"] == "echo"


def test_a_sequence_in_characters_has_a_bar_a_step() -> None:
    made = task("temporal-order", min_length=30)
    one = made.sequence(np.random.default_rng(0))
    for width in (7, 80):
        lines = in_characters(made.drawing(one), width)
        bars, above = "".join(lines[1::2]), "".join(a.ljust(width) for a in lines[::2])
        assert len(bars) == len(one.inputs)
        assert max(map(len, lines)) <= width
        assert [above[p] for p in one.marks] == ["XY"[one.inputs[p] - 6] for p in one.marks]
        assert (above[0], above[len(bars) - 1], bars[0]) == ("E", "B", "█")
    pairs = task("adding")
    one = pairs.sequence(np.random.default_rng(1))
    above, bars = in_characters(pairs.drawing(one), 200)
    assert [p for p, c in enumerate(above) if c == "▾"] == sorted({0, *one.marks, len(bars) - 1})
    assert np.corrcoef(["▁▂▃▄▅▆▇█".index(b) for b in bars], one.inputs[:, 0])[0, 1] > 0.98


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["copi"], "unknown task 'copi'; did you mean 'copy'?"),
        (["copy", "--lag", "0"], "lag must be a whole number from 1 to 100,000, not 0"),
        (["copy", "--min-length", "9"], "copy has no setting 'min_length'; known are lag, counts"),
        (["copy", "--n", "21"], "--n must be a whole number from 1 to 20, not 21"),
        (["copy", "--seed", "-1"], "--seed must be a whole number from 0 to 2**63 - 1, not -1"),
        (["--lag", "3"], "--lag needs a task: longlag tasks TASK --lag ..."),
        (["--out", "x.png"], "--out needs a task: longlag tasks TASK --out ..."),
        (["--n", "5"], "--n needs a task: longlag tasks TASK --n ..."),
        (["--seed", "0"], "--seed needs a task: longlag tasks TASK --seed ..."),
        (
            ["xor", "--min-length", "9999"],
            "tasks shows sequences of at most 2,000 steps, not 10,998",
        ),
        (
            ["xor", "--min-length", "1000000000"],
            "min_length must be a whole number from 0 to 909,090,909, not 1000000000",
        ),
        (["copy", "--out", "/"], "--out must be a file, and / is a directory"),
        (["copy", "--out", "new/x.txt"], "--out must end with .png, not be new/x.txt"),
        (["copy", "x"], "'x' is one argument too many; usage: longlag tasks [TASK] [options]"),
        (
            ["copy", "--hidden", "3"],
            "tasks has no flag --hidden; it is a flag of train, study cells",
        ),
    ],
)
def test_bad_input_is_one_sentence(
    says: Any, words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out, error = says(*words, status=2)
    assert (out, error) == ("", f"longlag: {message}\n")
    assert not any(tmp_path.iterdir())


def test_the_value_of_a_flag_is_no_task(
    says: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out, _ = says("--out", "new/a:b.png", "--json", "copy", "--lag", "20")
    assert json.loads(out)["task"] == "copy"
    assert (tmp_path / "new" / "a:b.png").read_bytes().startswith(b"\x89PNG")


# -- a run of a task, and all that is made of one -------------------------------------------------

RUNS = {
    "reber": "--recipe paper-reber --max-symbols 40 --max-sequences 40 --test-size 8",
    "two-sequence": "--recipe paper-two-sequence-c --min-length 8 --max-sequences 40 --test-size 8",
    "copy": "--task copy --lag 5 --max-iterations 3 --test-size 8 --average-decay 0",
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_any_task_is_drawn_judged_and_written_out(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def runs(*words: str) -> str:
        assert main([*words]) == 0
        return capsys.readouterr().out

    assert "sequences" in runs("train", "--save-dir", "run", "--quiet", *RUNS[name].split())
    runs("figures", "run", "--out", "drawn")
    assert len(list(Path("drawn").glob("*.png"))) == 4
    runs("animate", "run", "--n-frames", "2", "--out", "run.gif")
    made = longlag.load("run").recipe.task
    assert made.wrong_means in runs("evaluate", "run", "--n", "20")
    runs("export", "run", "--format", "safetensors", "--out", "run.safetensors")
    runs("import", "run.safetensors", "--out", "again")
    one, other = json.loads(runs("compare", "run", "again", "--n", "20", "--json"))["rows"]
    assert one["score"] == other["score"]
    assert main(["explore", "run"]) == 2
    says = f"longlag: the page cannot show task {made.name}: it knows multiplication, "
    says += "adding and temporal-order\n"
    assert capsys.readouterr().err == says
