"""dspy resubmits examples that take long; each is paid once."""

import time

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


@pytest.mark.slow
def test_each_submission_has_the_usage_and_the_trace_of_the_run():
    lm, rlm, ended = ScriptedLM(lambda asked: code("SUBMIT(answer=query)"), seconds=2), RLM(), []

    def ask(example):
        with dspy.context(trace=[], track_usage=True):
            result = rlm(**example.inputs())
            ended.append((result, dspy.settings.trace))
        return result

    example = dspy.Example(context=TEXT, query="a").with_inputs("context", "query")
    batch(lm, [example], ask)
    deadline = time.monotonic() + 20
    while len(ended) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(lm.asked) == 1
    assert len({id(result) for result, _ in ended}) == len(ended) > 1
    for result, trace in ended:
        assert [usage["total_tokens"] > 0 for usage in result.get_lm_usage().values()] == [True]
        assert [predictor for predictor, _, _ in trace] == [rlm.plan]


@pytest.mark.slow
def test_submissions_that_share_a_trace_add_to_it_once():
    lm, rlm, trace, ended = ScriptedLM([code("SUBMIT(answer=query)")], seconds=2), RLM(), [], []

    def ask(example):
        with dspy.context(trace=trace):
            ended.append(rlm(**example.inputs()))

    example = dspy.Example(context=TEXT, query="a").with_inputs("context", "query")
    batch(lm, [example], ask)
    deadline = time.monotonic() + 20
    while len(ended) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(ended) > 1
    assert len(trace) == 1


def test_a_batch_traces_and_counts_what_it_did():
    lm, rlm = ScriptedLM(lambda asked: code("SUBMIT(answer=query)")), RLM()

    def ask(example):
        with dspy.context(trace=[], track_usage=True):
            return rlm(**example.inputs()), dspy.settings.trace

    examples = [
        dspy.Example(context=TEXT, query=query).with_inputs("context", "query") for query in "ab"
    ]
    for result, trace in batch(lm, examples, ask):
        assert len(trace) == 1
        assert len(result.get_lm_usage()) == 1


def test_deliberate_repeats_are_not_merged():
    lm = ScriptedLM(lambda asked: code("SUBMIT(answer=query)"), seconds=0.05)
    rlm = RLM()
    example = dspy.Example(context=TEXT, query="a").with_inputs("context", "query")
    batch(lm, [example] * 3, lambda one: [rlm(**one.inputs()), rlm(**one.inputs())])
    assert len(lm.asked) == 6


def test_outside_a_batch_there_is_no_submission():
    assert current_submission() is None
