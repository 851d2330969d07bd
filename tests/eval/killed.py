"""A run in a process of its own, which a test kills."""

import os
import time
from pathlib import Path

from prompted import prompted_lm

from eval.contenders import Contender
from eval.purse import Prices
from eval.runs import Data, Means, measure
from rlm_dspy.testing import Asked

DATA = Data("oolong_synth", 8, (1_024,), 1, generated=True)


def measured_run(out: Path, paid: Path, seconds: float = 0.0, last: int | None = None) -> None:
    """Measures planned counting; every reply that is given is noted in a file.

    Args:
        out: The run's folder.
        paid: Takes a byte a reply.
        seconds: How long a reply takes.
        last: Behind so many replies no more is given, so that the run cannot end before its kill.
    """
    lm = prompted_lm(DATA.examples(), needs=(), seconds=seconds)
    script = lm.script.script

    def noted(asked: Asked) -> str:
        with paid.open("ab", buffering=0) as file:
            os.write(file.fileno(), b".")
        if last is not None and paid.stat().st_size > last:
            time.sleep(600)
        return script(asked)

    lm.script.script = noted
    measure(
        DATA,
        Contender("aggregate", lm, planned=True),
        out,
        command="python -m eval run …",
        means=Means(prices=Prices({"scripted": (10.0, 20.0)}), workers=2),
    )
