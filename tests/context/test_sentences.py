"""Sentences end at their marks, and not at abbreviations."""

from itertools import pairwise

import pytest

from rlm_dspy.context.context import Context
from rlm_dspy.context.sentences import sentence_ends


@pytest.mark.parametrize(
    "sentences",
    [
        ["One. ", "Two! ", "Three?\n", "Four."],
        ["He left... ", 'She said "no." ', "Then (it was late.) ", "It rained."],
        ["Dr. Smith met J. R. Doe at 3 p.m. on Mon. the 5th. ", "See e.g. “Fig. 3” there."],
        ["It costs 3.50 in total. ", "The site example.org is down."],
        ["第一句。", "第二句！", "「第三句。」", "第四句"],
        ["A title without a mark\n\n", "A text.\n", "More of it."],
        ["A line\nthat goes on. ", "End"],
        ["Es kostet ca. 3 Mio. usw. und mehr. ", "Ende."],
    ],
)
def test_sentences(sentences):
    text = "".join(sentences)
    ends = [0, *(at for at in sentence_ends(text) if at < len(text)), len(text)]
    assert [text[start:end] for start, end in pairwise(ends)] == sentences
    chunks = Context.from_text(text).chunks(2, 1, by="sentences")
    assert chunks == ["".join(pair) for pair in pairwise(sentences)]


def test_a_long_run_of_marks_takes_linear_time():
    assert sentence_ends("." * 200_000 + "x") == []
