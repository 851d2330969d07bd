"""A long text is decoded piece by piece, and says the same as a short one."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import TEXTS

from rlm_dspy.context import Context, in_place, ingest
from rlm_dspy.context.encodings import BinaryData, as_utf8, decoded

GERMAN = "Während der Sitzung erklärte die Präsidentin, dass die Brücke geöffnet würde.\n"
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "latin-1"]


@given(TEXTS | st.just(GERMAN * 9), st.sampled_from(ENCODINGS))
def test_pieces_are_the_whole(text, encoding):
    raw = text.encode(encoding, "replace")
    try:
        data, known = as_utf8(raw)
    except BinaryData:
        with pytest.raises(BinaryData):
            "".join(decoded(lambda: io.BytesIO(raw))[0])
        return
    pieces, metadata = decoded(lambda: io.BytesIO(raw))
    assert ("".join(pieces).encode(), metadata) == (data, known)


def test_what_shows_late_is_noticed():
    ascii_text = b"plain text\n" * 200_000
    raw = ascii_text + GERMAN.encode("cp1252")
    pieces, metadata = decoded(lambda: io.BytesIO(raw))
    assert "".join(pieces).endswith(GERMAN)
    assert metadata["encoding_guessed"]


def test_a_large_file_in_another_encoding(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "IN_PLACE_BYTES", 1 << 10)
    monkeypatch.setattr(in_place, "IN_PLACE_BYTES", 1 << 10)
    (tmp_path / "a.txt").write_bytes((GERMAN * 100).encode("cp1252"))
    (tmp_path / "b.bin").write_bytes(b"\0" * 5000)
    context = Context.from_path(tmp_path)
    assert str(context) == GERMAN * 100
    assert [reason for _, reason in context.skipped] == ["binary (it has zero bytes)"]


def test_a_text_that_begins_as_a_parquet_file_does(tmp_path):
    (tmp_path / "a.txt").write_text("PAR1 of the course is long.")
    assert str(Context.from_path(tmp_path / "a.txt")) == "PAR1 of the course is long."
