"""BibTeX, CSL-JSON and the files attached to their entries."""

import json

import made
import pytest

from rlm_dspy.context.context import Context
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.errors import ContextError


@pytest.fixture
def library(tmp_path):
    """A bibliography, one attached file and one that lies outside."""
    folder = tmp_path / "library"
    (folder / "papers").mkdir(parents=True)
    (folder / "refs.bib").write_text(made.BIBTEX)
    made.pdf(folder / "papers/smith.pdf", ["We measured the Heron.", "It is grey."])
    (tmp_path / "outside.pdf").write_bytes((folder / "papers/smith.pdf").read_bytes())
    return folder


def test_entries_are_documents_under_their_keys(library):
    context = Context.from_path(library)
    entry = context.documents[0]
    assert entry.title == "refs.bib#key=smith2020"
    assert str(entry) == (
        "type: article\ntitle: The Grey Überflut\nauthor: Smith, J. and Müller, K.\n"
        "year: 2020\nmonth: January\n"
    )
    assert entry.metadata["citation_key"] == "smith2020"
    assert entry.metadata["year"] == "2020"


def test_attached_files_come_once_behind_it_under_their_keys(library):
    context = Context.from_path(library)
    assert [document.title for document in context.documents] == [
        "refs.bib#key=smith2020",
        "refs.bib#key=vesby2011",
        "refs.bib#key=gone",
        "[@smith2020] papers/smith.pdf#page=1",
        "[@smith2020] papers/smith.pdf#page=2",
    ]
    (hit,) = context.grep("It is grey")
    assert hit.document.metadata["citation_key"] == "smith2020"
    assert hit.path == str(library / "papers/smith.pdf")
    assert "[@smith2020]" in hit.title


def test_a_named_bibliography_brings_its_files(library):
    context = Context.from_paths([library / "refs.bib", library / "papers"])
    assert len(context.documents) == 5


def test_what_is_wrong_is_named(library):
    path = library / "refs.bib"
    assert dict(Context.from_path(library).skipped) == {
        f"{path}#key=vesby2011": "its attached file lies outside the folder of the bibliography: "
        f"{library / '../outside.pdf'}",
        f"{path}#key=gone": "its attached file is not there: papers/gone.pdf",
        f"{path}#line=11": "a broken entry (Unexpectedly reached end of file)",
    }
    with pytest.raises(ContextError, match="a broken entry"):
        Context.from_path(path, ReadOptions(strict=True))


def test_a_link_out_of_the_folder_is_no_attachment(library):
    (library / "papers/gone.pdf").symlink_to(library.parent / "outside.pdf")
    skipped = dict(Context.from_path(library).skipped)
    assert "lies outside the folder" in skipped[f"{library / 'refs.bib'}#key=gone"]


@pytest.mark.parametrize(
    "written",
    [
        "papers/smith.pdf",
        ":papers/smith.pdf:PDF",
        r"A\; B:papers/smith.pdf:application/pdf;Snapshot:papers/gone.html:text/html",
        "papers/smith.pdf;papers/gone.pdf",
    ],
)
def test_attachments_as_programs_write_them(library, written):
    (library / "refs.bib").write_text(f"@misc{{a, title={{T}}, file={{{written}}}}}")
    titles = [document.title for document in Context.from_path(library).documents]
    assert titles[1:] == ["[@a] papers/smith.pdf#page=1", "[@a] papers/smith.pdf#page=2"]


def test_an_excluded_file_is_not_read_for_being_attached(library):
    context = Context.from_path(library, ReadOptions(exclude="papers/"))
    assert len(context.documents) == 3


def test_csl_json(tmp_path):
    entries = json.loads(made.CSL)
    entries[0]["attachments"] = [{"path": "lee.pdf"}]
    (tmp_path / "my.json").write_text(json.dumps(entries))
    made.pdf(tmp_path / "lee.pdf", ["Tides rise."])
    entry, page = Context.from_path(tmp_path).documents
    assert entry.metadata == {
        "kind": "csl",
        "citation_key": "lee2021",
        "title": "On tides",
        "year": "2021",
        "doi": "10.1/x",
    }
    assert "author: Lee, Ann and The Harbour Board\nissued: 2021-03-04\n" in entry
    assert (page.title, page.metadata["citation_key"]) == ("[@lee2021] lee.pdf#page=1", "lee2021")


def test_lone_surrogates_are_replaced(tmp_path):
    entry = '{"id": "a\\ud800", "type": "book", "title": "b\\udfff", "issued": "1999"}'
    (tmp_path / "x.json").write_text(f"[{entry}]")
    (document,) = Context.from_path(tmp_path).documents
    assert document.title == "x.json#key=a\ufffd"
    assert (document.metadata["title"], str(document)) == (
        "b\ufffd",
        "type: book\ntitle: b\ufffd\nissued: 1999\nyear: 1999\n",
    )


def test_what_csl_does_not_have_stands_as_json(tmp_path):
    entry = '{"id": 1, "type": "report", "issued": "1999", "custom": {"berth": {"no": "B7"}}}'
    (tmp_path / "x.json").write_text(f"[{entry}]")
    (document,) = Context.from_path(tmp_path).documents
    assert 'custom: {"berth": {"no": "B7"}}\n' in str(document)


@pytest.mark.parametrize(
    "data",
    [
        *("[]", '[{"id": "a", "type": "order"}]', '{"id": 1}', "[1]"),
        '[{"id": 1, "type": "post", "user": {"name": "Ottilie Roth"}}]',
        '[{"id": 1, "type": "event", "issued": "1999"}, {"type": "event"}]',
        '[{"id": 1, "type": "report", "issued": {"date-parts": [[null]]}}]',
    ],
)
def test_other_json_is_text(tmp_path, data):
    (tmp_path / "x.json").write_text(data)
    (document,) = Context.from_path(tmp_path).documents
    assert (str(document), document.metadata["kind"]) == (data, "json")
