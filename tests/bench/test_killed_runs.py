"""Runs that are killed at random moments go on as if they had not been."""

import pytest

from bench.killed import killed


@pytest.mark.slow
def test_a_killed_run_answers_the_same_and_pays_for_nothing_twice(tmp_path):
    count = killed(8, seed=5, folder=tmp_path)
    assert (count.sent_again, count.other_answers) == (0, 0), count
    assert count.kills == 8
    assert count.kept > 0
