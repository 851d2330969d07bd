"""A pytest fixture that replays recorded runs: `pytest_plugins = ["rlm_dspy.pytest_fixtures"]`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest

from rlm_dspy.rlm import RLM
from rlm_dspy.testing import replay


@pytest.fixture
def replayed(request: pytest.FixtureRequest) -> Callable[..., dspy.Prediction]:
    """Replays a run from a file beside the test, without any model.

    `replayed("q2.json.gz")` makes the module from the record; `replayed("q2.json.gz", rlm=mine)`
    runs it on the program's own, so that a changed prompt is a `ReplayMismatch`. Further keyword
    arguments are inputs that the record does not hold.
    """
    folder = Path(request.path).parent

    def replay_file(name: str, rlm: RLM | None = None, **inputs: Any) -> dspy.Prediction:
        return replay(folder / name, rlm, **inputs)

    return replay_file
