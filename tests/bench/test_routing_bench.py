"""Where the crossover of two ways lies."""

import pytest

from bench.routing import Both, Way, crossover, interval


def both(direct, planned, tokens=(100, 200)):
    return [
        Both(Way(one, tokens[0], 1.0), Way(other, tokens[1], 1.0))
        for one, other in zip(direct, planned, strict=True)
    ]


@pytest.mark.parametrize(
    ("at_1000", "found"),
    [
        (both([True, True], [True, False]), 2000),
        (both([True, False], [True, True]), 500),  # it is wrong more often
        (both([True, True], [True, True], (300, 200)), 500),  # it takes more tokens
    ],
)
def test_it_ends_where_the_direct_way_is_worse(at_1000, found):
    good = both([True, True], [True, True])
    asked = {500: good, 1000: at_1000, 2000: good}
    assert crossover(asked) == found
    assert interval(asked, 1) in {(found, found), (500, 2000)}
    assert crossover({500: both([False], [True]), 1000: good}) == 0
