"""A worker process as the host knows it: its connection, its process, the variables it has.

A running worker and a frozen copy of one are the same kind of thing; `thaw` turns a copy into a
running worker.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from rlm_dspy.dspy_errors import InterpreterError
from rlm_dspy.repl import variables
from rlm_dspy.repl.answers import read_partial
from rlm_dspy.repl.launch import Launcher, host_channel, pair
from rlm_dspy.repl.processes import Handle
from rlm_dspy.repl.protocol import Channel, ProtocolError

# Seconds to write a message to a worker that reads, and for a frozen copy to wake.
SEND_SECONDS = 60.0
_THAW_SECONDS = 30.0
# Seconds for a worker that is to be killed to say what its code printed.
NUDGE_SECONDS = 0.25


@dataclass
class Peer:
    """A worker, running or frozen.

    Args:
        channel: Its connection.
        handle: Its process; None for a copy that has not spoken yet.
        steps: How many steps its state has seen.
        bound: The variables it has.
    """

    channel: Channel
    handle: Handle | None = None
    steps: int = 0
    bound: dict[str, variables.Variable] = field(default_factory=dict)

    def send(self, message: dict[str, Any], **more: Any) -> None:
        """Send a message; see `Channel.send` for the rest and what is raised."""
        self.channel.send(message, deadline=time.monotonic() + SEND_SECONDS, **more)

    def bind(self, name: str, variable: variables.Variable) -> None:
        """Give the worker a variable.

        Args:
            name: Its name.
            variable: The value, prepared.

        Raises:
            InterpreterError: It cannot enter the REPL.
            OSError: The worker is gone.
        """
        same = next((other for other, has in self.bound.items() if has is variable), None)
        if same is None:
            variables.send(self.channel, name, variable, time.monotonic() + SEND_SECONDS)
        else:
            self.send({"op": "alias", "name": name, "of": same})
        self.bound[name] = variable

    def last_words(self, max_output_chars: int) -> str:
        """What the code of a step that is to be killed has printed, where the worker can say it."""
        if self.handle is None:
            return ""
        self.handle.nudge()
        try:
            message = self.channel.receive(time.monotonic() + NUDGE_SECONDS)
            return read_partial(message, max_output_chars)
        except (ProtocolError, EOFError, OSError):
            return ""

    def freeze(self, *, of_step: bool = False) -> "Peer | None":
        """Ask for a copy of the state after all that was sent so far; nobody waits for it.

        Args:
            of_step: A step was sent last: there is no copy where it changes nothing, ends the run
                or fills the memory (see `Answer.leaves_copy`).

        Returns:
            The copy to be, or None where the worker is gone.
        """
        ours, theirs = pair()
        copy = Peer(host_channel(ours), steps=self.steps + of_step, bound=dict(self.bound))
        try:
            with theirs:
                self.send({"op": "snapshot", "of_step": of_step}, fds=[theirs.fileno()])
        except OSError:
            copy.end()
            return None
        return copy

    def thaw(self, launcher: Launcher) -> bool:
        """Wake a copy; whether it is a running worker now. If not, it is ended."""
        deadline = time.monotonic() + _THAW_SECONDS
        try:
            self.handle = launcher.identify(self.channel, deadline)
            good = self.channel.receive(deadline)["op"] == "frozen"
            self.channel.send({"op": "thaw"}, deadline=deadline)
            good = good and self.channel.receive(deadline)["op"] == "thawed"
        except (ProtocolError, EOFError, OSError, InterpreterError):
            good = False
        if not good:
            self.end()
        return good

    def end(self, *, group: bool = False) -> None:
        """End the process (a frozen copy ends with its connection).

        Args:
            group: Whether to end all of its process group: copies, and strays of a broken worker.
        """
        if self.handle is not None and group:
            self.handle.kill_group()
        elif self.handle is not None:
            self.handle.kill()
        self.channel.close()

    def forget(self) -> None:
        """In a forked child: close descriptors, leave the parent's process alone."""
        self.channel.close()
        if self.handle is not None:
            self.handle.forget()
