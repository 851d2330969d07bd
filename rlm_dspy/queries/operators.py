"""What code in the REPL asks sub-models with: `llm_query`, `ask`, `ask_each`, `combine`.

All of them end in one predictor, `sub_query`, so that an optimizer tunes one prompt; types are put
on its output per call. A failed item of a batch is its own: an "[ERROR] …" string from
`llm_query_batched` (as dspy has it), None from `ask_each`, with the reason in the run's events.
"""

import asyncio
import contextlib
import functools
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError

from rlm_dspy.budget import SUB_QUERY
from rlm_dspy.coercion import coerce_text, type_name
from rlm_dspy.dspy_errors import ProviderError
from rlm_dspy.errors import BudgetExceeded, RLMError, SubQueryError
from rlm_dspy.events import Event, EventLog, SubQueryAnswered, SubQueryFailed, SubQueryStarted
from rlm_dspy.queries.scheduler import Scheduler
from rlm_dspy.queries.types import as_type

# How much `combine` reads in one call where the model's window is unknown, in characters.
COMBINE_CHARS = 6_000

Effect = Callable[[Callable[[], Awaitable[Event]]], Awaitable[Event]]


class Operators:
    """The sub-query functions of one run.

    Args:
        scheduler: Asks the models.
        log: The run's events.
        effect: The flow's seam: what a sub-query answers is read from the event it returns.
        predictor: The `sub_query` predictor.
        lm: The sub-model; None for the predictor's own, else dspy's configured one.
        max_llm_calls: How many prompts `llm_query` and `llm_query_batched` may ask; None for any.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        log: EventLog,
        effect: Effect,
        predictor: Any,
        lm: Any,
        max_llm_calls: int | None,
    ):
        self._scheduler = scheduler
        self._log = log
        self._effect = effect
        self._predictor = predictor
        self._lm = lm
        self._limit = max_llm_calls
        self._asked = 0
        self._numbers = itertools.count(1)

    def functions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """The functions by the name that code calls them by."""
        return {
            "llm_query": self.llm_query,
            "llm_query_batched": self.llm_query_batched,
            "ask": self.ask,
            "ask_each": self.ask_each,
            "combine": self.combine,
        }

    async def llm_query(self, prompt: str) -> str:
        """Asks one prompt.

        Raises:
            SubQueryError: The prompt is empty, no call is left, or the model failed.
        """
        if not prompt:
            raise SubQueryError("prompt cannot be empty")
        self._take(1)
        return await self._one("llm_query", str(prompt), None, str)

    async def llm_query_batched(self, prompts: Sequence[str]) -> list[str]:
        """Asks many prompts at once; the order is kept.

        Returns:
            One string a prompt; "[ERROR] …" for one whose model failed.

        Raises:
            SubQueryError: The batch is over what is left: nothing was asked.
        """
        if isinstance(prompts, str):
            raise SubQueryError("llm_query_batched takes a list of prompts, not one string")
        prompts = list(prompts)
        self._take(len(prompts))
        asked = (self._one("llm_query_batched", str(p), None, str) for p in prompts)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        return [_text_or_error(answer) for answer in answers]

    async def ask(self, question: str, text: Any, returns: Any = str) -> Any:
        """Asks a question about a text.

        Args:
            question: The question.
            text: The text; anything else is shown as Python prints it.
            returns: The answer's type, a JSON schema, or a type's name.

        Returns:
            The answer, of that type.

        Raises:
            SubQueryError: The model failed, or its answer does not fit the type.
        """
        return await self._one("ask", str(question), as_text(text), as_type(returns))

    async def ask_each(self, question: str, items: Sequence[Any], returns: Any = str) -> list[Any]:
        """Asks the same question about every item, concurrently.

        Returns:
            One answer an item, in order; None for one that could not be answered.

        Raises:
            SubQueryError: Not one item could be answered.
        """
        kind = as_type(returns)
        asked = (self._one("ask_each", str(question), as_text(i), kind) for i in _listed(items))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        failed = [_failure(answer) for answer in answers if isinstance(answer, BaseException)]
        if failed and len(failed) == len(answers):
            raise failed[0]
        return [None if isinstance(answer, BaseException) else answer for answer in answers]

    async def combine(self, question: str, parts: Sequence[Any], returns: Any = str) -> Any:
        """Answers a question from many parts: as a tree, where they do not fit one call.

        A single part that is of the type already is the answer.

        Returns:
            One answer, of the type.

        Raises:
            SubQueryError: There is no part, the model failed, or its answer does not fit the type.
        """
        texts = [as_text(part) for part in _listed(parts) if part is not None]
        if not texts:
            # A model that is asked about nothing makes an answer up.
            raise SubQueryError("combine has no parts to answer from: nothing was found")
        kind = as_type(returns)
        if len(texts) == 1:
            with contextlib.suppress(ValueError):
                return coerce_text(texts[0], kind)  # there is nothing to combine
        groups = grouped(texts, COMBINE_CHARS)
        while len(groups) > 1:
            asked = (self._one("combine", str(question), numbered(g), str) for g in groups)
            texts = list(await asyncio.gather(*asked))
            groups = grouped(texts, COMBINE_CHARS)
        return await self._one("combine", str(question), numbered(texts), kind)

    def _take(self, count: int) -> None:
        if self._limit is not None and self._asked + count > self._limit:
            raise SubQueryError(
                f"LLM call limit exceeded: {self._asked} + {count} > {self._limit}. "
                "Use Python code for aggregation instead of making more LLM calls.",
                asked=count,
                left=self._limit - self._asked,
            )
        self._asked += count

    async def _one(self, operator: str, question: str, text: str | None, kind: Any) -> Any:
        number = next(self._numbers)
        size = len(question) + len(text or "")
        self._log.append(
            SubQueryStarted(query=number, operator=operator, question=question, characters=size)
        )
        event = await self._effect(lambda: self._answer(number, question, text, kind))
        if isinstance(event, SubQueryFailed):
            raise SubQueryError(event.reason, error=event.error)
        assert isinstance(event, SubQueryAnswered)
        return event.value

    async def _answer(self, number: int, question: str, text: str | None, kind: Any) -> Event:
        started = time.monotonic()
        try:
            value = await self._typed(question, text, kind)
        except (ProviderError, BudgetExceeded, SubQueryError) as error:
            return SubQueryFailed(query=number, error=type(error).__name__, reason=str(error))
        seconds = round(time.monotonic() - started, 6)
        return SubQueryAnswered(query=number, value=value, seconds=seconds)

    async def _typed(self, question: str, text: str | None, kind: Any) -> Any:
        wanted, said = question, ""
        for _ in range(2):
            try:
                return await self._predict(wanted, text, kind)
            except AdapterParseError as error:
                said = error.lm_response or ""
            if kind is str:
                return said.strip()
            try:
                return coerce_text(said, kind)
            except ValueError as reason:
                wanted = f"{question}\n(Answered before: {said[:200]!r}. Wrong: {reason}.)"
        raise SubQueryError(f"the answer {said[:200]!r} is not a {type_name(kind)}", answer=said)

    async def _predict(self, question: str, text: str | None, kind: Any) -> Any:
        inputs: dict[str, Any] = {"question": question, "text": text}
        if kind is not str:
            inputs["signature"] = typed(self._predictor.signature, kind)
        prediction = await self._scheduler.call(self._predictor, SUB_QUERY, self._lm, **inputs)
        return prediction.response


def typed(signature: type[dspy.Signature], kind: Any) -> type[dspy.Signature]:
    """The sub-query's signature with a typed response; instructions and demos carry over."""
    try:
        return _typed_signature(signature, kind)
    except TypeError:  # an unhashable type
        return signature.with_updated_fields("response", type_=kind)


