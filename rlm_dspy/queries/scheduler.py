"""The one way to a model: every call of every predictor passes here.

It bounds how many attempts are in flight, reserves each at its worst case before it starts and
settles it after, retries what dspy calls retryable, and gives each attempt an event.
"""

import asyncio
import copy
import sys
from dataclasses import dataclass, replace
from typing import Any

import dspy
from dspy.adapters.chat_adapter import ChatAdapter
from dspy.clients.base_lm import BaseLM
from dspy.dsp.utils.settings import main_thread_config
from dspy.utils.exceptions import AdapterParseError, LMError, is_retryable_lm_error

from rlm_dspy.adapters import ReplAdapter, Wire
from rlm_dspy.budget import EXTRACT, SUB_QUERY, Account, Reservation, Usage
from rlm_dspy.dspy_errors import ProviderError
from rlm_dspy.errors import BudgetExceeded, ConfigurationError
from rlm_dspy.events import Charged, EventLog
from rlm_dspy.models.capabilities import constraint_for, supports_stop
from rlm_dspy.models.meter import Attempt, Perform, Reply, metered
from rlm_dspy.models.prices import Price, count_tokens, price_of
from rlm_dspy.options import RLMOptions

# What chat templates and role markers add to a message, as an upper bound in tokens.
MESSAGE_OVERHEAD = 16
# The shortest reply that is worth asking for when little of a limit is left, in tokens.
LEAST_REPLY = {"plan": 128, "direct": 64, "extract": 32, "sub_query": 16}
LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Size:
    """What an attempt can use.

    Args:
        prompt: The most tokens of its prompt.
        wanted: The most tokens of one reply, as the user or the options have it.
        copies: How many replies are asked for.
        limit: The request's parameter that limits a reply.
        price: The price of a token; None where it is unknown.
    """

    prompt: int
    wanted: int
    copies: int
    limit: str
    price: Price | None


