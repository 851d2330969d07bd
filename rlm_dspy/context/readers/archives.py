"""Zip and tar archives: each member is read as a file of its own kind.

Nothing is ever written to disk. Members that are links, that are no files, that lead out of the
archive or that are encrypted are named and left out; a bomb is refused before it is unpacked where
the archive declares its sizes (zip, tar), and where it goes too far otherwise.
"""

import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from rlm_dspy.context.readers.base import Blob, Skipped
from rlm_dspy.context.readers.limits import Exhausted, Unreadable
from rlm_dspy.context.readers.zips import opened_zip

# What `zipfile` and the decompressors below it raise over one broken member; the rest can be read.
_DAMAGES = (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, zlib.error, lzma.LZMAError)
_DRIVE = re.compile(r"[A-Za-z]:")
_ENCRYPTED = 0x1
_UTF8 = 0x800


def read(blob: Blob, kind: str) -> Iterator[Blob | Skipped]:
    """The members of an archive.

    Args:
        blob: The archive.
        kind: "zip" or "tar".
    """
    if blob.depth > blob.limits.nesting:
        raise Unreadable(f"lies more than {blob.limits.nesting} archives deep")
    return _zip_members(blob) if kind == "zip" else _tar_members(blob)


def _zip_members(blob: Blob) -> Iterator[Blob | Skipped]:
    with opened_zip(blob) as archive:
        for info in archive.infolist():
            name = PurePosixPath(_name_of(info)).as_posix()
            if info.is_dir():
                continue
            if reason := _unsafe(name) or _unfit(info) or _oversized(blob, info.file_size):
                yield _left_out(blob, name, reason)
                continue
            try:
                data = archive.read(info)
            except _DAMAGES as error:
                yield _left_out(blob, name, f"damaged ({error})")
                continue
            blob.allowance.expand(len(data))
            blob.allowance.check_time()
            yield blob.member(name, data, member=name)


def _name_of(info: zipfile.ZipInfo) -> str:
    """A member's name; many programs write UTF-8 without saying so."""
    if info.flag_bits & _UTF8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _unfit(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    return "a link" if stat.S_ISLNK(info.external_attr >> 16) else ""


def _tar_members(blob: Blob) -> Iterator[Blob | Skipped]:
    packed = "compressed" in blob.metadata
    with blob.open() as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        infos = []
        for info in archive:
            infos.append(info)
            if len(infos) > blob.limits.members:
                raise Exhausted(f"has more than {blob.limits.members:,} members")
        blob.allowance.check_expansion(sum(info.size for info in infos))
        for info in infos:
            name = PurePosixPath(info.name).as_posix()
            if info.isdir():
                continue
            kind = "" if info.isfile() else "a link" if info.issym() or info.islnk() else "no file"
            if reason := _unsafe(name) or kind or _oversized(blob, info.size):
                yield _left_out(blob, name, reason)
                continue
            member = archive.extractfile(info)
            if member is None:
                continue
            with member:
                data = member.read()
            if not packed:  # else it was counted when it was unpacked
                blob.allowance.expand(len(data))
            blob.allowance.check_time()
            yield blob.member(name, data, member=name)


def _oversized(blob: Blob, size: int) -> str:
    most = blob.limits.member_bytes
    return f"is larger than {most:,} bytes ({size:,})" if size > most else ""


def _unsafe(name: str) -> str:
    """Why a name is refused, or ""."""
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.name:
        return "has no name"
    if path.is_absolute() or ".." in path.parts or _DRIVE.match(name):
        return "its name leads out of the archive"
    return ""


def _left_out(blob: Blob, name: str, reason: str) -> Skipped:
    return Skipped(f"{blob.place}/{name}", reason, failed=True)
