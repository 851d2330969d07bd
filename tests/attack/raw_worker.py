"""A worker without any policy, so that what the operating system forbids can be tried directly.

Run in a process of its own by `RawLauncher`; the code it gets is plain Python.
"""

import json
import subprocess
import sys
from pathlib import Path

from rlm_dspy.repl.launch import ChildHandle, host_channel, identify, pair

ROOT = str(Path(__file__).resolve().parents[2])
HERE = str(Path(__file__).resolve().parent)
BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "import raw_worker_process; raw_worker_process.main(int(sys.argv[2]))"
)


class RawLauncher:
    """Starts workers whose namespace is plain `exec`.

    Args:
        extra: Descriptors that the process inherits although nobody should have passed them.
        environment: Environment variables that it is started with.
    """

    forks = True

    def __init__(self, extra=(), environment=None):
        self.extra = tuple(extra)
        self.environment = environment or {}
        self.processes = []

    def launch(self, start):
        ours, theirs = pair()
        path = json.dumps([ROOT, HERE, *(entry for entry in sys.path if entry)])
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-c", BOOT, path, str(theirs.fileno())],
                env=self.environment,
                cwd="/",
                pass_fds=[theirs.fileno(), *self.extra],
                start_new_session=True,
            )
        channel = host_channel(ours)
        channel.send({"op": "start", **start, "parent": None})
        self.processes.append(process)
        return channel, ChildHandle(process)

    def identify(self, channel, deadline):
        return identify(channel, deadline)
