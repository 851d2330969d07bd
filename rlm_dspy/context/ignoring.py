"""The patterns of .gitignore and .ignore files, as git and ripgrep apply them.

A deeper file wins over one above it, .ignore over .gitignore beside it, and a later line over an
earlier one; what lies in an ignored folder is not looked at (https://git-scm.com/docs/gitignore).
Under a git repository the files above the folder count too, up to the repository's root. Neither
`.git/info/exclude` nor the user's own ignore file is looked at.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from wcmatch import glob

FILES = (".gitignore", ".ignore")
_MOST_BYTES = 1 << 20
_FLAGS = glob.GLOBSTAR | glob.DOTGLOB | glob.CASE | glob.FORCEUNIX
_TRAILING_SPACES = re.compile(r"(?<!\\)\s+$")


class Rule(NamedTuple):
    """A pattern.

    Attributes:
        regex: What matches it: a path relative to `folder`, or a name alone.
        on_path: Whether it is the path.
        folders_only: Whether only folders match.
        negated: Whether what matches is taken back in.
        folder: The folder of the ignore file, "" at the top, else with "/" at its end.
        source: The ignore file's name.
    """

    regex: re.Pattern[str]
    on_path: bool
    folders_only: bool
    negated: bool
    folder: str = ""
    source: str = ""

    def matches(self, name: str, *, is_folder: bool) -> bool:
        """Whether a path matches, by itself and not for lying in a folder that does.

        Args:
            name: The path, relative to the top, with "/".
            is_folder: Whether it is a folder.
        """
        if self.folders_only and not is_folder or not name.startswith(self.folder):
            return False
        seen = name[len(self.folder) :] if self.on_path else name.rpartition("/")[2]
        return self.regex.match(seen) is not None


def rules_of(lines: Iterable[str], folder: str = "", source: str = "") -> list[Rule]:
    """The patterns in the lines of an ignore file.

    Args:
        lines: The lines.
        folder: The folder of the file, as in `Rule`.
        source: Its name.
    """
    found = (_parsed(line) for line in lines)
    return [rule._replace(folder=folder, source=source) for rule in found if rule is not None]


def deciding(rules: Sequence[Rule], name: str, *, is_folder: bool) -> Rule | None:
    """The rule that decides about a path: the last one that matches."""
    for rule in reversed(rules):
        if rule.matches(name, is_folder=is_folder):
            return rule
    return None


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a file matches one of these patterns, or a folder that it lies in does.

    Args:
        name: The file's path, relative, with "/".
        patterns: The patterns, as in a .gitignore file.
    """
    rules = _rules(tuple(patterns))
    if not rules:
        return False
    path = PurePosixPath(name)
    for each in (path, *path.parents):
        if rule := deciding(rules, str(each), is_folder=each != path):
            return not rule.negated
    return False


@lru_cache(maxsize=64)
def _rules(patterns: tuple[str, ...]) -> list[Rule]:
    return rules_of(patterns)


@lru_cache(maxsize=4096)
def _parsed(line: str) -> Rule | None:
    """A line as a rule; None for a comment, an empty line, or a pattern of nothing."""
    body = _TRAILING_SPACES.sub("", line)
    if not body or body.startswith("#"):
        return None
    negated = body.startswith("!")
    body = body[1:] if negated else body
    folders_only = body.endswith("/")
    body = body.removesuffix("/")
    if not body:
        return None
    (regex,), _ = glob.translate(body.removeprefix("/"), flags=_FLAGS)
    return Rule(re.compile(regex), "/" in body, folders_only, negated)


class Ignored:
    """What a folder's ignore files, and those above it, leave out.

    Args:
        top: The folder that the rules start from, resolved.
        rules: The rules, the last of which wins.
    """

    def __init__(self, top: Path, rules: Iterable[Rule] = ()):
        self._top = top
        self._rules = tuple(rules)

    @classmethod
    def above(cls, folder: Path) -> "Ignored":
        """What the ignore files above a folder leave out of it, in its git repository.

        Args:
            folder: The folder, resolved.
        """
        chain = [folder, *folder.parents]
        top = next((number for number, each in enumerate(chain) if (each / ".git").exists()), 0)
        ignored = cls(chain[top])
        for each, below in zip(chain[top:0:-1], chain[top - 1 :: -1], strict=False):
            ignored = ignored.within(each)
            if ignored.reason(below, is_folder=True):
                return cls(folder)  # who names what lies in an ignored folder wants it read
        return ignored

    def within(self, folder: Path) -> "Ignored":
        """The same with what the folder's own ignore files leave out.

        Args:
            folder: The folder, resolved.
        """
        below = folder.relative_to(self._top).as_posix()
        place = "" if below == "." else f"{below}/"
        found = [rule for name in FILES for rule in rules_of(_lines(folder / name), place, name)]
        return Ignored(self._top, [*self._rules, *found]) if found else self

    def reason(self, path: Path, *, is_folder: bool) -> str:
        """Why a path is left out, or "".

        Args:
            path: The path, in a resolved folder that is not left out itself.
            is_folder: Whether it is a folder.
        """
        if not self._rules:
            return ""
        name = path.relative_to(self._top).as_posix()
        rule = deciding(self._rules, name, is_folder=is_folder)
        return f"ignored by {rule.source}" if rule and not rule.negated else ""


def _lines(path: Path) -> Iterator[str]:
    """The lines of an ignore file, which is no link."""
    if path.is_symlink() or not path.is_file():
        return
    try:
        with path.open("rb") as file:
            yield from file.read(_MOST_BYTES).decode("utf-8-sig", "replace").splitlines()
    except OSError:
        return
