"""The text that `rlm demo` makes up, and how it judges answers."""

import re

import pytest

from rlm_dspy.cli import run
from rlm_dspy.demo import CHARS_PER_TOKEN, KINDS, MOST_QUESTIONS, haystack, right
from rlm_dspy.models import available


@pytest.fixture(scope="module")
def hay():
    return haystack(seed=5, tokens=100_000, questions=12)


def test_the_seed_decides_everything():
    assert haystack(1, 5_000, 4) == haystack(1, 5_000, 4)
    assert haystack(1, 5_000, 4).text != haystack(2, 5_000, 4).text


@pytest.mark.parametrize("tokens", [2_000, 50_000])
def test_it_is_as_long_as_asked(tokens):
    assert len(haystack(0, tokens, 4).text) == pytest.approx(tokens * CHARS_PER_TOKEN, rel=0.05)


def test_every_fact_stands_once_where_it_says(hay):
    for fact in hay.facts:
        assert hay.text[fact.position :].startswith(fact.sentence)
        assert hay.text.count(fact.sentence) == 1
        assert fact.value in fact.sentence
        assert right(fact.sentence, fact.value)


def test_facts_are_all_over_the_text():
    places = [
        fact.position / len(h.text)
        for s in range(40)
        for h in [haystack(s, 5_000, 4)]
        for fact in h.facts
    ]
    quarters = [sum(n / 4 <= place < (n + 1) / 4 for place in places) for n in range(4)]
    assert min(quarters) > len(places) / 8


def test_facts_come_in_several_wordings():
    by_kind = {}
    for seed in range(20):
        for fact in haystack(seed, 5_000, 24).facts:
            names = "|".join(re.escape(word) for word in fact.question.split() if word.istitle())
            worded = re.sub(names, "", fact.sentence.replace(fact.value, ""))
            by_kind.setdefault(fact.kind, set()).add(worded.split()[0])
    assert {kind.name for kind in KINDS} == set(by_kind)
    assert all(len(kind.wordings) >= 3 for kind in KINDS)
    assert sum(len(found) >= 2 for found in by_kind.values()) >= 5


def test_a_subject_stands_elsewhere_too(hay):
    for fact in hay.facts:
        name = max(re.findall(r"[A-Z]\w+", fact.question), key=len)
        assert hay.text.count(name) >= 2


@pytest.mark.parametrize("count", [1, 6, 7, MOST_QUESTIONS])
def test_questions_are_of_different_kinds_first(count):
    asked = haystack(3, 20_000, count).asked
    assert len(asked) == len({fact.question for fact in asked}) == count
    kinds = [fact.kind for fact in asked]
    assert len(set(kinds[: len(KINDS)])) == min(count, len(KINDS))


@pytest.mark.parametrize(
    ("answer", "value", "correct"),
    [
        ("48213", "48213", True),
        ("The code is 48,213.", "48213", True),
        ("148213", "48213", False),
        ("the grey heron", "Grey Heron", True),
        ("Grey", "Grey Heron", False),
        ("Porto", "Graz", False),
        ("", "Graz", False),
        (None, "None", False),
        (48213, "48213", True),
        ("Graz " + "and so on " * 20, "Graz", False),
    ],
)
def test_right(answer, value, correct):
    assert right(answer, value) is correct


def test_a_demo_that_cannot_run_says_so(capsys):
    assert run(["demo", "--model", "local/qwen2.5-coder-0.5b"]) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert "rlm models pull" in err


@pytest.mark.slow
def test_the_demo_runs_on_the_embedded_model(capsys):
    if not available():
        pytest.skip("the extra `local` is not installed")
    assert run(["demo", "--tokens", "20000", "--questions", "2"]) == 0
    out = capsys.readouterr().out
    assert "Question 2 of 2" in out
    assert len(re.findall(r"^  (right|WRONG) ", out, re.MULTILINE)) == 2
    assert re.search(r"^Right: [012] of 2 asked. Spent: \d+ calls", out, re.MULTILINE)
    assert out.count("step 1") >= 2
