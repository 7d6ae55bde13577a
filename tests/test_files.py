"""Arrays in files: what goes in comes out, under any name, and nothing is pickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from longlag import files

# Names that numpy's savez keeps for itself: before 2.1 it stored `allow_pickle` as one more array.
ARRAYS = {
    "file": np.arange(6.0).reshape(2, 3),
    "allow_pickle": np.zeros(0, np.float32),
    "args": np.array(7),
    "kwds": np.array(["a", "bc"]),
    "turned": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
}


def test_arrays_come_back_whatever_they_are_called(tmp_path: Path) -> None:
    files.write_arrays(tmp_path / "a.npz", ARRAYS)
    back = files.read_arrays(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as loaded:  # by other programs too
        assert loaded.files == list(back) == list(ARRAYS)
        for name, array in ARRAYS.items():
            assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(back[name], array)
            np.testing.assert_array_equal(loaded[name], array)


def test_the_same_arrays_are_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        files.write_arrays(tmp_path / name, {"x": np.zeros(10_000), "y": np.ones(3)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").stat().st_size < 1000  # compressed


def test_objects_are_not_written(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"old")
    with pytest.raises(ValueError, match="allow_pickle=False"):
        files.write_arrays(tmp_path / "a.npz", {"x": np.array([{}])})
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
