"""A cap on what all runs of a calendar month cost together, kept in the store that they share.

Promised: over all processes that have the cap and the same store, no attempt starts whose worst
case, with all that was spent this month (of UTC) and the worst case of all that is in flight, would
exceed it. Each attempt is reserved in one transaction before it starts and settled after. What was
in flight when a process was killed stays reserved until the month ends: it may have been billed.
What runs spend without the cap is counted from their events when a run with the cap first asks, and
is not foreseen. Not promised: money that is spent past this library, and attempts whose price
nobody knew; a run under the cap refuses those.
"""

import logging
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime

from rlm_dspy.account import HELD_DOLLARS, HELD_SHARE
from rlm_dspy.errors import BudgetExceeded, ConfigurationError, StoreError
from rlm_dspy.runs.row import Row
from rlm_dspy.runs.spending import charges_of
from rlm_dspy.runs.store import Store, open_store
from rlm_dspy.runs.tables import COLUMNS, MONTHS
from rlm_dspy.settings import settings, store_path

logger = logging.getLogger(__name__)

LIMIT = "monthly_dollars"
# In place of a run's id: the sum of all runs.
ALL = ""
# A run that has not ended nor been written to for longer is not looked at again, seconds.
_LONGEST_RUN = 30 * 86_400


class MonthlyCap:
    """One run's part of the cap.

    Args:
        store: The store that all runs under the cap share.
        run: The run's id.
        dollars: The cap, in US dollars a calendar month of UTC.
        clock: Says what time it is, seconds since 1970.

    Raises:
        StoreError: The store cannot be written.
    """

    def __init__(
        self, store: Store, run: str, dollars: float, clock: Callable[[], float] = time.time
    ):
        self.dollars = dollars
        self._store = store
        self._run = run
        self._clock = clock
        self._counted = ""  # the month whose other runs are in the table
        with store.transaction() as db:
            db.execute(MONTHS)
        self._count(month_of(clock()))

    def __str__(self) -> str:
        return f"{self.dollars:g} dollars a month (RLM_MONTHLY_DOLLARS)"

    @property
    def held(self) -> float:
        """What only last extractions and direct answers may use, in dollars."""
        return min(self.dollars * HELD_SHARE, HELD_DOLLARS)

    def left(self) -> float:
        """What is neither spent nor reserved this month, in dollars; below 0 where it is over."""
        return self.dollars - spent_in(self._store, month_of(self._clock()))

    def reserve(self, dollars: float, held: float) -> str:
        """Holds one attempt's worst case.

        Args:
            dollars: The most that it can cost.
            held: What has to stay for others, in dollars.

        Returns:
            The month that it is held in.

        Raises:
            BudgetExceeded: The cap does not allow it; nothing was held.
            StoreError: The store cannot be written.
        """
        month = month_of(self._clock())
        if month != self._counted:
            self._count(month)
        with self._store.transaction() as db:
            left = self.dollars - db.execute(_TOTAL, (month, ALL)).fetchone()[0] - held
            # What costs nothing is never refused; sums of floats are inexact.
            if dollars > max(left, 0) + 1e-12:
                raise BudgetExceeded(
                    f"The limit of {self} refuses this: {dollars:.4f} asked, {max(left, 0):.4f} "
                    f"left of {month} over all runs (a part is held back for final answers).",
                    limit=LIMIT,
                    asked=dollars,
                    left=left,
                )
            db.executemany(_RESERVE, [(month, run, dollars) for run in (self._run, ALL)])
        return month

    def settle(self, hold: str, reserved: float, dollars: float) -> None:
        """Charges what an attempt cost and frees its reservation.

        Args:
            hold: What `reserve` gave.
            reserved: What was reserved.
            dollars: What it cost.
        """
        try:
            with self._store.transaction() as db:
                db.execute(_SETTLE, (dollars, reserved, hold, self._run, ALL))
        except StoreError as error:
            logger.warning("An attempt stays reserved at its worst case: %s", error)

    def _count(self, month: str) -> None:
        """Enters what runs spent this month without the cap, or before it was set."""
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).timestamp()
        rows = self._store.select(_UNCOUNTED, (month, first, first - _LONGEST_RUN))
        found = []
        for values in rows:
            row = Row(*values)
            charged = charges_of(self._store, row)
            dollars = sum(c.dollars for c in charged if month_of(c.when) == month)
            found.append((month, row.id, dollars, row.updated))
        with self._store.transaction() as db:
            db.executemany(_ENTER, found)
            db.execute(_SUM_UP, (month, ALL, month, ALL))
        self._counted = month


_TOTAL = "SELECT settled + reserved FROM months WHERE month = ? AND run = ?"
_SUM_UP = (
    "INSERT OR REPLACE INTO months (month, run, settled, reserved) "
    "SELECT ?, ?, coalesce(sum(settled), 0), coalesce(sum(reserved), 0) FROM months "
    "WHERE month = ? AND run != ?"
)
_RESERVE = (
    "INSERT INTO months (month, run, reserved) VALUES (?, ?, ?) "
    "ON CONFLICT DO UPDATE SET reserved = reserved + excluded.reserved"
)
_SETTLE = (
    "UPDATE months SET settled = settled + ?, reserved = max(reserved - ?, 0) "
    "WHERE month = ? AND run IN (?, ?)"
)
# A run's events never say more than was settled for it, unless a part of it ran without the cap.
_ENTER = (
    "INSERT INTO months (month, run, settled, seen) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
    "settled = max(settled, excluded.settled), seen = excluded.seen"
)
_UNCOUNTED = (
    f"SELECT {COLUMNS} FROM runs LEFT JOIN months ON months.month = ? AND months.run = runs.id "
    "WHERE (updated >= ? OR (state = 'running' AND updated >= ?)) "
    "AND (seen IS NULL OR seen < updated OR state = 'running')"
)


def month_of(when: float) -> str:
    """The calendar month of UTC, as "2026-11".

    Args:
        when: Seconds since 1970.
    """
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m")


def spent_in(store: Store, month: str) -> float:
    """What was spent or is reserved under the cap in a month, in dollars."""
    found = store.select(_TOTAL, (month, ALL))
    return found[0][0] if found else 0.0


def monthly_cap(run: str) -> MonthlyCap | None:
    """The cap as a run has it; None where `RLM_MONTHLY_DOLLARS` is not set.

    It is kept in the store that `RLM_STORE` names, wherever the run itself is recorded.

    Args:
        run: The run's id.

    Raises:
        ConfigurationError: The setting is no amount of dollars.
        StoreError: The store cannot be used, so that the cap cannot be kept.
    """
    dollars = settings().rlm_monthly_dollars
    if dollars is None:
        return None
    if not (dollars >= 0 and math.isfinite(dollars)):
        raise ConfigurationError(
            f"RLM_MONTHLY_DOLLARS={dollars!r}: a limit is a number of at least 0.", value=dollars
        )
    return MonthlyCap(open_store(store_path()), run, dollars)
