"""`File`: an output that is a file, made by code in the REPL and checked on the host.

Code writes into a small folder in the worker's memory; what it submits from there crosses as a
name and bytes, and nothing else leaves. A name is only ever a name: no path, nothing hidden,
nothing that a shell or another system takes for something else. A file is of a kind that was
allowed, and begins as its kind begins.
"""

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from rlm_dspy.errors import ConfigurationError

LONGEST_NAME = 120
_BAD_CHARACTERS = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')
# Device names of Windows, with or without an ending.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}
# Endings of texts, which must be UTF-8; and of what begins with one of these bytes.
_TEXTS = (
    *("txt", "md", "rst", "csv", "tsv", "json", "jsonl", "xml", "yaml", "yml", "toml", "html"),
    *("svg", "tex", "bib", "ics", "vcf", "srt", "vtt", "log", "diff", "sql", "geojson"),
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    "png": (b"\x89PNG\r\n\x1a\n",),
    "jpg": (b"\xff\xd8\xff",),
    "jpeg": (b"\xff\xd8\xff",),
    "gif": (b"GIF87a", b"GIF89a"),
    "webp": (b"RIFF",),
    "pdf": (b"%PDF-",),
    "xlsx": _ZIP,
    "docx": _ZIP,
    "pptx": _ZIP,
    "zip": _ZIP,
    "gz": (b"\x1f\x8b",),
    "parquet": (b"PAR1",),
}
KINDS = (*_TEXTS, *_BEGINNINGS)


class File(BaseModel):
    """A file that a run made.

    Args:
        name: Its name, without a folder.
        data: Its bytes; a str is written as UTF-8.

    Raises:
        pydantic.ValidationError: The name is no plain file name.

    Example:
        >>> File(name="totals.csv", data="year,total").text
        'year,total'
    """

    model_config = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")

    name: str
    data: bytes

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        return checked_name(name)

    @field_validator("data", mode="before")
    @classmethod
    def _bytes(cls, data: Any, info: ValidationInfo) -> Any:
        return data.encode() if isinstance(data, str) and info.mode == "python" else data

    @property
    def kind(self) -> str:
        """The ending of its name, in lower case, without the dot; empty where it has none."""
        return self.name.rpartition(".")[2].lower() if "." in self.name else ""

    @property
    def text(self) -> str:
        """Its bytes as text.

        Raises:
            UnicodeDecodeError: They are no UTF-8.
        """
        return self.data.decode()

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes it into a folder.

        Args:
            folder: Where to; it is made where it is not there.
            overwrite: Whether a file of that name may be replaced. A link is never followed.

        Returns:
            The file's path.

        Raises:
            ConfigurationError: There is such a file, or it cannot be written.
        """
        path = Path(folder) / self.name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if overwrite:
                path.unlink(missing_ok=True)
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except OSError as error:
            reason = f"cannot be written ({error})"
            if isinstance(error, FileExistsError) and path.parent.is_dir():
                reason = "is there already; choose another folder, or overwrite=True"
            raise ConfigurationError(f"{path}: {reason}.", path=str(path)) from error
        with os.fdopen(number, "wb") as file:
            file.write(self.data)
        return path

    def __repr__(self) -> str:
        return f"File({self.name!r}, {len(self.data):,} bytes)"

    __str__ = __repr__


def checked_name(name: str) -> str:
    """A file's name.

    Raises:
        ValueError: It is no plain file name; the message says which rule it breaks.
    """
    rule = ""
    if not 0 < len(name) <= LONGEST_NAME or len(name.encode("utf-8", "replace")) > 255:
        rule = f"has between 1 and {LONGEST_NAME} characters"
    elif _BAD_CHARACTERS.search(name):
        rule = 'has none of / \\ : * ? " < > | and no control characters'
    elif any(unicodedata.category(character) in ("Cf", "Cs", "Cn", "Co") for character in name):
        rule = "has no invisible characters"
    elif name[0] in ".-~ " or name[-1] in ". ":
        rule = "begins with a letter or digit, and does not end with a dot or a space"
    elif name.partition(".")[0].strip().lower() in _DEVICES:
        rule = "is not the name of a device"
    if rule:
        raise ValueError(f"{name[:60]!r} is not the name of a file: a name {rule}")
    return name


def check(files: Mapping[str, Any], kinds: tuple[str, ...], most: int) -> None:
    """Checks the files of an answer together.

    Args:
        files: The outputs by field; those that are files, or hold some, are checked.
        kinds: The endings that are allowed.
        most: The most bytes of all files together.

    Raises:
        ValueError: A file is of another kind or not what its name says, two have one name, or they
            are too large together.
    """
    found = list(files_in(files))
    for file in found:
        _check_kind(file, kinds)
    names = [file.name.casefold() for file in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two files are named {twice[0]!r}")
    total = sum(len(file.data) for file in found)
    if total > most:
        raise ValueError(f"the files have {total:,} bytes; at most {most:,} can be delivered")


def files_in(value: Any) -> Iterator[File]:
    """The files in a value, however deep."""
    if isinstance(value, File):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from files_in(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from files_in(item)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from files_in(getattr(value, name))


def holds_files(annotation: Any) -> bool:
    """Whether values of a type are files, or a list, a choice or a dict with some."""
    return annotation is File or any(map(holds_files, get_args(annotation)))


def _check_kind(file: File, kinds: tuple[str, ...]) -> None:
    if file.kind not in kinds:
        raise ValueError(f"{file.name!r} is of no kind that is allowed: {', '.join(kinds)}")
    beginnings = _BEGINNINGS.get(file.kind)
    if beginnings is None:
        try:
            file.data.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"{file.name!r} is not a UTF-8 text: {error}") from None
    elif not file.data.startswith(beginnings):
        raise ValueError(f"{file.name!r} does not begin as a {file.kind} file does")
