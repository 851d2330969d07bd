"""What recorded runs cost, attempt by attempt, those of runs that died included."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from rlm_dspy.runs.row import Row
from rlm_dspy.runs.store import Store

By = Literal["model", "program", "day"]
# The kinds that say what was charged, and when.
_KINDS = "'charged', 'planned', 'run_resumed'"


class Charge(NamedTuple):
    """One attempt at a model, or one answer of the cache.

    Args:
        when: Seconds since 1970.
        program: What ran it.
        model: The model's name.
        cache_hit: The cache answered, for nothing.
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of the reply.
        cached_tokens: Those of the prompt that the provider's cache answered.
        dollars: What it cost, in US dollars.
    """

    when: float
    program: str
    model: str
    cache_hit: bool
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    dollars: float


@dataclass
class Spent:
    """What several attempts cost together.

    Args:
        name: What they share: a model, a program or a day.
        dollars: Money, in US dollars; nothing of models whose price is unknown.
        calls: Attempts at a model.
        cache_hits: Answers of dspy's cache.
        prompt_tokens: Tokens of prompts.
        completion_tokens: Tokens of replies.
        cached_tokens: Prompt tokens that a provider's cache answered.
    """

    name: str
    dollars: float = 0.0
    calls: int = 0
    cache_hits: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def add(self, charge: Charge) -> None:
        """Adds an attempt."""
        if charge.cache_hit:
            self.cache_hits += 1
            return
        self.calls += 1
        self.dollars += charge.dollars
        self.prompt_tokens += charge.prompt_tokens
        self.completion_tokens += charge.completion_tokens
        self.cached_tokens += charge.cached_tokens

    @property
    def tokens(self) -> int:
        """Tokens of prompts and replies."""
        return self.prompt_tokens + self.completion_tokens


def charges(store: Store, since: float = 0.0) -> Iterator[Charge]:
    """What was charged, run by run.

    Args:
        store: The store.
        since: From when on, seconds since 1970.
    """
    for row in store.runs():
        if max(row.updated, row.created) >= since or row.state == "running":
            yield from (charge for charge in charges_of(store, row) if charge.when >= since)


def charges_of(store: Store, row: Row) -> Iterator[Charge]:
    """What was charged in one run, in order."""
    sql = f"SELECT kind, data FROM events WHERE run = ? AND kind IN ({_KINDS}) ORDER BY number"
    events = [(kind, json.loads(data)) for kind, data in store.select(sql, (row.id,))]
    resumed = [at for at, (kind, _) in enumerate(events) if kind == "run_resumed"]
    # An event says how long its run had taken. When the run began to take that, it says as well
    # where the REPL's clock was set, and its row where it was taken up last.
    began = row.created
    for number, (kind, event) in enumerate(events):
        if kind == "planned" and event.get("clock"):
            began = event["clock"] - event["at"]
        elif kind == "run_resumed" and number == resumed[-1]:
            began = _taken_up(store, row, event)
        elif kind == "charged":
            yield _charge(row, began + event["at"], event)


def _taken_up(store: Store, row: Row, resumed: dict[str, Any]) -> float:
    """When a run that was taken up would have begun, had it not been left."""
    if row.state == "running":
        return row.updated - resumed["at"]
    sql = "SELECT data FROM events WHERE run = ? ORDER BY number DESC LIMIT 1"
    return row.updated - json.loads(store.select(sql, (row.id,))[0][0])["at"]


def _charge(row: Row, when: float, event: dict[str, Any]) -> Charge:
    return Charge(
        when=when,
        program=row.program,
        model=event["model"],
        cache_hit=bool(event.get("cache_hit")),
        prompt_tokens=event.get("prompt_tokens", 0),
        completion_tokens=event.get("completion_tokens", 0),
        cached_tokens=event.get("cached_tokens", 0),
        dollars=event.get("dollars", 0.0),
    )


def spent(found: Iterable[Charge], by: By) -> list[Spent]:
    """What was charged, summed; the dearest first, days in order.

    Args:
        found: The attempts.
        by: What is summed: each model, each program, or each day of UTC.
    """
    sums: dict[str, Spent] = {}
    for charge in found:
        day = datetime.fromtimestamp(charge.when, UTC).date().isoformat() if by == "day" else ""
        name = day or getattr(charge, by)
        sums.setdefault(name, Spent(name)).add(charge)
    if by == "day":
        return sorted(sums.values(), key=lambda one: one.name)
    return sorted(sums.values(), key=lambda one: (-one.dollars, -one.tokens, one.name))
