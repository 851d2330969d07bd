"""The measurement of what recording costs runs, and its table says what it measured."""

import logging

import pytest

from bench.recording import MODES, measured, rows
from rlm_dspy.runs.store import open_store


@pytest.mark.slow
def test_every_mode_is_measured_in_every_round(tmp_path):
    logging.getLogger("dspy").setLevel(logging.ERROR)
    path = tmp_path / "runs.sqlite"
    found = measured(5, 2, path)
    assert {mode: len(times) for mode, times in found.items()} == dict.fromkeys(MODES, 2)
    assert all(time > 0 for times in found.values() for time in times)
    kept = [row.record for row in open_store(path).runs()]
    assert (kept.count("full"), kept.count("metadata")) == (3, 2)


def test_the_table_compares_the_least():
    found = {"off": [100.0, 300.0, 200.0], "metadata": [110.0, 330.0, 220.0],
             "full": [150.0, 360.0, 260.0]}  # fmt: skip
    assert rows(found) == [
        ["off", "200", "100", "+0", "1.00"],
        ["metadata", "220", "110", "+10", "1.10"],
        ["full", "260", "150", "+50", "1.50"],
    ]
