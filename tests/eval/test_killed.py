"""A run that is killed at random points and resumed is the same run, at the same price."""

import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace

import pytest
from killed import measured_run

from eval.ledger import read_run


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_kills_change_neither_the_table_nor_the_bill(tmp_path, kills):
    measured_run(tmp_path / "whole", tmp_path / "whole.paid")
    _, whole = read_run(tmp_path / "whole")
    calls = (tmp_path / "whole.paid").stat().st_size
    assert calls == sum(record.bill.calls for record in whole) > 3 * kills

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dspy", "killed"])
    draw = random.Random(7)
    # How many replies each process gives before its kill; together fewer than the run needs.
    points = [draw.randint(1, (calls - 8) // kills) for _ in range(kills)]
    paid = tmp_path / "killed.paid"
    paid.touch()
    for point in points:
        last = paid.stat().st_size + point
        given = (tmp_path / "killed", paid, 0.02, last + draw.randint(0, 3))
        process = context.Process(target=measured_run, args=given)
        process.start()
        while paid.stat().st_size < last:
            assert process.is_alive()
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.03))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
    measured_run(tmp_path / "killed", paid)

    _, resumed = read_run(tmp_path / "killed")
    assert [replace(record, seconds=0) for record in resumed] == [
        replace(record, seconds=0) for record in whole
    ]
    assert {record.outcome for record in resumed} == {"scored"}
    # Only what was under way at a kill was asked again: a step or the labels of two examples.
    again = paid.stat().st_size - calls
    assert 0 <= again <= kills * 2 * 16
    assert list((tmp_path / "killed" / "calls").iterdir()) == []
