"""The data in the package: what it holds, and that its licences stand beside it."""

import re
from importlib import resources

import pytest

from eval import data
from eval.oolong import SOURCES, make_window
from eval.tokens import approximate_tokens


def test_definitions_are_in_one_class_each():
    found = data.glosses()
    assert set(found) == set(SOURCES["wordnet"].labels)
    texts = [text for texts in found.values() for text in texts]
    assert len(texts) == len(set(texts)) > 15_000
    assert all(len(some) > 1_000 for some in found.values())
    assert not [text for text in texts if "\n" in text or "\t" in text or " || " in text]


def test_mails_have_no_addresses():
    found = data.mails()
    assert set(found) == set(SOURCES["spam_assassin"].labels)
    texts = [text for texts in found.values() for text in texts]
    assert len(texts) == len(set(texts)) == 1_400
    assert not [text for text in texts if re.search(r"\w@\w|https?://", text)]
    assert not [text for text in texts if "\n" in text or " || " in text]


def test_the_book_and_the_words():
    assert "Call me Ishmael." in data.book()
    adjectives, nouns = data.key_words()
    assert len(adjectives) * len(nouns) > 1_000_000
    assert set(adjectives).isdisjoint(nouns)
    assert all(re.fullmatch(r"[a-z]{3,10}", word) for word in (*adjectives, *nouns))


def test_every_file_has_its_licence():
    folder = resources.files("eval.data")
    told = (folder / "LICENSES.md").read_text(encoding="utf-8")
    names = {file.name for file in folder.iterdir()}
    kept = {name for name in names if name.endswith((".xz", ".txt"))}
    assert kept == {"glosses.tsv.xz", "words.txt", "mails.tsv.xz", "moby_dick.txt.xz"}
    assert all(name in told for name in kept)
    assert "WordNet 3.1 Copyright 2011 by Princeton University.  All rights reserved." in told


# Tokens of cl100k_base, counted once.
COUNTED = [
    ("The grass is green. The sky is blue. The sun is yellow. Here we go.", 19),
    ("One of the special magic numbers for able-apple is: 1234567.", 17),
    ("Call me Ishmael. Some years ago never mind how long precisely", 14),
]


@pytest.mark.parametrize(("text", "tokens"), COUNTED)
def test_tokens_are_estimated_closely(text, tokens):
    assert approximate_tokens(text) == pytest.approx(tokens, abs=1)


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_a_window_is_about_as_long_as_it_says(source):
    length = 16_384
    tokens = approximate_tokens(make_window(source, length, "long").text(labelled=True))
    assert 0.8 * length < tokens < length
