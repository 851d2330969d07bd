"""A recorded question of a session, run again by itself: those before it run first."""

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any

from rlm_dspy.budget import Budget
from rlm_dspy.events import Event
from rlm_dspy.recording import store_of
from rlm_dspy.reopening import Past, link_of, number_of, recorded_inputs
from rlm_dspy.runs.record import Mode
from rlm_dspy.runs.stored import Stored
from rlm_dspy.session import Session
from rlm_dspy.starting import RunHandle

Listener = Callable[[Event], None]


def again_in_session(
    rlm: Any,
    stored: Stored,
    mode: Mode,
    inputs: Mapping[str, Any],
    *,
    at: int | None = None,
    listeners: tuple[Listener, ...] = (),
) -> RunHandle:
    """Starts one recorded question of a session again, after those before it.

    Args:
        rlm: The module.
        stored: The question's run.
        mode: How.
        inputs: As `RLM.start_again` takes them.
        at: The same.
        listeners: The same.

    Raises:
        StoreError: A question before it is not in the store, or later ones build on it.
        ReplayMismatch: One before it does not go as it went.
    """
    link = link_of(stored)
    assert link is not None
    number = number_of(stored)
    if mode == "resume" and stored.row.state != "completed":
        Past(store_of(rlm.options.store), link["id"], number).refuse_change(number)
    # Another context is for the fork alone, unless the record does not hold the one there was.
    known = recorded_inputs(stored) if mode == "fork" else set()
    shared = {n: v for n, v in inputs.items() if n in link["shared"] and n not in known}
    session = Session(rlm, shared, resume=link["id"], before=number, budget=Budget())
    handle = session.again(stored, mode, inputs, at)(listeners=listeners)
    close = functools.partial(threading.Thread, target=session.close, daemon=True)
    handle.on_end(lambda: close().start())
    return handle
