"""`search` ranks the passage that shares the rare words of a question first."""

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from texts import SHORT, TEXTS, tiny

from rlm_dspy.context.context import Context
from rlm_dspy.context.words import forms, words
from rlm_dspy.errors import ContextError

# Facts with the questions that ask for them: a name is shared, most of the wording is not.
FACTS = [
    ("{} keeps her spare key below the blue flower pot.", "Where is the spare key of {}?"),
    ("In 1987 {} was made head of the northern office.", "When did {} become its leader?"),
    ("The access code that belongs to {} is 48213.", "What is {}'s code?"),
    ("It was {} who paid for the new roof, in two parts.", "Who financed the roof, {}?"),
    ("{}: 17 boxes of lamps, two of them broken.", "How many boxes did {} receive?"),
]
COMMON = ["the", "of", "and", "to", "a", "in", "is", "it", "you", "that", "he", "was", "for", "on"]


def haystack(characters: int, facts: list[str], seed: int = 7) -> str:
    """Sentences of made-up words with Zipf's frequencies, and facts at random places."""
    chance = random.Random(seed)
    vocabulary = ["".join(chance.choices("etaoinshrdlucmfw", k=1 + n % 9)) for n in range(20_000)]
    weights = [1 / (rank + 3) for rank in range(len(vocabulary))]
    drawn = iter(chance.choices(vocabulary, weights, k=characters // 6))
    sentences, size = [], 0
    while size < characters:
        length = chance.randint(6, 20)
        some = [
            chance.choice(COMMON) if chance.random() < 0.45 else next(drawn) for _ in range(length)
        ]
        sentence = " ".join(some).capitalize() + "." + chance.choice([" "] * 8 + ["\n", "\n\n"])
        sentences.append(sentence)
        size += len(sentence)
    for fact in facts:
        sentences.insert(chance.randrange(len(sentences)), fact + " ")
    return "".join(sentences)


@pytest.mark.slow
def test_a_fact_anywhere_in_five_megabytes_is_found():
    names = [
        f"{first}{last}"
        for first in ("Quill", "Zapf", "Yor", "Bix", "Vex", "Jug", "Kov", "Pym")
        for last in ("feather", "ington", "owitz", "antha", "ugby")
    ]
    asked = [
        (fact.format(name), question.format(name))
        for name, (fact, question) in zip(names, FACTS * 8, strict=True)
    ]
    context = Context.from_text(haystack(5_000_000, [fact for fact, _ in asked]))
    assert len(context) >= 5_000_000
    missed = [
        question
        for fact, question in asked
        if not any(fact in passage for passage in context.search(question, k=3))
    ]
    assert missed == []


def test_a_fact_is_never_torn():
    # One fact at each of many offsets, so that some lie across every kind of cut.
    filler = "lorem ipsum dolor sit amet "
    fact = "The wombat of the harbour master answers to the name of Bartholomew the Third."
    for offset in range(300, 1500, 37):
        text = (filler * 200)[:offset] + fact + filler * 100
        (best, *_) = Context.from_text(text).search("harbour master wombat name")
        assert fact in best


def test_what_follows_the_words_of_a_question_is_with_them():
    filler = "Lorem ipsum dolor sit amet. "
    for offset in range(300, 1500, 37):
        text = (
            (filler * 200)[:offset]
            + "\nThis is about the wombat. Its name is Bill.\n"
            + filler * 90
        )
        (best, *_) = Context.from_text(text).search("How is the wombat called?")
        assert "wombat. Its name is Bill." in best


def test_rare_words_dominate():
    common = "the price of the plan is the price of the plan. " * 20
    text = "\n\n".join([common, common + "A yak.", common, common])
    (best, *_) = Context.from_text(text).search("what is the price of the plan for a yak?")
    assert "yak" in best


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("zebras", "one Zebra here"),
        ("zebra", "many ZEBRAS there"),
        ("boxes", "a box"),
        ("city", "two cities"),
        ("cities", "one city"),
        ("Anna", "Anna's hat"),
        ("straße", "in der STRASSE"),
        ("café", "the cafe\u0301"),
        ("魔法数字", "他的魔法数字是七"),
        ("naïve", "a naïve question"),
        ("user_id", "the user id"),
    ],
)
def test_words_are_matched_in_their_forms(query, text):
    other = "\n\n".join(["nothing of the kind " * 30] * 3)
    context = Context.from_documents([other, text, other])
    (best, *_) = context.search(query)
    assert (best, best.document.id) == (text, 1)


def test_forms_leave_short_words_and_numbers_alone():
    assert forms("is") == {"is"}
    assert forms("1990s") == {"1990s"}
    assert "glas" not in forms("glass")
    assert words("It's 3.5 µm, co-op") == ["it", "s", "3", "5", "μm", "co", "op"]


def test_passages_without_the_rarest_words_are_left_out():
    context = Context.from_text(haystack(100_000, ["A zebu zebra zebu."] * 3))
    found = context.search("zebu and zebra of the", k=8)
    assert len(found) == 3
    assert all("zebu" in passage.excerpt for passage in found)


def test_an_excerpt_begins_with_the_sentence_that_says_most():
    told = "Nobody thought of it. The zebu weighs 4127 kilos. It cost nothing."
    context = Context.from_text(haystack(20_000, [told]))
    (best, *_) = context.search("How much does the zebu weigh?")
    assert best.excerpt.startswith("The zebu weighs 4127 kilos.")
    assert best.excerpt == context[best.excerpt.start : best.excerpt.end]
    assert repr(best).startswith("'… The zebu weighs")


def test_passages_do_not_overlap_and_are_ranked():
    context = Context.from_text(haystack(100_000, ["A zebu zebra zebu."] * 3))
    found = context.search("and of the", k=8)
    assert len(found) == 8
    assert all(one.score >= two.score for one, two in pairwise(found))
    ranges = sorted((passage.start, passage.end) for passage in found)
    assert all(one[1] <= two[0] for one, two in pairwise(ranges))
    assert all(300 <= len(passage) <= 2000 for passage in found)
    assert all(2000 < len(passage) <= 4000 for passage in context.search("zebu", k=3, size=3000))


def test_no_passage_leaves_its_document_and_titles_are_found():
    context = Context.from_documents([(f"Report {n}", f"gnu {n}. " * 5) for n in range(20)])
    (best, *_) = context.search("Report 17", k=1)
    assert best.title == "Report 17"
    assert all(len(passage) < 100 for passage in context.search("gnu", k=20))
    assert {passage.title for passage in context.documents[3].search("gnu")} == {"Report 3"}


def test_a_piece_is_not_found_by_words_behind_it():
    context = Context.from_text("Nothing of note. " * 5 + "The captain is Ottilie Roth.")
    piece = context[: context.find("Ottilie")]
    assert piece.search("Ottilie") == []
    assert "captain" in piece.search("Ottilie the captain")[0]


@given(TEXTS, SHORT)
@settings(max_examples=50)
def test_what_is_found_is_where_it_says(text, query):
    context = tiny(text)
    for passage in context.search(query):
        assert passage.score >= 0
        assert text[passage.start : passage.end] == passage
        assert type(passage.text).__name__ == "Span"


@pytest.mark.parametrize("query", ["", "...", "nowhere"])
def test_nothing_to_find(query):
    assert Context.from_text("some text").search(query) == []


def test_a_query_is_words():
    query: Any = 3
    with pytest.raises(ContextError, match="search: text=3"):
        Context.from_text("some text").search(query)
