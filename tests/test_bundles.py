"""How trials are put into bundles."""

from __future__ import annotations

import importlib
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longlag.sweeps import bundles, executor
from longlag.sweeps.bundles import Bundle, Supply
from longlag.sweeps.trial import Trial, trial
from longlag.version import CODE_VERSION
from toys import OWN_CELL

Given = tuple[str, Trial, bytes | None]


def trials(count: int, **settings: Any) -> list[Given]:
    """Trials alike but for their seeds, with keys, at their start."""
    made = [Trial("quick", settings, seed, "numpy", "faulty:quick") for seed in range(count)]
    return [(one.key, one, None) for one in made]


def rows(bundle: Bundle, seconds: float, *status: str) -> list[dict[str, Any]]:
    """What a worker brings back of a bundle: so many seconds and, last one for all, a status."""
    ends = [*status, *["target"] * len(bundle.trials)]
    return [
        {"status": end, "seconds": seconds, "state": b"a state" if end == "unfinished" else None}
        for end, _ in zip(ends, bundle.trials, strict=False)
    ]


def taken(supply: Supply, workers: int, seconds: float) -> list[Bundle]:
    """All bundles, one after another, where every trial takes so long."""
    found = []
    while bundle := supply.take(workers):
        supply.came(bundle, rows(bundle, seconds))
        found.append(bundle)
    return found


def sizes(found: list[Bundle]) -> list[int]:
    return [len(bundle.trials) for bundle in found]


def test_short_trials_are_put_together_and_long_ones_are_not() -> None:
    assert max(sizes(taken(Supply(iter(trials(2000))), 2, 0.01))) == bundles.SECONDS / 0.01
    assert set(sizes(taken(Supply(iter(trials(20))), 2, 60.0))) == {1}


def test_of_a_kind_of_which_nothing_is_known_one_trial_goes_first() -> None:
    given = [*trials(200), *trials(200, hidden=3)]
    found = taken(Supply(iter(given)), 2, 0.01)
    first = next(k for k, bundle in enumerate(found) if bundle.work["settings"])
    assert (len(found[0].trials), len(found[first].trials)) == (1, 1)
    assert len(found[first - 1].trials) + len(found[first + 1].trials) > 2


