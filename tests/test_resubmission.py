"""dspy resubmits examples that take long; each is paid once."""

import dspy
import pytest
from dspy.utils.parallelizer import ParallelExecutor

from rlm_dspy import RLM
from rlm_dspy.resubmission import current_submission
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 300


def batch(lm, examples, function):
    executor = ParallelExecutor(
        num_threads=4, timeout=0.3, straggler_limit=4, disable_progress_bar=True
    )
    with dspy.context(lm=lm):
        return executor.execute(function, examples)


@pytest.mark.slow
def test_a_resubmitted_example_is_paid_once():
    lm = ScriptedLM(lambda asked: code("SUBMIT(answer=query)"), seconds=2)
    rlm, submitted = RLM(), []

    def ask(example):
        submission = current_submission()
        assert submission is not None
        submitted.append(submission.number)
        return rlm(**example.inputs())

    examples = [
        dspy.Example(context=TEXT, query=query).with_inputs("context", "query")
        for query in ("a", "b")
    ]
    results = batch(lm, examples, ask)
    assert [result.answer for result in results] == ["a", "b"]
    assert len(submitted) > len(examples), "nothing was resubmitted"
    assert len(lm.asked) == 2


def test_deliberate_repeats_are_not_merged():
    lm = ScriptedLM(lambda asked: code("SUBMIT(answer=query)"), seconds=0.05)
    rlm = RLM()
    example = dspy.Example(context=TEXT, query="a").with_inputs("context", "query")
    batch(lm, [example] * 3, lambda one: [rlm(**one.inputs()), rlm(**one.inputs())])
    assert len(lm.asked) == 6


def test_outside_a_batch_there_is_no_submission():
    assert current_submission() is None
