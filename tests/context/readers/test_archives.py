"""Archives: members as documents, and every way in which one can be hostile."""

import io
import stat
import struct
import tarfile
import zipfile

import made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy.context.context import Context
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.limits import ReadLimits
from rlm_dspy.errors import ContextError

KEPT = {"a/kept.txt": b"kept\n"}


def titles(context):
    return [document.title for document in context.documents]


def reasons(context, path):
    return {name.removeprefix(str(path)): reason for name, reason in context.skipped}


@pytest.mark.parametrize("mode", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_members_are_documents_that_know_their_archive(tmp_path, mode):
    path = tmp_path / ("old.zip" if mode == "zip" else f"old.tar.{mode[2:]}".rstrip("."))
    members = {"./a/old.txt": b"Heron 1999\n", "b.html": made.HTML.encode(), "c.bin": b"\0\1\2"}
    members["d.log.gz"] = made.PACKERS["gz"](b"Heron 1997\n")
    made.zipped(path, members) if mode == "zip" else made.tarred(path, members, mode)
    context = Context.from_path(path)
    assert titles(context) == [f"{path.name}/{n}" for n in ("a/old.txt", "b.html", "d.log.gz")]
    first, page, _ = context.documents
    assert (first.path, first.metadata["member"]) == (str(path), "a/old.txt")
    assert page.metadata["title"] == "Tide tables"
    assert [hit.text for hit in context.grep("Heron 199[79]")] == ["Heron 1999", "Heron 1997"]
    assert reasons(context, path) == {"/c.bin": "binary (it has zero bytes)"}


def hostile_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("../out.txt", "/etc/passwd", "a/../../b", "C:\\x.txt", "..\\up.txt"):
            archive.writestr(name, "leads out")
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a/kept.txt", KEPT["a/kept.txt"])


def hostile_tar(path):
    with tarfile.open(path, "w") as archive:
        for name in ("../out.txt", "/etc/passwd", "a/../../b", "..\\up.txt"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        for name, kind in (
            ("link.txt", tarfile.SYMTYPE),
            ("hard.txt", tarfile.LNKTYPE),
            ("device", tarfile.CHRTYPE),
            ("pipe", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("a/kept.txt")
        info.size = len(KEPT["a/kept.txt"])
        archive.addfile(info, io.BytesIO(KEPT["a/kept.txt"]))


@pytest.mark.parametrize("make", [hostile_zip, hostile_tar])
def test_what_leads_out_of_an_archive_is_refused_by_name(tmp_path, make):
    path = tmp_path / "hostile"
    make(path)
    context = Context.from_path(path)
    assert titles(context) == ["hostile/a/kept.txt"]
    found = reasons(context, path)
    assert {found.pop(n) for n in list(found) if "link" in n or "hard" in n} == {"a link"}
    assert {found.pop(n) for n in list(found) if "device" in n or "pipe" in n} <= {"no file"}
    assert set(found.values()) == {"its name leads out of the archive"}
    assert len(found) >= 4
    with pytest.raises(ContextError, match="leads out of the archive"):
        Context.from_path(path, ReadOptions(strict=True))


NAMES = st.text(alphabet="ab./\\:C \u00e9", min_size=1, max_size=12)


@pytest.mark.slow
@given(st.dictionaries(NAMES, st.just(b"text"), min_size=1, max_size=8), st.booleans())
def test_no_title_leads_out_whatever_the_names_are(tmp_path_factory, members, as_zip):
    path = tmp_path_factory.mktemp("names") / "x"
    made.zipped(path, {**members, **KEPT}) if as_zip else made.tarred(path, {**members, **KEPT})
    context = Context.from_path(path)
    for document in context.documents:
        member = document.metadata["member"]
        parts = member.replace("\\", "/").split("/")
        assert ".." not in parts
        assert not member.startswith(("/", "\\", "C:"))
        assert not any(part.startswith(".") for part in parts[:1])
    assert "x/a/kept.txt" in titles(context)


def test_an_encrypted_member_is_named_and_the_rest_is_read(tmp_path):
    path = tmp_path / "x.zip"
    made.zipped(path, {"secret.txt": b"secret", **KEPT})
    data = bytearray(path.read_bytes())
    # The flag in the local header and in the directory says that the first member is encrypted.
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    context = Context.from_path(path)
    assert titles(context) == ["x.zip/a/kept.txt"]
    assert reasons(context, path) == {"/secret.txt": "encrypted"}


def test_a_damaged_member_is_named_and_the_rest_is_read(tmp_path):
    path = tmp_path / "x.zip"
    made.zipped(path, {"bad.txt": b"some text " * 20, **KEPT})
    data = bytearray(path.read_bytes())
    data[14] ^= 0xFF  # its checksum
    data[data.index(b"PK\x01\x02") + 16] ^= 0xFF
    path.write_bytes(data)
    context = Context.from_path(path)
    assert titles(context) == ["x.zip/a/kept.txt"]
    assert "damaged" in reasons(context, path)["/bad.txt"]


def test_members_whose_bytes_cannot_be_unpacked(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, how in (("a.txt", zipfile.ZIP_DEFLATED), ("b.txt", zipfile.ZIP_LZMA)):
            archive.writestr(name, b"some text " * 20, how)
        archive.writestr("kept.txt", "kept")
    data = bytearray(path.read_bytes())
    for name in (b"a.txt", b"b.txt"):
        start = data.index(name) + len(name)
        data[start : start + 20] = b"\xff" * 20
    path.write_bytes(data)
    context = Context.from_path(path)
    assert titles(context) == ["x.zip/kept.txt"]
    found = reasons(context, path)
    assert "damaged" in found["/a.txt"]
    assert "damaged" in found["/b.txt"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_refused_before_anything_of_it_is_read(tmp_path, kind):
    path = tmp_path / f"bomb.{kind}"
    members = {**KEPT, **{f"{n}.txt": bytes(1 << 18) for n in range(5)}}
    made.zipped(path, members) if kind == "zip" else made.tarred(path, members, "w:gz")
    assert path.stat().st_size < 1 << 13
    options = ReadOptions(limits=ReadLimits(ratio_above_bytes=1 << 20))
    with pytest.raises(ContextError, match="expands more than 200-fold"):
        Context.from_path(path, options)
    (tmp_path / "z.txt").write_text("after it")
    context = Context.from_path(tmp_path, options)
    assert titles(context) == ["z.txt"]
    assert "bomb" in reasons(context, tmp_path)[f"/bomb.{kind}"]


def test_a_zip_that_lies_about_its_sizes_gives_no_more_than_it_declares(tmp_path):
    path = tmp_path / "x.zip"
    made.zipped(path, {"big.txt": b"a" * 100_000, **KEPT})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    struct.pack_into("<I", data, at, 10)
    path.write_bytes(data)
    context = Context.from_path(path)
    assert all(len(document) <= 10 for document in context.documents)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_limits_on_members_and_their_sizes(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    members = {"big.txt": b"b" * 2_000, **KEPT}
    made.zipped(path, members) if kind == "zip" else made.tarred(path, members)
    context = Context.from_path(path, ReadOptions(limits=ReadLimits(member_bytes=1_000)))
    assert titles(context) == [f"x.{kind}/a/kept.txt"]
    assert "larger than 1,000 bytes" in reasons(context, path)["/big.txt"]
    for limits in (ReadLimits(members=1), ReadLimits(expanded_bytes=1_500)):
        with pytest.raises(ContextError, match=r"more than 1 members|more than 1,500 bytes"):
            Context.from_path(path, ReadOptions(limits=limits))


def test_a_directory_that_would_fill_memory_is_not_read(tmp_path):
    path = tmp_path / "x.zip"
    made.zipped(path, KEPT)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, len(data) - 10, 0x7FFFFFFF)
    path.write_bytes(data)
    with pytest.raises(ContextError, match="more than 100,000 members"):
        Context.from_path(path)


def nested(levels):
    data = b"at the bottom\n"
    for level in range(levels):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(f"{level}.txt" if level == 0 else f"{level}.zip", data)
        data = buffer.getvalue()
    return data


def test_archives_in_archives_are_read_one_level_deep(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(nested(2))
    assert titles(Context.from_path(path)) == ["x.zip/1.zip/0.txt"]
    path.write_bytes(nested(3))
    with pytest.raises(ContextError, match="lies more than 1 archives deep"):
        Context.from_path(path)
    deep = ReadOptions(limits=ReadLimits(nesting=5))
    assert titles(Context.from_path(path, deep)) == ["x.zip/2.zip/1.zip/0.txt"]


def test_members_share_one_allowance(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.txt", b"0" * 60_000)
    path = tmp_path / "x.zip"
    made.zipped(path, {"0.txt": b"first", **{f"{n}.zip": inner.getvalue() for n in range(1, 9)}})
    options = ReadOptions(limits=ReadLimits(expanded_bytes=150_000))
    context = Context.from_path(path, options)
    assert titles(context) == ["x.zip/0.txt", "x.zip/1.zip/zeros.txt", "x.zip/2.zip/zeros.txt"]
    (only,) = context.skipped
    assert only == (str(path), only[1])
    assert "what follows in it is left out" in only[1]


def test_exclude_hidden_and_types_hold_for_members(tmp_path):
    path = tmp_path / "x.zip"
    made.zipped(path, {".git/config": b"c", "a.py": b"a", "b.txt": b"b", "docs/c.py": b"c"})
    context = Context.from_path(path, ReadOptions(types="py", exclude="docs/"))
    assert titles(context) == ["x.zip/a.py"]
    assert reasons(context, path) == {"/.git/config": "hidden"}


def test_names_in_utf8_that_do_not_say_so(tmp_path):
    path = tmp_path / "x.zip"
    made.zipped(path, {"Ubersee.txt": b"text"})
    data = path.read_bytes().replace(b"Ubersee", "Über12".encode())
    path.write_bytes(data)
    assert titles(Context.from_path(path)) == ["x.zip/Über12.txt"]
