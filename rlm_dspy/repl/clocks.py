"""The clocks of model code: the real ones or, in a step with a time of its own, one that it moves.

Promises: in such a step every clock that code can read starts at that time and advances by what the
code does alone, `TICK_NS` with each reading and by what it sleeps, so that the same step reads the
same times again; clocks that never go back do not go back from step to step either. A sleep is
slept all the same: what code waits for may be outside. Does not promise that a wait in `queue`
moves it.
"""

import ctypes
import datetime
import gc
import math
import operator
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from rlm_dspy.repl.modules import Facade, facade, listed

# What one reading takes, in nanoseconds: a loop that waits for a time must see it come.
TICK_NS = 1_000_000
_SECOND = 1_000_000_000


class StepClock:
    """The time of the step that runs."""

    def __init__(self) -> None:
        self._now: int | None = None  # since the epoch, nanoseconds; None: the real clocks run
        # What steady clocks say, or what they are ahead of the real ones, nanoseconds.
        self._steady = 0

    def begin(self, seconds: float | None) -> None:
        """Set the time at which a step begins.

        Args:
            seconds: Since the epoch; None: the real clocks run.
        """
        if self._now is None and self._steady:
            every = (time.monotonic_ns(), time.perf_counter_ns(), time.process_time_ns())
            self._steady += max(every)
        self._now = None
        if seconds is not None:
            whole = int(seconds)  # apart, so that the first reading gives the very same float
            self._now = whole * _SECOND + round((seconds - whole) * _SECOND)
            self._steady = max(self._steady, self._now)

    def advance(self, nanoseconds: int) -> None:
        """Move on; nothing happens where the real clocks run."""
        if self._now is not None:
            self._now += nanoseconds
            self._steady += nanoseconds

    def wall(self) -> int:
        """Read the time of day: nanoseconds since the epoch."""
        now = self._now
        if now is None:
            return time.time_ns()
        self.advance(TICK_NS)
        return now

    def steady(self, real: Callable[[], int], *, tick: int = TICK_NS) -> int:
        """Read a clock that never goes back: nanoseconds.

        Args:
            real: The clock that it stands for.
            tick: What the reading takes, nanoseconds.
        """
        steady = self._steady
        if self._now is None:
            return steady + real()
        self.advance(tick)
        return steady


CLOCK = StepClock()


def time_ns() -> int:
    """`time.time_ns`."""
    return CLOCK.wall()


def _time() -> float:
    return CLOCK.wall() / _SECOND


def sleep(seconds: Any, /) -> None:
    """`time.sleep`."""
    # What is slept and what is counted are one number, whatever a number of the user's answers.
    exact = float.__float__(seconds) if isinstance(seconds, float) else operator.index(seconds)
    time.sleep(exact)
    CLOCK.advance(math.ceil(exact * _SECOND))


def _or_now(seconds: Any) -> Any:
    return _time() if seconds is None else seconds


def _localtime(seconds: Any = None, /) -> time.struct_time:
    return time.localtime(_or_now(seconds))


def _gmtime(seconds: Any = None, /) -> time.struct_time:
    return time.gmtime(_or_now(seconds))


def _ctime(seconds: Any = None, /) -> str:
    return time.ctime(_or_now(seconds))


def _asctime(*moment: Any) -> str:
    return time.asctime(*(moment or [_localtime()]))


def _strftime(form: Any, /, *moment: Any) -> str:
    return time.strftime(form, *(moment or [_localtime()]))


def _steady_clocks() -> dict[str, Callable[[], float]]:
    """The clocks that never go back, in seconds and in nanoseconds; not all are everywhere."""
    found: dict[str, Callable[[], float]] = {}
    for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
        if hasattr(time, f"{name}_ns"):
            found |= _steady_pair(name, getattr(time, f"{name}_ns"))
    return found


def _steady_pair(name: str, real: Callable[[], int]) -> dict[str, Callable[[], float]]:
    return {
        name: lambda: CLOCK.steady(real) / _SECOND,
        f"{name}_ns": lambda: CLOCK.steady(real),
    }


def _facade() -> Facade:
    made: dict[str, Any] = {
        "time": _time, "time_ns": time_ns, "sleep": sleep, "localtime": _localtime,
        "gmtime": _gmtime, "ctime": _ctime, "asctime": _asctime, "strftime": _strftime,
        **_steady_clocks(),
    }  # fmt: skip
    for name, function in made.items():
        function.__name__ = function.__qualname__ = name
        function.__doc__ = f"`time.{name}`."
    words = "strptime mktime struct_time timezone altzone daylight tzname"
    return facade("time", **listed(time, words), **made)


CLOCK_FACADES = {"time": _facade()}

# What the library reads a clock with


def _date_today(cls: Any) -> Any:
    return cls.fromtimestamp(_time())


def _datetime_now(cls: Any, tz: Any = None) -> Any:
    return _FROM_TIMESTAMP(None, cls)(_time(), tz)


def _datetime_utcnow(cls: Any) -> Any:
    return _FROM_TIMESTAMP(None, cls)(_time())  # a worker's local time is UTC


_FROM_TIMESTAMP = datetime.datetime.__dict__["fromtimestamp"].__get__


def install() -> None:
    """Have the library read these clocks; for a process that runs nothing but model code.

    The classes of `datetime` are changed in place, by their dictionaries: only so are all their
    instances and subclasses asked too, wherever code got them from.
    """
    _replace(datetime.date, "today", _date_today)
    _replace(datetime.datetime, "now", _datetime_now)
    _replace(datetime.datetime, "utcnow", _datetime_utcnow)
    vars(uuid)["time"] = sys.modules[__name__]  # `uuid7` asks it for `time_ns`


def _replace(cls: type, name: str, function: Any) -> None:
    """Put a class method in place of one that is written in C."""
    function.__name__, function.__qualname__ = name, f"{cls.__name__}.{name}"
    function.__doc__ = getattr(cls, name).__doc__
    [table] = gc.get_referents(cls.__dict__)
    table[name] = classmethod(function)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(cls))  # what was looked up before is stale