class Scheduler:
    """Asks models on behalf of one tree of runs.

    Args:
        account: Where attempts are reserved and charged.
        log: Where each attempt's event goes.
        options: The run's options.
    """

    def __init__(self, account: Account, log: EventLog, options: RLMOptions):
        self.account = account
        self.log = log
        self.options = options
        self._slots = asyncio.Semaphore(account.budget.concurrency)
        self._sub_queries = 0
        self._in_flight = 0
        self._freed = asyncio.Event()
        self._adapter = ReplAdapter(wire_of if options.constrain == "auto" else _no_constraint)

    async def call(
        self, predictor: Any, role: str, lm: BaseLM | None, **inputs: Any
    ) -> dspy.Prediction:
        """Asks a predictor.

        Args:
            predictor: A `dspy.Predict`, or anything that is called like one.
            role: "plan", "sub_query", "extract" or "direct".
            lm: The LM; None for the predictor's own, else dspy's configured one.
            **inputs: The predictor's inputs, and `signature=` or `config=` as dspy takes them.

        Returns:
            The prediction.

        Raises:
            BudgetExceeded: A limit refuses the call, or time ran out in it.
            ProviderError: The model does not answer.
            AdapterParseError: The reply is not what the signature says.
            ConfigurationError: There is no LM, or a dollar limit without a known price.
        """
        lm = lm or getattr(predictor, "lm", None) or dspy.settings.lm
        with dspy.context(**self._overrides(role)):
            if not hasattr(predictor, "acall"):
                return await asyncio.to_thread(predictor, **inputs)
            self._check(lm)
            twin = metered(lm, role, self._gate) if isinstance(lm, BaseLM) else lm
            try:
                return await predictor.acall(lm=twin, **inputs)
            except (AdapterParseError, ProviderError):
                raise
            except LMError as error:
                raise ProviderError(
                    str(error), model=getattr(lm, "model", None), status=error.status
                ) from error

    def _overrides(self, role: str) -> dict[str, Any]:
        adapter = dspy.settings.adapter or self._adapter
        overrides: dict[str, Any] = {}
        salvaged = role in ("plan", SUB_QUERY)
        if salvaged and isinstance(adapter, ChatAdapter) and adapter.use_json_adapter_fallback:
            # A plain text is an answer, and a bare block of code a step: no second call in another
            # format.
            adapter = copy.copy(adapter)
            adapter.use_json_adapter_fallback = False
        if role == SUB_QUERY:
            self._sub_queries += 1
            if dspy.settings.trace is main_thread_config.trace:
                overrides["trace"] = None  # nobody reads the global list: 85 MB after 2,000 calls
            if self._sub_queries > self.options.inherit_history:
                overrides["disable_history"] = True
        return {"adapter": adapter, **overrides}

    def _check(self, lm: Any) -> None:
        if lm is None:
            raise ConfigurationError(
                "No LM is loaded. Call dspy.configure(lm=dspy.LM('openai/gpt-5')) first, "
                "or name one by RLM_MODEL."
            )
        if isinstance(lm, str):
            raise ConfigurationError(
                f"LM must be an instance of dspy.BaseLM, not the string {lm!r}: "
                f"write dspy.LM({lm!r}).",
                value=lm,
            )

    async def _gate(self, attempt: Attempt, perform: Perform) -> Reply:
        retries = int(getattr(attempt.lm, "num_retries", 0) or 0)
        for number in range(retries + 1):
            try:
                async with self._slots:
                    return await self._attempt(attempt, perform)
            except LMError as error:
                if number == retries or not is_retryable_lm_error(error):
                    raise
                await asyncio.sleep(_wait(error, number))
        raise AssertionError("a loop of at least one attempt returns or raises")

    async def _attempt(self, attempt: Attempt, perform: Perform) -> Reply:
        more, reservation = await self._reserve(attempt)
        self._in_flight += 1
        clock = asyncio.timeout(self.account.timeout(attempt.role))
        try:
            async with clock:
                reply = await perform(more)
        except BaseException as error:
            self.account.release(reservation)
            self._note(attempt, Usage(), error=type(error).__name__)
            if isinstance(error, TimeoutError) and clock.expired():
                raise BudgetExceeded(
                    f"The budget's limit of {self.account.budget.seconds:g} seconds ended a call.",
                    limit="seconds",
                    asked=0,
                    left=0,
                ) from error
            raise
        finally:
            self._in_flight -= 1
            # Woken after this attempt was settled: nothing else runs before that.
            self._freed.set()
            self._freed = asyncio.Event()
        self._settle(attempt, reservation, reply)
        return reply

    async def _reserve(self, attempt: Attempt) -> tuple[dict[str, Any], Reservation]:
        """What to add to the request, and its reservation.

        Waits while the worst case of attempts in flight, and not what was really used, stands in
        the way of a whole reply: most of them use far less than they reserved.
        """
        size = self._size(attempt)
        if size is None:
            return {}, self.account.reserve(attempt.role, tokens=0, dollars=0.0)
        while True:
            affordable = self._affordable(attempt.role, size.prompt, size.price) // size.copies
            whole = affordable >= size.wanted
            if whole or not self._in_flight or self.account.left("calls", attempt.role) < 1:
                break
            await self._freed.wait()
        least = LEAST_REPLY.get(attempt.role, 1)
        reply = max(min(size.wanted, affordable), min(size.wanted, least))
        replies = reply * size.copies
        dollars = size.price.most(size.prompt, replies) if size.price else 0.0
        tokens = size.prompt + replies
        held = self.account.reserve(attempt.role, tokens=tokens, dollars=dollars)
        return {size.limit: reply}, held

    def _settle(self, attempt: Attempt, reservation: Reservation, reply: Reply) -> None:
        if reply.cache_hit:
            self.account.release(reservation, counts=False)
            self._note(attempt, Usage(), cache_hit=True)
            return
        usage = _priced(reply.usage or _upper_bound(attempt, reply), self._price(attempt))
        self.account.settle(reservation, usage)
        self._note(attempt, usage)

    def _note(
        self, attempt: Attempt, usage: Usage, *, cache_hit: bool = False, error: str = ""
    ) -> None:
        self.log.append(
            Charged(
                role=attempt.role,
                model=str(attempt.lm.model),
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                cached_tokens=usage.cached_tokens,
                dollars=usage.dollars,
                cache_hit=cache_hit,
                estimated=usage.estimated,
                error=error,
            )
        )

    def _size(self, attempt: Attempt) -> Size | None:
        """How big an attempt is; None where no limit asks."""
        budget = self.account.budget
        if budget.tokens is None and budget.dollars is None:
            return None
        price = self._price(attempt)
        if budget.dollars is not None and price is None:
            raise ConfigurationError(
                f"The price of {attempt.lm.model!r} is unknown, so a limit of "
                f"{budget.dollars:g} dollars cannot be kept: use a model that LiteLLM prices, or "
                "limit tokens or calls instead.",
                model=attempt.lm.model,
            )
        name = "max_completion_tokens"
        if name not in getattr(attempt.lm, "kwargs", {}):
            name = "max_tokens"
        counted = count_tokens(attempt.lm.model, attempt.messages)
        return Size(
            prompt=counted or prompt_bound(attempt.messages),
            wanted=int(attempt.parameter(name, "max_tokens") or self.options.max_tokens),
            copies=int(attempt.parameter("n", "num_generations") or 1),
            limit=name,
            price=price,
        )

    def _affordable(self, role: str, prompt: int, price: Price | None) -> int:
        """How long a reply the limits allow, in tokens."""
        most = self.account.left("tokens", role) - prompt
        if price and self.account.budget.dollars is not None:
            asked = price.most(prompt, 0)
            each = price.most(prompt, 1) - asked
            if each > 0:
                most = min(most, (self.account.left("dollars", role) - asked) / each)
        return int(min(most, 1 << 40))

    def _price(self, attempt: Attempt) -> Price | None:
        """The price, where it is limited or costs nothing to look up (LiteLLM's import is slow)."""
        if self.account.budget.dollars is None and "litellm" not in sys.modules:
            return None
        return price_of(str(attempt.lm.model))


