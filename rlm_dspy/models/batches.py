"""A batch of chat requests at a provider: cheaper, and answered within hours.

Promised: each request gets one answer, told by its name and never by its place, or an error of its
own; a batch that is cancelled or out of time here, or left by a process that ends, is cancelled at
the provider; its files are deleted there. Not promised: anything where the process is killed; the
batch then goes on, and is billed.

Protocol: https://platform.openai.com/docs/guides/batch, through LiteLLM's files and batches.
"""

import asyncio
import atexit
import contextlib
import json
import logging
import os
from collections.abc import Mapping
from typing import Any

from dspy.clients.engines.litellm_errors import litellm_errors
from dspy.clients.errors import error_boundary
from dspy.utils.exceptions import (
    LMError,
    LMInvalidRequestError,
    LMServerError,
    LMTransportError,
    is_retryable_lm_error,
)

from rlm_dspy.models.batch_request import PROVIDER
from rlm_dspy.models.failures import NotExecuted, may_have_cost
from rlm_dspy.models.router import router

logger = logging.getLogger(__name__)

# The most requests and bytes of one batch; OpenAI takes 50,000 and 200 MB.
MOST_REQUESTS, MOST_BYTES = 50_000, 100 << 20
# How often a batch is looked after: each pause is longer than the one before, in seconds.
FIRST_PAUSE, LONGER, LONGEST_PAUSE = 0.5, 1.5, 30.0
# How often in a row a provider may not be reached before it is given up.
TRIES = 5
# How long a cancelled batch may take to end with what it has (OpenAI: 10 minutes), and how long
# who cancelled waits for the provider to be told, in seconds.
CANCELLING_SECONDS, GOODBYE_SECONDS = 600.0, 5.0

# Else LiteLLM downloads the files of a batch that has ended once more, to log what it cost.
_UNLOGGED = {"batch_ignore_default_logging": True}
_ENDPOINT = "/v1/chat/completions"
_UNFINISHED = ("failed", "expired", "cancelled")
_ENDED = ("completed", *_UNFINISHED)
# What a provider says of a request that is wrong in itself: to ask it again would not help.
_WRONG = (400, 413, 422)

Answer = dict[str, Any] | LMError


