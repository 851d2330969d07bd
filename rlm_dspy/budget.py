"""What a run may spend, and the account that holds it to that.

`Budget` is the promise, `Account` keeps it: every attempt at a model is reserved at its worst case
before it starts and settled after, so that calls, tokens and dollars are never exceeded, however
many attempts are in flight. A part of each limit is held back for the last extraction, so that
exhaustion still yields the best partial answer: only the role "extract" may use it, and "direct",
after which there is nothing to extract.

The account is shared by a whole tree of runs and may be used from any thread.
"""

import threading
import time
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from rlm_dspy.errors import BudgetExceeded, ConfigurationError

# The share of tokens, dollars and seconds that is held back for the last extraction, and its most.
HELD_SHARE = 0.25
HELD_TOKENS = 8_000
HELD_DOLLARS = 0.10
HELD_SECONDS = 15.0

EXTRACT = "extract"
DIRECT = "direct"
SUB_QUERY = "sub_query"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The limits of one run, its sub-runs included. A limit of None is no limit.

    Args:
        dollars: Money, in US dollars; needs a model whose price is known.
        tokens: Prompt and completion tokens of all models together.
        calls: Attempts at a model: planner, sub-query, repair and retry each count; what the cache
            answers does not.
        seconds: Wall-clock seconds: nothing starts after them.
        steps: Steps of the planner.
        depth: How deep runs may nest; 1 means sub-queries only.
        concurrency: How many attempts may be in flight at once.

    Raises:
        ConfigurationError: A limit is negative, or not a number.

    Example:
        >>> Budget(dollars=0.50, seconds=120).dollars
        0.5
    """

    dollars: float | None = None
    tokens: int | None = None
    calls: int | None = None
    seconds: float | None = None
    steps: int | None = None
    depth: int = 1
    concurrency: int = 32

    def __post_init__(self):
        for item in fields(self):
            value = getattr(self, item.name)
            least = 1 if item.name in ("depth", "concurrency") else 0
            if value is None and least == 0:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
                raise ConfigurationError(
                    f"Budget({item.name}={value!r}): a limit is a number of at least {least}"
                    + ("" if least else ", or None for no limit")
                    + ".",
                    value=value,
                )


@dataclass(frozen=True)
class Usage:
    """What one attempt used, in tokens and US dollars.

    Args:
        prompt_tokens: Tokens of the prompt, cached ones included.
        completion_tokens: Tokens of the reply, reasoning included.
        cached_tokens: Those of the prompt that the provider's prompt cache answered.
        reasoning_tokens: Those of the reply that were reasoning.
        dollars: What it cost; 0 where the price is unknown.
        estimated: The model reported nothing: the counts are upper bounds.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    dollars: float = 0.0
    estimated: bool = False

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class Spend:
    """What a run has spent so far.

    Args:
        calls: Attempts at a model.
        planner_tokens: Tokens of planning, extraction and direct answers.
        sub_tokens: Tokens of sub-queries.
        cached_tokens: Prompt tokens that a provider's prompt cache answered.
        dollars: Money, in US dollars.
        seconds: Wall-clock seconds since the run started.
        steps: Steps of the planner.
        cache_hits: Calls that dspy's cache answered, free.
        estimated_calls: Calls whose model reported no usage: their tokens are upper bounds.
        by_role: Calls, tokens and dollars of each predictor.
    """

    calls: int = 0
    planner_tokens: int = 0
    sub_tokens: int = 0
    cached_tokens: int = 0
    dollars: float = 0.0
    seconds: float = 0.0
    steps: int = 0
    cache_hits: int = 0
    estimated_calls: int = 0
    by_role: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.planner_tokens + self.sub_tokens

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain data, money rounded to a millionth of a dollar."""
        return {
            **asdict(self),
            "dollars": round(self.dollars, 6),
            "seconds": round(self.seconds, 3),
        }


@dataclass
class Reservation:
    """One attempt's worst case, held until it is settled or released."""

    role: str
    tokens: int
    dollars: float
    open: bool = True


