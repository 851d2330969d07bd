"""One request to a model and its reply, as a record keeps them: content-addressed.

A planner's prompt grows by what is appended, so that most of its messages stand in the request
before: each is kept once, under its hash.
"""

import functools
import json
from collections.abc import Sequence
from hashlib import blake2b
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from pydantic_core import to_json


class Exchange(NamedTuple):
    """A request, and what came back.

    Args:
        messages: The chat messages as JSON, one each.
        hashes: The hash of each.
        outputs: What the LM returned, as JSON; None where nothing came back or JSON cannot hold it.
        once: The hashes of messages that stand in no other request.
    """

    messages: tuple[str, ...]
    hashes: tuple[str, ...]
    outputs: str | None = None
    once: frozenset[str] = frozenset()

    @classmethod
    def of(cls, messages: Sequence[dict[str, Any]], *, alone: bool = False) -> "Exchange":
        """A request that is not answered yet.

        Args:
            messages: The chat messages.
            alone: Whether no later request extends this one: its last message stands in no other.
        """
        texts = tuple(_message(message) for message in messages)
        hashes = tuple(map(_hash, texts))
        return cls(texts, hashes, once=frozenset(hashes[-1:] if alone else ()))

    def answered(self, outputs: Any) -> "Exchange":
        """The same with what came back."""
        if not _is_plain(outputs):
            return self
        return self._replace(outputs=_as_json(outputs))

    def request(self, role: str, model: str, settings: Sequence[Any]) -> str:
        """What tells this request from others.

        Args:
            role: The predictor that asks.
            model: The model's name.
            settings: The parameters that change what is answered, such as the temperature.
        """
        return digest(_as_json([role, model, settings, self.hashes]))


def digest(text: str | bytes) -> str:
    """A text's hash: 32 hexadecimal digits of BLAKE2b."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return blake2b(data, digest_size=16).hexdigest()


def _message(message: dict[str, Any]) -> str:
    role, content = message.get("role"), message.get("content")
    if len(message) == 2 and isinstance(role, str) and isinstance(content, str):
        # A third of what a serializer takes, for what nearly all messages are.
        quoted = encode_basestring_ascii(content)
        return f'{{"role":{encode_basestring_ascii(role)},"content":{quoted}}}'
    return _as_json(message)


def _as_json(value: Any) -> str:
    try:
        return to_json(value, fallback=repr).decode()
    except ValueError:  # lone surrogates, which UTF-8 does not have
        return json.dumps(value, default=repr)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_plain, value.values()))
    return value is None or isinstance(value, (str, int, float, bool))


@functools.lru_cache(maxsize=64)
def _short_hash(text: str) -> str:
    return digest(text)


def _hash(text: str) -> str:
    # System texts are the same in every request.
    return _short_hash(text) if len(text) < 4_096 else digest(text)