def test_bundles_become_smaller_towards_the_end() -> None:
    found = sizes(taken(Supply(iter(trials(400))), 2, 0.001))
    assert found[1:] == sorted(found[1:], reverse=True)
    assert found[-4:] == [1, 1, 1, 1]
    left = 400
    for size in found:
        assert size <= max(1, (left + 3) // 4), "no worker takes half of what is left"
        left -= size


def test_kinds_that_alternate_are_put_together_all_the_same() -> None:
    mixed = [one for pair in zip(trials(300), trials(300, hidden=3), strict=True) for one in pair]
    found = taken(Supply(iter(mixed)), 1, 0.001)
    assert len(found) < 40
    assert all(len({bundle.kind}) == 1 for bundle in found)


@given(
    counts=st.lists(st.integers(0, 90), max_size=4),
    workers=st.integers(1, 5),
    seconds=st.floats(0, 2),
)
def test_every_trial_is_taken_once(counts: list[int], workers: int, seconds: float) -> None:
    all_ = [one for k, count in enumerate(counts) for one in trials(count, hidden=k + 1)]
    found = taken(Supply(iter(all_)), workers, seconds)
    back = [
        (one.key, Trial(**bundle.work, seed=one.seed), None)
        for bundle in found
        for one in bundle.trials
    ]
    assert sorted(back, key=str) == sorted(all_, key=str)


def test_trials_are_read_as_they_are_needed() -> None:
    read = 0

    def endless() -> Iterator[Given]:
        nonlocal read
        while True:
            read += 1
            yield str(read), Trial("quick", {}, read, "numpy"), None

    supply = Supply(endless())
    for _ in range(50):
        bundle = supply.take(2)
        assert bundle is not None
        supply.came(bundle, rows(bundle, 1e-6))
    assert read <= supply.waiting + 50 * bundles.MOST
    assert supply.waiting <= 2 * bundles.AHEAD


def test_the_trials_of_a_bundle_that_died_are_tried_singly_and_three_times() -> None:
    supply = Supply(iter(trials(40)))
    first = some(supply.take(1))
    supply.came(first, rows(first, 1e-3))
    assert len(first.trials) == 1
    bundle = some(supply.take(1))
    assert len(bundle.trials) > 3
    assert supply.died(bundle, 1, "its worker died") == []
    again = [some(supply.take(1)) for _ in bundle.trials]
    assert [one.trials for one in again] == [[trial] for trial in bundle.trials]
    for _ in range(bundles.LIVES - 1):
        assert supply.died(again[0], 1, "its worker died") == []
        again[0] = some(supply.take(1))
    (row,) = supply.died(again[0], 1, "its worker died")
    assert row["key"] == bundle.trials[0].key
    assert row["error"] == "its worker died, 3 times in a row"
    assert len(some(supply.take(1)).trials) > 1, "the others go on as before"


def test_a_scheduler_that_tried_often_enough_is_not_asked_again() -> None:
    supply = Supply(iter(trials(1)))
    (row,) = supply.died(some(supply.take(1)), 4, "its worker died")
    assert row["error"] == "its worker died, 4 times in a row"


# -- trials in slices ----------------------------------------------------------------------------


def sliced(count: int, engine: str = "native") -> list[Given]:
    made = [trial("paper", seed, engine) for seed in range(count)]
    return [(one.key, one, None) for one in made]


def test_trials_side_by_side_fill_half_of_the_lanes_and_are_shared_out() -> None:
    for count, workers, wanted in (
        (5, 2, [5]),
        (10, 2, [5, 5]),
        (10, 4, [5, 5]),
        (30, 2, [15, 15]),
        (30, 8, [8, 8, 7, 7]),
        (64, 2, [32, 32]),
    ):
        supply = Supply(iter(sliced(count)))
        assert [len(some(supply.take(workers, k)).trials) for k in range(len(wanted))] == wanted
        assert supply.take(workers) is None
    assert len(some(Supply(iter(sliced(30, "numpy"))).take(2)).trials) == 1


def test_the_last_free_worker_takes_all_that_wait() -> None:
    supply = Supply(iter(sliced(30)))
    first, second = some(supply.take(2)), some(supply.take(2, 1))
    for bundle in (first, second):
        supply.came(bundle, rows(bundle, 1.0, *["unfinished"] * 15))
        assert len(some(supply.take(2, 1)).trials) == 15


def test_those_left_of_two_bundles_go_on_together() -> None:
    supply = Supply(iter([*sliced(10), *trials(1)]))
    first, second = some(supply.take(2)), some(supply.take(2, 1))
    assert supply.came(first, rows(first, 1.0, *["unfinished"] * 3))
    assert not some(supply.take(2, 1)).side_by_side, "8 are left, and wait for each other"
    assert supply.take(2, 1) is None
    supply.came(second, rows(second, 1.0, *["unfinished"] * 5))
    assert [one.seed for one in some(supply.take(2)).trials] == [5, 6, 7, 8, 9, 0, 1, 2]


def test_those_left_do_not_wait_for_a_worker_that_died() -> None:
    supply = Supply(iter(sliced(10)))
    first, second = some(supply.take(2)), some(supply.take(2, 1))
    supply.came(first, rows(first, 1.0, *["unfinished"] * 2))
    supply.died(second, 1, "its worker died")
    assert [len(some(supply.take(2)).trials) for _ in range(5)] == [1] * 5
    supply = Supply(iter(sliced(10)))
    first, second = some(supply.take(2)), some(supply.take(2, 1))
    supply.came(first, rows(first, 1.0, *["unfinished"] * 2))
    supply.again(second)
    assert len(some(supply.take(2)).trials) == 5


def test_an_unfinished_trial_is_taken_once_more_from_its_state() -> None:
    supply = Supply(iter([*sliced(20), *trials(3)]))
    first = some(supply.take(2))
    assert first.states() == [None] * 10
    found = supply.came(first, rows(first, 1.0, "target", "unfinished", "diverged", "unfinished"))
    assert [row["key"] for row in found] == [one.key for one in first.trials]
    assert len({row["lineage"] for row in found} - {None}) == 10
    second = some(supply.take(2))
    assert [one.seed for one in second.trials] == [1, 3, 10, 11, 12, 13]
    assert second.states() == [b"a state", b"a state", None, None, None, None]
    again = supply.came(second, rows(second, 1.0, *["unfinished"] * 6))
    assert len(again) == 6
    assert [one.seed for one in some(supply.take(2)).trials] == [1, 3, 10, 11, 12, 13]
    assert [one.seed for one in some(supply.take(2)).trials] == [14, 15, 16, 17, 18, 19]
    assert len(some(supply.take(2)).trials) == 1, "the other kind follows"


def test_an_unfinished_trial_in_batches_goes_on_before_the_next_begins() -> None:
    supply = Supply(iter(trials(3)))
    first = some(supply.take(1))
    supply.came(first, rows(first, 40.0, "unfinished"))
    second = some(supply.take(1))
    assert (second.trials[0].seed, second.states()) == (0, [b"a state"])
    supply.came(second, rows(second, 70.0, "target"))
    assert some(supply.take(1)).states() == [None]


def test_trials_that_turn_out_to_be_long_share_no_bundle() -> None:
    supply = Supply(iter(trials(200)))
    failed = some(supply.take(1))
    supply.came(failed, rows(failed, 0.002, "failed"))
    many = some(supply.take(1))
    assert len(many.trials) > 50
    supply.came(many, rows(many, 30.0, *["unfinished"] * len(many.trials)))
    assert len(some(supply.take(1)).trials) == 1


def test_a_bundle_has_one_limit_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    supply, ends = Supply(iter(trials(9))), []

    def noted(work: Any, state: bytes | None, end: float) -> dict[str, Any]:
        ends.append(end)
        time.sleep(0.01)
        return {"seconds": 0.001, "state": None}

    monkeypatch.setattr(executor, "perform", noted)
    while bundle := supply.take(1):
        found = executor.carry_out(bundle.text(), bundle.states(), CODE_VERSION)
        supply.came(bundle, executor.unpacked(found))
    assert len(ends) == 9
    assert len(set(ends)) < 9


def test_trials_that_failed_together_are_tried_singly() -> None:
    supply = Supply(iter(sliced(3)))
    bundle = some(supply.take(1))
    assert supply.came(bundle, rows(bundle, 1.0, *["failed"] * 3)) == []
    for member in bundle.trials:
        alone = some(supply.take(1))
        assert alone.trials == [member]
        (row,) = supply.came(alone, rows(alone, 1.0, "failed"))
        assert (row["status"], row["key"]) == ("failed", member.key)
    assert supply.take(1) is None


@pytest.mark.parametrize(
    "said",
    [{"seconds": None}, {"seconds": "long"}, {"seconds": math.nan}, {"status": "unfinished"}, {}],
    ids=str,
)
def test_whatever_a_trials_function_says_its_row_comes_once(said: dict[str, Any]) -> None:
    supply = Supply(iter(trials(3)))
    for _ in range(3):
        bundle = some(supply.take(1))
        own = {"seconds": 1.0, **said}
        (row,) = supply.came(bundle, [{"state": None, **own}])
        assert row["key"] == bundle.trials[0].key
    assert supply.read(1) == 0


def test_a_lineage_is_all_but_the_length() -> None:
    def lineage(**changes: Any) -> str | None:
        return trial("paper", 0, "native", **changes).lineage

    base = lineage()
    assert lineage(max_sequences=10) == lineage(test_size=6) == base
    assert lineage(learning_rate=2.0) != base
    assert Trial("quick", {}, 0, "numpy", "faulty:quick").lineage is None


def test_kinds_of_which_no_trials_are_left_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "KINDS", 10)
    supply = Supply(one for hidden in range(2000) for one in trials(2, hidden=hidden))
    seen = most = 0
    while bundle := supply.take(1):
        if seen % 3 == 0:
            supply.again(bundle)
            bundle = some(supply.take(1))
        supply.came(bundle, rows(bundle, 0.5))
        seen += len(bundle.trials)
        most = max(most, len(supply._kinds))
    assert seen == 4000
    assert most <= bundles.AHEAD + 10


