"""What llama.cpp answers only over HTTP, asked over the loopback interface: window, tokenizer.

Promised: no proxy setting is followed and no other machine is ever asked.
"""

import json
from functools import cached_property
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit


class Loopback:
    """A client of the engine's own server.

    Args:
        address: "http://127.0.0.1:PORT".
        key: The server's key.
    """

    def __init__(self, address: str, key: str):
        self._netloc = urlsplit(address).netloc
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    @cached_property
    def n_ctx(self) -> int:
        """The window of one slot, in tokens."""
        return self._ask("GET", "/props")["default_generation_settings"]["n_ctx"]

    def count(self, messages: list[dict[str, Any]]) -> int:
        """The tokens of these chat messages as a prompt, template included."""
        prompt = self._ask("POST", "/apply-template", {"messages": messages})["prompt"]
        body = {"content": prompt, "add_special": True, "parse_special": True}
        return len(self._ask("POST", "/tokenize", body)["tokens"])

    def tokens(self, text: str) -> int:
        """The tokens of a text by itself."""
        body = {"content": text, "add_special": False, "parse_special": False}
        return len(self._ask("POST", "/tokenize", body)["tokens"])

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        connection = HTTPConnection(self._netloc, timeout=60)
        try:
            data = json.dumps(body).encode() if body is not None else None
            connection.request(method, path, data, self._headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise OSError(
                f"the engine's own server refused {path}: {response.status} {answer[:200]!r}"
            )
        return json.loads(answer)
