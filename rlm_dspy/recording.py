"""Opens the record of a run: where it is kept, and what it begins with."""

import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from rlm_dspy.blueprint import described
from rlm_dspy.errors import StoreError
from rlm_dspy.events import VERSION
from rlm_dspy.inputs import question_in
from rlm_dspy.models.several import each_lm
from rlm_dspy.runs.record import Record
from rlm_dspy.runs.recorder import Recorder
from rlm_dspy.runs.redaction import (
    HIDDEN,
    HIDDEN_TEXT,
    answer_lacks_secret,
    redacted,
    remember,
    secrets_of,
    storable,
    without_secrets,
)
from rlm_dspy.runs.row import Row, this_process
from rlm_dspy.runs.store import Store, open_store
from rlm_dspy.settings import record_mode, settings, store_path
from rlm_dspy.task import Task

logger = logging.getLogger(__name__)

# A longer text is not copied into the store, bytes: a run over it needs it again to be resumed.
KEPT_BYTES = 64 << 20


def mode_of(task: Task) -> str:
    """What is kept of a run: "full", "metadata" or "off"."""
    return task.options.record or record_mode()


def store_of(path: str | None = None) -> Store:
    """The store in use.

    Args:
        path: Its file; None: as `RLM_STORE` says, else in the user's data folder.

    Raises:
        StoreError: It cannot be opened.
    """
    return open_store(path or store_path())


def recorder_of(task: Task, run: str, inputs: Mapping[str, Any], record: Record | None) -> Any:
    """What keeps a run's events; None where nobody does.

    Args:
        task: What the run does.
        run: Its id.
        inputs: Its inputs.
        record: What was recorded of it before, or of the run that it is forked from.

    Raises:
        StoreError: The store cannot be used, and the run may not go on without.
    """
    mode = mode_of(task)
    secrets = _secrets(task)
    if record is not None and answer_lacks_secret(record.events):
        logger.warning(
            "The answer of the run %s held a key, which is not recorded: %s stands for it, unless "
            "code finds the key again.",
            record.run,
            HIDDEN,
        )
    if mode == "off" or (record is not None and record.mode == "replay"):
        return None
    required = task.options.unrecorded == "refuse"
    try:
        store = store_of(task.options.store)
        _forget_old(store)
        if record is not None and record.mode == "resume":
            store.claim(run)
            return Recorder(
                store, run, first=len(record.events), secrets=secrets, required=required
            )
        texts = mode == "full"
        about, kept = _described(task, inputs, secrets) if texts else ({}, [])
        parent = record.run if record is not None else ""
        row = _row(task, run, inputs, mode, parent, secrets)
        store.begin(row, about, kept)
    except StoreError:
        if required:
            raise
        return None
    return Recorder(store, run, texts=texts, secrets=secrets, required=required)


def _secrets(task: Task) -> tuple[str, ...]:
    lms = [lm for role in task.predictors for lm in each_lm(task.lm_of(role))]
    secrets = secrets_of(lm for lm in lms if lm is not None)
    remember(secrets)
    return secrets


def _described(
    task: Task, inputs: Mapping[str, Any], secrets: tuple[str, ...]
) -> tuple[dict[str, Any], list[bytes]]:
    about, kept = described(task, inputs, KEPT_BYTES)
    return without_secrets(about, kept, secrets) if secrets else (about, kept)


def _row(
    task: Task,
    run: str,
    inputs: Mapping[str, Any],
    mode: str,
    parent: str,
    secrets: tuple[str, ...],
) -> Row:
    asked = question_in(inputs)
    question = str(inputs[asked]) if asked is not None else ""
    models = task.models
    now = time.time()
    return Row(
        id=run,
        created=now,
        updated=now,
        state="running",
        reason="",
        question=storable(redacted(question, secrets)) if mode == "full" else HIDDEN_TEXT,
        answer="",
        signature=storable(redacted(str(task.outer.signature), secrets)),
        model=models["main"],
        sub_model=models["sub"],
        program=task.program,
        spend="",
        parent=parent,
        version=VERSION,
        record=mode,
        pid=os.getpid(),
        host=this_process(),
    )


_pruned: set[str] = set()


def _forget_old(store: Store) -> None:
    """Keeps the store within its limits of age and size: once in a process."""
    if store.path in _pruned:
        return
    _pruned.add(store.path)
    found = settings()
    store.prune(days=found.rlm_store_days, megabytes=found.rlm_store_mb)
