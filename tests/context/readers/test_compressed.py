"""One packed file: logs, anything else, and what is hostile or broken."""

import gzip
import io
import struct
import zlib

import made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy.context.context import Context
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.base import Blob
from rlm_dspy.context.readers.compressed import read
from rlm_dspy.context.readers.limits import ReadLimits
from rlm_dspy.errors import ContextError

LINE = "Über den See, 漢字 😀\n"


@pytest.mark.parametrize("suffix", made.PACKERS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_packed_text_reads_as_if_it_were_not(tmp_path, suffix, encoding):
    path = tmp_path / f"app.log.{suffix}"
    path.write_bytes(made.PACKERS[suffix]((LINE * 2).encode(encoding)))
    (document,) = Context.from_path(path).documents
    assert str(document) == LINE * 2
    assert (document.title, document.path) == (path.name, str(path))
    assert document.metadata["kind"] == "log"


def test_a_text_longer_than_what_is_gathered_in_memory(tmp_path):
    text = LINE * (10 << 20 >> 5)
    path = tmp_path / "app.log.gz"
    path.write_bytes(gzip.compress(text.encode(), 1))
    context = Context.from_path(path)
    assert len(context) == len(text)
    assert context[len(text) // 2 :].startswith(text[len(text) // 2 :][:100])
    assert str(context) == text


@pytest.mark.parametrize("suffix", made.PACKERS)
def test_frames_behind_each_other_are_one_file(tmp_path, suffix):
    pack = made.PACKERS[suffix]
    (tmp_path / f"x.{suffix}").write_bytes(pack(b"first\n") + pack(b"second\n"))
    assert str(Context.from_path(tmp_path / f"x.{suffix}")) == "first\nsecond\n"


def test_what_is_inside_is_read_as_what_it_is(tmp_path):
    made.pdf(tmp_path / "x.pdf", ["The Heron is grey."])
    path = tmp_path / "x.pdf.zst"
    path.write_bytes(made.PACKERS["zst"]((tmp_path / "x.pdf").read_bytes()))
    (document,) = Context.from_path(path).documents
    assert (document.title, document.metadata["page"]) == ("x.pdf.zst#page=1", 1)


@pytest.mark.parametrize("suffix", made.PACKERS)
def test_a_bomb_ends_where_it_goes_too_far(tmp_path, suffix):
    path = tmp_path / f"zeros.txt.{suffix}"
    path.write_bytes(made.PACKERS[suffix](b"0" * (2 << 20)))
    small = ReadOptions(limits=ReadLimits(ratio_above_bytes=1 << 20))
    with pytest.raises(ContextError, match="expands more than 200-fold, as a bomb does"):
        Context.from_path(path, small)
    few = ReadOptions(limits=ReadLimits(expanded_bytes=1_000))
    with pytest.raises(ContextError, match="expands to more than 1,000 bytes"):
        Context.from_path(path, few)


def quine() -> bytes:
    """A gzip file inside of a gzip file, inside of a gzip file."""
    return gzip.compress(gzip.compress(gzip.compress(b"text")))


def test_a_file_packed_again_and_again_is_refused(tmp_path):
    (tmp_path / "x.gz").write_bytes(quine())
    with pytest.raises(ContextError, match="is compressed twice"):
        Context.from_path(tmp_path / "x.gz")


@pytest.mark.parametrize("suffix", made.PACKERS)
def test_a_file_cut_short_is_no_text_cut_short(tmp_path, suffix):
    text = "".join(f"line {n} {n * 7919 % 1009}\n" for n in range(20_000))
    whole = made.PACKERS[suffix](text.encode())
    (tmp_path / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "other.txt").write_text("other")
    context = Context.from_path(tmp_path)
    assert [document.title for document in context.documents] == ["other.txt"]
    ((name, reason),) = context.skipped
    assert name == str(tmp_path / f"cut.{suffix}")
    assert "cannot be read" in reason or "unreadable" in reason


def test_a_zstd_frame_cannot_ask_for_much_memory(tmp_path):
    # A frame header (RFC 8878, 3.1.1.1) whose window is 3.75 TiB.
    frame = b"\x28\xb5\x2f\xfd" + bytes([0b00000000, 0xFF]) + b"\x01\x00\x00"
    (tmp_path / "x.zst").write_bytes(frame)
    with pytest.raises(ContextError, match="cannot be read as zstd"):
        Context.from_path(tmp_path / "x.zst")


@given(st.binary(max_size=3_000), st.lists(st.tuples(st.integers(0, 2), st.integers(0, 400))))
def test_going_to_and_fro_reads_the_same_bytes(data, moves):
    blob = Blob.of_bytes(gzip.compress(data), "x.txt.gz", ReadLimits())
    (inner,) = read(blob, "gzip")
    plain = io.BytesIO(data)
    with inner.opener() as packed:
        for kind, number in moves:
            if kind == 0:
                assert packed.read(number) == plain.read(number)
            elif kind == 1:
                target = min(number, len(data))
                assert packed.seek(target) == plain.seek(target)
            else:
                back = min(number, len(data))
                assert packed.seek(-back, io.SEEK_END) == plain.seek(-back, io.SEEK_END)
            assert packed.tell() == plain.tell()


# What begins as a zip is opened to see which kind it is, and is damaged.
NO_ZIPS = st.binary(max_size=2_000).filter(lambda data: not data.startswith(b"PK"))


@given(NO_ZIPS, st.integers(1, 500))
def test_bytes_are_counted_once_however_often_they_are_read(data, limit):
    blob = Blob.of_bytes(gzip.compress(data), "x.txt.gz", ReadLimits(expanded_bytes=limit))
    try:
        for inner in read(blob, "gzip"):
            for _ in range(3):
                assert inner.read() == data
    except ContextError:
        assert len(data) > limit
    else:
        assert len(data) <= limit


def test_a_wrong_checksum_is_noticed(tmp_path):
    packed = bytearray(gzip.compress(b"text"))
    struct.pack_into("<I", packed, len(packed) - 8, zlib.crc32(b"other"))
    (tmp_path / "x.gz").write_bytes(packed)
    with pytest.raises(ContextError, match="CRC"):
        Context.from_path(tmp_path / "x.gz")


def test_a_packed_file_that_only_begins_as_a_zip_is_named(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"PK\x05\x06 and no more"))
    (tmp_path / "y.txt").write_text("text")
    context = Context.from_path(tmp_path)
    assert str(context) == "text"
    assert [reason for path, reason in context.skipped if path.endswith("x.gz")][0].startswith(
        "damaged archive"
    )
