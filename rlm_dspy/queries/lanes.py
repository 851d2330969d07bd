"""One model at one address, as all runs of this process share it: who may ask now, who must wait.

Promised: no more attempts at once and no more requests or tokens a minute than the settings and the
provider's headers allow; a provider's `Retry-After` holds for every attempt; each rate limit takes
one from how many may be in flight, and successes give it back, so that a model which refuses what
is too much ends up with what it takes, and one that refuses now and then is asked as before.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlm_dspy.models.quota import quotas

MINUTE = 60.0
# The longest that a provider's word is waited for, seconds; beyond it, the provider is asked again.
LONGEST_WAIT = 120.0
# What a success gives back: with this, at most a tenth of all attempts meets a rate limit for long.
GAIN = 0.1


@dataclass(frozen=True)
class Terms:
    """What the settings allow for one model; None is no limit.

    Args:
        concurrency: Attempts in flight.
        requests: Requests a minute.
        tokens: Tokens a minute.
    """

    concurrency: int | None = None
    requests: int | None = None
    tokens: int | None = None


@dataclass(eq=False)
class Used:
    """An amount that was used.

    Args:
        at: When.
        amount: How much.
    """

    at: float
    amount: float


@dataclass(eq=False)
class Started:
    """One attempt in flight.

    Args:
        tokens: What it may use, as far as that is known; corrected at its end.
    """

    tokens: Used


class Minute:
    """What was used within the last minute."""

    def __init__(self):
        self._used: deque[Used] = deque()
        self._sum = 0.0

    def add(self, amount: float, now: float) -> Used:
        """Counts an amount, which `correct` can change later."""
        self._forget(now)
        used = Used(now, amount)
        self._used.append(used)
        self._sum += amount
        return used

    def correct(self, used: Used, amount: float, now: float) -> None:
        """Counts another amount in the place of one.

        What is more than was counted then is counted now: it may have been used only now.

        Args:
            used: What `add` gave.
            amount: What it turned out to be.
            now: The time.
        """
        self._forget(now)
        if amount > used.amount:
            self.add(amount - used.amount, now)
        elif used.at > now - MINUTE:
            self._sum += amount - used.amount
            used.amount = amount

    def wait(self, amount: float, most: float | None, now: float) -> float:
        """How long until an amount fits, in seconds; what never fits waits for an empty minute."""
        self._forget(now)
        if most is None or not self._used or self._sum + amount <= most:
            return 0.0
        over = self._sum + amount - most
        for used in self._used:
            over -= used.amount
            if over <= 0:
                return max(used.at + MINUTE - now, 0.0)
        return max(self._used[-1].at + MINUTE - now, 0.0)

    def _forget(self, now: float) -> None:
        while self._used and self._used[0].at <= now - MINUTE:
            self._sum -= self._used.popleft().amount
        if not self._used:
            self._sum = 0.0


class Lane:
    """The attempts at one model."""

    def __init__(self):
        self.running = 0
        self.most = math.inf
        self.used_at = 0.0
        self._before = math.inf
        self._paused_until = 0.0
        self._requests = Minute()
        self._tokens = Minute()
        self._quotas: dict[str, tuple[float, float]] = {}

    def wait(self, terms: Terms, tokens: float, now: float) -> float:
        """How long until an attempt may start, in seconds; infinite until another one ends.

        Args:
            terms: What the settings allow.
            tokens: What the attempt may use.
            now: The time.
        """
        if self.running >= min(self.most, terms.concurrency or math.inf):
            return math.inf
        return max(
            0.0,
            self._paused_until - now,
            self._requests.wait(1, terms.requests, now),
            self._tokens.wait(tokens, terms.tokens, now),
            self._quota_wait("requests", 1, now),
            self._quota_wait("tokens", tokens, now),
        )

    def start(self, tokens: float, now: float) -> Started:
        """Starts an attempt."""
        self.running += 1
        self.used_at = now
        self._requests.add(1, now)
        for unit, amount in (("requests", 1), ("tokens", tokens)):
            if unit in self._quotas:
                left, until = self._quotas[unit]
                self._quotas[unit] = (left - amount, until)
        return Started(self._tokens.add(tokens, now))

    def end(self, started: Started, used: float, now: float) -> None:
        """Ends an attempt.

        Args:
            started: What `start` gave.
            used: The tokens that it used.
            now: The time.
        """
        self.running -= 1
        self.used_at = now
        self._tokens.correct(started.tokens, used, now)

    def succeed(self, headers: Mapping[str, Any], now: float) -> None:
        """Takes note of a success, before `end`, and of what the provider says is left."""
        self.most += GAIN
        if self.most >= self._before:
            self.most = math.inf
        for unit, quota in quotas(headers).items():
            # Requests that were on their way meanwhile may not be counted in it.
            left = quota.left - (max(self.running - 1, 0) if unit == "requests" else 0)
            self._quotas[unit] = (left, now + min(quota.seconds, LONGEST_WAIT))

    def throttle(self, retry_after: float | None, now: float) -> None:
        """Takes note of a rate limit, before `end`.

        Args:
            retry_after: How long to ask nothing, in seconds, where the provider says so.
            now: The time.
        """
        if retry_after is not None:
            self._paused_until = max(self._paused_until, now + min(retry_after, LONGEST_WAIT))
        if math.isinf(self.most):
            self._before = self.most = self.running
        self.most = max(1.0, self.most - 1)

    @property
    def is_clear(self) -> bool:
        """Whether nothing of its past matters."""
        return self.running == 0 and math.isinf(self.most)

    def _quota_wait(self, unit: str, amount: float, now: float) -> float:
        left, until = self._quotas.get(unit, (math.inf, 0.0))
        if until <= now:
            self._quotas.pop(unit, None)
            return 0.0
        return until - now if left < amount else 0.0
