"""One answer from many parts, within what a call can read."""

import re

import pytest
from packs import text_of
from test_items import operators

from rlm_dspy.errors import SubQueryError
from rlm_dspy.queries.questions import READ_CHARS
from rlm_dspy.testing import ScriptedLM


def total(asked):
    text = re.sub(r"^\d+: ", "", text_of(asked), flags=re.MULTILINE)
    return str(sum(map(int, re.findall(r"\d+", text))))


@pytest.mark.parametrize("parts", [2, 3, 50, 999])
@pytest.mark.parametrize("length", [1, 400, 3_000])
async def test_a_tree_leaves_nothing_out_and_reads_no_more_than_it_can(parts, length):
    lm = ScriptedLM(total)
    ask, _ = operators(lm)
    texts = [f"{n} ".ljust(length) for n in range(parts)]
    assert await ask.combine("Sum?", texts, int) == sum(range(parts))
    assert max(len(text_of(asked)) for asked in lm.asked) < READ_CHARS * 1.3  # and the numbers
    assert len(lm.asked) <= max(2 * parts * length // READ_CHARS + 3, parts // 50 + 3)


async def test_a_part_longer_than_a_call_reads_is_divided():
    lm = ScriptedLM(total)
    ask, _ = operators(lm)
    assert await ask.combine("Sum?", ["1 " * 10_000, "5"], int) == 10_005
    assert max(len(text_of(asked)) for asked in lm.asked) <= READ_CHARS * 1.1


async def test_a_long_partial_answer_still_ends():
    lm = ScriptedLM(["so " * 4_000])
    ask, _ = operators(lm)
    answer = await ask.combine("All?", ["text " * 1_000] * 20)
    assert answer.startswith("so so")


async def test_upper_calls_are_told_that_they_read_answers():
    lm = ScriptedLM(total)
    ask, _ = operators(lm)
    await ask.combine("Sum?", ["1 " * 2_500] * 4, int)
    assert "answers to this question" in lm.asked[-1].last
    assert all("answers to this question" not in asked.last for asked in lm.asked[:-1])


async def test_a_branch_that_fails_is_an_error():
    def script(asked):
        return ValueError("broken") if "9999" in asked.last else "1"

    ask, _ = operators(ScriptedLM(script))
    with pytest.raises(SubQueryError, match="broken"):
        await ask.combine("Sum?", ["x " * 2_000, "9999 " * 500, "y " * 2_000], int)
