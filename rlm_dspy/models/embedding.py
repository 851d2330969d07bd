"""`Embedder`: texts as vectors, by weights that run in this process.

Promised: nothing is downloaded and no network is used; any GGUF file embeds, one that was not made
for it by the mean of its tokens' last states, which finds little; a text that is longer than the
model's window is embedded in halves, and is their mean.
"""

import math
from collections.abc import Sequence
from typing import Any

from rlm_dspy.errors import ContextError
from rlm_dspy.models.assembly import Job, Stopped
from rlm_dspy.models.engine import engine_for
from rlm_dspy.models.weights import find, known

Vector = list[float]
# llama.cpp's words for a text that does not fit.
_TOO_LONG = ("too large", "exceed", "context size")


class Embedder:
    """A model that embeds texts, for `Context.with_embedder`.

    Args:
        model: "local/NAME", the path of a GGUF file, or "OWNER/REPO:FILE.gguf" once pulled.
        query_prefix: What the model's makers put before a query; None: what is known of it.
        passage_prefix: What they put before a passage.

    Raises:
        ConfigurationError: There is no such file on this machine.
    """

    def __init__(self, model: str, query_prefix: str | None = None, passage_prefix: str = ""):
        self._path = find(model)
        weights = known(model)
        if query_prefix is None:
            query_prefix = weights.query_prefix if weights is not None else ""
        self._query_prefix = query_prefix
        self._passage_prefix = passage_prefix

    @property
    def key(self) -> str:
        """What tells its vectors of passages from those of another model."""
        status = self._path.stat()
        return repr((self._path.name, status.st_size, status.st_mtime_ns, self._passage_prefix))

    def query(self, text: str) -> Vector:
        """The vector of a question, of length 1.

        Raises:
            ConfigurationError: The extra `local` is not installed, or the file does not load.
            ContextError: The engine refuses the text, or was closed meanwhile.
        """
        return self._embedded([self._query_prefix + text])[0]

    def passages(self, texts: Sequence[str]) -> list[Vector]:
        """The vectors of passages, each of length 1; none may be blank.

        Raises:
            ConfigurationError: As `query`.
            ContextError: As `query`.
        """
        return self._embedded([self._passage_prefix + text for text in texts])

    def _embedded(self, texts: list[str]) -> list[Vector]:
        answer = self._asked(texts)
        if "error" not in answer:
            return [found["embedding"] for found in answer["data"]]
        message = str(answer["error"].get("message", answer["error"]))
        if not any(words in message for words in _TOO_LONG):
            raise ContextError(f"{self._path.name} cannot embed this text: {message}", text=texts)
        if len(texts) > 1:
            return [self._embedded([text])[0] for text in texts]
        middle = len(texts[0]) // 2
        halves = [half for half in (texts[0][:middle], texts[0][middle:]) if half.strip()]
        return [_mean(self._embedded(halves))]

    def _asked(self, texts: list[str]) -> dict[str, Any]:
        job = Job({"input": texts})
        try:
            return engine_for(self._path, embeds=True).submit(job).reply.result()
        except Stopped as error:
            raise ContextError(f"The embedding was broken off: {error}.") from error
        finally:
            job.cancel()


def _mean(vectors: list[Vector]) -> Vector:
    total = [sum(values) for values in zip(*vectors, strict=True)]
    length = math.sqrt(sum(value * value for value in total)) or 1.0
    return [value / length for value in total]