@functools.lru_cache(maxsize=256)
def _typed_signature(signature: type[dspy.Signature], kind: Any) -> type[dspy.Signature]:
    return signature.with_updated_fields("response", type_=kind)


def as_text(value: Any) -> str:
    """A value as a sub-query reads it."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return "\n".join(as_text(item) for item in value)
    return str(value)


def grouped(texts: Sequence[str], limit: int) -> list[list[str]]:
    """Texts in groups of at most `limit` characters, in order; at least two texts to a group."""
    groups: list[list[str]] = [[]]
    for text in texts:
        if len(groups[-1]) >= 2 and sum(map(len, groups[-1])) + len(text) > limit:
            groups.append([])
        groups[-1].append(text)
    return groups


def numbered(texts: Sequence[str]) -> str:
    """Several texts as one, numbered; a single one as it is."""
    if len(texts) == 1:
        return texts[0]
    return "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1))


def _listed(items: Any) -> list[Any]:
    if isinstance(items, (str, bytes, dict)) or not hasattr(items, "__iter__"):
        raise SubQueryError(f"items must be a list, not {type(items).__name__}")
    return list(items)


def _text_or_error(answer: Any) -> str:
    return f"[ERROR] {_failure(answer)}" if isinstance(answer, BaseException) else answer


def _failure(error: BaseException) -> RLMError:
    """An item's own failure; anything else is not an item's, and is raised."""
    if not isinstance(error, RLMError):
        raise error
    return error
