"""Intervals by context, paired differences, McNemar's test."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from eval.purse import Bill
from eval.records import Record
from eval.stats import (
    FEWEST_CONTEXTS,
    difference,
    interval,
    mcnemar,
    quantiles,
    scores_of,
)


def record(number, outcome="scored", score=1.0, context=None):
    return Record(
        id=f"q{number}",
        context_id=context or f"c{number}",
        group="all",
        length=1_024,
        digest="0",
        outcome=outcome,
        scores={"exact": score} if outcome == "scored" else {},
        answer="",
        seconds=1.0,
        bill=Bill(),
    )


def names(count):
    return [f"c{number}" for number in range(count)]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_an_interval_holds_the_mean(scores):
    low, high = interval(scores, names(len(scores)))
    assert low - 1e-9 <= sum(scores) / len(scores) <= high + 1e-9


def test_an_interval_is_the_binomials_where_it_must_be():
    """Of 100 right/wrong answers the bootstrap mean is binomial."""
    low, high = interval([1.0] * 70 + [0.0] * 30, names(100))
    assert low == pytest.approx(binom.ppf(0.025, 100, 0.7) / 100, abs=0.011)
    assert high == pytest.approx(binom.ppf(0.975, 100, 0.7) / 100, abs=0.011)


def test_examples_over_one_context_count_as_one():
    scores = [1.0] * 50 + [0.0] * 50
    alone = interval(scores, names(100))
    shared = interval(scores, [f"c{number // 25}" for number in range(100)])
    assert shared[1] - shared[0] > 2 * (alone[1] - alone[0])


def test_one_context_tells_no_interval():
    assert all(map(math.isnan, interval([1.0, 0.0], ["c", "c"])))


def test_the_same_resamples_are_drawn_every_time():
    scores = [0.1 * number for number in range(10)]
    assert interval(scores, names(10)) == interval(scores, names(10))
    assert interval(scores, names(10), seed=1) != interval(scores, names(10))


def test_an_interval_is_the_same_in_any_order():
    scores = [0.1 * number for number in range(10)]
    assert interval(scores[::-1], names(10)[::-1]) == interval(scores, names(10))


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    [(0, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (1, 1, 1.0), (10, 2, 0.03857421875)],
)
def test_mcnemars_exact_p(better, worse, p):
    assert mcnemar(better, worse) == pytest.approx(p)


def paired(first, second):
    runs = [{f"q{n}": score for n, score in enumerate(run)} for run in (first, second)]
    return difference(*runs, {f"q{n}": f"c{n}" for n in range(len(first))})


def test_a_difference_is_paired():
    found = paired([0.0] * 6 + [1.0] * 4, [1.0] * 10)
    assert (found.n, found.contexts, found.mean) == (10, 10, 0.6)
    assert (found.better, found.worse, found.p) == (6, 0, pytest.approx(0.03125))
    assert found.interval[0] == pytest.approx(0.3)
    assert found.is_gain


def test_no_p_value_for_scores_between():
    assert paired([0.5, 0.0], [1.0, 1.0]).p is None


def test_a_difference_within_noise_is_no_gain():
    assert not paired([0, 1] * 10, [1, 0] * 9 + [1, 1]).is_gain


def test_too_few_contexts_show_no_gain_whatever_they_say():
    assert not paired([0.0] * (FEWEST_CONTEXTS - 1), [1.0] * (FEWEST_CONTEXTS - 1)).is_gain
    assert paired([0.0] * FEWEST_CONTEXTS, [1.0] * FEWEST_CONTEXTS).is_gain


def test_only_examples_with_both_scores_are_paired():
    found = difference({"a": 1.0, "b": 0.0}, {"b": 1.0, "c": 1.0}, {"b": "c"})
    assert (found.n, found.mean) == (1, 1.0)
    nothing = difference({"a": 1.0}, {}, {})
    assert (nothing.n, nothing.p) == (0, None)
    assert math.isnan(nothing.mean)


def test_which_outcomes_have_a_score():
    records = [
        record(0, score=0.5),
        record(1, "failed"),
        record(2, "timeout"),
        record(3, "infrastructure"),
        record(4, "budget"),
    ]
    assert scores_of(records) == {"q0": 0.5, "q1": 0.0}
    assert scores_of(records, late_as_zero=True) == {"q0": 0.5, "q1": 0.0, "q2": 0.0}


def test_quantiles():
    assert quantiles([float(n) for n in range(11)]) == (5.0, 9.0)
    assert all(map(math.isnan, quantiles([])))
