"""Answered calls are given again after a kill, each once and in order."""

import time

import pytest

from eval.journal import Journal, call_key
from eval.purse import Bill
from rlm_dspy import ContextError

ONE = Bill(1, 10, 5, 0, 0.5)


def test_answers_are_given_again_in_order_and_once(tmp_path):
    path = tmp_path / "calls" / "one.jsonl"
    journal = Journal(path)
    for key, said in (("a", "1"), ("b", "2"), ("a", "3")):
        journal.note(key, [said], ONE)
    again = Journal(path)
    assert [again.recall(key) for key in ("a", "a", "a", "b", "c")] == [
        ["1"],
        ["3"],
        None,
        ["2"],
        None,
    ]
    assert again.bill == ONE + ONE + ONE


def test_a_failed_call_costs_but_answers_nothing(tmp_path):
    journal = Journal(tmp_path / "one.jsonl")
    journal.note("", None, ONE)
    again = Journal(tmp_path / "one.jsonl")
    assert again.recall("") is None
    assert again.bill == ONE


@pytest.mark.parametrize("line", ['{"foo": 1}', '{"key": "a", "bill": {"x": 1}, "at": 0}'])
def test_what_is_no_journal_is_refused(tmp_path, line):
    path = tmp_path / "one.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(ContextError, match="Line 1 of .*one.jsonl is no call: .* Remove the file"):
        Journal(path)


def test_what_is_no_plain_data_is_asked_again_but_paid(tmp_path):
    journal = Journal(tmp_path / "one.jsonl")
    journal.note("a", [object()], ONE)
    again = Journal(tmp_path / "one.jsonl")
    assert again.recall("a") is None
    assert again.bill == ONE


def test_the_clock_goes_on_unless_it_is_begun_anew(tmp_path):
    path = tmp_path / "one.jsonl"
    journal = Journal(path)
    time.sleep(0.05)
    journal.note("a", ["1"], ONE)
    first = Journal(path)
    assert first.seconds >= 0.05
    time.sleep(0.05)
    first.note("b", ["2"], ONE)
    assert Journal(path).seconds >= 0.1
    first.begin_anew()
    anew = Journal(path)
    assert anew.seconds == 0.0
    assert anew.recall("b") == ["2"]


def test_a_call_is_known_by_all_that_was_asked():
    messages = [{"role": "user", "content": "Hello"}]
    key = call_key("m", messages, {"temperature": 0.0, "n": 1})
    assert key == call_key("m", [dict(messages[0])], {"n": 1, "temperature": 0.0})
    others = [
        call_key("other", messages, {"temperature": 0.0, "n": 1}),
        call_key("m", "Hello", {"temperature": 0.0, "n": 1}),
        call_key("m", messages, {"temperature": 1.0, "n": 1}),
    ]
    assert len({key, *others}) == 4
