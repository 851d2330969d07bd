"""Opening a zip, which an office document is too, without falling for a hostile one.

Promised before anything is unpacked: the directory is small enough to be held, the members are not
too many, and what they declare to expand to is no bomb (`zipfile` never gives more than a member
declares, and refuses members that overlap).
"""

import struct
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from typing import BinaryIO

from rlm_dspy.context.readers.base import Blob
from rlm_dspy.context.readers.limits import Exhausted, Unreadable

# The records at the end of a zip (PKWARE APPNOTE 4.3.14 to 4.3.16).
_END, _END_BYTES = b"PK\x05\x06", 22
_END64, _END64_BYTES = b"PK\x06\x06", 56
_COMMENT_BYTES = 1 << 16
_ENTRY_BYTES = 46  # a directory entry without its name
_LONGEST_NAME = 200
# A tree takes some ten times the memory of the XML that it is of.
_MOST_TREE_BYTES = 64 << 20


@contextmanager
def opened_zip(blob: Blob) -> Generator[zipfile.ZipFile]:
    """The archive of a blob, closed at the end of the block.

    Raises:
        Unreadable: It is no zip, or damaged.
        Exhausted: It is too big to unpack.
    """
    with blob.open() as stream:
        _check_directory(stream, blob.limits.members)
        try:
            archive = zipfile.ZipFile(stream)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
            raise Unreadable(f"damaged archive ({error})") from error
        with archive:
            infos = archive.infolist()
            if len(infos) > blob.limits.members:
                raise Exhausted(f"has more than {blob.limits.members:,} members")
            blob.allowance.check_expansion(sum(info.file_size for info in infos))
            yield archive


def _check_directory(stream: BinaryIO, members: int) -> None:
    """Refuse a directory that cannot be one of so few members, before it is read into memory."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _COMMENT_BYTES - _END_BYTES - _END64_BYTES - 20))
    tail = stream.read()
    stream.seek(0)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise Unreadable("damaged archive (it has no end)")
    (directory,) = struct.unpack_from("<I", tail, at + 12)
    end64 = tail.rfind(_END64, 0, at)
    if 0 <= end64 <= len(tail) - _END64_BYTES:
        directory = max(directory, *struct.unpack_from("<Q", tail, end64 + 40))
    if directory != 0xFFFFFFFF and directory > members * (_ENTRY_BYTES + _LONGEST_NAME):
        raise Exhausted(f"has more than {members:,} members")


def check_office(blob: Blob) -> None:
    """Refuse an office document whose XML is too much to be held as a tree.

    Raises:
        Unreadable: It is.
    """
    with opened_zip(blob) as archive:
        infos = archive.infolist()
        size = sum(info.file_size for info in infos)
        trees = sum(info.file_size for info in infos if info.filename.endswith((".xml", ".rels")))
    if size > blob.limits.parsed_bytes or trees > _MOST_TREE_BYTES:
        raise Unreadable(f"holds {size:,} bytes, {trees:,} of them XML: too much to parse")
