"""What is read under a folder: patterns, types, ignore files, hidden files, and the order."""

import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_dspy.context.context import Context
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.base import Blob
from rlm_dspy.context.selection import files_under
from rlm_dspy.errors import ContextError


def tree(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"text of {name}\n")
    return folder


def chosen(folder, **options):
    found = files_under(folder, ReadOptions(**options))
    return [each.name for each in found if isinstance(each, Blob)]


def left_out(folder, **options):
    found = files_under(folder, ReadOptions(**options))
    return {
        each.name.removeprefix(f"{folder}/"): each.reason
        for each in found
        if not isinstance(each, Blob)
    }


FILES = ("a.py", "b.txt", "docs/c.md", "docs/d.py", "src/docs/e.py", "src/test_f.py")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, [*FILES[:4], *FILES[4:]]),
        ({"include": "*.py"}, ["a.py", "docs/d.py", "src/docs/e.py", "src/test_f.py"]),
        ({"include": ("*.py", "*.md"), "exclude": "test_*"}, [*FILES[:1], *FILES[2:5]]),
        ({"exclude": "docs/"}, ["a.py", "b.txt", "src/test_f.py"]),
        ({"exclude": "/docs/"}, ["a.py", "b.txt", "src/docs/e.py", "src/test_f.py"]),
        ({"include": "src/**/e.*"}, ["src/docs/e.py"]),
        ({"include": "docs/", "exclude": ["*.md"]}, ["docs/d.py", "src/docs/e.py"]),
        ({"include": ["*.py", "!a.py"]}, ["docs/d.py", "src/docs/e.py", "src/test_f.py"]),
    ],
)
def test_patterns(tmp_path, options, names):
    assert chosen(tree(tmp_path, *FILES), **options) == names


def test_what_nobody_asked_for_is_not_reported(tmp_path):
    tree(tmp_path, *FILES)
    assert left_out(tmp_path, include="*.py", exclude="docs/") == {}
    context = Context.from_path(tmp_path, ReadOptions(types=["md", "text"], exclude="*.py"))
    assert [document.title for document in context.documents] == ["b.txt", "docs/c.md"]
    assert context.skipped == []


def test_patterns_and_types_hold_for_named_files_too(tmp_path):
    tree(tmp_path, *FILES)
    paths = [tmp_path / "a.py", tmp_path / "b.txt"]
    assert len(Context.from_paths(paths, ReadOptions(exclude="*.py")).documents) == 1
    assert len(Context.from_paths(paths, ReadOptions(types=".PY")).documents) == 1
    with pytest.raises(ContextError, match="no file is chosen"):
        Context.from_paths(paths, ReadOptions(include="*.md"))


def test_hidden_files_and_version_control(tmp_path):
    tree(tmp_path, "a.txt", ".env", ".github/b.yml", ".git/config", "x/.svn/c")
    assert chosen(tmp_path) == ["a.txt"]
    assert left_out(tmp_path)[".github"] == "hidden"
    assert chosen(tmp_path, hidden=True) == [".env", ".github/b.yml", "a.txt"]
    reasons = left_out(tmp_path, hidden=True)
    assert reasons == {".git": "version control", "x/.svn": "version control"}


def test_a_link_to_itself(tmp_path):
    tree(tmp_path, "a.txt")
    (tmp_path / "loop").symlink_to("loop")
    assert chosen(tmp_path) == ["a.txt"]
    assert left_out(tmp_path) == {"loop": "a link that leads nowhere"}


def test_a_limit_on_size(tmp_path):
    tree(tmp_path, "a.txt")
    (tmp_path / "big.txt").write_text("b" * 100)
    assert chosen(tmp_path, max_bytes=50) == ["a.txt"]
    assert left_out(tmp_path, max_bytes=50) == {"big.txt": "larger than 50 bytes (100)"}


