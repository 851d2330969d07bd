import subprocess
import sys

import pytest

from bench.repl_soak import Count

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_more_of_anything_is_more():
    before = Count(processes=2, descriptors=11, shared=0, threads=1)
    assert not before.exceeds(before)
    assert not Count(2, 9, 0, 1).exceeds(before)
    assert Count(1, 9, 1, 1).exceeds(before)
    assert Count(1, 9, 1, 1).highest(before) == Count(2, 11, 1, 1)


LEAK = """
import os, sys
from bench import repl_soak
repl_soak._SETTLE_SECONDS = 2
good = repl_soak.Soaked.good
def leaky(session):
    os.memfd_create("leak")
    good(session)
if {leaks}:
    repl_soak.KINDS["good"] = leaky
sys.argv[1:] = ["--sessions", "4", "--steps", "100"]
repl_soak.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("leaks", "code", "verdict"), [(0, 0, "no leak"), (1, 1, "a leak")])
def test_a_short_soak_sees_a_leak_where_there_is_one(leaks, code, verdict):
    command = [sys.executable, "-c", LEAK.format(leaks=leaks)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert f"verdict: {verdict}; 0 steps wrong; 0 sessions broken" in done.stdout
    assert done.returncode == code
