"""DOCX, XLSX and PPTX, and XML that means harm."""

import zipfile

import docx
import made
import openpyxl
import pytest

from rlm_dspy.context.context import Context
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.limits import ReadLimits
from rlm_dspy.errors import ContextError

# A billion laughs, and a file of the host's, as entities.
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "hahahahahahahahahaha">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]>"
)
FILE = '<!DOCTYPE x [<!ENTITY i SYSTEM "file:///etc/passwd">]>'


def replaced(path, member, change):
    """The same zip with one member's text changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[member] = change(members[member].decode()).encode()
    made.zipped(path, members)


def test_a_docx_is_markdown(tmp_path):
    made.word(tmp_path / "lease.docx")
    (document,) = Context.from_path(tmp_path / "lease.docx").documents
    assert str(document) == (
        "# Lease of the quay\n\nThe tenant is Ottilie Brandt.\n\n## Duties\n\n- Pay in May\n\n"
        "| Berth | Rent |\n| --- | --- |\n| B7 | 1,200 \\| net |\n"
    )
    assert document.metadata == {"kind": "docx", "title": "Contract"}


W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MC = "http://schemas.openxmlformats.org/markup-compatibility/2006"
BODY = f"""<w:sdt xmlns:w="{W}" xmlns:mc="{MC}"><w:sdtContent><w:p>
<w:r><w:t>control </w:t></w:r>
<w:ins><w:r><w:t>inserted </w:t></w:r></w:ins>
<w:del><w:r><w:delText>deleted </w:delText></w:r></w:del>
<w:r><w:fldChar/><w:instrText>HYPERLINK</w:instrText></w:r>
<w:hyperlink><w:r><w:t>linked</w:t><w:tab/><w:t>tab</w:t><w:br/><w:t>line</w:t></w:r></w:hyperlink>
<mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p>
</w:txbxContent></mc:Choice><mc:Fallback><w:p><w:r><w:t>twice</w:t></w:r></w:p></mc:Fallback>
</mc:AlternateContent></w:p></w:sdtContent></w:sdt>"""


def test_a_docx_keeps_what_python_docx_leaves_out(tmp_path):
    document = docx.Document()
    document.add_paragraph("first")
    document.save(str(tmp_path / "x.docx"))
    replaced(
        tmp_path / "x.docx",
        "word/document.xml",
        lambda xml: xml.replace("<w:sectPr", BODY + "<w:sectPr", 1),
    )
    text = str(Context.from_path(tmp_path / "x.docx"))
    assert text == "first\n\ncontrol inserted linked\ttab\nline\nboxed\n"


def test_a_table_in_a_table_is_there_once(tmp_path):
    document = docx.Document()
    cell = document.add_table(1, 2).cell(0, 0)
    for level in range(6):
        cell.paragraphs[0].text = f"level{level}"
        cell = cell.add_table(1, 1).cell(0, 0)
    cell.paragraphs[0].text = "innermost"
    document.save(str(tmp_path / "x.docx"))
    text = str(Context.from_path(tmp_path / "x.docx"))
    assert (text.count("level0"), text.count("innermost")) == (1, 1)


def test_sheets_are_csv_whose_lines_are_their_rows(tmp_path):
    made.workbook(tmp_path / "ships.xlsx")
    context = Context.from_path(tmp_path / "ships.xlsx")
    first, hidden = context.documents
    assert str(first) == 'ship,tons,day\nGrey Heron,120,2026-01-14\n\n\n"Swallow,\nAmber",,TRUE\n'
    assert first.metadata == {"kind": "xlsx", "sheet": "Q1"}
    assert str(hidden) == "\n,1.5\n"
    assert hidden.metadata["hidden"]
    assert hidden.title == "ships.xlsx#sheet=Old numbers"
    assert context.skipped == [(f"{tmp_path / 'ships.xlsx'}#sheet=Empty", "empty")]
    assert context.grep("Grey Heron")[0].line == 2


def test_a_cell_far_out_does_not_make_a_huge_sheet(tmp_path):
    book = openpyxl.Workbook()
    book.active["XFD1048576"] = "far"
    book.save(tmp_path / "x.xlsx")
    with pytest.raises(ContextError, match="has more than 100,000 cells"):
        Context.from_path(tmp_path / "x.xlsx", ReadOptions(limits=ReadLimits(cells=100_000)))


def test_slides_are_documents(tmp_path):
    made.slides(tmp_path / "plan.pptx")
    first, second = Context.from_path(tmp_path / "plan.pptx").documents
    assert str(first) == "Plan\n\nDredge the basin\n\nNotes: Say it slowly\n"
    assert str(second) == "Costs\n\n| Dredger | 4 million |\n"
    assert (second.title, second.metadata["slide"]) == ("plan.pptx#slide=2", 2)


@pytest.mark.parametrize("doctype", [BOMB, FILE])
@pytest.mark.parametrize(
    ("make", "name", "member"),
    [
        (made.word, "x.docx", "word/document.xml"),
        (made.workbook, "x.xlsx", "xl/worksheets/sheet1.xml"),
        (made.workbook, "x.xlsx", "xl/workbook.xml"),
        (made.slides, "x.pptx", "ppt/slides/slide1.xml"),
    ],
)
def test_entities_are_never_expanded(tmp_path, doctype, make, name, member):
    make(tmp_path / name)

    def hostile(xml: str) -> str:
        declared, _, rest = xml.partition("?>") if xml.startswith("<?xml") else ("", "", xml)
        head = f"{declared}?>" if declared else ""
        return head + doctype + rest.replace("Grey Heron", "&i;").replace("Duties", "&i;")

    replaced(tmp_path / name, member, hostile)
    (tmp_path / "y.txt").write_text("other")
    context = Context.from_path(tmp_path)
    assert len(context) < 2_000
    assert "haha" not in context
    assert "root:" not in context


def test_encrypted_and_old_documents_are_named(tmp_path):
    for name in ("x.docx", "y.xls"):
        (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    made.zipped(tmp_path / "z.xlsb", {"xl/workbook.bin": b"\0"})
    (tmp_path / "text.txt").write_text("text")
    reasons = dict(Context.from_path(tmp_path).skipped)
    assert "encrypted or old" in reasons[str(tmp_path / "x.docx")]
    assert "encrypted or old" in reasons[str(tmp_path / "y.xls")]
    assert "binary workbook" in reasons[str(tmp_path / "z.xlsb")]


@pytest.mark.parametrize(
    ("make", "name"), [(made.word, "x.zip"), (made.workbook, "y"), (made.slides, "z.docx")]
)
def test_an_office_document_is_known_by_what_is_in_it(tmp_path, make, name):
    make(tmp_path / name)
    assert Context.from_path(tmp_path / name).documents[0].metadata["kind"] in (
        "docx",
        "xlsx",
        "pptx",
    )


def test_a_document_that_would_fill_memory_is_refused(tmp_path):
    made.word(tmp_path / "x.docx")
    with zipfile.ZipFile(tmp_path / "x.docx", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/other.xml", bytes(65 << 20))
    with pytest.raises(ContextError, match="too much to parse|as a bomb does"):
        Context.from_path(tmp_path / "x.docx")
