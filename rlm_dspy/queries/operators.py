"""What code in the REPL asks sub-models with: `llm_query`, `ask`, `ask_each`, `keep`, `combine`.

A failed item of a batch is its own: an "[ERROR] …" string from `llm_query_batched` (as dspy has
it), `Missing(reason)` from the typed operators, with the reason in the run's events as well.
"""

import contextlib
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from rlm_dspy.coercion import coerce_whole
from rlm_dspy.context.ledger import Ledger
from rlm_dspy.errors import SubQueryError
from rlm_dspy.event_log import EventLog
from rlm_dspy.missing import Missing
from rlm_dspy.placed import joined, takes_origins
from rlm_dspy.queries.items import Items, each
from rlm_dspy.queries.questions import Effect, Questions
from rlm_dspy.queries.reducing import reduced
from rlm_dspy.queries.scheduler import Scheduler
from rlm_dspy.queries.types import as_type


class Operators:
    """The sub-query functions of one run.

    Args:
        scheduler: Asks the models.
        log: The run's events.
        effect: The flow's seam: what a sub-query answers is read from the event it returns.
        predictor: The `sub_query` predictor.
        lm: The sub-model; None for the predictor's own, else dspy's configured one.
        max_llm_calls: How many prompts `llm_query` and `llm_query_batched` may ask; None for any.
        ledger: Notes what models read; None: nobody asks.

    Attributes:
        questions: What asks the sub-model.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        log: EventLog,
        effect: Effect,
        predictor: Any,
        lm: Any,
        max_llm_calls: int | None,
        ledger: Ledger | None = None,
    ):
        self.questions = Questions(scheduler, log, effect, predictor, lm, ledger)
        self._limit = max_llm_calls
        self._asked = 0

    def functions(self, *, plain: bool = False) -> dict[str, Callable[..., Awaitable[Any]]]:
        """The functions by the name that code calls them by.

        Args:
            plain: Whether answers cross as JSON, where `Missing` is None.
        """
        many = {"ask_each": self.ask_each, "keep": self.keep}
        return {
            "llm_query": self.llm_query,
            "llm_query_batched": self.llm_query_batched,
            "ask": self.ask,
            "combine": self.combine,
            **({name: _plain(function) for name, function in many.items()} if plain else many),
        }

    @takes_origins
    async def llm_query(self, prompt: str, model: str | None = None) -> str:
        """Asks one prompt.

        Raises:
            SubQueryError: The prompt is empty, no call is left, or the model failed.
        """
        if not prompt:
            raise SubQueryError("prompt cannot be empty")
        self.take(1)
        return await self.questions.using(model).one("llm_query", _said(prompt), None, str)

    @takes_origins
    async def llm_query_batched(
        self, prompts: Sequence[str], model: str | None = None
    ) -> list[str]:
        """Asks many prompts at once; the order is kept.

        Returns:
            One string a prompt; "[ERROR] …" for one whose model failed.

        Raises:
            SubQueryError: The batch is over what is left: nothing was asked.
        """
        if isinstance(prompts, str):
            raise SubQueryError("llm_query_batched takes a list of prompts, not one string")
        prompts, asked = list(prompts), self.questions.using(model)
        self.take(len(prompts))
        answers = [""] * len(prompts)

        async def ask(at: int) -> None:
            try:
                answers[at] = await asked.one("llm_query_batched", _said(prompts[at]), None, str)
            except SubQueryError as error:
                answers[at] = f"[ERROR] {error}"

        jobs = [lambda at=at: ask(at) for at in range(len(prompts))]
        await each(jobs, self.questions.width)
        return answers

    @takes_origins
    async def ask(
        self, question: str, text: Any, returns: Any = str, model: str | None = None
    ) -> Any:
        """Asks a question about a text.

        Args:
            question: The question.
            text: The text; anything else is shown as Python prints it.
            returns: The answer's type, a JSON schema, or a type's name.
            model: The name of the sub-model, where there are several.

        Returns:
            The answer, of that type.

        Raises:
            SubQueryError: The model failed, or its answer does not fit the type.
        """
        asked = self.questions.using(model)
        return await asked.one("ask", _said(question), as_text(text), as_type(returns))

    @takes_origins
    async def ask_each(
        self,
        question: str,
        items: Sequence[Any],
        returns: Any = str,
        pack: Any = "auto",
        model: str | None = None,
    ) -> list[Any]:
        """Asks the same question about every item, concurrently; many short items share a call.

        Args:
            question: The question, as about one item.
            items: The items; anything but text is shown as Python prints it. None and `Missing`
                are missing in the answers as well.
            returns: The type of an answer, a JSON schema, or a type's name.
            pack: How many items may share a call; 1 for one call an item; "auto" to decide by their
                number and length.
            model: As for `ask`.

        Returns:
            One answer an item, in order; `Missing(reason)` for one that could not be had.

        Raises:
            SubQueryError: Not one item could be answered.
        """
        asked = self.questions.using(model)
        return await _each(asked, "ask_each", question, items, as_type(returns), pack)

    @takes_origins
    async def keep(
        self,
        question: str,
        items: Sequence[Any],
        pack: Any = "auto",
        model: str | None = None,
    ) -> list[Any]:
        """The items for which the answer to a question is yes, in order.

        Args:
            question: A question with the answers yes and no, as about one item.
            items: The items.
            pack: As for `ask_each`.
            model: As for `ask`.

        Returns:
            The items; in place of one that could not be judged, `Missing(reason)`.

        Raises:
            SubQueryError: Not one item could be judged.
        """
        listed = _listed(items)
        asked = self.questions.using(model)
        verdicts = await _each(asked, "keep", question, listed, bool, pack)
        return [
            verdict if isinstance(verdict, Missing) else item
            for item, verdict in zip(listed, verdicts, strict=True)
            if verdict or isinstance(verdict, Missing)
        ]

    @takes_origins
    async def combine(
        self,
        question: str,
        parts: Sequence[Any],
        returns: Any = str,
        model: str | None = None,
    ) -> Any:
        """Answers a question from many parts: as a tree, where they do not fit one call.

        Parts that are None or `Missing` are left out. A single part that as a whole is of the
        type is the answer.

        Returns:
            One answer, of the type.

        Raises:
            SubQueryError: There is no part, a model failed, or its answer does not fit the type.
        """
        texts = [text for text in map(as_item, _listed(parts)) if isinstance(text, str)]
        if not texts:
            # A model that is asked about nothing makes an answer up.
            raise SubQueryError("combine has no parts to answer from: nothing was found")
        kind = as_type(returns)
        if len(texts) == 1:
            with contextlib.suppress(ValueError):
                return coerce_whole(texts[0], kind)  # there is nothing to combine
        return await reduced(self.questions.using(model), str(question), texts, kind)

    def take(self, count: int) -> None:
        """Counts prompts against `max_llm_calls`.

        Raises:
            SubQueryError: So many are not left; none was counted.
        """
        if self._limit is not None and self._asked + count > self._limit:
            raise SubQueryError(
                f"LLM call limit exceeded: {self._asked} + {count} > {self._limit}. "
                "Use Python code for aggregation instead of making more LLM calls.",
                asked=count,
                left=self._limit - self._asked,
            )
        self._asked += count


async def _each(
    questions: Questions, operator: str, question: str, items: Any, kind: Any, pack: Any
) -> list[Any]:
    texts = [as_item(item) for item in _listed(items)]
    asked = Items(questions, operator, str(question), texts, kind)
    answers = await asked.answers(_most(pack))
    if asked.failures and all(isinstance(answer, Missing) for answer in answers):
        raise asked.failures[0]
    return answers


def _plain(function: Callable[..., Awaitable[list[Any]]]) -> Callable[..., Awaitable[list[Any]]]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> list[Any]:
        answers = await function(*args, **kwargs)
        return [None if isinstance(answer, Missing) else answer for answer in answers]

    return call


def as_text(value: Any) -> str:
    """A value as a sub-query reads it."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return joined("\n", [as_text(item) for item in value])
    return str(value)


def _said(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def as_item(value: Any) -> str | Missing:
    """A value as one item of many: text, or missing where there is none."""
    if value is None:
        return Missing("the item is None")
    return value if isinstance(value, Missing) else as_text(value)


def _listed(items: Any) -> list[Any]:
    if isinstance(items, (str, bytes, dict)) or not hasattr(items, "__iter__"):
        raise SubQueryError(f"items must be a list, not {type(items).__name__}")
    if isinstance(items, (set, frozenset)):
        # It crosses to the host as a set, whose order is another one there.
        raise SubQueryError("a set has no order, and answers come in order: pass sorted(items)")
    return list(items)


def _most(pack: Any) -> int | None:
    if pack in ("auto", None) or pack is True:
        return None
    if isinstance(pack, int) and pack >= 0:
        return max(int(pack), 1)
    raise SubQueryError(
        f"pack={pack!r} is no number of items: write pack=1 for one call an item, pack=20 for at "
        "most 20 items a call, or leave it out."
    )
