"""Writes one run into the store as it happens."""

import asyncio
import contextlib
import json
import logging
from typing import Any

from rlm_dspy.errors import StoreError
from rlm_dspy.events import Event, Executed, Planned, RunEnded, as_json
from rlm_dspy.exchange import Exchange
from rlm_dspy.plain_json import json_of
from rlm_dspy.runs.redaction import metadata_of, redacted, storable
from rlm_dspy.runs.store import Store

logger = logging.getLogger(__name__)

# What is written at once; what models and tools say is written in `settled`, before it is used. All
# other events can be made of these again.
_AT_ONCE = (Planned, Executed, RunEnded)


class Recorder:
    """Keeps the events of one run.

    Args:
        store: Where.
        run: The run's id.
        first: The number of its next event.
        texts: Whether what was said is kept, and not only what it cost.
        secrets: What is never written.
        required: Whether a run may not go on unrecorded.
    """

    def __init__(
        self,
        store: Store,
        run: str,
        *,
        first: int = 0,
        texts: bool = True,
        secrets: tuple[str, ...] = (),
        required: bool = True,
    ):
        self.store = store
        self.run = run
        self._next = first
        self._texts = texts
        self._secrets = secrets
        self._required = required
        self._waiting: list[tuple[int, str, str, Exchange | None]] = []
        self._broken = False
        self._writing: asyncio.Future | None = None

    def append(self, event: Event, exchange: Exchange | None) -> None:
        """Keeps an event; it is in the file at the latest when `settled` returns.

        Raises:
            StoreError: It cannot be written, and the run may not go on without.
        """
        if self._broken:
            return
        kept = event if self._texts else metadata_of(event)
        data = redacted(as_json(kept), self._secrets)
        self._waiting.append((self._next, event.kind, data, self._clean(exchange)))
        self._next += 1
        if isinstance(event, _AT_ONCE):
            self.flush()
        if isinstance(event, RunEnded) and not event.run:
            spend = json.dumps(event.spend)
            self._write(state=event.status, reason=event.reason, spend=spend)

    def answered(self, outputs: dict[str, Any]) -> None:
        """Keeps what the run answered, for lists of runs."""
        if self._texts and not self._broken:
            answer = json_of(outputs, finite=False)
            self._write(answer=storable(redacted(answer, self._secrets)))

    def release(self, state: str) -> None:
        """Gives a run back that nobody works on any more.

        Args:
            state: Its state from now on.
        """
        if not self._broken:
            with contextlib.suppress(StoreError):
                self.flush()
                self.store.update(self.run, state=state, pid=0)
        self._broken = True

    async def settled(self) -> None:
        """Returns when all so far is in the file; who asks at the same time shares one write.

        Raises:
            StoreError: It cannot be written, and the run may not go on without.
        """
        if not self._waiting:
            return
        if self._writing is None:
            loop = asyncio.get_running_loop()
            self._writing = loop.create_future()
            loop.call_soon(self._write_together, self._writing)
        await asyncio.shield(self._writing)

    def _write_together(self, done: asyncio.Future) -> None:
        self._writing = None
        try:
            self.flush()
        except StoreError as error:
            done.set_exception(error)
            done.exception()  # who asked may be gone
        else:
            done.set_result(None)

    def flush(self) -> None:
        """Writes what waits.

        Raises:
            StoreError: It cannot be written, and the run may not go on without.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            self.store.append(self.run, waiting)
        except StoreError as error:
            self._fail(error)

    def _write(self, **values: Any) -> None:
        try:
            self.store.update(self.run, **values)
        except StoreError as error:
            self._fail(error)

    def _fail(self, error: StoreError) -> None:
        self._broken = True
        if self._required:
            raise error
        logger.warning("The run %s goes on unrecorded: %s", self.run, error)

    def _clean(self, exchange: Exchange | None) -> Exchange | None:
        if exchange is None or not self._texts:
            return None
        if not self._secrets:
            return exchange
        outputs = exchange.outputs
        return exchange._replace(
            messages=tuple(redacted(message, self._secrets) for message in exchange.messages),
            outputs=None if outputs is None else redacted(outputs, self._secrets),
        )
