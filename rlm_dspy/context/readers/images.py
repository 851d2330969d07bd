"""Image files: one document each, or a page of a TIFF, whose text someone has to describe."""

import io
from collections.abc import Iterator
from typing import Any

from rlm_dspy.context.kinds import mime_of
from rlm_dspy.context.readers.base import Blob, Part, Picture, needed
from rlm_dspy.context.readers.limits import Unreadable

# What models take; anything else is turned into PNG.
_TAKEN = {"image/png", "image/jpeg", "image/gif", "image/webp"}


def read(blob: Blob, kind: str) -> Iterator[Part]:
    """The image, or the images of a TIFF.

    Args:
        blob: The file.
        kind: "image".
    """
    mime = mime_of(blob.head)
    if mime in _TAKEN:
        yield blob.part("", "", lambda: [Picture(blob.read(), mime)], kind=kind)
        return
    image_of = needed("PIL.Image", "pillow")
    with blob.open() as stream, image_of.open(stream) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > blob.limits.pages:
            raise Unreadable(f"has {frames:,} pages, more than {blob.limits.pages:,}")
        for number in range(frames):
            image.seek(number)
            about: dict[str, Any] = {"kind": kind, **({"page": number + 1} if frames > 1 else {})}
            fragment = f"page={number + 1}" if frames > 1 else ""
            yield blob.part("", fragment, lambda: [_png(image)], **about)


def taken(picture: Picture) -> Picture:
    """A picture as models take it.

    Raises:
        Unreadable: It is no image that can be turned into one, or pillow is not installed.
    """
    if picture.mime in _TAKEN:
        return picture
    with needed("PIL.Image", "pillow").open(io.BytesIO(picture.data)) as image:
        return _png(image)


def _png(image: Any) -> Picture:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "PNG")
    return Picture(buffer.getvalue(), "image/png")
