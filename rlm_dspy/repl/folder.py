"""The folder of model code: files in the worker's memory, which SUBMIT can give to the host.

It is there where an output is a `File`. `open` knows names alone, no paths; what is written stays
from step to step, and is rolled back with all else. The bounds here only keep the worker honest
about what the host will take; the host checks again.
"""

import io
from typing import Any
from weakref import WeakSet

from rlm_dspy.repl import rules
from rlm_dspy.repl.names import exact

# How an output that is a file, or holds some, is named to SUBMIT.
TYPE = "File"
MOST_FILES = 100
MOST_BYTES = 20 << 20
_BOTH = ("r+", "w+", "a+", "x+")
_MODES = {"r", "w", "a", "x", *_BOTH}


class File:
    """A file to submit.

    Args:
        name: Its name, without a folder.
        data: Its content: a str, or bytes.
    """

    def __init__(self, name: str, data: Any):
        self.name = exact(name)
        text = getattr(data, "__rlm_text__", None)
        data = text() if text is not None else data
        self.data = exact(data).encode() if isinstance(data, str) else bytes(data)

    def __repr__(self) -> str:
        return f"File({self.name!r}, {len(self.data):,} bytes)"


class Bytes(io.BytesIO):
    """An open file; flushing or closing it, or letting go of it, keeps what was written."""

    def __init__(self, folder: "Folder", name: str, start: bytes, mode: str):
        super().__init__(start)
        self.name = name
        self.__folder, self.__name, self.__mode = folder, name, mode
        if mode[0] == "a":
            self.seek(0, io.SEEK_END)

    def readable(self) -> bool:
        """Whether its mode lets it be read."""
        return self.__mode in ("r", *_BOTH)

    def writable(self) -> bool:
        """Whether its mode lets it be written."""
        return self.__mode != "r"

    def read(self, size: int | None = -1, /) -> bytes:
        """Reads so many bytes; all that are left where `size` is None or negative."""
        self._check(self.readable(), "readable")
        return super().read(size)

    def read1(self, size: int | None = -1, /) -> bytes:
        """As `read`."""
        return self.read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Reads to the end of the line."""
        self._check(self.readable(), "readable")
        return super().readline(size)

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """Reads the lines that are left."""
        self._check(self.readable(), "readable")
        return super().readlines(hint)

    def __next__(self) -> bytes:
        self._check(self.readable(), "readable")
        return super().__next__()

    def write(self, data: Any, /) -> int:
        """Writes bytes, at the end where the mode is "a"."""
        self._check(self.writable(), "writable")
        if self.__mode[0] == "a":
            self.seek(0, io.SEEK_END)
        return super().write(data)

    def writelines(self, lines: Any, /) -> None:
        """Writes the bytes of each."""
        for line in lines:
            self.write(line)

    def truncate(self, size: int | None = None, /) -> int:
        """Cuts it."""
        self._check(self.writable(), "writable")
        return super().truncate(size)

    def flush(self) -> None:
        """Keeps what was written."""
        super().flush()
        if self.writable():
            self.__folder._keep(self.__name, self.getvalue())

    def close(self) -> None:
        """Closes the file."""
        if not self.closed:
            self.flush()
        super().close()

    def _check(self, allowed: bool, what: str) -> None:
        if not allowed:
            raise io.UnsupportedOperation(f"not {what}")


class Text(io.TextIOWrapper):
    """An open text file."""

    def write(self, text: Any) -> int:
        """Writes a text; a `Context` or a span is one."""
        give = getattr(text, "__rlm_text__", None)
        return super().write(text if give is None else give())


class Folder:
    """The files of one session."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._opened: WeakSet[Any] = WeakSet()

    def open(
        self,
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Any:
        """Opens a file of this folder, as the built-in `open` does.

        Raises:
            FileNotFoundError: Code wrote no file of that name.
            FileExistsError: Mode "x", and there is one.
            ValueError: A mode or a name that is none.
            OSError: The folder is full.
        """
        name, mode = _name(file), exact(mode)
        binary, plain = "b" in mode, mode.replace("b", "").replace("t", "")
        if plain not in _MODES or (binary and "t" in mode):
            raise ValueError(f"invalid mode: {mode!r}")
        here = name in self._files
        if plain[0] == "x" and here:
            raise FileExistsError(f"{name!r} is there already")
        if plain[0] == "r" and not here:
            raise self._not_there(name)
        if not here and len(self._files) >= MOST_FILES:
            raise OSError(f"there are {MOST_FILES} files already")
        self._flush(name)
        start = self._files[name] if here and plain[0] in "ra" else b""
        if plain != "r":
            self._files[name] = start
        opened: Any = Bytes(self, name, start, plain)
        if not binary:
            opened = Text(opened, encoding=encoding or "utf-8", errors=errors, newline=newline)
        self._opened.add(opened)
        return opened

    def submitted(self, value: Any) -> Any:
        """A value of a `File` output, with the files that it names."""
        if isinstance(value, str):
            name = exact(value)
            if name not in self._files:
                raise self._not_there(name)
            self._flush(name)
            return {"name": name, "data": self._files[name]}
        if type(value) is File:
            return {"name": value.name, "data": value.data}
        if isinstance(value, (Bytes, Text)):
            raw: Any = value if isinstance(value, Bytes) else value.buffer
            if value.closed:
                return self.submitted(raw.name)
            value.flush()
            return {"name": raw.name, "data": raw.getvalue()}
        if isinstance(value, (list, tuple)):
            return [self.submitted(item) for item in value]
        return value

    def _flush(self, name: str) -> None:
        """Keeps what open files of a name hold back."""
        for opened in list(self._opened):
            if not opened.closed and opened.name == name and opened.writable():
                opened.flush()

    def _keep(self, name: str, data: bytes) -> None:
        others = sum(len(held) for other, held in self._files.items() if other != name)
        if others + len(data) > MOST_BYTES:
            raise OSError(f"the files would have more than {MOST_BYTES:,} bytes: write less")
        self._files[name] = data

    def _not_there(self, name: str) -> FileNotFoundError:
        return FileNotFoundError(
            f"no file {name!r} was written: the files here are in memory ({list(self._files)}); "
            "the input is in the variables"
        )


def _name(file: Any) -> str:
    if not isinstance(file, str):
        raise TypeError(f"a file's name is a str, not {type(file).__name__}")
    name = exact(file).removeprefix("./")
    if not name or "/" in name or "\\" in name:
        raise ValueError(f"{name!r} is not a file's name: there are no folders; use a plain name")
    return name


rules.OPEN_INSTANCES |= {File, Bytes, Text}
rules.OPEN_CLASSES.add(File)
