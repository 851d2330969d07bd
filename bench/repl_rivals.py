"""The REPLs that `bench.repl` compares, behind one small face.

Only what a case uses is imported, and only when it runs: each rival lives in an environment of its
own.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Repl(Protocol):
    """One session of a rival."""

    def start(self) -> None:
        """Start it."""
        ...

    def run(self, code: str, context: Any = None) -> str:
        """Run a step and return what it printed; a step that fails raises.

        Args:
            code: Python.
            context: The variable `context`, as the rival takes it; None: none is given.
        """
        ...

    def close(self) -> None:
        """End it."""
        ...


class _OfDspy:
    """A session that keeps dspy's `CodeInterpreter` protocol: `rlm_dspy`'s own as well."""

    def __init__(self, interpreter: Any):
        self._interpreter = interpreter

    def start(self) -> None:
        self._interpreter.start()

    def run(self, code: str, context: Any = None) -> str:
        variables = {} if context is None else {"context": context}
        return self._interpreter.execute(code, variables) or ""

    def close(self) -> None:
        self._interpreter.shutdown()


class _OfRlms:
    """A session of rlms: a namespace in this very process."""

    def __init__(self) -> None:
        from rlm.environments.local_repl import LocalREPL  # ty: ignore[import-not-found]

        self._repl = LocalREPL()
        self._is_given = False

    def start(self) -> None:
        """Nothing to start."""

    def run(self, code: str, context: Any = None) -> str:
        if context is not None and not self._is_given:  # rlms gives a context once
            self._repl.add_context(context, 0)
            self._is_given = True
        result = self._repl.execute_code(code)
        if result.stderr:
            raise RuntimeError(result.stderr.strip().splitlines()[-1])
        return result.stdout

    def close(self) -> None:
        self._repl.cleanup()


def _ours(step_seconds: float, memory_mb: int) -> Repl:
    from rlm_dspy import RestrictedInterpreter

    return _OfDspy(RestrictedInterpreter(step_seconds=step_seconds, memory_mb=memory_mb))


def _deno(step_seconds: float, memory_mb: int) -> Repl:
    import dspy

    return _OfDspy(dspy.PythonInterpreter())  # it knows no limit


def _local(step_seconds: float, memory_mb: int) -> Repl:
    import dspy

    return _OfDspy(dspy.LocalInterpreter(execution_timeout=step_seconds))


def _rlms(step_seconds: float, memory_mb: int) -> Repl:
    return _OfRlms()  # it knows no limit


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _read_for_context(path: Path) -> str:
    _load_context()
    return _read(path)


def _path_for_context(path: Path) -> Path:
    _load_context()
    return path


def _load_context() -> None:
    """Make a small context, so that what it imports is not timed."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.txt"
        small.write_text("one line\n", encoding="utf-8")
        _from_path(small)


def _same(value: Any) -> Any:
    return value


def _from_path(path: Path) -> Any:
    from rlm_dspy import Context

    return Context.from_path(path)


def _from_text(text: str) -> Any:
    from rlm_dspy import Context

    return Context.from_text(text)


MAKERS: dict[str, Callable[[float, int], Repl]] = {
    "rlm_dspy": _ours,
    "deno": _deno,
    "local": _local,
    "rlms": _rlms,
}
NAMES = {
    "rlm_dspy": "rlm_dspy",
    "deno": "dspy, Deno",
    "local": "dspy, Local",
    "rlms": "rlms",
}


@dataclass(frozen=True)
class Way:
    """A way in which a rival is given a long text.

    Args:
        rival: A key of `MAKERS`.
        shown: As the table calls it.
        had: Makes what the caller has, from the text's file; this is not timed.
        given: Makes what the REPL is given of it; this counts as handing over.
        again: Whether every step gives it again, as `dspy.RLM` does.
        first: Code of a first step, which counts as handing over.
        variable: What the steps on slices work on.
        ascii: Whether the text is ASCII.
    """

    rival: str
    shown: str
    had: Callable[[Path], Any] = _read
    given: Callable[[Any], Any] = _same
    again: bool = True
    first: str = "print(len(context))"
    variable: str = "context"
    ascii: bool = True


WAYS = {
    "path": Way("rlm_dspy", "rlm_dspy, `Context.from_path`", _path_for_context, _from_path),
    "not_ascii": Way(
        "rlm_dspy", "rlm_dspy, the same, text not ASCII", _path_for_context, _from_path, ascii=False
    ),
    "from_text": Way(
        "rlm_dspy", "rlm_dspy, `Context.from_text` of a `str`", _read_for_context, _from_text
    ),
    "whole": Way(
        "rlm_dspy",
        "rlm_dspy, `Context.from_path`, `str(context)` in the REPL",
        _path_for_context,
        _from_path,
        first="whole = str(context)\nprint(len(whole))",
        variable="whole",
    ),
    "text": Way("rlm_dspy", "rlm_dspy, a `str`"),
    "deno": Way("deno", "dspy, Deno, a `str` at each step, as `dspy.RLM` gives it"),
    "deno_once": Way("deno", "dspy, Deno, a `str` once", again=False),
    "local": Way("local", "dspy, Local, a `str` at each step, as `dspy.RLM` gives it"),
    "local_once": Way("local", "dspy, Local, a `str` once", again=False),
    "rlms": Way("rlms", "rlms, a `str` once"),
}
