"""Queries of one form, and what stands at its places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy import ConfigurationError
from rlm_dspy.runs.templates import escaped, places_of, values_of


@pytest.mark.parametrize(
    ("template", "query", "like", "values"),
    [
        ("Who is {a}?", "who  is Ottilie Roth?", {"a": "x"}, {"a": "Ottilie Roth"}),
        ("{a} or '{b}'?", "Tea or 'a cup'?", {"a": "x", "b": "y"}, {"a": "Tea", "b": "a cup"}),
        ("{a} and {a}?", "b and b?", {"a": "x"}, {"a": "b"}),
        ("User {n}?", "User -12?", {"n": 3}, {"n": -12}),
        ("Of {a}.", "Of b, c, and d.", {"a": ["x"]}, {"a": ["b", "c", "d"]}),
        ("Of {a}.", "Of 7 or 8.", {"a": [1, 2]}, {"a": [7, 8]}),
        ("{{{a}}}", "{b}", {"a": "x"}, {"a": "b"}),
        ("{a} of {}?", "Port of the Grey Heron?", {"a": "x"}, {"a": "Port"}),
    ],
)
def test_what_stands_at_the_places(template, query, like, values):
    assert values_of(template, query, like, {}) == values


@pytest.mark.parametrize(
    ("template", "query", "like", "told"),
    [
        ("Who is {a}?", "What is Roth?", {"a": "x"}, r"What is Roth\?.*does not fit"),
        ("Who is {a}?", "Who is ?", {"a": "x"}, "does not fit"),
        ("{a} and {a}?", "b and c?", {"a": "x"}, "does not fit"),
        ("User {n}?", "User Roth?", {"n": 3}, "does not fit"),
        ("{a} and {b}?", "x and y and z?", {"a": "x", "b": "y"}, "more ways than one"),
        ("Of {a}?", "Of d?", {"a": "b"}, r"knows \['b', 'c'\] and not \['d'\]"),
    ],
)
def test_what_does_not_fit_is_refused(template, query, like, told):
    choices = {"a": ["b", "c"]} if "knows" in told else {}
    with pytest.raises(ConfigurationError, match=told):
        values_of(template, query, like, choices)


words = st.text("abc{}' .?", min_size=1, max_size=8).map(str.strip).filter(bool)


@given(words, words, words)
def test_a_template_fits_what_it_was_made_of(head, value, tail):
    template = f"{escaped(head)} <{{a}}> {escaped(tail)}"
    assert places_of(template) == ["a"]
    query = f"{head} <{value}> {tail}"
    assert values_of(template, query, {"a": "x"}, {}) == {"a": " ".join(value.split())}
