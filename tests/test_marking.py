"""The field markers that a streamed lean reply is given."""

import re

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_dspy import RLM
from rlm_dspy.adapters import split_reply
from rlm_dspy.marking import MarkedReply

PLAN = RLM().plan.signature
ANSWER = dspy.Signature("text -> answer")
MARKER = re.compile(r"^\s*\[\[ ## (\w+) ## \]\]\n$")


def fields(signature, pieces):
    """What is said of each field, as a reader joins it, and the order of the markers."""
    reply, said, order = MarkedReply(signature), {}, []
    whole = [text for piece in pieces for text in reply.take(piece)]
    for text in [*whole, *reply.end()]:
        if marker := MARKER.match(text):
            order.append(marker[1])
            said[order[-1]] = ""
        else:
            said[order[-1]] += text
    return said, order


@pytest.mark.parametrize("signature", [PLAN, ANSWER])
@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_what_was_thought_is_not_said(signature, size):
    code = "Look.\n\n```python\nprint(1)\n```"
    reply = f"<think>Hm.\n```python\nbad()\n```\n</think>\n\n{code}"
    said, order = fields(signature, [reply[at : at + size] for at in range(0, len(reply), size)])
    if signature is PLAN:
        assert (said, order[:2]) == (
            {"reasoning": "Look.", "code": "print(1)", "completed": ""},
            ["reasoning", "code"],
        )
    else:
        assert said["answer"].strip() == code


def cut(text, places):
    edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]


LINES = [
    "x = 1",
    "print(context[:10])",
    "for n in range(3):\n    print(n)",
    "y = '''\n```\n'''",
    "",
]
CUTS = st.lists(st.integers(0, 120), max_size=30)


@settings(max_examples=50)
@given(
    st.sampled_from(["", "Look first.", "One.\nTwo `x`."]),
    st.lists(st.sampled_from(LINES), min_size=1, max_size=5),
    st.sampled_from(["", "\n", "\nOutput:\nimagined"]),
    CUTS,
)
def test_a_plan_is_said_by_its_fields_however_it_is_cut(reasoning, lines, after, places):
    source = "\n".join(lines)
    reply = f"{reasoning}\n\n```python\n{source}\n```{after}"
    said, order = fields(PLAN, cut(reply, places))
    thought, code = split_reply(reply)
    assert said.get("code", "") == code
    assert said.get("reasoning", "") == thought
    names = ["reasoning"] * bool(thought) + ["code"] * bool(code)
    assert order == (names and [*names, "completed"])


@settings(max_examples=50)
@given(st.text(min_size=1).filter(str.strip), CUTS)
def test_an_answer_is_said_whole(text, places):
    if not text.lstrip().startswith("["):
        assert fields(ANSWER, cut(text, places))[0]["answer"] == text


def test_code_without_a_fence_is_said_at_the_end():
    assert fields(PLAN, ["print(", "1)"])[0]["code"] == "print(1)"


@pytest.mark.parametrize(
    ("signature", "pieces"),
    [
        (ANSWER, ["[[ ", "## answer", " ## ]]\nGraz\n\n[[ ## completed ## ]]"]),
        (dspy.Signature("text -> a, b"), ['{"a": ', '1, "b": 2}']),
    ],
)
def test_what_has_markers_or_several_outputs_passes_unchanged(signature, pieces):
    reply = MarkedReply(signature)
    assert "".join(text for piece in pieces for text in reply.take(piece)) == "".join(pieces)
    assert list(reply.end()) == []


def test_an_empty_reply_is_not_marked():
    assert fields(ANSWER, [""]) == ({}, [])
