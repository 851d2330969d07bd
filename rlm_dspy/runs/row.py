"""A run's line in the store."""

import os
import socket
from typing import NamedTuple


class Row(NamedTuple):
    """What the store says of a run.

    Args:
        id: The run's.
        created: When it began, seconds since 1970.
        updated: When it was written to last.
        state: "running", "completed", "partial" or "failed".
        reason: Why it is not completed; empty otherwise.
        question: What was asked.
        answer: Its outputs as JSON; empty while there are none.
        signature: Its inputs and outputs.
        model: The model that plans.
        sub_model: The model for sub-queries.
        program: What ran it: "rlm ask", or the module's name.
        spend: What it cost, as JSON; empty while it runs.
        parent: The run that it was forked from, if any.
        version: The version of its events.
        record: "full" or "metadata".
        pid: The process that runs it.
        host: The machine that runs it.
    """

    id: str
    created: float
    updated: float
    state: str
    reason: str
    question: str
    answer: str
    signature: str
    model: str
    sub_model: str
    program: str
    spend: str
    parent: str
    version: int
    record: str
    pid: int
    host: str

    @property
    def is_alive(self) -> bool:
        """Whether the process that runs it still does, as far as this machine can tell."""
        if self.state != "running" or self.pid <= 0 or self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return True
