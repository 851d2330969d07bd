"""The account that holds a tree of runs to its budget.

Every attempt at a model is reserved at its worst case before it starts and settled after, so that
calls, tokens and dollars are never exceeded, however many attempts are in flight. A part of each
limit is held back for the last extraction, so that exhaustion still yields the best partial answer:
only the role "extract" may use it, and "direct", after which there is nothing to extract.

An account is shared by a whole tree of runs and may be used from any thread.
"""

import threading
import time
from dataclasses import dataclass, replace
from typing import Any, Protocol

from rlm_dspy.budget import Budget, Spend, Usage
from rlm_dspy.errors import BudgetExceeded

# The share of tokens, dollars and seconds that is held back for the last extraction, and its most.
HELD_SHARE = 0.25
HELD_TOKENS = 8_000
HELD_DOLLARS = 0.10
HELD_SECONDS = 15.0

EXTRACT = "extract"
DIRECT = "direct"
SUB_QUERY = "sub_query"

_NOTHING: dict[str, float] = {
    "calls": 0,
    "tokens": 0,
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "reasoning_tokens": 0,
    "cached_tokens": 0,
    "dollars": 0.0,
    "cache_hits": 0,
}


class Cap(Protocol):
    """A limit on dollars that many runs share; its `str` says it in words."""

    @property
    def held(self) -> float:
        """What only last extractions and direct answers may use, in dollars."""
        ...

    def left(self) -> float:
        """What is neither spent nor reserved, in dollars."""
        ...

    def reserve(self, dollars: float, held: float) -> Any:
        """Holds an attempt's worst case, and leaves `held` dollars.

        Raises:
            BudgetExceeded: The cap does not allow it; nothing was held.
        """
        ...

    def settle(self, hold: Any, reserved: float, dollars: float) -> None:
        """Charges what an attempt cost; `hold` is what `reserve` gave for `reserved` dollars."""
        ...


@dataclass
class Reservation:
    """One attempt's worst case, held until it is settled or released."""

    role: str
    tokens: int
    dollars: float
    open: bool = True
    hold: Any = None


class Account:
    """Holds a tree of runs to its budget.

    Args:
        budget: The limits.
        elapsed: Seconds that a run had taken before it was resumed.
        cap: Limits what this run and others cost together; None for no such limit.
    """

    def __init__(self, budget: Budget, elapsed: float = 0.0, cap: Cap | None = None):
        self.budget = budget
        self.cap = cap
        self.depth = 0
        self.started = time.monotonic() - elapsed
        self._lock = threading.Lock()
        self._spend = Spend()
        self._reserved = {"tokens": 0.0, "dollars": 0.0}

    @property
    def spend(self) -> Spend:
        """What was spent so far; reservations in flight are not in it."""
        with self._lock:
            return replace(self._spend, seconds=self.elapsed())

    @property
    def dollar_limit(self) -> str:
        """What limits dollars, in words; empty where nothing does."""
        own = self.budget.dollars
        return f"{own:g} dollars" if own is not None else str(self.cap or "")

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
            left = self._left(limit, role)
        if self.cap is None or limit != "dollars":
            return left
        return min(left, self.cap.left() - self._held_by_cap(role))

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
            hold = self.cap.reserve(dollars, self._held_by_cap(role)) if self.cap else None
            self._reserved["tokens"] += tokens
            self._reserved["dollars"] += dollars
            self._add(role, calls=1)
        return Reservation(role, tokens, dollars, hold=hold)

    def settle(self, reservation: Reservation, usage: Usage) -> None:
        """Charges what the attempt used and frees the rest of its reservation.

        Args:
            reservation: What `reserve` gave; one that was settled or released is not charged again.
            usage: What the attempt used.
        """
        with self._lock:
            if not reservation.open:
                return
            self._free(reservation, usage.dollars)
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
            self._free(reservation, 0.0)
            if not counts:
                self._add(reservation.role, calls=-1, cache_hits=1)

    def hit(self, role: str) -> None:
        """Counts an answer of the cache, which costs nothing and which no limit refuses."""
        with self._lock:
            self._add(role, cache_hits=1)

    def adopt(self, role: str, usage: Usage, *, cache_hit: bool = False, depth: int = 0) -> None:
        """Charges what was paid before, in the part of a run that its record answers.

        Args:
            role: The predictor that asked.
            usage: What the attempt used.
            cache_hit: It was no call: the cache answered.
            depth: How many levels below the run it was made.
        """
        role = f"{role}@{depth}" if depth else role
        with self._lock:
            if cache_hit:
                self._add(role, cache_hits=1)
            else:
                self._add(role, calls=1)
                self._charge(role, usage)

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

    def _held_by_cap(self, role: str) -> float:
        return 0.0 if self.cap is None or role in (EXTRACT, DIRECT) else self.cap.held

    def _exceeded(self, limit: str, asked: float, left: float) -> BudgetExceeded:
        total = getattr(self.budget, limit)
        message = (
            f"The budget's limit of {total:g} {limit} refuses this: "
            f"{asked:g} asked, {max(left, 0):g} left (a part is held back for the final answer)."
        )
        return BudgetExceeded(message, limit=limit, asked=asked, left=left)

    def child(self) -> "SubAccount":
        """This account for a sub-run."""
        return SubAccount(self, 1)

    def _free(self, reservation: Reservation, dollars: float) -> None:
        reservation.open = False
        if self.cap is not None:
            self.cap.settle(reservation.hold, reservation.dollars, dollars)
        self._reserved["tokens"] -= reservation.tokens
        self._reserved["dollars"] -= reservation.dollars

    def _charge(self, role: str, usage: Usage) -> None:
        side = "sub_tokens" if role.partition("@")[0] == SUB_QUERY else "planner_tokens"
        spend = self._spend
        self._spend = replace(
            spend,
            estimated_calls=spend.estimated_calls + usage.estimated,
            **{side: getattr(spend, side) + usage.tokens},
        )
        self._add(
            role,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            cached_tokens=usage.cached_tokens,
            dollars=usage.dollars,
        )

    def _add(self, role: str, **amounts: Any) -> None:
        """Adds to the totals and to a role's part of them."""
        spend = self._spend
        row = dict(spend.by_role.get(role) or _NOTHING)
        for name, amount in amounts.items():
            row[name] += amount
        row["tokens"] = row["prompt_tokens"] + row["completion_tokens"]
        totals = {name: getattr(spend, name) + amount for name, amount in amounts.items()}
        self._spend = replace(spend, by_role={**spend.by_role, role: row}, **totals)


