"""The REPL of a session: one for many runs, each of which has it for a while.

Promised: what a run that is taken back did in it is undone, where the platform has snapshots; what
is looked up in a copy changes nothing.
"""

import functools
import zlib
from typing import Any

from rlm_dspy.dspy_errors import InterpreterError
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.repl import RestrictedInterpreter
from rlm_dspy.task import Task


class Lent(RestrictedInterpreter):
    """A REPL as one run has it: its tools are the run's, and shutting it down leaves it as it is.

    Args:
        owner: The REPL.
    """

    def __init__(self, owner: RestrictedInterpreter):
        self.__dict__.update(vars(owner))
        self.tools = {}
        self.output_fields = None

    def shutdown(self) -> None:
        """Gives it back."""


class KeptRepl:
    """One REPL that outlives the runs in it.

    Args:
        session: The id that its random numbers follow from.
    """

    def __init__(self, session: str):
        self._seed = zlib.crc32(session.encode())
        self._repl: RestrictedInterpreter | None = None
        self._held: RestrictedInterpreter | None = None
        self._was_new = False

    def lent_to(self, task: Task) -> functools.partial[Lent]:
        """What makes the interpreter of a run.

        Args:
            task: What the run is to do; the first one says what the REPL is made by.

        Raises:
            ConfigurationError: It is to have another interpreter than ours.
        """
        if self._repl is None:
            if not task.seeded:
                raise ConfigurationError(
                    "A session needs our own REPL, and interpreter_factory makes another one: "
                    "leave it out, also in dspy.configure."
                )
            self._repl = task.factory_of(self._seed)()
        return functools.partial(Lent, self._repl)

    def hold(self) -> None:
        """Keeps the present state, for `take_back`."""
        self.let_go()
        self._was_new = self._repl is None
        self._held = self._copy()

    def let_go(self) -> None:
        """Keeps what was done since `hold`."""
        held, self._held = self._held, None
        if held is not None:
            held.shutdown()

    def take_back(self) -> None:
        """Undoes what was done since `hold`, where it could keep the state."""
        if self._repl is not None and (self._was_new or self._held is not None):
            self._repl.shutdown()
            self._repl, self._held = self._held, None

    def look(self, code: str) -> str:
        """Runs code in a copy of the REPL, without any tools.

        Args:
            code: Python.

        Returns:
            What it printed, or the value of its last line.

        Raises:
            InterpreterError: The platform has no copies.
            CodeFailed: The code failed.
        """
        copy = self._copy()
        if copy is None:
            raise InterpreterError(
                "The variables cannot be looked at: this platform cannot copy a REPL, or nothing "
                "ran in it yet."
            )
        try:
            return str(copy.execute(code) or "").rstrip("\n")
        finally:
            copy.shutdown()

    def variables(self) -> dict[str, str]:
        """What is defined, by name: the type, and the size or the value; empty where unknown."""
        try:
            lines = self.look("show_vars()").splitlines()
        except InterpreterError:
            return {}
        pairs = (line.partition(": ") for line in lines)
        return {name: said for name, colon, said in pairs if colon and name.isidentifier()}

    def close(self) -> None:
        """Ends it."""
        self.let_go()
        if self._repl is not None:
            self._repl.shutdown()

    def _copy(self) -> Any:
        if self._repl is None:
            return None
        try:
            return self._repl.branch()
        except InterpreterError:
            return None
