"""Bytes shared between processes: sealed for good, or read where they lie."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy.errors import ContextError
from rlm_dspy.shared import Growing, Joined, PinnedFile, SealedMemory, Stretch, received

PIECES = st.lists(st.binary(max_size=20), max_size=6)


@given(PIECES, st.integers(0, 130), st.integers(0, 130))
def test_sealed_memory_holds_the_pieces(pieces, low, high):
    memory = SealedMemory.of(pieces)
    whole = b"".join(pieces)
    assert (memory.size, bytes(memory.view)) == (len(whole), whole)
    assert memory.read(low, high) == whole[low:high]


def test_sealed_memory_takes_text_with_lone_surrogates():
    assert SealedMemory.of(["é\ud83d"]).read(0, 9) == "é\ud83d".encode("utf-8", "surrogatepass")


def test_nobody_can_change_sealed_memory():
    memory = SealedMemory.of([b"abc"])
    with pytest.raises(PermissionError):
        os.pwrite(memory.number, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(memory.number, 1)
    with pytest.raises(TypeError):
        memory.view[0] = 0


def test_a_view_outlives_its_memory():
    view = SealedMemory.of([b"abc"]).view
    assert bytes(view) == b"abc"


def test_descriptors_go_with_their_objects(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        SealedMemory.of([b"abc"])
        PinnedFile.open(tmp_path / "file")
        Growing(lambda: tmp_path).drop()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_crosses_is_the_same_there(tmp_path):
    (tmp_path / "file").write_bytes(b"abcdef")
    for shared in (SealedMemory.of([b"abcdef"]), PinnedFile.open(tmp_path / "file")):
        there = received(os.dup(shared.number), shared.size, shared.stamp, shared.name)
        assert (type(there), there.read(1, 4)) == (type(shared), b"bcd")


@given(PIECES.filter(any), st.integers(0, 130), st.integers(0, 130))
def test_stretches_read_as_one(pieces, low, high):
    memory = SealedMemory.of([b"..", *pieces])
    places, at = [], 2
    for piece in pieces:
        places.append(Stretch(memory, at, len(piece)))
        at += len(piece)
    joined, whole = Joined(places), b"".join(pieces)
    assert (joined.size, joined.read(low, high)) == (len(whole), whole[low:high])


@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.truncate(path, 3),
        lambda path: path.write_bytes(b"12345678"),
        lambda path: path.write_bytes(b"abcdefgh and more"),
    ],
)
def test_a_file_that_changes_is_an_error(tmp_path, change):
    path = tmp_path / "file"
    path.write_bytes(b"abcdefgh")
    os.utime(path, (0, 0))
    pinned = PinnedFile.open(path)
    assert pinned.read(2, 99) == b"cdefgh"
    change(path)
    with pytest.raises(ContextError, match="changed while it was in use") as caught:
        pinned.read(2, 5)
    assert caught.value.data["path"] == str(path)


def test_a_file_that_is_removed_or_replaced_stays_what_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abcdefgh")
    pinned = PinnedFile.open(path)
    (tmp_path / "other").write_bytes(b"12345678")
    (tmp_path / "other").replace(path)
    assert pinned.read(0, 8) == b"abcdefgh"


@given(PIECES, st.integers(0, 30))
def test_growing_bytes_move_to_a_file_that_has_no_name(tmp_path_factory, pieces, limit):
    folder: Path = tmp_path_factory.mktemp("grown")
    growing = Growing(lambda: folder, limit)
    for piece in pieces:
        growing.write(piece)
    shared, whole = growing.finish(), b"".join(pieces)
    assert shared.read(0, 999) == whole
    assert isinstance(shared, SealedMemory) == (len(whole) <= limit)
    assert list(folder.iterdir()) == []
    with pytest.raises(OSError, match="Bad file descriptor|not permitted"):
        os.pwrite(shared.number, b"x", 0)


def test_what_is_given_up_leaves_nothing(tmp_path):
    growing = Growing(lambda: tmp_path, 2)
    growing.write(b"abc")
    growing.drop()
    growing.drop()
    assert list(tmp_path.iterdir()) == []
