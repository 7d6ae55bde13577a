"""The movement study: what it counts, what it writes, what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longlag import cli, movement
from longlag.studies.declaration import Request, run
from longlag.studies.movement import STUDY, study
from longlag.studies.movement.cases import KINDS, PHASES, Case, measure


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    directory = tmp_path_factory.mktemp("movement")
    asked = STUDY.request({"out": directory, "quick": True}, "longlag study movement --quick")
    return run(asked), directory


def test_it_writes_its_page_its_table_and_its_figures(quick: tuple[dict, Path]) -> None:
    content, directory = quick
    names = {"README.md", "movement.csv", "length.png", "parts.png", "size.png", "dropping.png"}
    assert {path.name for path in directory.iterdir()} == names
    page = (directory / "README.md").read_text()
    assert movement.VARIANT in page
    assert "longlag study movement --quick" in page
    assert f"{content['headline']['batch_1']['bytes_4']:,}" in page
    with (directory / "movement.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["cost"]) for row in rows] == [row["cost"] for row in content["rows"]]


def test_parts_add_up_and_wider_scalars_cost_more(quick: tuple[dict, Path]) -> None:
    rows = quick[0]["rows"]
    for row in rows:
        assert sum(row[phase] for phase in PHASES) == row["cost"]
        assert sum(row[f"of_{kind}"] for kind in KINDS) == row["cost"]
    for one, four, eight in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        assert (one["bytes"], four["bytes"], eight["bytes"]) == (1, 4, 8)
        assert one["cost"] * 4 < four["cost"]
        assert four["cost"] * 2 < eight["cost"]
    for row in rows:
        if row["batch"] == 1:
            assert row["cost"] <= row["nothing_dropped"]


def test_the_local_algorithm_keeps_nothing_that_grows_with_T() -> None:
    """Beside the inputs that are still to come, which lie on the stack before the run."""
    growth = {
        name: measure(Case(name, T=60)).largest - measure(Case(name, T=20)).largest
        for name in ("1997", "1997-sums", "bptt")
    }
    assert growth["1997"] == 2 * 40
    assert growth["1997-sums"] > 4 * growth["1997"]
    assert growth["bptt"] > 8 * 5 * 40  # more than i, f, o, g and c of 8 cells


def test_exponents_are_slopes() -> None:
    lengths = np.array([100, 250, 500, 1000])
    assert study.exponent(lengths, 3.0 * lengths**1.5) == pytest.approx(1.5)
    assert study.exponent([15, 30], [15.0, 30.0]) == pytest.approx(1)
    assert np.isnan(study.exponent([250, 500], [0.0, 1.0]))


def test_the_command_prints_json_or_a_table(
    quick: tuple[dict, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = []

    def carry_out(request: Request, observe: Any) -> dict[str, Any]:
        asked.append(request)
        return quick[0]

    monkeypatch.setattr(study, "carry_out", carry_out)
    args = ["study", "movement", "--quick", "--out", str(tmp_path)]
    assert cli.main([*args, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["rows"] == quick[0]["rows"]
    assert content["variant"] == movement.VARIANT
    assert cli.main(args) == 0
    assert "costs" in capsys.readouterr().out
    assert [one.options for one in asked] == [{"out": tmp_path, "quick": True}] * 2


def test_a_place_that_cannot_be_written_to_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    assert cli.main(["study", "movement", "--quick", "--out", str(file / "x")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("longlag: cannot write into")
    assert error.count("\n") == 1


def test_without_a_kernel_the_numbers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("bptt", T=15, hidden=2)
    wanted = measure(case)
    monkeypatch.setattr(movement.stack, "load_kernel", lambda: None)
    assert measure(case).rows() == wanted.rows()
