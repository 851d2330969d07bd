"""Packs: where they end, how they are asked, and what counts as an answer."""

import random
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy.queries.packing import (
    PACK_CHARS,
    PACK_ITEMS,
    Room,
    answer_tokens,
    grammar,
    labels,
    numbered,
    packed_question,
    packs,
    read,
    room_for,
)

WORDS = st.text("ab\n é漢", max_size=30)
ROOMS = st.builds(Room, st.integers(1, 12), st.integers(1, 200), st.integers(1, 60))


@given(st.lists(WORDS, max_size=60), ROOMS)
def test_every_item_is_in_one_pack_in_order_and_packs_fit(texts, room):
    found = packs(texts, room)
    assert [at for pack in found for at in pack] == list(range(len(texts)))
    for pack in found:
        assert len(pack) == 1 or (
            len(pack) <= room.items
            and sum(len(texts[at]) for at in pack) <= room.chars
            and all(len(texts[at]) <= room.alone for at in pack)
        )


def lines(count, seed=0):
    draw = random.Random(seed)
    return [f"line {draw.random()}" for _ in range(count)]


def contents(texts, room):
    return [tuple(texts[at] for at in pack) for pack in packs(texts, room)]


def test_packs_are_not_much_smaller_than_their_room():
    room = Room(32, 10_000)
    assert len(packs(lines(3_000), room)) < 3_000 / 16


def test_equal_items_fill_packs():
    assert len(packs(["same"] * 320, Room(32, 10_000))) <= 21


@given(st.sampled_from(["change", "insert", "delete"]), st.integers(0, 999))
def test_a_change_moves_no_pack_but_its_own_and_its_neighbours(kind, at):
    room, texts = Room(32, 10_000), lines(1_000)
    before = set(contents(texts, room))
    changed = list(texts)
    if kind == "change":
        changed[at] = f"changed {at}"
    elif kind == "insert":
        changed.insert(at, f"new {at}")
    else:
        del changed[at]
    fresh = [pack for pack in contents(changed, room) if pack not in before]
    assert len(fresh) <= 4


def test_most_changes_move_their_own_pack_alone():
    room, texts = Room(32, 10_000), lines(2_000)
    before = set(contents(texts, room))
    alone = 0
    for at in range(0, 2_000, 20):
        changed = [*texts[:at], f"new {at}", *texts[at + 1 :]]
        alone += sum(pack not in before for pack in contents(changed, room)) == 1
    assert alone >= 70


@pytest.mark.parametrize("kind", [bool, int, float, str, list[str], Literal["a", "b"], int | None])
def test_the_room_is_bounded_by_the_reply(kind):
    room = room_for(kind, window=None, reply=256)
    assert 1 <= room.items * answer_tokens(kind) <= 256
    assert room_for(kind, window=None, reply=100_000).items == PACK_ITEMS


def test_the_room_is_bounded_by_the_window():
    assert room_for(bool, window=None, reply=512).chars == PACK_CHARS
    assert room_for(bool, window=200_000, reply=512).chars == PACK_CHARS
    assert room_for(bool, window=2_000, reply=512).chars < (2_000 - 512) * 3
    assert room_for(bool, window=600, reply=512).chars == 1


def test_the_caller_may_allow_more_and_longer_items_to_share():
    room = room_for(bool, window=None, reply=4_096, most=100)
    assert room.items == 100
    assert room.alone > PACK_CHARS


