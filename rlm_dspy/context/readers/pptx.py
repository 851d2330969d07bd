"""PPTX: one document a slide, with its number, tables and speaker's notes."""

from collections.abc import Iterator
from typing import Any

from rlm_dspy.context.readers.base import Blob, Part, needed
from rlm_dspy.context.readers.limits import Unreadable
from rlm_dspy.context.readers.zips import check_office


def read(blob: Blob, kind: str) -> Iterator[Part]:
    """The slides.

    Args:
        blob: The file.
        kind: "pptx".
    """
    pptx = needed("pptx", "python-pptx")
    check_office(blob)
    with blob.open() as stream:
        slides = list(pptx.Presentation(stream).slides)
    if len(slides) > blob.limits.pages:
        raise Unreadable(f"has {len(slides):,} slides, more than {blob.limits.pages:,}")
    for number, slide in enumerate(slides, 1):
        blob.allowance.check_time()
        blocks = [text for shape in slide.shapes for text in _texts(shape)]
        if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame):
            blocks.append(f"Notes: {notes.text}" if notes.text.strip() else "")
        text = "\n\n".join(block.replace("\v", "\n").strip() for block in blocks if block.strip())
        if text:
            yield blob.part(f"{text}\n", f"slide={number}", kind=kind, slide=number)


def _texts(shape: Any) -> Iterator[str]:
    if shape.has_text_frame:
        yield shape.text_frame.text
    elif shape.has_table:
        yield "\n".join(
            f"| {' | '.join(' '.join(cell.text.split()) for cell in row.cells)} |"
            for row in shape.table.rows
        )
    for inner in getattr(shape, "shapes", ()):  # a group
        yield from _texts(inner)
