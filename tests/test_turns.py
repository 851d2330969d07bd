"""Old outputs are folded where the next prompt would outgrow the planner's window."""

import dspy
import pytest
from dspy.utils.exceptions import ContextWindowExceededError
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy import RLM, RLMOptions
from rlm_dspy.events import Folded
from rlm_dspy.testing import ScriptedLM, code
from rlm_dspy.turns import NOTE, Fold, after_refusal, at_most_tokens, folded, next_fold, said_in

STEPS = 12
TEXT = "The grass grows. " * 300


def size(turns):
    return len(said_in(turns))


turns = st.lists(
    st.fixed_dictionaries({"output": st.text("ab ", max_size=900), "code": st.just("x")}),
    max_size=8,
)


@given(turns, st.integers(0, 3000), st.integers(1, 4000))
def test_a_fold_is_as_small_as_needed_and_leaves_room(turns, newest, room):
    sent = {"output": "c" * newest}
    done = Fold()
    fold = next_fold(turns, sent, done, size, room)
    kept, shown = folded(turns, sent, fold)
    if size([*turns, sent]) <= room:
        assert fold == done
    elif fold.turns < len(turns):
        assert size([*kept, shown]) <= room * 0.75
        assert fold.turns >= len(turns) // 2
    assert kept[fold.turns :] == turns[fold.turns :]
    assert [turn["code"] for turn in kept] == [turn["code"] for turn in turns]
    assert next_fold(turns, sent, fold, size, size([*kept, sent])) == fold


@given(turns, st.integers(0, 3000))
def test_after_refusals_it_gets_shorter_until_nothing_is_left(turns, newest):
    sent, fold, before = {"output": "c" * newest}, Fold(), None
    for _ in range(30):
        kept, shown = folded(turns, sent, fold)
        now = size([*kept, shown])
        assert before is None or now < before
        before, fold = now, after_refusal(turns, sent, fold)
        if fold is None:
            return
    pytest.fail("it never ends")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("The grass grows.", 4), ("5309 1234", 8), ("日本語のテキスト", 8), ("x = [1, 2]\n", 8)],
)
def test_tokens_are_not_underestimated(text, tokens):
    assert tokens <= at_most_tokens(text) <= 3 * tokens


def planner(asked):
    step = len(asked.turns) // 2
    if step == STEPS:
        return code("SUBMIT(answer=str(kept))")
    return code(f"kept = {step}\nprint('word ' * 200, {step})")


def runs(**options):
    lm = ScriptedLM(planner)
    with dspy.context(lm=lm):
        rlm = RLM(options=RLMOptions(**options))
        return rlm, lm, rlm(context=TEXT, query="Which?")


def breaks(asked):
    """At which requests the prompt does not extend the one before."""
    pairs = zip(asked, asked[1:], strict=False)
    return [n for n, (a, b) in enumerate(pairs, 1) if not b.text.startswith(a.text)]


def test_a_prompt_is_folded_once_until_the_window_fills_again():
    rlm, lm, result = runs(planner_window=3_000)
    assert result.run.status == "completed"
    folds = [event for event in result.run.events if isinstance(event, Folded)]
    assert len(folds) >= 1
    assert [event.step for event in folds] == [n + 1 for n in breaks(lm.asked)]
    assert all(b - a > 2 for a, b in zip(breaks(lm.asked), breaks(lm.asked)[1:], strict=False))
    assert max(at_most_tokens(asked.text) for asked in lm.asked) <= 3_000
    assert NOTE.partition("{")[0] in lm.asked[-1].text
    assert "word word" in lm.asked[-1].turns[-1][1]  # the newest is whole
    assert rlm.replay(result.run.id).run.events == result.run.events


def test_without_a_window_nothing_is_folded():
    _, lm, _ = runs()
    assert breaks(lm.asked) == []


def test_a_prompt_that_the_provider_refuses_is_folded_and_sent_again():
    def refusing(asked):
        if len(asked.text) > 6_000:
            return ContextWindowExceededError(message="too long")
        return planner(asked)

    lm, rlm = ScriptedLM(refusing), RLM()
    with dspy.context(lm=lm):
        result = rlm(context=TEXT, query="Which?")
    assert result.run.status == "completed"
    assert all(e.refused for e in result.run.events if isinstance(e, Folded))
    asked = len(lm.asked)
    assert rlm.replay(result.run.id).answer == result.answer
    assert len(lm.asked) == asked


def test_one_output_that_is_too_long_by_itself_is_cut():
    def once(asked):
        long = "print(' '.join(map(str, range(4000))))"
        return code("SUBMIT(answer='x')" if len(asked.turns) > 1 else long)

    lm = ScriptedLM(once)
    with dspy.context(lm=lm):
        rlm = RLM(options=RLMOptions(planner_window=2_500))
        result = rlm(context=TEXT, query="Which?")
    assert "left out here to fit the window" in lm.asked[-1].last
    assert "Next step" in lm.asked[-1].last
    assert at_most_tokens(lm.asked[-1].text) <= 2_500
    assert rlm.replay(result.run.id).answer == "x"
