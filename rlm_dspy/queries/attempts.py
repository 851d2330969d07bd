"""The attempts at models that one run makes: in turn, within the account, tried again, recorded.

Each attempt waits for its turn, is reserved at its worst case before it starts and settled after,
is tried again where dspy calls the error retryable, and becomes an event. What dspy's cache knows
is answered from there: it needs no turn, and no limit refuses it.

An attempt that the provider refuses, or that never reached it, costs nothing. One that was broken
off (cancelled, out of time, cut off, unreadable) is charged what the provider reported, else the
worst case that was reserved, since it may have been generated and billed in full.
"""

import asyncio
import random
import time
from typing import Any

from dspy.utils.exceptions import LMError, LMRateLimitError, is_retryable_lm_error

from rlm_dspy.account import SUB_QUERY, Account, Reservation, SubAccount
from rlm_dspy.budget import Usage
from rlm_dspy.errors import BudgetExceeded, ConfigurationError
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import Event
from rlm_dspy.models.meter import Attempt, Cached, Reply
from rlm_dspy.models.tally import Tally
from rlm_dspy.options import RLMOptions
from rlm_dspy.queries.batching import Batching
from rlm_dspy.queries.books import Books
from rlm_dspy.queries.lanes import LONGEST_WAIT, Terms
from rlm_dspy.queries.recorded import Recorded, failed
from rlm_dspy.queries.sizing import Sizes
from rlm_dspy.queries.traffic import Ticket, Tree, Visitor, traffic
from rlm_dspy.settings import settings

# The shortest reply that is worth asking for when little of a limit is left, in tokens.
LEAST_REPLY = {"plan": 128, "direct": 64, "extract": 32, "sub_query": 16}
# The longest back-off where the provider does not say how long, in seconds.
LONGEST_BACK_OFF = 60.0


