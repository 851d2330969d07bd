"""Coverage is a reader of events: unions of ranges, numbers, bars."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy.coverage import Coverage, merged, size, without

INTERVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12)


def characters(intervals):
    return {at for start, end in intervals for at in range(start, end)}


@given(INTERVALS)
def test_a_union_holds_what_its_parts_hold(intervals):
    union = merged(intervals)
    assert characters(union) == characters(intervals)
    assert size(union) == len(characters(intervals))
    assert all(end < start for (_, end), (start, _) in zip(union, union[1:], strict=False))


@given(INTERVALS, INTERVALS)
def test_what_is_left_is_in_none_of_the_others(intervals, others):
    left = without(merged(intervals), merged(others))
    assert characters(left) == characters(intervals) - characters(others)
    assert merged(left) == left


def event(run="", **ranges):
    return SimpleNamespace(run=run, **ranges)


DOCUMENTS = (("a.txt", 100), ("b.txt", 50))


def made():
    return Coverage.of(
        [
            event(documents=DOCUMENTS, printed=((0, 0, 10),)),
            event(sent=((0, 5, 30), (1, 0, 50))),
            event(run="1", documents=(("c", 9),), sent=((0, 0, 9),)),
            event(sent=((0, 20, 40),), matched=((0, 35, 60),)),
        ]
    )


def test_the_numbers():
    coverage = made()
    assert (coverage.characters, coverage.sent, coverage.printed) == (150, 35 + 50, 10)
    assert (coverage.read, coverage.matched, coverage.untouched) == (90, 20, 40)
    assert coverage.share == 90 / 150
    assert coverage.ranges("a.txt") == {
        "sent": [(5, 40)],
        "printed": [(0, 10)],
        "matched": [(40, 60)],
    }
    assert coverage.ranges(1)["sent"] == [(0, 50)]
    assert coverage.documents[0].unread == [(40, 100)]
    assert coverage.as_dict()["documents"][0]["untouched"] == 40


def test_a_document_that_is_not_there():
    with pytest.raises(KeyError, match=r"z\.txt"):
        made().ranges("z.txt")


def test_the_bars():
    assert made().documents[0].bar(10) == "████░░····"
    assert made().documents[0].bar(20).startswith("▓███")
    lines = str(made()).splitlines()
    assert lines[0].startswith("read 60.0% of 150 characters: 85 sent, 10 printed;")
    assert lines[1].endswith(" 40%  a.txt")
    assert lines[2] == "█" * 40 + " 100%  b.txt"


def test_of_many_documents_some_are_shown():
    coverage = Coverage.of([event(documents=tuple((f"{n}", 1) for n in range(50)))])
    assert coverage.bar().splitlines()[-1] == "… and 30 more documents"


def test_without_a_text_all_of_it_was_read():
    nothing = Coverage.of([event()])
    assert (nothing.share, nothing.characters, str(nothing.bar())) == (1.0, 0, "")
