"""The baselines do what their names say."""

import dspy
import pytest
from dspy.lm15 import ContextLengthError

from programs.baselines import Direct, DirectTruncated, DspyRLM, MapReduce, Retrieve
from programs.baselines.direct_truncated import cut
from rlm_dspy import Budget, ProviderError
from rlm_dspy.testing import ScriptedLM

LINES = [f"Line {number} says that it rains.\n" for number in range(2_000)]
TEXT = "".join([*LINES[:1_000], "The code of the locker is 5309.\n", *LINES[1_000:]])
QUESTION = "What is the code of the locker?"


def small_window(chars):
    """A model that refuses longer prompts."""

    def reply(asked):
        if len(asked.text) > chars:
            return ContextLengthError("too long")
        return "5309" if "5309" in asked.text else "unknown"

    return ScriptedLM(reply, num_retries=0)


def test_direct_sends_everything_once():
    lm = small_window(10**9)
    with dspy.context(lm=lm):
        assert Direct()(context=TEXT, question=QUESTION).answer == "5309"
    assert len(lm.asked) == 1
    assert TEXT.strip() in lm.asked[0].text


def test_direct_says_that_a_text_does_not_fit():
    with dspy.context(lm=small_window(1_000)), pytest.raises(ProviderError, match="too long"):
        Direct()(context=TEXT, question=QUESTION)


@pytest.mark.parametrize("is_async", [False, True])
async def test_direct_truncated_sends_the_two_ends_that_fit(is_async):
    lm, program = small_window(20_000), DirectTruncated()
    with dspy.context(lm=lm):
        if is_async:
            result = await program.acall(context=TEXT, question=QUESTION)
        else:
            result = program(context=TEXT, question=QUESTION)
    assert result.answer == "unknown"  # the middle is what it does not see
    taken = lm.asked[-1].text
    assert 14_000 < len(taken) <= 20_000
    assert LINES[0] in taken
    assert LINES[-1].strip() in taken
    assert "\n[…]\n" in taken


def test_direct_truncated_gives_up_where_nothing_fits():
    with dspy.context(lm=small_window(10)), pytest.raises(ProviderError, match="too long"):
        DirectTruncated()(context=TEXT, question=QUESTION)


def test_direct_truncated_hides_no_other_error():
    lm = ScriptedLM([RuntimeError("broken")], num_retries=0)
    with dspy.context(lm=lm), pytest.raises(ProviderError, match="broken"):
        DirectTruncated()(context=TEXT, question=QUESTION)
    assert len(lm.asked) == 1


@pytest.mark.parametrize(("chars", "left"), [(10, 10), (5, 5), (4, 4), (1, 1)])
def test_a_text_is_cut_in_its_middle(chars, left):
    kept = cut("0123456789", chars).replace("\n[…]\n", "")
    assert len(kept) == left
    assert kept[0] == "0"


def test_map_reduce_reads_every_piece_and_combines_what_they_say():
    def reply(asked):
        if "The texts below are what the parts" in asked.last:
            return "5309"
        return "the code is 5309" if "5309" in asked.last else "it rains"

    lm = ScriptedLM(reply)
    with dspy.context(lm=lm):
        result = MapReduce(chunk_chars=10_000)(context=TEXT, question=QUESTION)
    assert result.answer == "5309"
    read = "".join(asked.last for asked in lm.asked[:-1])
    assert all(line.strip() in read for line in LINES)
    assert "it rains" in lm.asked[-1].last


def test_map_reduce_says_nothing_where_no_piece_tells_anything():
    with dspy.context(lm=ScriptedLM(["Nothing."])):
        assert MapReduce()(context=TEXT, question=QUESTION).answer == "nothing"


def test_retrieve_reads_the_best_passages_only():
    lm = small_window(10**9)
    with dspy.context(lm=lm):
        assert Retrieve()(context=TEXT, question=QUESTION).answer == "5309"
    assert len(lm.asked) == 1
    assert len(lm.asked[0].text) < len(TEXT) / 4


def test_dspys_rlm_keeps_its_own_prompt_and_takes_the_steps_of_the_budget():
    step = "[[ ## reasoning ## ]]\nx\n\n[[ ## code ## ]]\nprint(1)"
    lm = ScriptedLM([step, step, "[[ ## answer ## ]]\nnothing"])
    with dspy.context(lm=lm):
        DspyRLM(budget=Budget(steps=2))(context=TEXT, question=QUESTION)
    steps = [asked for asked in lm.asked if "[[ ## code ## ]]" in asked.system]
    assert len(steps) == 2
    assert "iterat" in steps[0].system


async def test_dspys_rlm_runs_asynchronously():
    lm = ScriptedLM(["[[ ## reasoning ## ]]\nx\n\n[[ ## code ## ]]\nSUBMIT(answer='5309')"])
    with dspy.context(lm=lm):
        result = await DspyRLM().acall(context=TEXT, question=QUESTION)
    assert result.answer == "5309"
