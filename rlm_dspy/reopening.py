"""The recorded questions of one session, from which its REPL is made again."""

import json
import os
from collections.abc import Mapping
from typing import Any

from rlm_dspy import blueprint
from rlm_dspy.errors import StoreError
from rlm_dspy.runs.row import Row
from rlm_dspy.runs.store import Store
from rlm_dspy.runs.stored import Stored

KEPT = ("completed", "partial")


def link_of(stored: Stored) -> dict[str, Any] | None:
    """What ties a run to its session, as `Session` noted it; None for a run of its own."""
    return stored.about.get("notes", {}).get("session")


class Past:
    """What a store has of a session.

    What failed or was broken off left nothing in the REPL: it is not among the questions.

    Args:
        store: The store.
        session: The session's id, or the beginning of it; None: the one that was asked last.
        before: Only the questions before this one, by its number from 1; None: all.

    Attributes:
        id: The session's id.
        questions: The questions that were answered, in order.
        unfinished: The last one, where its process died in it.
        others: What else was spent on.

    Raises:
        StoreError: There is no such session, a question of it is lost, or another process is at it.
    """

    def __init__(self, store: Store, session: str | None, before: int | None = None):
        self.id, rows = store.of_session(session)
        every = [Stored.of(store, row.id) for row in rows]
        kept = [one for one in every if one.row.state in KEPT]
        self.last = max((number_of(one) for one in kept), default=0)
        self.questions = sorted(
            (one for one in kept if before is None or number_of(one) < before), key=number_of
        )
        self._check(self.last if before is None else before - 1)
        self.others = [one for one in every if one.row.state not in KEPT]
        self.unfinished = None
        if before is None and self.others and _is_open(self.others[-1].row):
            last = self.others[-1]
            if number_of(last) == len(self.questions) + 1:
                self.unfinished = self.others.pop()

    def _check(self, count: int) -> None:
        numbers = [number_of(one) for one in self.questions]
        if len(numbers) > len(set(numbers)):
            raise StoreError(
                f"The session {self.id} was gone on with in two places, so that its REPL is not "
                "known: replay or fork its runs by themselves.",
                session=self.id,
            )
        if lost := sorted(set(range(1, count + 1)) - set(numbers)):
            raise StoreError(
                f"The session {self.id} cannot be made again: its question {lost[0]} is not in the "
                "store any more.",
                session=self.id,
            )

    def refuse_change(self, number: int) -> None:
        """Refuses that a question gets another answer on which later ones build.

        Args:
            number: The question, from 1.

        Raises:
            StoreError: There are later ones.
        """
        if self.last > number:
            raise StoreError(
                f"Question {number} of the session {self.id} cannot be resumed: later ones build "
                "on how it ended. Fork it instead, or ask again in the session.",
                session=self.id,
            )

    @property
    def newest(self) -> Stored:
        """The run that says how the next one is to be made."""
        if self.questions:
            return self.questions[-1]
        return self.unfinished or self.others[-1]


def number_of(stored: Stored) -> int:
    """Which question of its session a run is, from 1."""
    link = link_of(stored)
    return int(link["number"]) if link is not None else 0


def recorded_inputs(stored: Stored) -> set[str]:
    """The names of the inputs whose values are in a run's record."""
    said = stored.about["inputs"].items()
    return {
        name
        for name, kept in said
        if "plain" in kept or "text" in kept or kept.get("context") is not None
    }


def _is_open(row: Row) -> bool:
    """Whether a run did not come to its end; not one that this process broke off itself.

    Raises:
        StoreError: Another process is at it.
    """
    if row.state != "running" or row.pid == os.getpid():
        return False
    if row.is_alive:
        raise StoreError(
            f"The session is open in process {row.pid}, which answers a question of it: wait for "
            "it, or end it.",
            run=row.id,
        )
    return True


class Values:
    """The inputs of the questions: what is the same in two of them is one object.

    The REPL gets it once, and what code has kept of it stays a part of it.

    Args:
        given: Inputs that the caller has; they win.
    """

    def __init__(self, given: Mapping[str, Any]):
        self._given = dict(given)
        self._known: dict[str, Any] = {}

    def of(self, stored: Stored) -> dict[str, Any]:
        """The inputs of a question.

        Raises:
            ReplayMismatch: One is neither given nor recorded.
        """
        names = {name: self._name(stored, name) for name in stored.about["inputs"]}
        known = {n: self._known[key] for n, key in names.items() if key in self._known}
        found = blueprint.inputs_of(stored.about, stored.text, known | self._given)
        self._known |= {names[name]: value for name, value in found.items()}
        return found

    def _name(self, stored: Stored, name: str) -> str:
        about = stored.about
        kept = dict(about["inputs"][name])
        for place in ("context", "text"):
            if isinstance(kept.get(place), int):
                kept[place] = about["texts"][kept[place]]
        return f"{name} {json.dumps(kept, sort_keys=True)}"
