"""One question to a sub-model: about one text, or about a pack of items. Each is one effect.

All of them end in one predictor, `sub_query`, so that an optimizer tunes one prompt; types are put
on its output per call. Promised: an answer is of the type that was asked for; one that is not is
asked for once more, with what was wrong about it.
"""

import copy
import functools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError, LMInvalidRequestError, LMUnsupportedModelError

from rlm_dspy.account import SUB_QUERY
from rlm_dspy.coercion import coerce_text, limited, type_name
from rlm_dspy.context.ledger import Ledger
from rlm_dspy.dspy_errors import ProviderError
from rlm_dspy.errors import BudgetExceeded, SubQueryError
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import (
    ANSWERING,
    Event,
    SubQueryAnswered,
    SubQueryFailed,
    SubQueryStarted,
)
from rlm_dspy.models.capabilities import is_local, known_window
from rlm_dspy.models.several import SubModels, each_lm
from rlm_dspy.options import CHARS_PER_TOKEN
from rlm_dspy.placed import plain
from rlm_dspy.queries import packing
from rlm_dspy.queries.batching import WIDTH
from rlm_dspy.queries.packing import Room
from rlm_dspy.queries.scheduler import Scheduler

Effect = Callable[[Callable[[], Awaitable[Event]]], Awaitable[Event]]

# How much one call reads of many parts: a quarter of the window, in characters; the first where the
# window is not known, the second at most, since models overlook things in longer prompts.
READ_CHARS, READ_CHARS_MOST = 6_000, 48_000
# How much of an answer that is not of its type is kept, characters.
_SAID_CHARS = 200


