"""One session of `bench.repl_soak`: a seeded mix of steps, each with the state that must follow."""

import collections
import random
from collections.abc import Callable

from rlm_dspy import CodeFailed, Context, PolicyViolation, RestrictedInterpreter

_STEP_SECONDS = 2.0
_MEMORY_MB = 256
_SIZES = (100, 50_000, 2_000_000)
_LOST = {"Timeout", "MemoryError", "Crash", "Interrupted"}
_BACK = "rolled back to its state before this step"


class Wrong(Exception):
    """A step did not do what it must."""


class Soaked:
    """One session that is put through its steps.

    Args:
        seed: Of its mix of steps.
    """

    def __init__(self, seed: int):
        self._draw = random.Random(seed)
        self.done: collections.Counter[str] = collections.Counter()
        self.older = 0  # lost steps after which an older state than the newest came back
        self.wrong: list[str] = []
        self._begin()

    def _begin(self) -> None:
        self._repl = RestrictedInterpreter(
            {"add": lambda x: x + 1}, step_seconds=_STEP_SECONDS, memory_mb=_MEMORY_MB
        )
        self._n = 0
        self._repl.execute("n = 0")

    def run(self, steps: int) -> None:
        """Do so many steps of all kinds."""
        kinds, weights = zip(*WEIGHTS.items(), strict=True)
        for _ in range(steps):
            self.step(self._draw.choices(kinds, weights)[0])

    def step(self, kind: str) -> None:
        """Do one step of a kind."""
        self.done[kind] += 1
        try:
            KINDS[kind](self)
        except CodeFailed as lost:
            if lost.error_type in _LOST:
                self._after_loss(kind, lost)
            else:
                self.wrong.append(f"{kind}: {lost}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the report tells it
            self.wrong.append(f"{kind}: {type(error).__name__}: {error}")
            self._begin()

    def end(self) -> None:
        """End the session."""
        self._repl.shutdown()

    def _after_loss(self, kind: str, lost: CodeFailed) -> None:
        """Compare the state with what the error says of it."""
        text = self._repl.execute("print(n if 'n' in dir() else None)")
        if text == f"{self._n}\n":
            return
        if _BACK in str(lost):
            self.wrong.append(f"{kind}: n is {text!r} and not {self._n}; {lost}")
        self.older += 1
        self._n = 0
        self._repl.execute("n = 0")

    def _expect(self, code: str, printed: object, given: object = None) -> None:
        variables = {} if given is None else {"given": given}
        got = self._repl.execute(code, variables)
        if got != f"{printed}\n":
            raise Wrong(f"printed {got!r}, not {printed!r}")

    def _raises(self, code: str, error: type[Exception]) -> None:
        try:
            self._repl.execute(code)
        except error as raised:
            if isinstance(raised, CodeFailed) and raised.error_type in _LOST:
                raise
        else:
            raise Wrong(f"{code!r} raised no {error.__name__}")

    def good(self) -> None:
        """Count."""
        self._expect("n += 1\nprint(n)", self._n + 1)
        self._n += 1

    def error(self) -> None:
        """Fail in the middle: what was done before stays."""
        self._raises("n += 1\n1 / 0", CodeFailed)
        self._n += 1

    def refused(self) -> None:
        """Code that the policy, or the compiler, refuses as a whole."""
        self._raises("n += 1\nSUBMIT = 1", PolicyViolation)
        self._raises("n += = 1", SyntaxError)

    def tool(self) -> None:
        """Call a host function."""
        self._expect("n = add(n)\nprint(n)", self._n + 1)
        self._n += 1

    def submit(self) -> None:
        """End a run, and go on."""
        got = self._repl.execute("SUBMIT(n)")
        if getattr(got, "output", None) != {"output": self._n}:
            raise Wrong(f"submitted {got!r}, not {self._n}")

    def bind(self) -> None:
        """Give a text of some size, as a `str` or a `Context`."""
        size = self._draw.choice(_SIZES)
        text = self._draw.choice("abcé") * size
        given = Context.from_text(text) if self._draw.random() < 0.5 else text
        self._expect("print(len(given))", size, given)

    def branch(self) -> None:
        """Copy the session, change the copy, and end or drop it."""
        twin = self._repl.branch()
        got = twin.execute("n += 1000\nprint(n)")
        if got != f"{self._n + 1000}\n":
            raise Wrong(f"the branch printed {got!r}, not {self._n + 1000}")
        if self._draw.random() < 0.5:
            twin.shutdown()
        self._expect("print(n)", self._n)

    def restart(self) -> None:
        """End the session, or drop it, and make a new one."""
        if self._draw.random() < 0.5:
            self._repl.shutdown()
        self._begin()

    def endless(self) -> None:
        """Run into the limit of time."""
        self._raises("n = -1\nwhile True:\n    pass", Wrong)

    def crash(self) -> None:
        """Overflow the stack of C."""
        nested = "it = iter(())\nfor _ in range(200_000):\n    it = map(str, it)\nlist(it)"
        self._raises(f"n = -1\n{nested}", Wrong)

    def fill(self) -> None:
        """Fill the memory."""
        self._raises("n = -1\ny = []\nwhile True:\n    y.append('a' * 1_000_000)", Wrong)


KINDS: dict[str, Callable[[Soaked], None]] = {
    "good": Soaked.good,
    "error": Soaked.error,
    "refused": Soaked.refused,
    "tool": Soaked.tool,
    "submit": Soaked.submit,
    "bind": Soaked.bind,
    "branch": Soaked.branch,
    "restart": Soaked.restart,
    "endless": Soaked.endless,
    "crash": Soaked.crash,
    "fill": Soaked.fill,
}
# In a thousand.
WEIGHTS = {
    "good": 600, "error": 100, "refused": 60, "tool": 70, "submit": 40, "bind": 70, "branch": 25,
    "restart": 20, "endless": 4, "crash": 6, "fill": 5,
}  # fmt: skip
