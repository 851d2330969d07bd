"""One run at a time in a folder, also across processes; a process that is killed holds nothing."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eval.locking import run_folder
from rlm_dspy import ConfigurationError

UNDER_WAY = "A run is under way in .*: wait until it has ended"
# Holds a folder, and leaves a forked child behind, as a REPL may.
HOLDING = """
import os, sys, time
from pathlib import Path
from eval.locking import run_folder
with run_folder(Path(sys.argv[1])):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    time.sleep(60)
"""


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigurationError, match="cannot be written to .*file/run: .* another --o"),
        run_folder(tmp_path / "file" / "run"),
    ):
        pass


def test_a_second_run_in_this_process_is_refused(tmp_path):
    folder = tmp_path / "runs" / "a"
    with run_folder(folder), run_folder(tmp_path / "runs" / "b"):
        with (
            pytest.raises(ConfigurationError, match=UNDER_WAY),
            run_folder(tmp_path / "runs" / "b" / ".." / "a"),
        ):
            pass
        with pytest.raises(ConfigurationError, match=UNDER_WAY), run_folder(folder):
            pass
    with run_folder(folder):
        pass


def test_what_fails_in_a_folder_frees_it(tmp_path):
    with pytest.raises(KeyError), run_folder(tmp_path):
        raise KeyError
    with run_folder(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_the_run_of_another_process_is_in_the_way_until_that_is_killed(tmp_path):
    command = [sys.executable, "-c", HOLDING, str(tmp_path)]
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=path) as process:
        child = int(process.stdout.readline())
        try:
            with pytest.raises(ConfigurationError, match=UNDER_WAY), run_folder(tmp_path):
                pass
            process.kill()
            process.wait()
            with run_folder(tmp_path):
                os.kill(child, 0)  # it is there still
        finally:
            process.kill()
            os.kill(child, signal.SIGKILL)


def test_where_there_are_no_locks_a_run_goes_on_without(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refused(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refused)
    with run_folder(tmp_path):
        pass
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with run_folder(tmp_path):
        pass
