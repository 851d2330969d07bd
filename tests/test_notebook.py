"""What a notebook shows of a run."""

import re
from html import unescape

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy import RLM, Context
from rlm_dspy.coverage import Coverage, DocumentCoverage
from rlm_dspy.events import Answered, Extracted, Submitted
from rlm_dspy.notebook import LONGEST, as_html, outputs_of, table
from rlm_dspy.testing import ScriptedLM, code

TAG = re.compile(r"<[^>]*>")
STEP = {"reasoning": "x", "code": "x", "output": "x"}
TABLE = set(TAG.findall(table("a", [("b",)], "c", "d")))
OURS = set(TAG.findall(as_html({"a": "b"}, {"c": 1}, [STEP])))

texts = st.text(max_size=30) | st.sampled_from(
    ["<script>hacked=1</script>", '"><img src=x onerror=hacked=1>', "</pre></details>", "&lt;b&gt;"]
)


@given(texts, texts, texts)
def test_no_text_becomes_markup(name, value, said):
    steps = [{"reasoning": said, "code": said, "output": said}]
    shown = as_html({name: value}, {name: value}, steps)
    assert set(TAG.findall(shown)) <= OURS
    assert unescape(TAG.sub("", shown)).count(value) >= 1


def test_a_run_says_how_it_ended_what_it_cost_and_what_it_answered():
    replies = [code("print('looked')", "why"), code("SUBMIT(answer='a <b>')")]
    with dspy.context(lm=ScriptedLM(replies)):
        run = RLM()(context="The grass grows. " * 400, query="q").run
    read = unescape(TAG.sub(" ", run._repr_html_()))
    for said in (run.id, "completed", "steps 2", "calls 2", "a <b>", "looked", "why"):
        assert said in read
    assert read.index("Step 1") < read.index("Step 2")


def test_a_run_without_an_answer_says_why():
    with dspy.context(lm=ScriptedLM([code("print(1)"), "not a field"])):
        run = RLM("context, query -> n: int", max_iters=1)(context="c " * 4000, query="q").run
    assert f"partial: {run.reason}" in unescape(TAG.sub("", run._repr_html_()))


@pytest.mark.parametrize(
    ("events", "outputs"),
    [
        ([], {}),
        ([Submitted(accepted=False, error="no")], {}),
        ([Submitted(accepted=False), Submitted(accepted=True, outputs={"a": 1})], {"a": 1}),
        ([Extracted(outputs={"a": 2}, reason="steps")], {"a": 2}),
        ([Answered(outputs={"a": 3})], {"a": 3}),
        ([Answered(outputs={"a": 4}), Submitted(accepted=True, outputs={"a": 5}, run="1")],
         {"a": 4}),
    ],
)  # fmt: skip
def test_the_answer_is_the_runs_own_last(events, outputs):
    assert outputs_of(events) == outputs


def test_a_long_text_is_cut_and_says_so():
    shown = as_html({}, {"a": "z" * (LONGEST + 1_500)}, [])
    assert "(1,500 more characters)" in shown
    assert shown.count("z") == LONGEST


def test_a_context_shows_its_documents():
    context = Context.from_documents([("a <b>", "x" * 1_200), *((f"t{n}", "y") for n in range(25))])
    shown = context._repr_html_()
    read = unescape(TAG.sub(" ", shown))
    assert set(TAG.findall(shown)) <= TABLE
    assert "26 documents" in read
    assert "a <b>" in read
    assert "1,200" in read
    assert "6 more documents" in read


def test_a_coverage_shows_a_bar_for_each_document():
    half = DocumentCoverage("half <i>", 100, sent=[(0, 50)])
    shown = Coverage((half, DocumentCoverage("none", 100)))._repr_html_()
    read = unescape(TAG.sub(" ", shown))
    assert set(TAG.findall(shown)) <= TABLE
    assert half.bar() in read
    assert "half <i>" in read
    assert "read 25.0% of 200 characters" in read
