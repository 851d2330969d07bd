"""Files, folders, standard input, and every way they can be wrong."""

import codecs
import io
import os
from pathlib import Path

import pytest

from rlm_dspy.context.context import Context
from rlm_dspy.context.ingest import read_stdin
from rlm_dspy.errors import ContextError

PARAGRAPH = (
    "Während der Sitzung erklärte die Präsidentin, dass die Brücke über den Fluß im nächsten "
    "Frühjahr geöffnet würde; für Fußgänger schon früher. Äußerungen darüber fielen später.\n"
)


def test_a_file_is_one_document(tmp_path):
    path = tmp_path / "note.md"
    path.write_bytes("# Über\r\n\r\nzwei\n".encode())
    context = Context.from_path(path)
    assert str(context) == "# Über\r\n\r\nzwei\n"
    (document,) = context.documents
    assert (document.title, document.path) == ("note.md", str(path))
    assert document.metadata == {"encoding": "utf-8", "kind": "markdown"}
    assert Context.from_path(str(path)) == context


def test_a_folder_is_its_text_files_in_order(tmp_path):
    files = {
        "b.txt": b"bee",
        "a/deep/x.log": b"x",
        "a/A.txt": b"ay",
        "C.md": b"see",
        ".hidden": b"h",
        ".git/config": b"g",
        "empty.txt": b"\n",
        "image.txt": b"\x89PNG\r\n\x1a\n\0\0",
        "zeros.bin": b"ab\0\0\0cd",
        "doc.pdf": b"%PDF-1.7 ...",
    }
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    context = Context.from_path(tmp_path)
    titles = [document.title for document in context.documents]
    assert titles == ["a/A.txt", "a/deep/x.log", "b.txt", "C.md"]
    assert "===== a/A.txt =====\nay\n\n===== a/deep/x.log =====" in context
    assert context.grep("bee")[0].path == str(tmp_path / "b.txt")
    skipped = {Path(path).name: reason for path, reason in context.skipped}
    assert skipped == {
        ".hidden": "hidden",
        ".git": "hidden",
        "empty.txt": "empty",
        "image.txt": "an image: a vision model can read it (describe=, --vision-model)",
        "zeros.bin": "binary (it has zero bytes)",
        "doc.pdf": skipped["doc.pdf"],
    }
    assert skipped["doc.pdf"].startswith("cannot be read as pdf")
    assert "6 files left out" in context.describe()


def test_links_out_of_a_folder_are_not_followed(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside, inside / "sub"):
        folder.mkdir()
    (inside / "a.txt").write_text("a")
    (outside / "secret.txt").write_text("s")
    (inside / "file").symlink_to(outside / "secret.txt")
    (inside / "folder").symlink_to(outside)
    (inside / "sub" / "up").symlink_to(inside)
    (inside / "sub" / "same").symlink_to(inside / "a.txt")
    (inside / "gone").symlink_to(inside / "nothing")
    os.mkfifo(inside / "pipe")
    context = Context.from_path(inside)
    assert [document.title for document in context.documents] == ["a.txt", "sub/same"]
    reasons = {Path(path).name: reason for path, reason in context.skipped}
    assert reasons == {
        "file": "a link that leads out of the folder",
        "folder": "a link that leads out of the folder",
        "up": "a link to a folder",
        "gone": "not a regular file",
        "pipe": "not a regular file",
    }


def test_several_paths_keep_their_order(tmp_path):
    (tmp_path / "z.txt").write_text("zet")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "a.txt").write_text("ay")
    context = Context.from_paths([tmp_path / "z.txt", str(tmp_path / "dir")])
    assert [str(document) for document in context.documents] == ["zet", "ay"]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (codecs.BOM_UTF8 + PARAGRAPH.encode(), "utf-8"),
        (PARAGRAPH.encode("utf-16"), "utf-16-le"),
        (codecs.BOM_UTF16_BE + PARAGRAPH.encode("utf-16-be"), "utf-16-be"),
        (PARAGRAPH.encode("utf-32"), "utf-32-le"),
        (PARAGRAPH.encode("utf-16-le"), "utf-16-le"),
        (PARAGRAPH.encode("utf-16-be"), "utf-16-be"),
        (PARAGRAPH.encode("cp1252") * 3, None),
        (PARAGRAPH.encode("latin-1") * 3, None),
    ],
)
def test_any_encoding_is_read_and_noted(tmp_path, data, encoding):
    (tmp_path / "text.txt").write_bytes(data)
    (document,) = Context.from_path(tmp_path / "text.txt").documents
    assert document.startswith(PARAGRAPH)
    assert encoding in (None, document.metadata["encoding"])
    marked = data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    assert document.metadata.get("encoding_guessed", False) != marked


def test_a_character_across_the_checked_pieces_is_valid(tmp_path):
    text = "x" * ((1 << 20) - 1) + "😀" + "y" * 10
    (tmp_path / "t").write_text(text, encoding="utf-8")
    assert Context.from_path(tmp_path / "t") == text
    (tmp_path / "cut").write_bytes(text.encode()[: (1 << 20) + 1])
    assert "encoding_guessed" in Context.from_path(tmp_path / "cut").documents[0].metadata


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("missing.txt", None, "no such file or folder.*from_text"),
        ("", None, '"" is not a path'),
        ("empty.txt", b"", "nothing that can be read .empty"),
        ("blank.txt", b" \n\t", "nothing that can be read .empty"),
        ("program", b"\x7fELF\x02\x01", r"binary \(a program"),
        ("sheet.xlsx", b"PK\x03\x04...", "damaged archive"),
        ("zeros", b"abc\0def\0\0", r"binary \(it has zero bytes"),
        ("broken", codecs.BOM_UTF16_LE + b"abc", r"binary \(not utf-16-le"),
        ("x" * 300, None, "cannot be read"),
        ("nul\0byte", None, "cannot be read"),
        ("empty.txt/below", None, "cannot be read|no such file"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, name, data, message):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    path = str(tmp_path / name) if name else ""
    with pytest.raises(ContextError, match=message) as caught:
        Context.from_path(path)
    assert caught.value.data["path"] == path
    assert path in str(caught.value)


def test_a_folder_without_text_is_named(tmp_path):
    (tmp_path / ".hidden").write_text("h")
    (tmp_path / "zeros").write_bytes(b"\0\0")
    with pytest.raises(ContextError, match=r"nothing that can be read \(.*zeros: binary") as caught:
        Context.from_path(tmp_path)
    assert len(caught.value.data["skipped"]) == 2


def test_no_path_at_all():
    with pytest.raises(ContextError, match="at least one path"):
        Context.from_paths([])


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


def test_standard_input():
    for encoding in ("utf-8", "utf-16"):
        reading = read_stdin(stream=io.BytesIO("häh".encode(encoding)))
        (source,) = reading
        assert (source.data, source.title, source.path) == (b"h\xc3\xa4h", None, None)
        assert reading.skipped == []
    with pytest.raises(ContextError, match=r"standard input: .*\(empty"):
        list(read_stdin(stream=io.BytesIO(b"")))
    with pytest.raises(ContextError, match="standard input: .* gzip"):
        list(read_stdin(stream=io.BytesIO(b"\x1f\x8b\x08")))
    with pytest.raises(ContextError, match="Nothing is piped"):
        read_stdin(stream=Terminal(b"typed"))
