"""When an attempt at a model may start: rates, pauses, limits that fall and rise."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy.queries.lanes import LONGEST_WAIT, Lane, Minute, Terms

FREE = Terms()


def test_without_limits_nobody_waits():
    lane = Lane()
    for _ in range(1_000):
        assert lane.wait(FREE, 10**9, 0.0) == 0
        lane.start(10**9, 0.0)


def test_attempts_in_flight_are_limited():
    lane, terms = Lane(), Terms(concurrency=2)
    first = lane.start(0, 0.0)
    lane.start(0, 0.0)
    assert lane.wait(terms, 0, 0.0) == math.inf
    lane.end(first, 0, 1.0)
    assert lane.wait(terms, 0, 1.0) == 0


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 50)), max_size=60),
    st.integers(1, 5),
    st.integers(20, 100),
)
def test_no_minute_has_more_than_the_settings_allow(arrivals, requests, tokens):
    lane, terms, now, started = Lane(), Terms(requests=requests, tokens=tokens), 0.0, []
    for pause, used in arrivals:
        now += pause
        while (wait := lane.wait(terms, min(used, tokens), now)) > 0:
            now += wait
        started.append((now, min(used, tokens)))
        lane.end(lane.start(min(used, tokens), now), min(used, tokens), now)
    for at, _ in started:
        within = [used for when, used in started if at - 60 + 1e-6 < when <= at]
        assert len(within) <= requests
        assert sum(within) <= tokens


def test_a_rate_is_used_up_to_its_limit():
    lane, terms = Lane(), Terms(requests=60)
    for _ in range(60):
        assert lane.wait(terms, 0, 5.0) == 0
        lane.start(0, 5.0)
    assert lane.wait(terms, 0, 5.0) == 60
    assert lane.wait(terms, 0, 64.9) == pytest.approx(0.1)
    assert lane.wait(terms, 0, 65.0) == 0


def test_tokens_that_were_not_used_are_given_back():
    lane, terms = Lane(), Terms(tokens=1_000)
    held = lane.start(900, 0.0)
    assert lane.wait(terms, 200, 0.0) == 60
    lane.end(held, 100, 1.0)
    assert lane.wait(terms, 200, 1.0) == 0


def test_tokens_that_were_not_used_are_no_credit_later():
    lane, terms = Lane(), Terms(tokens=1_000)
    for attempt in [lane.start(500, 0.0), lane.start(500, 0.0)]:
        lane.end(attempt, 50, 50.0)  # once counted with 500
    assert lane.wait(terms, 900, 50.0) == 0
    assert lane.wait(terms, 901, 50.0) == 10
    lane.start(1_000, 61.0)
    assert lane.wait(terms, 1, 61.0) == 60


def test_nor_are_those_of_an_attempt_that_took_more_than_a_minute():
    lane, terms = Lane(), Terms(tokens=1_000)
    held = lane.start(900, 0.0)
    lane.start(1_000, 65.0)
    lane.end(held, 0, 70.0)
    assert lane.wait(terms, 1, 70.0) == 55


def test_tokens_beyond_what_was_foreseen_count_from_the_end():
    lane, terms = Lane(), Terms(tokens=1_000)
    lane.end(lane.start(100, 0.0), 600, 30.0)
    assert lane.wait(terms, 500, 30.0) == 30  # the first 100 are over
    assert lane.wait(terms, 501, 60.0) == 30


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 50), st.integers(0, 50), st.integers(0, 90)),
        max_size=30,
    )
)
def test_no_minute_has_more_than_the_settings_allow_whatever_was_foreseen(arrivals):
    lane, terms, now, running, counted = Lane(), Terms(tokens=100), 0, [], []
    for pause, foreseen, used, seconds in arrivals:
        started, at = None, now + pause
        while started is None:
            now = min([at, *(end for end, *_ in running)])
            for one in [one for one in running if one[0] == now]:
                lane.end(*one[1:], now)
                running.remove(one)
            if now == at and (wait := lane.wait(terms, foreseen, now)) > 0:
                at = now + wait
            elif now == at:
                started = lane.start(foreseen, now)
        used = min(foreseen, used)
        counted.append((now, used))
        running.append((now + seconds, started, used))
    for at, _ in counted:
        assert sum(used for when, used in counted if at - 60 < when <= at) <= 100


def test_what_never_fits_a_minute_waits_for_an_empty_one():
    minute = Minute()
    minute.add(10, 0.0)
    assert minute.wait(500, 100, 20.0) == 40
    assert minute.wait(500, 100, 60.0) == 0


def test_each_rate_limit_takes_one_from_what_may_be_in_flight():
    lane = Lane()
    held = [lane.start(0, 0.0) for _ in range(16)]
    for attempt in held[:10]:
        lane.throttle(None, 1.0)
        lane.end(attempt, 0, 1.0)
    assert (lane.most, lane.running) == (6, 6)
    assert lane.wait(FREE, 0, 1.0) == math.inf
    for _ in range(10):
        lane.throttle(None, 5.0)
    assert lane.most == 1


def test_successes_raise_it_again_until_there_is_no_limit():
    lane = Lane()
    held = [lane.start(0, 0.0) for _ in range(16)]
    for _ in range(8):
        lane.throttle(None, 1.0)
    grown = []
    while lane.most < math.inf:
        lane.succeed({}, 2.0)
        grown.append(lane.most)
    assert grown == sorted(grown)
    assert 50 < len(grown) < 100
    for attempt in held:
        lane.end(attempt, 0, 3.0)
    assert lane.is_clear


def test_who_refuses_now_and_then_is_asked_as_before():
    lane = Lane()
    for number in range(400):
        started = lane.start(0, 0.0)
        if number % 20 == 0:
            lane.throttle(None, 0.0)
        else:
            lane.succeed({}, 0.0)
        lane.end(started, 0, 0.0)
    assert lane.is_clear


@pytest.mark.parametrize(("said", "waits"), [(7.5, 7.5), (0, 0), (10_000, LONGEST_WAIT)])
def test_retry_after_holds_for_every_attempt(said, waits):
    lane = Lane()
    lane.start(0, 0.0)
    lane.throttle(said, 1.0)
    lane.most = math.inf
    assert lane.wait(FREE, 0, 1.0) == waits


def headers(requests=None, tokens=None, reset="30s"):
    found = {"requests": requests, "tokens": tokens}
    return {
        f"x-ratelimit-{what}-{unit}": value
        for unit, left in found.items()
        if left is not None
        for what, value in (("remaining", str(left)), ("reset", reset))
    }


def test_what_the_provider_says_is_left_is_kept_to():
    lane = Lane()
    first = lane.start(0, 0.0)
    lane.succeed(headers(requests=2), 1.0)
    lane.end(first, 0, 1.0)
    lane.start(0, 1.0)
    lane.start(0, 1.0)
    assert lane.wait(FREE, 0, 1.0) == 30
    assert lane.wait(FREE, 0, 31.0) == 0
    assert lane.wait(FREE, 0, 31.0) == 0


def test_requests_on_their_way_may_not_be_counted_yet():
    lane = Lane()
    held = [lane.start(0, 0.0) for _ in range(5)]
    lane.succeed(headers(requests=4), 1.0)
    lane.end(held[0], 0, 1.0)
    assert lane.wait(FREE, 0, 1.0) == 30


def test_tokens_that_are_left():
    lane = Lane()
    lane.succeed(headers(tokens=100), 0.0)
    assert lane.wait(FREE, 100, 0.0) == 0
    assert lane.wait(FREE, 101, 0.0) == 30


def test_a_limit_of_a_day_is_asked_about_again_before():
    lane = Lane()
    lane.succeed(headers(requests=0, reset="23h"), 0.0)
    assert lane.wait(FREE, 0, 0.0) == LONGEST_WAIT
