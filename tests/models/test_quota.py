"""Rate limits as providers' headers say them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy.models.quota import Quota, quotas

NOW = datetime(2026, 1, 27, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("120ms", 0.12),
        ("1h2m3.5s", 3_723.5),
        ("2d", 172_800),
        ("7.66s", 7.66),
        ("30", 30),
    ],
)
def test_openais_headers(reset, seconds):
    headers = {"X-RateLimit-Remaining-Requests": "59", "x-ratelimit-reset-requests": reset}
    assert quotas(headers) == {"requests": Quota(59, pytest.approx(seconds))}


def test_anthropics_headers():
    headers = {
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-01-27T12:00:10Z",
        "anthropic-ratelimit-tokens-remaining": ["0"],
        "anthropic-ratelimit-tokens-reset": ("2026-01-27T11:59:00Z",),
    }
    assert quotas(headers, NOW) == {"requests": Quota(49, 10), "tokens": Quota(0, 0)}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-remaining-requests": "59"},
        {"x-ratelimit-remaining-requests": "many", "x-ratelimit-reset-requests": "1s"},
        {"x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-requests": "soon"},
        {"x-ratelimit-remaining-requests": [], "x-ratelimit-reset-requests": []},
    ],
)
def test_what_does_not_say_both_says_nothing(headers):
    assert quotas(headers) == {}


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_read(left, reset):
    headers = {"x-ratelimit-remaining-tokens": left, "x-ratelimit-reset-tokens": reset}
    for quota in quotas(headers).values():
        assert quota.left >= 0
        assert quota.seconds >= 0
