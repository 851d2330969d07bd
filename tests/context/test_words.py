"""What the search engine cuts by itself has the words that `words` finds."""

import re

import pytest
import tantivy
from hypothesis import given
from hypothesis import strategies as st
from texts import TEXTS

from rlm_dspy.context.words import _numbers, cut_alike, words

# What stands among the ideographs and is none, the engine does not index.
USUAL = [
    chr(number) for number in _numbers() if chr(number).isalnum() or not 0x3040 <= number <= 0x30FF
]
LETTERS = st.text(alphabet=st.sampled_from(USUAL), max_size=30)
ANALYZER = (
    tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    .filter(tantivy.Filter.lowercase())
    .build()
)


@given(LETTERS | TEXTS)
def test_the_engine_finds_the_same_words(text):
    assert ANALYZER.analyze(cut_alike(text)) == words(text)


def test_every_usual_character_is_cut_alike():
    for character in USUAL:
        text = f"a{character}b {character}"
        assert ANALYZER.analyze(cut_alike(text)) == words(text), hex(ord(character))


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("plain ASCII_text", "plain ASCII_text"),
        ("Größe für Жук", "Grösse für Жук"),
        ("ὈΔΟΣ ὁδός", "ὀδοσ ὁδόσ"),
        ("Für Жук – «naïve»", "Für Жук – «naïve»"),
        ("das 漢字 ist", "das  漢  字  ist"),
        ("ﬁne ½", "fine 1 2"),
    ],
)
def test_most_texts_stay_as_they_are(text, cut):
    assert cut_alike(text) == cut
    assert re.findall(r"\w+", cut_alike(text).replace("_", " ").casefold()) == words(text)