def test_a_worker_trains_a_cell_as_its_file_was_when_the_trial_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker lives longer than a sweep: it has imported the file before it was edited."""
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "edited_cell.py"

    def written(added: int) -> Bundle:
        file.write_text(OWN_CELL.format(behind=f"+ {added}"))
        importlib.invalidate_caches()
        one = trial(
            "robust", 0, "numpy", network="edited_cell:Own", max_iterations=1, min_length=12,
            test_size=20, test_every=1, learning_rate=1e-6,
        )  # fmt: skip
        return some(Supply(iter([(one.key, one, None)])).take(1))

    def row(bundle: Bundle) -> dict[str, Any]:
        answer = executor.carry_out(bundle.text(), bundle.states(), CODE_VERSION)
        return executor.unpacked(answer)[0]

    first = written(0)
    small = row(first)
    second = written(100)
    large = row(second)
    assert small["score"]["mse"] < 10
    assert large["score"]["mse"] > 9000
    assert small["version"] != large["version"]
    refused = row(first)
    assert refused["status"] == "failed"
    assert "is not the one that the trial is of: copy it there" in refused["error"]
    assert row(second)["score"] == large["score"]
    file.write_text("edited while the sweep runs: the worker has what the trial is of")
    assert row(second)["score"] == large["score"]
    assert row(second)["version"] == large["version"]


def some(bundle: Bundle | None) -> Bundle:
    assert bundle is not None
    return bundle