def test_ignore_files(tmp_path):
    tree(tmp_path, "a.pyc", "keep.pyc", "build/x", "sub/build/y", "sub/a.log", "sub/b.log", "z.txt")
    (tmp_path / ".gitignore").write_text("# made\n*.pyc\n!keep.pyc\n/build/\n*.log\n!!bad\n!\n")
    (tmp_path / "sub/.gitignore").write_text("!a.log\n")
    (tmp_path / ".ignore").write_text("z.txt\n")
    assert chosen(tmp_path) == ["keep.pyc", "sub/a.log", "sub/build/y"]
    reasons = left_out(tmp_path)
    assert reasons["build"] == "ignored by .gitignore"
    assert reasons["z.txt"] == "ignored by .ignore"
    assert len(chosen(tmp_path, ignore_files=False)) == 7


def test_ignore_files_above_the_folder_count_in_a_repository(tmp_path):
    tree(tmp_path, "repo/sub/a.log", "repo/sub/b.txt", "repo/build/c.txt", ".gitignore")
    (tmp_path / ".gitignore").write_text("*.txt\n")  # above the repository: none of its business
    (tmp_path / "repo/.gitignore").write_text("*.log\nbuild/\n")
    assert chosen(tmp_path / "repo/sub") == ["a.log", "b.txt"]
    (tmp_path / "repo/.git").mkdir()
    assert chosen(tmp_path / "repo/sub") == ["b.txt"]
    # Who names an ignored folder wants it read.
    assert chosen(tmp_path / "repo/build") == ["c.txt"]


NAMES = ("a", "b", "ab", "*", "a*", "?", "[ab]", "*b", "**/a", "ab/**", "ab/b", "a[!b]", "[b-z]a")
PATTERNS = st.lists(
    st.tuples(st.sampled_from(["", "!"]), st.sampled_from(NAMES), st.sampled_from(["", "/"])).map(
        "".join
    ),
    min_size=1,
    max_size=4,
).map("\n".join)


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git, which is not here")
@settings(max_examples=25)
@given(PATTERNS, PATTERNS)
def test_the_same_is_ignored_as_by_git(tmp_path_factory, outer, inner):
    folder = tmp_path_factory.mktemp("repo")
    tree(folder, "a", "b", "ab/a", "ab/b/a", "ba/ab", "ba/b")
    (folder / ".gitignore").write_text(outer)
    (folder / "ab/.gitignore").write_text(inner)
    subprocess.run(["git", "init", "-q", folder], check=True)
    listed = subprocess.run(
        ["git", "-C", folder, "ls-files", "-co", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    )
    git = sorted(name for name in listed.stdout.split() if not name.endswith(".gitignore"))
    assert sorted(chosen(folder)) == git


def test_an_ignore_file_that_is_a_link_is_not_read(tmp_path):
    folder = tree(tmp_path / "folder", "a.txt")
    (tmp_path / "outside").write_text("*.txt\n")
    (folder / ".gitignore").symlink_to(tmp_path / "outside")
    assert chosen(folder) == ["a.txt"]


def test_rotated_logs_come_oldest_first(tmp_path):
    names = [
        *("app.log.10.gz", "app.log.2.zst", "app.log.1", "app.log"),
        *("chapter.1", "chapter.2"),
        *("db.2.log", "db.1.log", "db.log"),
        *("syslog.2", "syslog.1", "syslog"),
        *("web.log-20251231.gz", "web.log-20260114", "web.log"),
    ]
    tree(tmp_path, *sorted(names))
    assert chosen(tmp_path) == names


def test_very_deep_folders(tmp_path):
    folder = tmp_path
    for _ in range(400):
        folder /= "d"
    folder.mkdir(parents=True)
    tree(folder, "a")
    assert chosen(tmp_path) == ["d/" * 400 + "a"]


def test_a_name_that_is_no_text(tmp_path):
    name = b"\xff\xfe.txt"
    try:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(b"text")
    except OSError:
        pytest.skip("this file system takes only names that are text")
    tree(tmp_path, "b.txt")
    context = Context.from_path(tmp_path)
    assert sorted(document.title for document in context.documents) == ["b.txt", "��.txt"]
