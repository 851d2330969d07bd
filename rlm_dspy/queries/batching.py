"""Sub-queries that wait together become one batch at their provider.

Promised: where fewer wait than `RLMOptions.batch_above` says, each is asked the usual way, after
`QUIET_SECONDS`; each attempt of a batch is reserved at its worst case before the batch begins, and
one that a limit refuses is not in it; what a batch does not answer is asked the usual way, but for
a request that the provider calls wrong; a batch that nobody waits for any more is cancelled.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from dspy.utils.exceptions import LMError, LMInvalidRequestError

from rlm_dspy.account import Account, Reservation, SubAccount
from rlm_dspy.budget import Usage
from rlm_dspy.errors import BudgetExceeded, ConfigurationError
from rlm_dspy.event_log import EventLog
from rlm_dspy.models.batch_request import BatchRequest
from rlm_dspy.models.batches import MOST_BYTES, MOST_REQUESTS, Answer, Batch
from rlm_dspy.models.meter import Attempt, Reply
from rlm_dspy.models.tally import Tally
from rlm_dspy.options import RLMOptions
from rlm_dspy.queries.books import Books
from rlm_dspy.queries.sizing import Sizes
from rlm_dspy.queries.traffic import Tree

# A batch begins when no attempt has joined it for so long.
QUIET_SECONDS = 0.2
# How many sub-queries a job has under way at once where they may become a batch.
WIDTH = 10_000


@dataclass(eq=False)
class _Seat:
    """An attempt that waits to be in a batch, then for its answer."""

    name: str
    request: BatchRequest
    reserve: Callable[[], bool]
    answer: "asyncio.Future[Answer | None]"


@dataclass(eq=False)
class _Group:
    """The attempts that wait for one batch."""

    seats: dict[_Seat, None] = field(default_factory=dict)  # in the order in which they came
    size: int = 0
    joined_at: float = 0.0
    task: "asyncio.Task[None] | None" = None


class Gathering:
    """The batches of one tree of runs.

    Args:
        options: From how many attempts on, and for how long.
    """

    def __init__(self, options: RLMOptions):
        self._options = options
        self._open: dict[Hashable, _Group] = {}

    async def answer(
        self, name: str, request: BatchRequest, reserve: Callable[[], bool]
    ) -> Answer | None:
        """Waits for a batch, and for its answer.

        Args:
            name: What tells the request from others.
            request: The request.
            reserve: Reserves the attempt, once, just before the batch begins; whether it could.

        Returns:
            The body of the reply, or why there is none; None where the attempt was in no batch.
        """
        loop = asyncio.get_running_loop()
        # One model at one address, with one key.
        key = (request.lm.model, repr(sorted(request.client.items())))
        group = self._open.get(key)
        if group is None:
            group = self._open[key] = _Group()
            loop.call_later(QUIET_SECONDS, self._look, key, group)
        seat = _Seat(name, request, reserve, loop.create_future())
        group.seats[seat] = None
        group.size += len(request.body)
        group.joined_at = loop.time()
        if len(group.seats) >= MOST_REQUESTS or group.size >= MOST_BYTES:
            self._close(key, group)
        try:
            return await seat.answer
        finally:
            del group.seats[seat]
            if group.task is not None and not group.seats and not group.task.done():
                group.task.cancel()
                await asyncio.wait({group.task})

    def _look(self, key: Hashable, group: _Group) -> None:
        """Closes a group that nobody has joined for a while."""
        if self._open.get(key) is not group:
            return
        loop = asyncio.get_running_loop()
        rest = group.joined_at + QUIET_SECONDS - loop.time()
        if rest > 0:
            loop.call_later(rest, self._look, key, group)
        else:
            self._close(key, group)

    def _close(self, key: Hashable, group: _Group) -> None:
        del self._open[key]
        waiting = [seat for seat in group.seats if not seat.answer.done()]
        enough = len(waiting) >= self._options.batch_above
        taken: list[_Seat] = []
        for seat in waiting:
            if enough and seat.reserve():
                taken.append(seat)
            else:
                seat.answer.set_result(None)
        if taken:
            group.task = asyncio.ensure_future(self._run(taken))

    async def _run(self, seats: list[_Seat]) -> None:
        seen: Counter[str] = Counter()
        named: dict[str, _Seat] = {}
        for seat in seats:
            seen[seat.name] += 1
            named[f"{seat.name}-{seen[seat.name]}"] = seat
        request = seats[0].request
        batch = Batch(request.lm.model, request.client, self._options.batch_seconds)
        try:
            answers = await batch.answers({name: s.request.body for name, s in named.items()})
        except Exception as error:  # noqa: BLE001 - goes to everyone who waits
            for seat in seats:
                if not seat.answer.done():
                    seat.answer.set_exception(error)
            return
        for name, seat in named.items():
            if not seat.answer.done():
                seat.answer.set_result(answers[name])


@dataclass(eq=False)
class _Held:
    reservation: Reservation
    worst: Usage | None


class Batching:
    """Has one run's attempts answered by batches, where that is possible.

    Args:
        account: Where attempts are reserved and charged.
        log: Where each attempt's event goes.
        options: The run's options.
        tree: The attempts of the run's tree.
        gathering: The tree's batches; None to begin them.
    """

    def __init__(
        self,
        account: Account | SubAccount,
        log: EventLog,
        options: RLMOptions,
        tree: Tree,
        gathering: Gathering | None = None,
    ):
        self._account = account
        self._options = options
        self._tree = tree
        self._gathering = gathering or Gathering(options)
        self._sizes = Sizes(account, options, in_batch=True)
        self._books = Books(account, log, self._sizes)

    def child(self, account: SubAccount, log: EventLog) -> "Batching":
        """The same for a sub-run: its attempts join the same batches."""
        return Batching(account, log, self._options, self._tree, self._gathering)

    async def reply(self, attempt: Attempt) -> Reply | None:
        """A batch's answer to an attempt; None where it is to be asked the usual way.

        Raises:
            LMInvalidRequestError: The provider calls the request wrong.
        """
        limit, wanted = self._sizes.reply_limit(attempt)
        request = attempt.batched({limit: wanted} if self._sizes.limited else {})
        if request is None:
            return None
        name = attempt.request or attempt.noted().request
        held: list[_Held] = []
        tally = Tally()

        def reserve() -> bool:
            found = self._reserve(attempt)
            held.extend([found] if found else [])
            return found is not None

        try:
            answer = await self._gathering.answer(name, request, reserve)
            if answer is None:
                return None
            if isinstance(answer, LMError):
                self._give_back(attempt, held.pop(), tally, answer)
                if isinstance(answer, LMInvalidRequestError):
                    raise answer
                return None
            reply = Reply(await request.accept(answer, tally), cache_hit=False)
        except BaseException as error:
            if held:
                self._give_back(attempt, held.pop(), tally, error)
            raise
        self._books.settle(attempt, held[0].reservation, tally, reply)
        self._free()
        return reply

    def _reserve(self, attempt: Attempt) -> _Held | None:
        """The worst case of an attempt, held; None where a limit refuses it as a whole."""
        worst = None
        try:
            if self._sizes.limited:
                size = self._sizes.of(attempt)
                worst = size.worst(size.wanted)
            tokens, dollars = (worst.tokens, worst.dollars) if worst else (0, 0.0)
            held = self._account.reserve(attempt.role, tokens=tokens, dollars=dollars)
        except (BudgetExceeded, ConfigurationError):  # said by the usual way
            return None
        self._tree.reserved += 1
        return _Held(held, worst)

    def _give_back(self, attempt: Attempt, held: _Held, tally: Tally, error: BaseException) -> None:
        self._books.settle_failed(attempt, held.reservation, tally, held.worst, error)
        self._free()

    def _free(self) -> None:
        self._tree.reserved -= 1
        self._tree.wake()
