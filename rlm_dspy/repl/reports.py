"""Facades of the modules that report what went wrong: `warnings` and `traceback`.

Promises: a traceback shows the model's own frames alone, as text; no frame or traceback object
comes out. Warnings are dropped: they are about the code, and the planner's business is the answer.
"""

import sys
import traceback
from collections.abc import Iterator
from typing import Any

from rlm_dspy.repl import names, output, rules
from rlm_dspy.repl.modules import Facade, facade

# traceback


def _frames(error: BaseException) -> Iterator[str]:
    at = error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        if names.SANDBOX_MARK in at.tb_frame.f_globals:
            yield f'  File "{code.co_filename}", line {at.tb_lineno}, in {code.co_name}\n'
        at = at.tb_next


def _format_exception(error: Any, /, *more: Any, **unused: Any) -> list[str]:
    """As the library's, of an exception, or of its type, itself and its traceback."""
    found = more[0] if more and isinstance(error, type) else error
    if not isinstance(found, BaseException):
        raise TypeError(f"an exception is needed, not {type(found).__name__}")
    head = "Traceback (most recent call last):\n"
    return [head, *_frames(found), *traceback.format_exception_only(found)]


def _format_exception_only(error: Any, /, *more: Any) -> list[str]:
    found = more[0] if more and isinstance(error, type) else error
    return traceback.format_exception_only(found) if isinstance(found, BaseException) else []


def _format_exc(*unused: Any, **also: Any) -> str:
    error = sys.exc_info()[1]
    return "NoneType: None\n" if error is None else "".join(_format_exception(error))


def _print_exc(limit: Any = None, file: Any = None, chain: bool = True) -> None:
    (output.STDOUT if file is None else file).write(_format_exc())


def _print_exception(error: Any, /, *more: Any, file: Any = None, **unused: Any) -> None:
    (output.STDOUT if file is None else file).write("".join(_format_exception(error, *more)))


# warnings


class CatchWarnings:
    """`warnings.catch_warnings`."""

    def __init__(self, *, record: bool = False, **unused: Any):
        self._list: list[Any] | None = [] if record else None

    def __enter__(self) -> list[Any] | None:
        return self._list

    def __exit__(self, *exception: object) -> None:
        """There is nothing to put back."""


def _nothing(*unused: Any, **also: Any) -> None:
    """No warning is shown, whatever is said about it."""


REPORT_FACADES: dict[str, Facade] = {
    "traceback": facade(
        "traceback",
        format_exc=_format_exc,
        print_exc=_print_exc,
        format_exception=_format_exception,
        format_exception_only=_format_exception_only,
        print_exception=_print_exception,
    ),
    "warnings": facade(
        "warnings",
        warn=_nothing,
        catch_warnings=CatchWarnings,
        filterwarnings=_nothing,
        simplefilter=_nothing,
        resetwarnings=_nothing,
    ),
}
rules.OPEN_INSTANCES.add(CatchWarnings)