class Account:
    """Holds a tree of runs to its budget.

    Args:
        budget: The limits.
    """

    def __init__(self, budget: Budget):
        self.budget = budget
        self.started = time.monotonic()
        self._lock = threading.Lock()
        self._spend = Spend()
        self._reserved = {"tokens": 0.0, "dollars": 0.0}

    @property
    def spend(self) -> Spend:
        """What was spent so far; reservations in flight are not in it."""
        with self._lock:
            return replace(self._spend, seconds=self.elapsed())

    def elapsed(self) -> float:
        """Seconds since the account was opened."""
        return time.monotonic() - self.started

    def held(self, limit: str) -> float:
        """What of `limit` only the last extraction may use, in the limit's unit."""
        total = getattr(self.budget, limit)
        if total is None or limit == "steps":
            return 0
        if limit == "calls":
            return min(total, 2 if total >= 8 else 1)
        most = {"tokens": HELD_TOKENS, "dollars": HELD_DOLLARS, "seconds": HELD_SECONDS}[limit]
        return min(total * HELD_SHARE, most)

    def left(self, limit: str, role: str) -> float:
        """What `role` may still use of `limit`, in the limit's unit; infinite without a limit."""
        with self._lock:
            return self._left(limit, role)

    def seconds_left(self, role: str) -> float:
        """Seconds until `role` must have ended; infinite without a limit."""
        return self.left("seconds", role)

    def timeout(self, role: str) -> float | None:
        """`seconds_left` as asyncio takes it: None without a limit, never negative."""
        left = self.seconds_left(role)
        return None if left == float("inf") else max(left, 0)

    def reserve(self, role: str, *, tokens: int, dollars: float) -> Reservation:
        """Holds one attempt's worst case.

        Args:
            role: The predictor that asks.
            tokens: The most tokens that the attempt can use, prompt and completion.
            dollars: The most it can cost.

        Returns:
            The reservation, to be settled or released.

        Raises:
            BudgetExceeded: A limit does not allow it; nothing was held.
        """
        asked = {"seconds": 0.0, "calls": 1, "tokens": tokens, "dollars": dollars}
        with self._lock:
            for limit, amount in asked.items():
                left = self._left(limit, role)
                if left < amount or (limit == "seconds" and left <= 0):
                    raise self._exceeded(limit, amount, left)
            self._reserved["tokens"] += tokens
            self._reserved["dollars"] += dollars
            self._spend = replace(self._spend, calls=self._spend.calls + 1)
        return Reservation(role, tokens, dollars)

    def settle(self, reservation: Reservation, usage: Usage) -> None:
        """Charges what the attempt used and frees the rest of its reservation.

        Args:
            reservation: What `reserve` gave; one that was settled or released is not charged again.
            usage: What the attempt used.
        """
        with self._lock:
            if not reservation.open:
                return
            self._free(reservation)
            self._charge(reservation.role, usage)

    def release(self, reservation: Reservation, *, counts: bool = True) -> None:
        """Frees the reservation of an attempt that used nothing.

        Args:
            reservation: What `reserve` gave; releasing it again does nothing.
            counts: Whether the attempt still counts as a call; not for what the cache answered.
        """
        with self._lock:
            if not reservation.open:
                return
            self._free(reservation)
            if not counts:
                hits, calls = self._spend.cache_hits + 1, self._spend.calls - 1
                self._spend = replace(self._spend, cache_hits=hits, calls=calls)

    def take_step(self) -> int:
        """Counts one step of the planner.

        Returns:
            The number of the step, from 1.

        Raises:
            BudgetExceeded: The limit on steps is reached.
        """
        with self._lock:
            if self._left("steps", "plan") < 1:
                raise self._exceeded("steps", 1, 0)
            self._spend = replace(self._spend, steps=self._spend.steps + 1)
            return self._spend.steps

    def _left(self, limit: str, role: str) -> float:
        total = getattr(self.budget, limit)
        if total is None:
            return float("inf")
        used = self.elapsed() if limit == "seconds" else getattr(self._spend, limit)
        held = 0 if role in (EXTRACT, DIRECT) else self.held(limit)
        return total - used - self._reserved.get(limit, 0) - held

    def _exceeded(self, limit: str, asked: float, left: float) -> BudgetExceeded:
        total = getattr(self.budget, limit)
        message = (
            f"The budget's limit of {total:g} {limit} refuses this: "
            f"{asked:g} asked, {max(left, 0):g} left (a part is held back for the final answer)."
        )
        return BudgetExceeded(message, limit=limit, asked=asked, left=left)

    def _free(self, reservation: Reservation) -> None:
        reservation.open = False
        self._reserved["tokens"] -= reservation.tokens
        self._reserved["dollars"] -= reservation.dollars

    def _charge(self, role: str, usage: Usage) -> None:
        spend = self._spend
        row = dict(spend.by_role.get(role, {"calls": 0, "tokens": 0, "dollars": 0.0}))
        row = {
            "calls": row["calls"] + 1,
            "tokens": row["tokens"] + usage.tokens,
            "dollars": row["dollars"] + usage.dollars,
        }
        sub = role == SUB_QUERY
        self._spend = replace(
            spend,
            planner_tokens=spend.planner_tokens + (0 if sub else usage.tokens),
            sub_tokens=spend.sub_tokens + (usage.tokens if sub else 0),
            cached_tokens=spend.cached_tokens + usage.cached_tokens,
            dollars=spend.dollars + usage.dollars,
            estimated_calls=spend.estimated_calls + usage.estimated,
            by_role={**spend.by_role, role: row},
        )
