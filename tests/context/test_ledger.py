"""Where a text comes from: told by its lines, or by a name that the host has checked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy import Context
from rlm_dspy.context import line_index
from rlm_dspy.context.ledger import Ledger
from rlm_dspy.placed import Origin, Placed, joined

LINES = [f"{at} of the log says {at * at}" for at in range(60)]
TEXT = "\n".join(LINES)


def ledger_of(*texts):
    context = Context.from_documents([{"text": text} for text in texts])
    return Ledger([context]), context


def texts_at(ledger_ranges, *texts):
    return [texts[number][start:end] for number, start, end in ledger_ranges]


def named(context, start, end, text=None):
    text = str(context)[start:end] if text is None else text
    return Placed(text, [Origin(context._number, start, end)])


def test_lines_of_their_own_say_where_they_come_from():
    ledger, _ = ledger_of(TEXT)
    asked = f"Read:\n{LINES[3]}\n{LINES[4]}\nand\n{LINES[40]}\nWhat is it?"
    assert texts_at(ledger.located(asked), TEXT) == [f"{LINES[3]}\n{LINES[4]}", LINES[40]]


def test_a_line_that_stands_there_twice_says_nothing():
    ledger, _ = ledger_of("same\na\nsame\nb")
    assert ledger.located("same") == []
    assert ledger.located("same\nb") == [(0, 7, 13)]


def test_a_run_that_begins_and_ends_within_a_line():
    ledger, _ = ledger_of(TEXT)
    cut = TEXT[5:120]
    assert texts_at(ledger.located(f"Read:\n{cut}\n?"), TEXT) == [cut]


def test_a_run_ends_where_its_document_does():
    ledger, _ = ledger_of("one\ntwo", "three\nfour")
    assert ledger.located("two\nthree") == [(0, 4, 7), (1, 0, 5)]


def test_carriage_returns():
    ledger, context = ledger_of("one\r\ntwo\r\nthree")
    assert ledger.located("one\ntwo") == [(0, 0, 8)]
    assert ledger.located(str(context)) == [(0, 0, 15)]


def test_a_named_range_is_taken_where_the_text_is_the_same():
    ledger, context = ledger_of("same\na\nsame\nb")
    assert ledger.located(named(context, 7, 11)) == [(0, 7, 11)]


@pytest.mark.parametrize(
    "origin",
    [(0, 4), (1, 5), (0, 13), (13, 13), (5, 9), (10**15, 10**15 + 4)],
)
def test_a_lie_counts_for_nothing(origin):
    ledger, context = ledger_of("same\na\nsame\nb")
    assert ledger.located(named(context, *origin, text="tale")) == []


def test_of_another_context_nothing_is_known():
    ledger, _ = ledger_of(TEXT)
    other = Context.from_text("nothing of it")
    assert ledger.located(named(other, 0, 7)) == []


def test_each_character_counts_once():
    ledger, context = ledger_of("same\na\nsame\nb")
    twice = Placed("same", [Origin(context._number, 0, 4), Origin(context._number, 7, 11)])
    assert ledger.located(twice) == [(0, 0, 4)]


@given(st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, 80)), min_size=1, max_size=6))
def test_spans_that_are_joined(cuts):
    ledger, context = ledger_of(TEXT)
    spans = [named(context, at, min(at + length, len(TEXT))) for at, length in cuts]
    found = ledger.located(joined("\n", spans))
    wanted = {(0, *span.origins[0][1:]) for span in spans if span}
    assert wanted <= set(found)


@given(st.text(max_size=300), st.data())
def test_what_is_found_stands_in_the_text(text, data):
    source = text + "\nthe end"
    ledger, _ = ledger_of(source)
    at = data.draw(st.integers(0, len(source)))
    asked = f"Read:\n{source[at : at + data.draw(st.integers(0, 80))]}\nWhat is it?"
    for _, start, end in ledger.located(asked):
        for line in source[start:end].replace("\r\n", "\n").split("\n"):
            assert line in asked.replace("\r\n", "\n")


def test_a_hit_says_its_line():
    text = "head\nsame\nfoot\nsame"
    ledger = Ledger([Context.from_documents([{"title": "a.log", "text": text}])])
    assert ledger.located("Why?\na.log:4: same") == [(0, 15, 19)]
    assert ledger.located("Why?\na.log:3: same") == []
    assert ledger.located("Why?\nb.log:4: same") == []


def test_titles_are_in_no_document():
    context = Context.from_documents([{"title": "a", "text": "one"}, {"title": "b", "text": "two"}])
    ledger = Ledger([context])
    assert ledger.documents == (("a", 3), ("b", 3))
    assert ledger.located(named(context, 0, len(context))) == [(0, 0, 3), (1, 0, 3)]
    assert ledger.ends(10_000) == ((0, 0, 3), (1, 0, 3))
    assert ledger.whole() == ((0, 0, 3), (1, 0, 3))


def test_what_a_search_found_is_known_when_it_is_printed():
    ledger, context = ledger_of(
        "The ship left. The mate stayed. It rained.", "Chapter 10\nChapter 1"
    )
    number = context._number
    assert ledger.matched([Origin(number, 0, 42), Origin(number, 15, 31), Origin(7, 0, 1)]) == (
        (0, 0, 42),
        (0, 15, 31),
    )
    assert ledger.printed("['… The mate stayed. …', 'more']") == ((0, 15, 31),)
    ledger.matched([Origin(number, 55, 64)])
    assert ledger.printed("about Chapter 10") == ()


def test_of_two_places_with_the_same_text_nothing_is_known():
    ledger, context = ledger_of("the same line\nx\nthe same line")
    ledger.matched([Origin(context._number, 0, 13), Origin(context._number, 16, 29)])
    assert ledger.printed("['the same line']") == ()
    assert ledger.printed("['the same line', 'the same line']") == ((0, 0, 13), (0, 16, 29))


def test_the_ranges_of_a_sub_query_are_asked_for_once():
    ledger, _ = ledger_of(TEXT)
    ledger.send(3, [LINES[2], LINES[2]])
    assert texts_at(ledger.sent(3), TEXT) == [LINES[2]]
    assert ledger.sent(3) == ledger.sent(4) == ()


def test_a_run_within_a_run_counts_for_both():
    outer, _ = ledger_of(TEXT)
    inner = Ledger([Context.from_text("\n".join(LINES[5:9]))], outer, query=2)
    inner.send(1, [LINES[6]])
    inner.printed(LINES[8])
    assert texts_at(outer.sent(2), TEXT) == [LINES[6], LINES[8]]


def test_a_long_context_has_no_index(monkeypatch):
    monkeypatch.setattr("rlm_dspy.context.ledger.MOST_BYTES", 100)
    ledger, context = ledger_of(TEXT)
    assert line_index.MOST_BYTES > len(TEXT) > 100
    assert ledger.located(LINES[2]) == []
    assert ledger.located(named(context, 0, 50)) == [(0, 0, 50)]
