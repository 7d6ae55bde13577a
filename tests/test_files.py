"""Arrays in files: what goes in comes out, under any name, and nothing is pickled."""

from __future__ import annotations

import io
import os
import stat
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

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


# -- what numpy.savez cannot have written ---------------------------------------------------------


def npy(array: np.ndarray, shape: str = "") -> bytes:
    """An .npy, whose header may claim another shape."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    content = buffer.getvalue()
    header = content[10:128].replace(
        str(array.shape).encode(), (shape or str(array.shape)).encode()
    )
    return content[:10] + header.rstrip().ljust(117) + b"\n" + content[128:]


def zipped(*members: tuple[str, bytes], **more: Any) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a name given twice
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)
            archive.comment = more.get("comment", b"")
    return buffer.getvalue()


OBJECTS = npy(np.arange(10)).replace(b"'<i8'", b"'|O8'")
X = ("x.npy", npy(np.arange(10)))
FORGED = {
    "a name twice": (zipped(X, ("x.npy", npy(np.zeros(10)))), "holds x.npy 2 times"),
    "no array": (zipped(X, ("readme.txt", b"hello")), "readme.txt is no array"),
    "an array by name alone": (zipped(X, ("y.npy", b"hello")), "y is no array"),
    "a directory": (zipped(X, ("d/", b"")), "d/ is no array"),
    "bytes behind": (zipped(X) + b"behind", "bytes that belong to none"),
    "a comment": (zipped(X, comment=b"hello"), "bytes that belong to none"),
    "bytes before": (b"before" + zipped(X), "bytes that belong to none"),
    "another file before": (zipped(("y.npy", X[1])) + zipped(X), "bytes that belong to none"),
    "a header that asks for more": (
        zipped(("x.npy", npy(np.arange(10), "(9000000000,)"))),
        "another number of bytes than its header says",
    ),
    "a header that asks for less": (
        zipped(("x.npy", npy(np.arange(10), "(9,)"))),
        "another number of bytes than its header says",
    ),
    "a header of a product beyond 64 bits": (
        zipped(("x.npy", npy(np.arange(10), f"({2**33}, {2**33})"))),
        "another number of bytes than its header says",
    ),
    "objects": (zipped(("x.npy", OBJECTS)), "holds objects"),
    "another version": (zipped(("x.npy", b"\x93NUMPY\x03\x00" + X[1][8:])), "version"),
    "very much in little": (zipped(("x.npy", npy(np.zeros(2**24)))), "bytes would unpack to"),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_numpy_cannot_have_written_is_refused(name: str, tmp_path: Path) -> None:
    data, says = FORGED[name]
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(files.DamagedFile, match=f"a.npz is damaged.*{says}"):
        files.read_arrays(tmp_path / "a.npz")


def test_no_room_is_made_for_what_a_header_claims(tmp_path: Path) -> None:
    data, _ = FORGED["a header that asks for more"]
    (tmp_path / "a.npz").write_bytes(data)
    tracemalloc.start()
    with pytest.raises(files.DamagedFile):
        files.read_arrays(tmp_path / "a.npz")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_what_numpy_has_written_is_read(tmp_path: Path) -> None:
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", x=np.arange(3), y=np.zeros((2, 0), np.float32))
        back = files.read_arrays(tmp_path / "a.npz")
        assert list(back) == ["x", "y"]
        assert back["y"].shape == (2, 0)


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    files.write_bytes(pipe, b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_files_written_together_are_all_there_or_none(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "a").write_bytes(b"before")
    two = {tmp_path / "a": b"1", tmp_path / "nowhere" / "b": b"2"}
    with pytest.raises(FileNotFoundError):
        files.write_together(two, without=[tmp_path / "old"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "old"]
    assert (tmp_path / "a").read_bytes() == b"before"
    (tmp_path / "nowhere" / "b").mkdir(parents=True)
    for given, without in ((two, []), ({tmp_path / "a": b"1"}, [tmp_path / "nowhere"])):
        with pytest.raises(IsADirectoryError):
            files.write_together(given, [tmp_path / "old", *without])
        assert (tmp_path / "a").read_bytes() == b"before"
        assert (tmp_path / "old").exists()
    (tmp_path / "nowhere" / "b").rmdir()
    files.write_together(two, without=[tmp_path / "old", tmp_path / "none"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "nowhere"]
    assert [path.read_bytes() for path in two] == [b"1", b"2"]


def test_what_could_not_be_written_is_named() -> None:
    with pytest.raises(OSError, match="No space left on device") as caught:
        files.write_bytes(Path("/dev/full"), b"x" * 10_000)
    assert caught.value.filename == "/dev/full"
