"""Parts for tuning share no context."""

from dataclasses import replace

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.runs import Data
from eval.splits import dealt, split
from rlm_dspy import ConfigurationError

SIZES = {"test": 7, "val": 4, "train": 9}


def contexts(examples):
    return {example.context_id for example in examples}


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(0, 5), st.randoms())
def test_no_context_is_in_two_parts(rows, seed, draw):
    examples = [dspy.Example(id=str(n), context_id=str(c)) for n, c in enumerate(rows)]
    parts = dealt(examples, SIZES, seed)
    if parts is None:
        return
    assert {name: len(part) for name, part in parts.items()} == SIZES
    names = list(parts)
    for one in names:
        assert all(not contexts(parts[one]) & contexts(parts[o]) for o in names if o != one)
    # The order of the data does not matter to which context goes where.
    draw.shuffle(examples)
    again = dealt(examples, SIZES, seed)
    assert {n: contexts(p) for n, p in again.items()} == {n: contexts(p) for n, p in parts.items()}


def test_questions_that_share_a_context_are_split_by_it():
    """Twenty queries are asked of each context of `oolong_pairs`."""
    taken, parts = split(Data("oolong_pairs", 0, (1_536,), generated=True), SIZES)
    assert [len(part) for part in parts.values()] == [7, 4, 9]
    assert len(set.union(*map(contexts, parts.values()))) == 3
    assert taken.n == 80


def test_a_group_alone_is_enough_data():
    data = Data("oolong_synth", 0, (1_024, 1_536), generated=True, group="user")
    taken, parts = split(data, SIZES)
    assert {example.group for part in parts.values() for example in part} == {"user"}
    assert taken.examples()  # the same data again holds the parts
    ids = {example.id for example in taken.examples()}
    assert {example.id for part in parts.values() for example in part} <= ids


def test_a_group_that_comes_late_is_found():
    data, parts = split(
        Data("oolong_synth", 0, (1_024,), generated=True, group="timeline"),
        {"test": 1, "train": 0, "val": 0},
    )
    assert [example.group for example in parts["test"]] == ["timeline"]
    with pytest.raises(ConfigurationError, match="no examples of the group 'none'"):
        split(replace(data, group="none"), {"test": 1})


def test_the_seed_decides():
    data = Data("niah", 0, (1_024,), seed=3)
    one, two = (split(data, SIZES)[1] for _ in range(2))
    other = split(Data("niah", 0, (1_024,), seed=4), SIZES)[1]
    assert [e.id for e in one["test"]] == [e.id for e in two["test"]]
    assert [e.id for e in one["test"]] != [e.id for e in other["test"]]


def test_too_few_contexts_are_told(tmp_path):
    path = tmp_path / "few.jsonl"
    path.write_text('{"context": "One.", "question": "?", "answer": "1"}\n' * 30)
    with pytest.raises(ConfigurationError, match="30 examples over 1 contexts here, too few"):
        split(Data(f"folder:{path}", 0), SIZES)
