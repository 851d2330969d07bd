"""A recorded run, replayed, is the same run: bit for bit, without a model."""

import pytest
from scenarios import result_of, scenarios

from rlm_dspy.errors import RLMError
from rlm_dspy.rebuilding import replayed
from rlm_dspy.rerunning import load

SCENARIOS = scenarios()


def again(stored):
    try:
        return replayed(stored)
    except RLMError as error:
        if error.run is None:
            raise
        return error


FAST = {"chance", "each_forgetful", "nested", "tools", "stopped_in_batch", "timeout", "citation"}


@pytest.mark.parametrize(
    "name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in SCENARIOS]
)
def test_a_replay_is_the_same_run(name, tmp_path):
    outcome = SCENARIOS[name].run()
    stored = load(outcome.run.id)
    stored.save(tmp_path / "run.json.gz")
    replay = again(load(tmp_path / "run.json.gz"))
    assert result_of(replay) == result_of(outcome)
