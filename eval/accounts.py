"""What calls of models spend together, call by call.

Counted is what DSPy reports as used: an answer of its cache costs nothing. A call that broke off
without a report is charged at its worst case, unless the provider refused it or was not reached.
"""

import functools
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.utils.exceptions import (
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMError,
    LMInvalidRequestError,
    LMRateLimitError,
    LMServerError,
    LMUnsupportedFeatureError,
)

from eval.journal import Journal, call_key
from eval.purse import Bill, Purse
from eval.usage import count, report, spying
from rlm_dspy import BudgetExceeded
from rlm_dspy.models.failures import may_have_cost

# The longest reply where dollars are limited and neither the LM nor the request says one, tokens.
REPLY_TOKENS = 4_096
# What a chat template may add to a message, tokens.
MESSAGE_TOKENS = 16
# What a provider refuses before it generates anything, at a first attempt or at a later one.
_REFUSED = (
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMInvalidRequestError,
    LMRateLimitError,
    LMUnsupportedFeatureError,
    BudgetExceeded,
)


class Account:
    """What some calls spend together: those of one example, or of a whole tuning.

    Args:
        purse: What pays.
        until: When no call may start any more, in the seconds of `time.monotonic`.
        journal: Keeps what was answered, and answers what it kept.

    Attributes:
        bill: What was spent.
        refused: The limit that refused a call, "dollars" or "seconds"; empty where none did.
        troubles: The errors of requests that no model answered in the end, by request.
    """

    def __init__(
        self, purse: Purse, *, until: float | None = None, journal: Journal | None = None
    ) -> None:
        self.purse = purse
        self.until = until
        self.journal = journal
        self.bill = journal.bill if journal else Bill()
        self.refused = ""
        self.troubles: dict[str, LMError] = {}
        self._under_way: dict[int, Bill] = {}
        self._closed = False
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Account":
        return self

    def close(self) -> Bill:
        """Ends the account: no call starts any more, and what is under way counts at its worst.

        Returns:
            The whole bill.
        """
        with self._lock:
            self._closed = True
            if self.journal:
                for worst in self._under_way.values():
                    self.journal.note("", None, worst)
            return sum(self._under_way.values(), self.bill)

    def begin(self, lm: Any, asked: Any, kwargs: dict[str, Any]) -> "Call":
        """A call that is about to be made; its outputs, where they are known already."""
        call = Call(lm, asked, dict(kwargs))
        if self.journal and (known := self.journal.recall(call.key)) is not None:
            call.outputs = known
            report(lm.model)
        return call

    def admit(self, call: "Call") -> bool:
        """Reserves what a call may cost.

        Returns:
            Whether it may start; not yet where calls under way have to end first.

        Raises:
            BudgetExceeded: The dollars, or the seconds, are spent.
        """
        if self._closed or (self.until is not None and time.monotonic() >= self.until):
            self.refused = self.refused or "seconds"
            raise BudgetExceeded("The time is over.", limit="seconds", asked=0, left=0)
        worst = self._worst(call)
        try:
            if not self.purse.reserve(worst.dollars):
                return False
        except BudgetExceeded as error:
            self.refused = self.refused or error.limit
            raise
        self._under_way[id(call)] = worst
        return True

    @contextmanager
    def paying(self, call: "Call") -> Generator[None]:
        """Settles the call that the block makes."""
        worst, used, bill = self._under_way[id(call)], [], Bill()
        try:
            with dspy.context(usage_tracker=spying(used)):
                yield
            if not call.outputs:
                call.outputs, model = None, call.lm.model
                raise LMServerError(f"{model} answered without a choice", model=model)
            bill = self._used(call.lm.model, used, worst) if used else Bill()
            self.troubles.pop(call.key, None)
        except BaseException as error:
            if isinstance(error, LMError):
                self.troubles[call.key] = error
            if used or not call.is_refused(error):
                bill = self._used(call.lm.model, used, worst)
            raise
        finally:
            self._settle(call, worst, bill)

    def _settle(self, call: "Call", worst: Bill, bill: Bill) -> None:
        self.purse.settle(worst.dollars, bill.dollars)
        with self._lock:
            del self._under_way[id(call)]
            self.bill += bill
            closed = self._closed
        if self.journal and not closed:
            self.journal.note(call.key if call.outputs is not None else "", call.outputs, bill)

    def _worst(self, call: "Call") -> Bill:
        prompt, reply = call.sizes(limited=self.purse.limit is not None)
        dollars = self.purse.prices.dollars(call.lm.model, prompt, reply) or 0.0
        return Bill(1, prompt, reply, dollars=dollars, estimated_calls=1)

    def _used(self, model: str, used: list[dict[str, Any]], worst: Bill) -> Bill:
        """The bill of what dspy reported."""
        counts = [(count(u, "prompt_tokens"), count(u, "completion_tokens")) for u in used]
        if not any(map(any, counts)):
            return worst
        cached = sum(count(u, "prompt_tokens_details", "cached_tokens") for u in used)
        prompt, completion = (sum(column) for column in zip(*counts, strict=True))
        dollars = self.purse.prices.dollars(model, prompt, completion, cached)
        return Bill(1, prompt, completion, cached, dollars or 0.0)


@dataclass
class Call:
    """One call.

    Args:
        lm: The LM.
        asked: The prompt, or the messages.
        kwargs: The request's parameters.
        outputs: What the LM returned; None before that.
    """

    lm: Any
    asked: Any
    kwargs: dict[str, Any]
    outputs: list[Any] | None = None

    @functools.cached_property
    def key(self) -> str:
        """What tells it from other calls."""
        return call_key(self.lm.model, self.asked, {**self.lm.kwargs, **self.kwargs})

    def is_refused(self, error: BaseException) -> bool:
        """Whether nothing was generated for it, as its error says.

        Where the LM retries, only what no provider answers otherwise tells that of all attempts.
        """
        if isinstance(error, _REFUSED):
            return True
        return not getattr(self.lm, "num_retries", 0) and not may_have_cost(error)

    def sizes(self, *, limited: bool) -> tuple[int, int]:
        """The most tokens of its prompt and of its reply.

        Args:
            limited: Whether a request that does not limit its reply is made to.
        """
        said = self.asked if isinstance(self.asked, str) else json.dumps(self.asked, default=repr)
        messages = len(self.asked) if isinstance(self.asked, list) else 1
        given = {**self.lm.kwargs, **self.kwargs}
        name = "max_completion_tokens" if "max_completion_tokens" in given else "max_tokens"
        if given.get(name) is None and limited:
            self.kwargs[name] = given[name] = REPLY_TOKENS
        copies = given.get("n") or given.get("num_generations") or 1
        prompt = len(said.encode("utf-8", "surrogatepass")) + MESSAGE_TOKENS * messages
        return prompt, (given.get(name) or REPLY_TOKENS) * copies
