"""What attempts are charged, and the events that say so."""

from rlm_dspy.account import SUB_QUERY, Account, Reservation, SubAccount
from rlm_dspy.budget import Usage
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import ANSWERING, Charged
from rlm_dspy.models.failures import may_have_cost
from rlm_dspy.models.meter import Attempt, Reply
from rlm_dspy.models.tally import Tally
from rlm_dspy.queries.sizing import Sizes


class Books:
    """Settles and notes the attempts of one run.

    Args:
        account: Where attempts were reserved and are charged.
        log: Where each attempt's event goes.
        sizes: What attempts cost.
    """

    def __init__(self, account: Account | SubAccount, log: EventLog, sizes: Sizes):
        self._account = account
        self._log = log
        self._sizes = sizes

    def hit(self, attempt: Attempt, reply: Reply) -> None:
        """An answer of the cache."""
        self._account.hit(attempt.role)
        self._note(attempt, Usage(), reply=reply)

    def settle(
        self, attempt: Attempt, reservation: Reservation, tally: Tally, reply: Reply
    ) -> None:
        """An attempt that was answered."""
        if reply.cache_hit:  # put there by another process meanwhile
            self._account.release(reservation, counts=False)
            self._note(attempt, Usage(), reply=reply)
            return
        used = self._sizes.used(attempt, reply, tally.usage)
        self._account.settle(reservation, used)
        self._note(attempt, used, tally, reply=reply)

    def settle_failed(
        self,
        attempt: Attempt,
        reservation: Reservation,
        tally: Tally,
        worst: Usage | None,
        error: BaseException,
    ) -> None:
        """An attempt that was not.

        Args:
            attempt: The attempt.
            reservation: What was held for it.
            tally: What it used, as far as that is known.
            worst: Its worst case, where that is known.
            error: What ended it.
        """
        if tally.usage is not None:
            used = self._sizes.priced(attempt, tally.usage)
        elif may_have_cost(error):
            used = worst or self._sizes.worst(attempt)
        else:
            used = Usage()
            self._account.release(reservation)
        self._account.settle(reservation, used)
        self._note(attempt, used, tally, error=type(error).__name__)

    def _note(
        self,
        attempt: Attempt,
        usage: Usage,
        tally: Tally | None = None,
        *,
        reply: Reply | None = None,
        error: str = "",
    ) -> None:
        exchange = attempt.exchange
        if exchange is not None and reply is not None:
            exchange = exchange.answered(reply.outputs)
        self._log.append(
            Charged(
                role=attempt.role,
                model=str(attempt.lm.model),
                query=ANSWERING.get() if attempt.role == SUB_QUERY else 0,
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                reasoning_tokens=usage.reasoning_tokens,
                cached_tokens=usage.cached_tokens,
                dollars=usage.dollars,
                cache_hit=reply is not None and reply.cache_hit,
                estimated=usage.estimated,
                error=error,
                request=attempt.request,
                answered_by=tally.model if tally else "",
                seconds=tally.seconds if tally else 0.0,
            ),
            exchange if reply is not None else None,
        )