class Attempts:
    """Makes the attempts of one run.

    Args:
        account: Where attempts are reserved and charged.
        log: Where each attempt's event goes.
        options: The run's options.
        tree: The attempts of the run's tree; None to begin one.

    Attributes:
        sizes: Sizes and prices of attempts.
        tree: The attempts of the run's tree.
    """

    def __init__(
        self,
        account: Account | SubAccount,
        log: EventLog,
        options: RLMOptions,
        tree: Tree | None = None,
    ):
        self.account = account
        self.log = log
        self.options = options
        self.sizes = Sizes(account, options)
        self.tree = tree or Tree(account.budget.concurrency)
        self._visitor = Visitor(self.tree, terms_of(options))
        self._recorded = Recorded(account, log)
        self._books = Books(account, log, self.sizes)
        self._batching: Batching | None = None
        if options.batch_api != "off":
            self._batching = Batching(account, log, options, self.tree)

    def again(self, events: list[Event]) -> None:
        """Has recorded events happen again, without asking anybody."""
        self._recorded.again(events)

    def child(self, account: SubAccount, log: EventLog) -> "Attempts":
        """A sub-run's attempts: they share what may be in flight, and take turns with these."""
        child = Attempts(account, log, self.options, self.tree)
        if self._batching is not None:
            child._batching = self._batching.child(account, log)
        return child

    async def gate(self, attempt: Attempt) -> Reply:
        """The cache's answer, else the model's.

        Raises:
            BudgetExceeded: A limit refuses the attempt, or time ran out in it.
            LMError: The model does not answer.
            ConfigurationError: Dollars are limited and the model's price is unknown.
        """
        if not self.log.is_recorded:
            return await self._within_time(attempt)
        attempt = attempt.noted()
        if (reply := await self._recorded.reply(attempt)) is not None:
            return reply
        try:
            reply = await self._within_time(attempt)
        except (LMError, BudgetExceeded, ConfigurationError) as error:
            self.log.append(failed(attempt, error))
            raise
        await self.log.settled()
        return reply

    async def _within_time(self, attempt: Attempt) -> Reply:
        clock = asyncio.timeout(self.account.timeout(attempt.role))
        try:
            async with clock:
                return await self._answered(attempt)
        except TimeoutError as error:
            if not clock.expired():
                raise
            raise BudgetExceeded(
                f"The budget's limit of {self.account.budget.seconds:g} seconds ended a call.",
                limit="seconds",
                asked=0,
                left=0,
            ) from error

    async def _answered(self, attempt: Attempt) -> Reply:
        """The cache's answer, else the model's; of identical requests in flight, one is made."""
        name, wanted = self.sizes.reply_limit(attempt)
        cached = attempt.cached({name: wanted} if self.sizes.limited else {})
        if cached is None:
            return await self._tried(attempt)
        if (reply := await self._from_cache(attempt, cached)) is not None:
            return reply
        async with traffic().flight(cached.key) as was_made:
            if was_made and (reply := await self._from_cache(attempt, cached)) is not None:
                return reply
            return await self._tried(attempt)

    async def _from_cache(self, attempt: Attempt, cached: Cached) -> Reply | None:
        reply = await cached.answer()
        if reply is not None:
            self._books.hit(attempt, reply)
        return reply

    async def _tried(self, attempt: Attempt) -> Reply:
        """Tries the user's number of times; where the provider says when, not before.

        A batch comes before that, where one is possible: what it does not answer is tried here.
        """
        if self._batching is not None and attempt.role == SUB_QUERY:
            reply = await self._batching.reply(attempt)
            if reply is not None:
                return reply
        retries = int(getattr(attempt.lm, "num_retries", 0) or 0)
        road = traffic()
        lane = road.lane(lane_key(attempt.lm))
        rough = self.sizes.rough(attempt)
        for number in range(retries + 1):
            ticket = await road.enter(self._visitor, lane, rough, first=number > 0)
            tally = Tally()
            try:
                return await self._attempt(attempt, ticket, tally)
            except LMError as error:
                waits = error.retry_after or 0.0
                if number == retries or waits > LONGEST_WAIT or not is_retryable_lm_error(error):
                    raise
                pause = back_off(error, number)
            finally:
                road.leave(ticket, tally.usage.tokens if tally.usage else rough)
            await asyncio.sleep(pause)
        raise AssertionError("a loop of at least one attempt returns or raises")

    async def _attempt(self, attempt: Attempt, ticket: Ticket, tally: Tally) -> Reply:
        more, reservation, worst = await self._reserve(attempt)
        tree = self.tree
        tree.reserved += 1
        now = asyncio.get_running_loop().time
        tally.started = time.monotonic()
        try:
            reply = await attempt.perform(more, tally)
        except BaseException as error:
            self._books.settle_failed(attempt, reservation, tally, worst, error)
            if isinstance(error, LMRateLimitError):
                ticket.lane.throttle(error.retry_after, now())
            raise
        finally:
            tree.reserved -= 1
            # Woken after this attempt was settled: nothing else runs before that.
            tree.wake()
        ticket.lane.succeed(tally.headers, now())
        self._books.settle(attempt, reservation, tally, reply)
        return reply

    async def _reserve(self, attempt: Attempt) -> tuple[dict[str, Any], Reservation, Usage | None]:
        """What to add to the request, its reservation and its worst case, where that is known.

        Waits while the worst case of attempts in flight, and not what was really used, stands in
        the way of a whole reply: most of them use far less than they reserved.
        """
        role, tree = attempt.role, self.tree
        if not self.sizes.limited:
            return {}, self.account.reserve(role, tokens=0, dollars=0.0), None
        size = self.sizes.of(attempt)
        while True:
            affordable = self.sizes.affordable(role, size)
            whole = affordable >= size.wanted
            if whole or not tree.reserved or self.account.left("calls", role) < 1:
                break
            await tree.freed.wait()
        least = LEAST_REPLY.get(role, 1)
        reply = max(min(size.wanted, affordable), min(size.wanted, least))
        worst = size.worst(reply)
        held = self.account.reserve(role, tokens=worst.tokens, dollars=worst.dollars)
        return {size.limit: reply}, held, worst


def terms_of(options: RLMOptions) -> Terms:
    """What the options, else the environment, allow for one model."""
    found = settings()
    return Terms(
        concurrency=options.model_concurrency,
        requests=options.requests_per_minute or found.rlm_requests_per_minute,
        tokens=options.tokens_per_minute or found.rlm_tokens_per_minute,
    )


def lane_key(lm: Any) -> Any:
    """What tells one model at one address from another; an engine of the user's is its own."""
    engine = getattr(lm, "_engine_spec", None)
    if not isinstance(engine, str):
        return (lm.model, id(lm if engine is None else engine))
    given = lm.kwargs
    return (lm.model, str(given.get("api_base") or given.get("base_url") or ""))


def back_off(error: LMError, attempt: int) -> float:
    """How long an attempt waits before the next one, in seconds.

    A rate limit with a `Retry-After` holds up the whole lane, and so needs no wait of its own. The
    other waits are spread, so that what failed together does not come back together.
    """
    if error.retry_after is not None:
        return 0.0 if isinstance(error, LMRateLimitError) else error.retry_after
    return min(2.0**attempt, LONGEST_BACK_OFF) * random.uniform(0.75, 1.25)
