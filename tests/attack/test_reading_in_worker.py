"""What attributes give in a worker, where the clocks and generators of the library are replaced."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RUN = """
import sys
import pytest
from rlm_dspy.repl import chance, clocks
clocks.install()
chance.follow(1)
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-m", "slow", sys.argv[1]]))
"""


@pytest.mark.slow
def test_attributes_give_no_more_where_clocks_and_generators_are_replaced():
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(HERE / "test_attribute_reading.py")],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