def room_for_findings(account: Account) -> int:
    """How many characters the last extraction can afford to read, by what is held back for it."""
    left = account.left("tokens", EXTRACT)
    return int(min(max(left * 0.6 - 200, 0), 1 << 40))


def prompt_bound(messages: list[dict[str, Any]]) -> int:
    """An upper bound of a prompt's tokens: no tokenizer makes more tokens than UTF-8 bytes."""
    size = sum(len(str(m.get("content", "")).encode("utf-8", "replace")) for m in messages)
    return size + MESSAGE_OVERHEAD * len(messages)


def _upper_bound(attempt: Attempt, reply: Reply) -> Usage:
    """What an attempt used at most, where its model reported nothing."""
    said = [out if isinstance(out, str) else str(out) for out in reply.outputs]
    size = sum(len(text.encode("utf-8", "replace")) for text in said)
    return Usage(prompt_bound(attempt.messages), size, estimated=True)


def _priced(usage: Usage, price: Price | None) -> Usage:
    if price is None:
        return usage
    cost = price.cost(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
    return replace(usage, dollars=cost)


def _wait(error: LMError, attempt: int) -> float:
    hint = error.retry_after
    return min(hint if hint is not None else 2.0**attempt, LONGEST_WAIT)


def wire_of(lm: Any) -> Wire:
    """What an LM's server takes."""
    return Wire(stop=supports_stop(lm), constraint=constraint_for(lm))


def _no_constraint(lm: Any) -> Wire:
    return Wire(stop=supports_stop(lm))
