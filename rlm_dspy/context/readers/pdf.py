"""PDF: one document a page, with its number; pages without text give their images instead."""

from collections.abc import Iterator
from typing import Any

from rlm_dspy.context.kinds import mime_of
from rlm_dspy.context.readers.base import Blob, Part, Picture, Skipped, needed, parsing
from rlm_dspy.context.readers.limits import Exhausted, Unreadable

_MOST_PICTURES = 20


def read(blob: Blob, kind: str) -> Iterator[Part | Skipped]:
    """The pages of a PDF.

    Args:
        blob: The file.
        kind: "pdf".
    """
    pypdf = needed("pypdf", "pypdf")
    with blob.open() as stream:
        document = pypdf.PdfReader(stream)
        if document.is_encrypted and not _unlocked(document):
            raise Unreadable("encrypted: save a copy without its password")
        pages = len(document.pages)
        if pages > blob.limits.pages:
            raise Unreadable(f"has {pages:,} pages, more than {blob.limits.pages:,}")
        about = {"kind": kind, "pages": pages, **_headed(document)}
        for number in range(1, pages + 1):
            blob.allowance.check_time()
            fragment = f"page={number}"  # as in RFC 8118, so that the title opens there
            try:
                with parsing("a page"):
                    page = document.pages[number - 1]
                    text = _text_of(page, blob)
                    blank = not text and not len(page.images)
            except Exhausted:
                raise
            except Unreadable as error:
                yield blob.skipped(fragment, str(error))
                continue
            if blank:
                yield blob.skipped(fragment, "no text and no image", failed=False)
                continue
            pictures = None if text else lambda page=page: _pictures(page)
            yield blob.part(text, fragment, pictures, page=number, **about)


def _unlocked(document: Any) -> bool:
    """Whether it opens without a password, as those do that only forbid printing."""
    with parsing("an encrypted PDF"):
        return bool(document.decrypt(""))


def _headed(document: Any) -> dict[str, str]:
    try:
        with parsing("PDF metadata"):
            title = document.metadata.title if document.metadata else None
    except Unreadable:
        return {}
    return {"title": str(title)} if title else {}


def _text_of(page: Any, blob: Blob) -> str:
    # Called at every operation of the page, which may nest forms that nest forms; the parser takes
    # an error there for the form's and goes on behind it, so look once more at the end.
    text = page.extract_text(visitor_operand_before=lambda *_: blob.allowance.check_time())
    blob.allowance.check_time()
    text = text.encode("utf-8", "replace").decode().strip()
    return f"{text}\n" if text else ""


def _pictures(page: Any) -> Iterator[Picture]:
    for image in list(page.images)[:_MOST_PICTURES]:
        yield Picture(image.data, mime_of(image.data))
