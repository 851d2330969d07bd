"""RULER's needles: the eight kinds, their words, places and lengths."""

import re

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import data
from eval.metrics import METRICS
from eval.tasks.niah import DEPTHS, KINDS, MARGIN, NOISE, REPLY_TOKENS, load
from eval.tokens import approximate_tokens
from rlm_dspy import ConfigurationError

NEEDLE = re.compile(r"One of the special magic (\w+) for (\S+) is: (\S+)\.")


def one(kind, length=2048, seed=42):
    return load(1, lengths=[length], seed=seed, part=kind)[0]


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 1000), st.sampled_from([1000, 1024, 3000]))
@settings(max_examples=10, deadline=None)
def test_every_kind(kind, seed, length):
    made, example = KINDS[kind], one(kind, length, seed)
    needles = NEEDLE.findall(example.context)
    asked = re.search(r" for (.+) mentioned", example.question)[1]
    keys = re.split(r", and |, ", asked)
    assert len(keys) == made.queries
    assert set(example.gold) == {value for _, key, value in needles if key in keys}
    assert len(example.gold) == made.values * made.queries
    assert len({value for _, _, value in needles}) == len(needles)
    if made.haystack != "needle":
        assert len(needles) == made.keys * made.values
    assert METRICS["ruler"](example, dspy.Prediction(answer=example.answer)) == 1.0


FORMS = {
    "words": r"[a-z]+-[a-z]+",
    "numbers": r"[1-9]\d{6}",
    "uuids": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
}


@pytest.mark.parametrize("kind", KINDS)
def test_keys_and_values_have_their_form(kind):
    made = KINDS[kind]
    for what, key, value in NEEDLE.findall(one(kind).context):
        assert what == made.value
        assert re.fullmatch(FORMS[made.key], key)
        assert re.fullmatch(FORMS[made.value], value)


@pytest.mark.parametrize(
    ("kind", "intro", "question"),
    [
        (
            "single_1",
            "A special magic number is hidden within the following text. Make sure to memorize it. "
            "I will quiz you about the number afterwards.",
            r"What is the special magic number for [a-z]+-[a-z]+ mentioned in the provided text\?",
        ),
        (
            "multikey_3",
            "A special magic uuid is hidden within the following text. Make sure to memorize it. "
            "I will quiz you about the uuid afterwards.",
            r"What is the special magic uuid for [0-9a-f-]{36} mentioned in the provided text\?",
        ),
        (
            "multivalue",
            "Some special magic numbers are hidden within the following text. Make sure to "
            "memorize it. I will quiz you about the numbers afterwards.",
            r"What are all the special magic numbers for \S+ mentioned in the provided text\?",
        ),
        (
            "multiquery",
            "Some special magic numbers are hidden within the following text. Make sure to "
            "memorize it. I will quiz you about the numbers afterwards.",
            r"What are all the special magic numbers for \S+, \S+, \S+, and \S+ mentioned in the "
            r"provided text\?",
        ),
    ],
)
def test_the_templates(kind, intro, question):
    example = one(kind)
    assert example.context.startswith(f"{intro}\n")
    assert re.fullmatch(question, example.question)


def test_the_haystacks():
    noise = one("single_1").context.split("\n")[1:]
    assert set(noise) - {NOISE} == {line for line in noise if NEEDLE.fullmatch(line)}
    straw = one("multikey_2").context.split("\n")[1:]
    assert all(NEEDLE.fullmatch(line) for line in straw)
    essay = NEEDLE.sub("", one("single_2").context.split("\n", 1)[1])
    book = " ".join(data.book().split())
    assert all(part.strip() in book for part in essay.split("  "))


def test_a_book_that_is_too_short_begins_again():
    text = one("single_2", 400_000).context
    assert text.count("Call me Ishmael.") >= 1
    assert len(text) > len(data.book())


def test_needles_stand_at_forty_depths():
    assert DEPTHS[0] == 0
    assert DEPTHS[-1] == 100
    assert len(set(DEPTHS)) == 40


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [4096, 32_768])
def test_lengths_are_used_and_never_passed(kind, length):
    example = one(kind, length)
    used = approximate_tokens(f"{example.context}\n{example.question}") * MARGIN + REPLY_TOKENS
    assert 0.97 * length < used <= length * 1.01


@pytest.mark.parametrize("kind", ["single_1", "multiquery"])
def test_a_length_without_room_is_refused(kind):
    with pytest.raises(ConfigurationError, match="length=150 tokens is too short for"):
        one(kind, 150)


def test_the_kinds_take_turns():
    examples = load(10, lengths=[700, 1024])
    assert [example.group for example in examples] == [*KINDS, *list(KINDS)[:2]] * 2
    assert len({example.id for example in examples}) == 20


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigurationError, match="has no part 'multikey_9'; it has single_1"):
        one("multikey_9")
