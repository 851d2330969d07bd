"""The fixture of recorded runs, as a user's own tests have it."""

import dspy

from rlm_dspy import RLM
from rlm_dspy.testing import ScriptedLM, code, save_run

pytest_plugins = ["pytester"]

TEST = """
import pytest
from rlm_dspy import RLM, ReplayMismatch

def test_as_it_was(replayed):
    assert replayed("run.json.gz").answer == "Ulm"

def test_on_a_module_that_changed(replayed):
    rlm = RLM()
    rlm.plan.signature = rlm.plan.signature.with_instructions("Otherwise.")
    with pytest.raises(ReplayMismatch):
        replayed("run.json.gz", rlm=rlm)
"""


def test_a_recorded_run_is_replayed_from_a_file_beside_the_test(pytester):
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer='Ulm')")])):
        result = RLM()(context="The city is Ulm. " * 200, query="Which city?")
    save_run(result.run.id, pytester.path / "run.json.gz")
    pytester.makepyfile(TEST)
    pytester.makeconftest('pytest_plugins = ["rlm_dspy.pytest_fixtures"]')
    ran = pytester.runpytest_inprocess("-p", "no:asyncio", "-p", "no:cacheprovider")
    ran.assert_outcomes(passed=2)