class Questions:
    """Asks the sub-model of one run.

    Args:
        scheduler: Asks the models.
        log: The run's events.
        effect: The flow's seam: what a sub-query answers is read from the event it returns.
        predictor: The `sub_query` predictor.
        lm: The sub-model or sub-models; None for the predictor's own, else dspy's configured one.
        ledger: Notes what models read; None: nobody asks.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        log: EventLog,
        effect: Effect,
        predictor: Any,
        lm: Any,
        ledger: Ledger | None = None,
    ):
        self._ledger = ledger or Ledger()
        self._scheduler = scheduler
        self._log = log
        self._effect = effect
        self._predictor = predictor
        self._models = lm if isinstance(lm, SubModels) else None
        self._lm = lm if self._models is None else self._models.of(None)

    def using(self, model: Any) -> "Questions":
        """The same with the sub-model of a name; None is the default.

        Raises:
            SubQueryError: There is none of that name.
        """
        if model is None:
            return self
        choices = self._models.choices if self._models else ()
        if self._models is None or model not in choices:
            known = ", ".join(map(repr, choices)) or "leave model= out: there is one model only"
            raise SubQueryError(f"there is no model {model!r}: {known}", model=model)
        chosen = copy.copy(self)
        chosen._lm = self._models.of(model)
        return chosen

    @property
    def width(self) -> int:
        """How many questions are worth having under way: some of them wait before a retry."""
        few = 2 * self._scheduler.account.budget.concurrency
        return few if self._scheduler.options.batch_api == "off" else max(few, WIDTH)

    @property
    def shares(self) -> bool:
        """Whether items share calls unless code says otherwise.

        Not on an embedded model: it answers one after the other, its tokens cost nothing, and of
        200 lines a 0.5B one labelled 84 rightly alone and 42 in packs, and took longer for packs
        (docs/results.md).
        """
        return not any(map(is_local, self._lms))

    @property
    def repeats(self) -> bool:
        """Whether the same question may be answered from the cache."""
        return bool(getattr(self.lm, "cache", False))

    @property
    def lm(self) -> Any:
        """The LM that answers, unless it fails and another stands in."""
        return self._lms[0]

    @property
    def _lms(self) -> tuple[Any, ...]:
        """The LMs of which one answers, in the order in which they are asked."""
        own = self._lm
        if not isinstance(own, tuple):
            own = self._scheduler.lm_of(self._predictor, own)
        return tuple(each_lm(own))

    @property
    def _window(self) -> int | None:
        """The smallest of their windows that is known, in tokens."""
        windows = map(known_window, self._lms)
        return min((window for window in windows if window is not None), default=None)

    def room(self, kind: Any, most: int | None) -> Room:
        """What one call may hold of items whose answers are of a type."""
        reply = min(map(self._scheduler.longest_reply, self._lms))
        return packing.room_for(kind, window=self._window, reply=reply, most=most)

    def readable(self) -> int:
        """How much one call reads of many parts, in characters."""
        window = self._window
        if window is None:
            return READ_CHARS
        return min(window // 4 * CHARS_PER_TOKEN, READ_CHARS_MOST)

    async def one(
        self,
        operator: str,
        question: str,
        text: str | None,
        kind: Any,
        parts: Sequence[str] | None = None,
    ) -> Any:
        """Asks about one text.

        Args:
            operator: What code called.
            question: The question.
            text: The text; None where the question is all.
            kind: The type of the answer.
            parts: What the text was put together from; None: it is one piece.

        Raises:
            SubQueryError: The model failed, or its answer does not fit the type.
        """
        size = len(question) + len(text or "")
        shown = [question, *([text or ""] if parts is None else parts)]
        return await self.effect(
            operator, question, size, lambda: self._typed(question, text, kind, shown)
        )

    async def pack(
        self, operator: str, question: str, texts: Sequence[str], kind: Any
    ) -> SubQueryAnswered | SubQueryFailed:
        """Asks about several items in one call.

        Returns:
            The event: a list of answers by position, and for every position without one, why.
        """
        size = len(question) + sum(map(len, texts))
        return await self._ask(
            SubQueryStarted(
                operator=operator, question=question, characters=size, items=len(texts)
            ),
            lambda: self._packed(question, texts, kind),
        )

    async def predict(
        self, operator: str, signature: type[dspy.Signature], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Asks with a signature of code's own.

        Returns:
            The outputs by name.

        Raises:
            SubQueryError: The model failed, or its answer does not have the outputs.
        """

        async def answer() -> dict[str, Any]:
            try:
                prediction = await self._call(_texts(inputs), signature=signature, **plain(inputs))
            except AdapterParseError as error:
                said = error.lm_response or ""
                raise SubQueryError(
                    f"the model's answer does not have the outputs {list(signature.output_fields)}",
                    answer=said,
                ) from error
            return {name: prediction[name] for name in signature.output_fields}

        size = sum(len(str(value)) for value in inputs.values())
        return await self.effect(operator, str(signature.signature), size, answer)

    async def effect(
        self, operator: str, question: str, size: int, answer: Callable[[], Awaitable[Any]]
    ) -> Any:
        """An answer that is got in a way of its own, as one sub-query of the run.

        Args:
            operator: What code called.
            question: What is asked.
            size: What is read, in characters.
            answer: Gets the answer.

        Raises:
            SubQueryError: There is none.
        """

        async def outcome() -> tuple[Any, dict[int, str]]:
            return await answer(), {}

        started = SubQueryStarted(operator=operator, question=question, characters=size)
        event = await self._ask(started, outcome)
        if isinstance(event, SubQueryFailed):
            raise failure(event)
        return event.value

    async def _ask(
        self, started: SubQueryStarted, answer: Callable[[], Awaitable[tuple[Any, dict[int, str]]]]
    ) -> SubQueryAnswered | SubQueryFailed:
        number = self._log.append(started).query
        outer = ANSWERING.set(number)
        try:
            event = await self._effect(lambda: self._outcome(number, answer))
        finally:
            ANSWERING.reset(outer)
        assert isinstance(event, (SubQueryAnswered, SubQueryFailed))
        return event

    async def _outcome(
        self, number: int, answer: Callable[[], Awaitable[tuple[Any, dict[int, str]]]]
    ) -> Event:
        event = await _outcome(number, answer)
        sent = self._ledger.sent(number)
        return event.model_copy(update={"sent": sent}) if sent else event

    async def _typed(self, question: str, text: str | None, kind: Any, shown: list[str]) -> Any:
        wanted, said = question, ""
        for _ in range(2):
            read: Callable[[Any, Any], Any] = limited  # fields have bare types: limits are left out
            try:
                value = await self._predict(wanted, text, kind, shown)
            except AdapterParseError as error:
                value, read = error.lm_response or "", coerce_text
            if kind is str:
                return str(value).strip()
            try:
                return read(value, kind)
            except ValueError as reason:
                said = str(value)
                before = said[:_SAID_CHARS]
                wanted = f"{question}\n(Answered before: {before!r}. Wrong: {reason}.)"
        raise SubQueryError(f"the model's answer is not of type {type_name(kind)}", answer=said)

    async def _packed(
        self, question: str, texts: Sequence[str], kind: Any
    ) -> tuple[list[Any], dict[int, str]]:
        count = len(texts)
        asked = packing.packed_question(question, kind, count)
        text = packing.numbered(texts, packing.labels(count))
        more: dict[str, Any] = {}
        grammatical = all(map(self._scheduler.takes_grammar, self._lms))
        if grammatical and (gbnf := packing.grammar(kind, count)):
            more["config"] = {"extra_body": {"grammar": gbnf}}
        try:
            said = await self._predict(asked, text, str, [question, *texts], **more)
        except AdapterParseError as error:
            said = error.lm_response or ""
        answers, faults = packing.read(said, kind, count)
        return [answers.get(position) for position in range(count)], faults

    async def _predict(
        self, question: str, text: str | None, kind: Any, shown: list[str], **more: Any
    ) -> Any:
        plain = None if text is None else str(text)
        inputs: dict[str, Any] = {"question": str(question), "text": plain, **more}
        if kind is not str:
            inputs["signature"] = typed(_signature_of(self._predictor), kind)
        return (await self._call(shown, **inputs)).response

    async def _call(self, shown: list[str], /, **inputs: Any) -> Any:
        """Asks the predictor, and notes what the model read once it has replied."""
        try:
            prediction = await self._scheduler.call(self._predictor, SUB_QUERY, self._lm, **inputs)
        except AdapterParseError:
            self._ledger.send(ANSWERING.get(), shown)
            raise
        self._ledger.send(ANSWERING.get(), shown)
        return prediction


