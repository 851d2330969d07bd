"""Cases in processes of their own; run from a process of its own, which adopts orphans."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

PARENT = """
import json, os, sys
from bench.children import adopt_orphans, run
from bench.processes import tree
adopt_orphans()
case, seconds = [sys.executable, "-c", sys.argv[1]], float(sys.argv[2])
got = run(case, {"GIVEN": "7"}, seconds=seconds, limit=400 << 20)
left = len(tree(os.getpid())) - 1
print(json.dumps([got.measured, got.failure, [peak.pss for peak in got.peaks], left]))
"""
READY = "import json, os, sys, time\nprint('{\"ready\": true}', flush=True)\n"


def outcome(case, seconds=60):
    command = [sys.executable, "-c", PARENT, case, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_what_it_measures_comes_back():
    case = "import os\nprint('{\"measured\": {\"x\": %s}}' % os.environ['GIVEN'])"
    assert outcome(case)[:2] == [{"x": 7}, ""]


@pytest.mark.parametrize(
    ("case", "failure"),
    [
        ('print(\'{"doing": "a sum"}\'); raise SystemExit', "a sum: its process ended"),
        ('print(\'{"error": "ValueError: no"}\')', "starting: ValueError: no"),
    ],
    ids=["ends", "says why"],
)
def test_a_failure_says_what_it_was_doing(case, failure):
    assert outcome(case)[:2] == [{}, failure]


def test_a_case_has_only_so_much_time():
    case = READY + "time.sleep(60)"
    assert outcome(case, seconds=0.5)[:2] == [{}, "starting: not done after 0.5 s"]


def test_a_case_has_only_so_much_memory():
    _, failure, peaks, _ = outcome(READY + "x = b'x' * (600 << 20); time.sleep(60)")
    assert failure.startswith("starting: stopped at 0.")
    assert peaks[-1] > 400 << 20


def test_a_reading_is_taken_where_it_asks_for_one():
    case = READY + (
        "x = b'x' * (100 << 20)\nprint('{\"hold\": true}', flush=True)\nsys.stdin.readline()\n"
        "del x\nprint('{\"measured\": {}}')"
    )
    _, failure, peaks, _ = outcome(case)
    assert failure == ""
    assert peaks[0] > 100 << 20


def test_nothing_that_it_started_is_left():
    case = READY + (
        "import subprocess\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], "
        "start_new_session=True, stdout=subprocess.DEVNULL)\n"
        "print('{\"measured\": {}}', flush=True)\nos._exit(0)"
    )
    assert outcome(case)[3] == 0
