"""DOCX as Markdown, one document a file, since where its pages break only Word knows.

Read from the document's own XML, since python-docx's paragraphs leave out what is in content
controls, text boxes and tracked insertions. Deletions are left out; footnotes and endnotes follow
the text.
"""

import re
from collections.abc import Iterator
from typing import Any

from rlm_dspy.context.readers.base import Blob, Part, needed
from rlm_dspy.context.readers.limits import Allowance
from rlm_dspy.context.readers.zips import check_office

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_NOTES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}notes"
# Subtrees whose text is not the document's: deleted, moved away, or there twice.
_LEFT_OUT = {f"{_W}del", f"{_W}moveFrom", f"{_W}instrText", f"{_W}pPr", f"{_W}rPr", _FALLBACK}
_SPACES = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_HEADING = re.compile(r"heading (\d)", re.I)


def read(blob: Blob, kind: str) -> Iterator[Part]:
    """The document.

    Args:
        blob: The file.
        kind: "docx".
    """
    docx = needed("docx", "python-docx")
    check_office(blob)
    with blob.open() as stream:
        document = docx.Document(stream)
    styles = {style.style_id: style.name or "" for style in document.styles}
    blocks = list(_blocks(document.element.body, styles, blob.allowance))
    for name in ("foot", "end"):
        blocks += _notes(document.part, _NOTES.format(name), styles, blob.allowance)
    title = document.core_properties.title
    metadata = {"kind": kind, **({"title": title} if title else {})}
    yield blob.part("\n\n".join(blocks) + "\n", **metadata)


def _blocks(element: Any, styles: dict[str, str], allowance: Allowance) -> Iterator[str]:
    for child in element:
        allowance.check_time()
        if child.tag == f"{_W}p":
            if text := _paragraph(child, styles):
                yield text
        elif child.tag == f"{_W}tbl":
            yield _table(child, styles, allowance)
        elif child.tag not in _LEFT_OUT and isinstance(child.tag, str):
            yield from _blocks(child, styles, allowance)


def _paragraph(paragraph: Any, styles: dict[str, str]) -> str:
    text = "".join(_text(paragraph)).strip()
    properties = paragraph.find(f"{_W}pPr")
    if not text or properties is None:
        return text
    style = properties.find(f"{_W}pStyle")
    name = styles.get(style.get(f"{_W}val"), "") if style is not None else ""
    if found := _HEADING.match(name):
        return f"{'#' * int(found[1])} {text}"
    if name == "Title":
        return f"# {text}"
    listed = properties.find(f"{_W}numPr") is not None or name.startswith("List ")
    return f"- {text}" if listed else text


def _text(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == f"{_W}t":
            yield child.text or ""
        elif child.tag in _SPACES:
            yield _SPACES[child.tag]
        elif child.tag in (f"{_W}footnoteReference", f"{_W}endnoteReference"):
            yield f"[^{child.get(f'{_W}id')}]"
        elif child.tag == f"{_W}txbxContent":
            yield from (f"\n{''.join(_text(each))}\n" for each in child)
        elif child.tag not in _LEFT_OUT:
            yield from _text(child)


def _table(table: Any, styles: dict[str, str], allowance: Allowance) -> str:
    rows = [
        [" ".join(" ".join(_blocks(cell, styles, allowance)).split()) for cell in _of(row, "tc")]
        for row in _of(table, "tr")
    ]
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    lines[1:1] = [f"|{' --- |' * len(rows[0])}"] if rows else []
    return "\n".join(lines)


def _of(element: Any, name: str) -> Iterator[Any]:
    """The rows of a table, or the cells of a row: not those of a table inside a cell of it."""
    for child in element:
        if child.tag == f"{_W}{name}":
            yield child
        elif child.tag not in {f"{_W}tc", *_LEFT_OUT} and isinstance(child.tag, str):
            yield from _of(child, name)  # content controls and the like


def _notes(part: Any, kind: str, styles: dict[str, str], allowance: Allowance) -> list[str]:
    parse = needed("docx.oxml.parser", "python-docx").parse_xml
    return [
        f"[^{note.get(f'{_W}id')}]: {text}"
        for relation in part.rels.values()
        if relation.reltype == kind and not relation.is_external
        for note in parse(relation.target_part.blob)
        if (text := " ".join(_blocks(note, styles, allowance)))
    ]