def test_longer_answers_make_smaller_packs():
    sizes = [room_for(k, window=None, reply=1_024).items for k in (bool, str, list[str], dict)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4


def test_a_smaller_room_comes_to_one_item():
    room, sizes = Room(32, 4_000), []
    while room.items > 1:
        room = room.smaller()
        sizes.append(room.items)
    assert sizes == [8, 2, 1]


@given(st.integers(0, 300))
def test_numbers_differ_by_more_than_one(count):
    found = labels(count)
    assert len(found) == count
    assert all(b - a >= 2 for a, b in zip(found, found[1:], strict=False))


def test_no_text_passes_for_another_item():
    assert numbered(["a\n14: yes\n\nb", "c"], [11, 14]) == "11: a\n    14: yes\n    \n    b\n14: c"


def test_the_question_says_the_form():
    asked = packed_question("Is it warm?", bool, 7)
    assert asked.startswith("Is it warm?\n")
    assert "7 items" in asked
    assert "yes or no" in asked
    assert "high, low" in packed_question("Level?", Literal["high", "low"], 2)


# labels(3) is [11, 15, 18]
@pytest.mark.parametrize(
    ("reply", "kind", "found"),
    [
        ("11: a\n15: b\n18: c", str, {0: "a", 1: "b", 2: "c"}),
        ("18: c\n11: a\n15: b", str, {0: "a", 1: "b", 2: "c"}),
        ("Sure!\n\n11. a\n15) b\n**18**: c\n\nAnything else?", str, {0: "a", 1: "b", 2: "c"}),
        ("```\n11: yes\n15: no\n```\n18: Yes.", bool, {0: True, 1: False, 2: True}),
        ("11 - 3\n15 = 4\n[18]: 1,234", int, {0: 3, 1: 4, 2: 1234}),
        ("11: 1.5\n15: -2\n18: 0", float, {0: 1.5, 1: -2.0, 2: 0.0}),
        ('11: ["a", "b"]\n15: []\n18: ["c"]', list[str], {0: ["a", "b"], 1: [], 2: ["c"]}),
        ('11: {\n  "n": 1\n}\n15: {"n": 2}\n18: {"n": 3}', dict[str, int], None),
        ("11: a\n15: b", str, {0: "a", 1: "b"}),
        ("11: a\n11: a\n15: b\n18: c", str, {0: "a", 1: "b", 2: "c"}),
        ("11: a\n11: other\n15: b\n18: c", str, {1: "b", 2: "c"}),
        ("11: yes\n15: perhaps\n18: no", bool, {0: True, 2: False}),
        ("11: yes\n12: no\n18: no", bool, {0: True, 2: False}),
        ("11: one\n12: two\n15: b\n18: c", str, {1: "b", 2: "c"}),
        ("11:\n15: b\n18: c", str, {1: "b", 2: "c"}),
        ("11:\na\n15: b\n18: c", str, {0: "a", 1: "b", 2: "c"}),
        ("11: first\nsecond\n15: b\n18: c", str, {0: "first\nsecond", 1: "b", 2: "c"}),
        ("a\nb\nc", str, {}),
        ("", str, {}),
        ("1: a\n2: b\n3: c", str, {}),
    ],
)
def test_answers_are_taken_by_number(reply, kind, found):
    if found is None:
        found = {0: {"n": 1}, 1: {"n": 2}, 2: {"n": 3}}
    answers, faults = read(reply, kind, 3)
    assert answers == found
    assert set(faults) == {0, 1, 2} - set(found)
    assert all(faults.values())


@given(st.permutations(range(8)), st.sets(st.integers(0, 7)), st.sets(st.integers(0, 7)))
def test_whatever_is_left_out_or_said_twice_no_answer_is_anothers(order, dropped, doubled):
    numbers = labels(8)
    told = [(numbers[at], f"value {at}") for at in order if at not in dropped]
    told += [(numbers[at], "something else") for at in doubled]
    answers, faults = read("\n".join(f"{n}: {v}" for n, v in told), str, 8)
    assert all(value == f"value {at}" for at, value in answers.items() if at not in doubled)
    assert set(answers) | set(faults) == set(range(8))
    assert set(answers) & set(faults) == set()
    assert doubled - dropped <= set(faults)


@given(st.text(max_size=200), st.sampled_from([str, bool, int, list[str], Literal["a", "b"]]))
def test_any_reply_is_read(reply, kind):
    answers, faults = read(reply, kind, 5)
    assert set(answers) | set(faults) == set(range(5))


@pytest.mark.parametrize("kind", [list[str], dict[str, int], int | None])
def test_what_need_not_fit_one_line_has_no_grammar(kind):
    assert grammar(kind, 3) is None


def test_a_grammar_has_a_line_for_every_item():
    rules = grammar(Literal["a", 'say "b"'], 3)
    assert rules.splitlines()[0] == (
        'root ::= "11: " answer NEWLINE "15: " answer NEWLINE "18: " answer'
    )
    assert r'answer ::= "a" | "say \"b\""' in rules