def _signature_of(predictor: Any) -> type[dspy.Signature]:
    """A predictor's signature, or that of the first one inside a module."""
    own = getattr(predictor, "signature", None)
    return own or next(iter(predictor.predictors())).signature


def _texts(inputs: Mapping[str, Any]) -> list[str]:
    return [value if isinstance(value, str) else str(value) for value in inputs.values()]


async def _outcome(
    number: int, answer: Callable[[], Awaitable[tuple[Any, dict[int, str]]]]
) -> Event:
    started = time.monotonic()
    try:
        value, missing = await answer()
    except (ProviderError, BudgetExceeded, SubQueryError) as error:
        return SubQueryFailed(
            query=number,
            error=type(error).__name__,
            reason=str(error),
            said=str(error.data.get("answer", ""))[:_SAID_CHARS],
            too_much=_is_refused_request(error),
        )
    seconds = round(time.monotonic() - started, 6)
    return SubQueryAnswered(query=number, value=value, missing=missing, seconds=seconds)


def _is_refused_request(error: Exception) -> bool:
    """Whether the provider refused what was in the request: too long, or not allowed."""
    cause = error.__cause__
    return isinstance(cause, LMInvalidRequestError) and not isinstance(
        cause, LMUnsupportedModelError
    )


def failure(event: SubQueryFailed) -> SubQueryError:
    """A failed sub-query as the error that code sees."""
    return SubQueryError(event.reason, error=event.error)


def typed(signature: type[dspy.Signature], kind: Any) -> type[dspy.Signature]:
    """The sub-query's signature with a typed response; instructions and demos carry over."""
    try:
        return _typed_signature(signature, signature.instructions, kind, repr(kind))
    except TypeError:  # an unhashable type
        return signature.with_updated_fields("response", type_=kind)


@functools.lru_cache(maxsize=256)
def _typed_signature(
    signature: type[dspy.Signature], instructions: str, kind: Any, shown: str
) -> type[dspy.Signature]:
    """Kept by how the type is shown too: `Literal`s of another order compare equal.

    And by the instructions, which may be changed in place.
    """
    return signature.with_updated_fields("response", type_=kind)
