"""The answered calls of an example that has not ended yet.

Where a process is killed, the example's next attempt asks the same again and is answered from here:
what was paid is not paid twice, and stays on the bill. A call is known by what was asked and by how
often the same was asked before. Not promised: calls that were under way at the kill.
"""

import hashlib
import json
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from eval.jsonl import Appender, read_lines
from eval.purse import Bill
from rlm_dspy import ContextError


class Journal:
    """The calls of one example.

    Args:
        path: The file, made at the first call.

    Raises:
        ContextError: The file cannot be read, or is no journal.

    Attributes:
        bill: What the calls that it was opened with cost.
        seconds: How long the example had run by its last call, since it was last begun anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = Appender(path, durable=False)
        self._lock = threading.Lock()
        self._known: dict[str, deque[list[Any]]] = {}
        self.bill = Bill()
        self.seconds = 0.0
        for number, line in enumerate(read_lines(path), 1):
            try:
                self._take(line)
            except (KeyError, TypeError) as error:
                raise ContextError(
                    f"Line {number} of {path} is no call: {error!r}. Remove the file: its calls "
                    "are then asked, and paid, again."
                ) from error
        self._begun = time.monotonic() - self.seconds

    def _take(self, line: dict[str, Any]) -> None:
        self.bill += Bill(**line["bill"])
        self.seconds = 0.0 if line.get("anew") else max(self.seconds, line["at"])
        if line["key"]:
            self._known.setdefault(line["key"], deque()).append(line["outputs"])

    def recall(self, key: str) -> list[Any] | None:
        """The outputs of a call that was answered before; each is given once, in order."""
        with self._lock:
            known = self._known.get(key)
            return known.popleft() if known else None

    def note(self, key: str, outputs: list[Any] | None, bill: Bill) -> None:
        """Keeps an answered call, or (with no outputs) what a failed one cost."""
        line = {"key": key, "outputs": outputs, "bill": bill.as_dict(), "at": self._at()}
        try:
            self._file.append(line)
        except (TypeError, ValueError):  # outputs that are no plain data: asked again after a kill
            self._file.append({**line, "key": "", "outputs": None})

    def begin_anew(self) -> None:
        """Sets the example's clock to zero for its next attempt; what was answered is kept."""
        line = {"key": "", "outputs": None, "bill": Bill().as_dict(), "at": 0.0, "anew": True}
        self._file.append(line)

    def _at(self) -> float:
        return round(time.monotonic() - self._begun, 3)


def call_key(model: str, asked: Any, kwargs: dict[str, Any]) -> str:
    """What tells a call from others.

    Args:
        model: The model's name.
        asked: The prompt, or the messages.
        kwargs: The request's parameters.
    """
    text = json.dumps([model, asked, kwargs], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
