"""PDF: pages, scans, encryption, damage and limits."""

import made
import pypdf
import pytest
from pypdf.generic import DecodedStreamObject, NameObject

from rlm_dspy.context.context import Context
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.limits import ReadLimits
from rlm_dspy.errors import ContextError


def test_each_page_is_a_document_that_a_citation_can_open(tmp_path):
    path = tmp_path / "report.pdf"
    made.pdf(path, ["The Heron is grey.", "It has 120 tons."])
    context = Context.from_path(path)
    first, second = context.documents
    assert (first.title, second.title) == ("report.pdf#page=1", "report.pdf#page=2")
    assert second.path == str(path)
    assert second.metadata == {"kind": "pdf", "page": 2, "pages": 2, "title": "Harbour report"}
    assert str(second) == "It has 120 tons.\n"
    (hit,) = context.grep("120 tons")
    assert (hit.document.metadata["page"], hit.line) == (2, 1)


def test_a_page_without_text_is_named_and_the_others_are_read(tmp_path):
    path = tmp_path / "report.pdf"
    made.pdf(path, ["The Heron is grey.", "", "It has 120 tons."])
    context = Context.from_path(path)
    assert [document.metadata["page"] for document in context.documents] == [1, 3]
    reason = "no text, only an image: a vision model can read it (describe=, --vision-model)"
    assert context.skipped == [(f"{path}#page=2", reason)]


def test_a_blank_page_is_none_to_look_at(tmp_path):
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(tmp_path / "blank.pdf")
    with pytest.raises(ContextError, match="no text and no image"):
        Context.from_path(tmp_path / "blank.pdf")


@pytest.mark.parametrize("user", ["b", ""])
def test_only_what_needs_a_password_is_encrypted(tmp_path, user):
    path = tmp_path / "secret.pdf"
    made.pdf(path, ["The Heron is grey."], owner_password="a", user_password=user)
    if user:
        with pytest.raises(ContextError, match=r"secret\.pdf.*encrypted"):
            Context.from_path(path)
    else:  # no password to open it, one to change it
        assert str(Context.from_path(path)) == "The Heron is grey.\n"


def test_a_pdf_is_known_by_its_content(tmp_path):
    made.pdf(tmp_path / "x.pdf", ["The Heron is grey."])
    data = (tmp_path / "x.pdf").read_bytes()
    (tmp_path / "x.txt").write_bytes(data)
    (tmp_path / "late.pdf").write_bytes(b"mail header\n" + data)
    for name in ("x.txt", "late.pdf"):
        assert str(Context.from_path(tmp_path / name)) == "The Heron is grey.\n"
    (tmp_path / "text.pdf").write_text("only text")
    assert str(Context.from_path(tmp_path / "text.pdf")) == "only text"


def test_a_damaged_file_is_named(tmp_path):
    made.pdf(tmp_path / "x.pdf", ["The Heron is grey."])
    data = (tmp_path / "x.pdf").read_bytes()
    (tmp_path / "x.pdf").write_bytes(data[: len(data) // 4])
    with pytest.raises(ContextError, match=r"x\.pdf.*cannot be read as pdf"):
        Context.from_path(tmp_path / "x.pdf")


def test_a_limit_on_pages(tmp_path):
    made.pdf(tmp_path / "x.pdf", ["a", "b", "c"])
    with pytest.raises(ContextError, match="has 3 pages, more than 2"):
        Context.from_path(tmp_path / "x.pdf", ReadOptions(limits=ReadLimits(pages=2)))


def test_a_page_that_would_take_long_ends_in_time(tmp_path):
    made.pdf(tmp_path / "x.pdf", ["text"])
    writer = pypdf.PdfWriter(clone_from=tmp_path / "x.pdf")
    content = DecodedStreamObject()
    content.set_data(b"BT /F1 12 Tf (a) Tj ET " * 20_000)
    writer.pages[0][NameObject("/Contents")] = writer._add_object(content)
    writer.write(tmp_path / "long.pdf")
    with pytest.raises(ContextError, match=r"takes longer than 0\.02 seconds to parse"):
        Context.from_path(tmp_path / "long.pdf", ReadOptions(limits=ReadLimits(seconds=0.02)))
