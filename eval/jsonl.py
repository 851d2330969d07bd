"""Files of JSON lines that survive a kill at any moment.

A line is appended whole or is the torn last one, which is passed over when the file is read and cut
off before the next line is appended.
"""

import json
import os
import threading
from pathlib import Path
from typing import Any

from rlm_dspy import ContextError


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file, without a torn last one; none where there is no file.

    Raises:
        ContextError: The file cannot be read, or another line than the last is no JSON object.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ContextError(f"{path} cannot be read: {error}.") from error
    lines = text.split(b"\n")[:-1]  # behind the last newline: nothing, or a torn line
    return [json_object(line, f"Line {number} of {path}") for number, line in enumerate(lines, 1)]


def json_object(text: str | bytes, what: str) -> dict[str, Any]:
    """The object that a text is.

    Args:
        text: JSON.
        what: The text's place, for the error.

    Raises:
        ContextError: It is no JSON object.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:  # also too many digits, and too deep
        raise ContextError(f"{what} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ContextError(f"{what} is not a JSON object.")
    return value


class Appender:
    """Appends lines to a file, from any thread.

    Args:
        path: The file, made with its folder at the first line.
        durable: Whether a line is on the disk when `append` returns; else it survives the end of
            the process but not that of the machine.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self._path = path
        self._durable = durable
        self._lock = threading.Lock()
        self._whole = False

    def append(self, line: dict[str, Any]) -> None:
        """Appends one line.

        Raises:
            TypeError, ValueError: It is not JSON; nothing was written.
        """
        text = json.dumps(line, ensure_ascii=False, allow_nan=False)
        # A lone surrogate, which UTF-8 does not have, becomes its JSON escape so.
        data = text.encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            if not self._whole:
                _cut_torn_line(self._path)
                self._whole = True
            with self._path.open("ab") as file:
                file.write(data)
                file.flush()
                if self._durable:
                    os.fsync(file.fileno())


def _cut_torn_line(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