class SubAccount:
    """A run's account as a sub-run has it: the same limits, and nothing is held back for it.

    What it spends is the run's, by role and depth: "plan@1" is the planner of a sub-run.

    Args:
        account: The run's account.
        depth: How many levels below the run the sub-run is.
    """

    def __init__(self, account: Account, depth: int):
        self.depth = depth
        self._account = account

    @property
    def budget(self) -> Budget:
        """The limits."""
        return self._account.budget

    @property
    def spend(self) -> Spend:
        """What the whole tree has spent so far."""
        return self._account.spend

    @property
    def dollar_limit(self) -> str:
        """See `Account.dollar_limit`."""
        return self._account.dollar_limit

    def child(self) -> "SubAccount":
        """The account for a sub-run of the sub-run."""
        return SubAccount(self._account, self.depth + 1)

    def left(self, limit: str, role: str) -> float:
        """See `Account.left`."""
        return self._account.left(limit, self._role(role))

    def timeout(self, role: str) -> float | None:
        """See `Account.timeout`."""
        return self._account.timeout(self._role(role))

    def reserve(self, role: str, *, tokens: int, dollars: float) -> Reservation:
        """See `Account.reserve`."""
        return self._account.reserve(self._role(role), tokens=tokens, dollars=dollars)

    def settle(self, reservation: Reservation, usage: Usage) -> None:
        """See `Account.settle`."""
        self._account.settle(reservation, usage)

    def release(self, reservation: Reservation, *, counts: bool = True) -> None:
        """See `Account.release`."""
        self._account.release(reservation, counts=counts)

    def adopt(self, role: str, usage: Usage, *, cache_hit: bool = False, depth: int = 0) -> None:
        """See `Account.adopt`."""
        self._account.adopt(role, usage, cache_hit=cache_hit, depth=depth)

    def hit(self, role: str) -> None:
        """See `Account.hit`."""
        self._account.hit(self._role(role))

    def take_step(self) -> int:
        """See `Account.take_step`."""
        return self._account.take_step()

    def _role(self, role: str) -> str:
        return f"{role}@{self.depth}"