class Batch:
    """One batch.

    Args:
        model: The model's name, for errors.
        client: The client settings for LiteLLM.
        seconds: How long the provider may take before the batch is cancelled.
    """

    def __init__(self, model: str, client: Mapping[str, Any], seconds: float):
        self._model = model
        self._client = client
        self._seconds = seconds
        self._batch: Any = None
        self._found: dict[str, Answer] = {}
        self._files: set[str] = set()
        self._process = os.getpid()

    async def answers(self, bodies: Mapping[str, str]) -> dict[str, Answer]:
        """Has requests answered.

        Args:
            bodies: The body of each request as JSON, by its name.

        Returns:
            By name, the body of the reply, or why there is none: an `LMInvalidRequestError` where
            the request itself is wrong, `NotExecuted` where it cost nothing.
        """
        _under_way.add(self)
        try:
            otherwise = await self._answers(bodies)
        except NotExecuted as error:
            otherwise = error
        except LMError as error:  # of the batch, not of a request: each may have been executed
            reason = f"what became of the batch is not known: {error}"
            otherwise = LMTransportError(reason, model=self._model)
        finally:
            await self._leave()
            _under_way.discard(self)
        left_out = sum(name not in self._found for name in bodies)
        if left_out:
            logger.warning("A batch left %d of %d out: %s", left_out, len(bodies), otherwise)
        return {name: self._found.get(name, otherwise) for name in bodies}

    async def _answers(self, bodies: Mapping[str, str]) -> LMError:
        """Finds what is answered; what became of everything else."""
        await self._begin(bodies)
        await self._follow(self._seconds)
        if self._batch.status not in _ENDED:
            with contextlib.suppress(LMError):  # it may just have ended
                await self._ask("acancel_batch", batch_id=self._batch.id)
            await self._follow(CANCELLING_SECONDS)
        batch = self._batch
        files = [file for file in (batch.output_file_id, batch.error_file_id) if file]
        self._files.update(files)
        for file in files:
            content = await self._insist("afile_content", file_id=file)
            for line in content.content.splitlines():
                row = _row(line)
                if row is not None:
                    self._found.setdefault(row["custom_id"], _answer(row, self._model))
        return self._left_out(batch)

    async def _begin(self, bodies: Mapping[str, str]) -> None:
        lines = (
            f'{{"custom_id": {json.dumps(name)}, "method": "POST", "url": "{_ENDPOINT}", '
            f'"body": {body}}}\n'
            for name, body in bodies.items()
        )
        data = "".join(lines).encode()
        try:
            upload = self._ask("acreate_file", file=("requests.jsonl", data), purpose="batch")
            file = await upload
        except LMError as error:
            raise self._not_executed(f"its file was not taken: {error}") from error
        self._files.add(file.id)
        begin = self._ask(
            "acreate_batch", completion_window="24h", endpoint=_ENDPOINT, input_file_id=file.id
        )
        beginning = asyncio.ensure_future(begin)
        try:
            self._batch = await asyncio.shield(beginning)
        except asyncio.CancelledError:  # it is under way, and has to be known to be cancelled
            with contextlib.suppress(TimeoutError, LMError):
                self._batch = await asyncio.wait_for(beginning, GOODBYE_SECONDS)
            raise
        except LMError as error:
            if may_have_cost(error):
                raise
            raise self._not_executed(f"it was not begun: {error}") from error

    async def _follow(self, seconds: float) -> None:
        """Looks after the batch until it has ended, or so many seconds have passed."""
        now = asyncio.get_running_loop().time
        until, pause = now() + seconds, FIRST_PAUSE
        while self._batch.status not in _ENDED and now() < until:
            await asyncio.sleep(min(pause, until - now()))
            pause = min(pause * LONGER, LONGEST_PAUSE)
            self._batch = await self._insist(
                "aretrieve_batch", batch_id=self._batch.id, litellm_metadata=_UNLOGGED
            )

    def _left_out(self, batch: Any) -> LMError:
        """Why a request stands in no file of the batch."""
        if batch.status in _UNFINISHED:
            listed = getattr(batch.errors, "data", None) or []
            said = "; ".join(str(error.message) for error in listed[:3] if error.message)
            return self._not_executed(f"it {batch.status}{': ' if said else ''}{said}")
        return LMTransportError("the batch has no answer to this request", model=self._model)

    def _not_executed(self, reason: str) -> NotExecuted:
        return NotExecuted(f"the batch did not execute this request: {reason}", model=self._model)

    async def _leave(self) -> None:
        """Leaves nothing behind at the provider, as far as it can be reached."""
        batch = self._batch
        with contextlib.suppress(TimeoutError, LMError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                if batch is not None and batch.status not in _ENDED:
                    await self._ask("acancel_batch", batch_id=batch.id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                deleted = (self._ask("afile_delete", file_id=file) for file in self._files)
                await asyncio.gather(*deleted, return_exceptions=True)

    def abandon(self) -> None:
        """Cancels the batch from a process that is about to end, whose loops stand still."""
        if self._batch is None or self._process != os.getpid():  # a fork's parent still waits
            return
        told = {"batch_id": self._batch.id, "custom_llm_provider": PROVIDER, **self._client}
        try:
            router().cancel_batch(**{**told, "timeout": GOODBYE_SECONDS, "max_retries": 0})
        except Exception as error:  # noqa: BLE001 - the last word of a process
            logger.warning("The batch %s was not cancelled: %s", self._batch.id, error)

    async def _insist(self, function: str, **arguments: Any) -> Any:
        """As `_ask`, tried again at most `TRIES` times where that may help."""
        for number in range(1, TRIES + 1):
            try:
                return await self._ask(function, **arguments)
            except LMError as error:
                if number == TRIES or not is_retryable_lm_error(error):
                    raise
                await asyncio.sleep(2.0 ** (number - 1))
        raise AssertionError("a loop of at least one try returns or raises")

    async def _ask(self, function: str, **arguments: Any) -> Any:
        """Calls one of LiteLLM's functions.

        Raises:
            LMError: The provider refuses, or is not reached.
        """
        call = getattr(router(), function)
        with error_boundary(self._model), litellm_errors(model=self._model):
            return await call(custom_llm_provider=PROVIDER, **arguments, **self._client)


_under_way: set[Batch] = set()


@atexit.register
def _abandon_all() -> None:
    for batch in list(_under_way):
        batch.abandon()


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("custom_id"), str) else None


def _answer(row: dict[str, Any], model: str) -> Answer:
    """What a row of a batch's files says became of its request."""
    response = row.get("response") or {}
    status, body = response.get("status_code"), response.get("body")
    body = body if isinstance(body, dict) else {}
    if status == 200 and body.get("choices"):
        return body
    said = row.get("error") or body.get("error") or {}
    reason = str(said.get("message") or "no reason is given")
    code = str(said.get("code") or "")
    if status is None:
        reason = f"the batch did not execute this request: {reason}"
        return NotExecuted(reason, model=model, provider_code=code)
    kind = LMInvalidRequestError if status in _WRONG else LMServerError
    return kind(reason, model=model, status=status, provider_code=code)
