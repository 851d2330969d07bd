"""`globals()`, `locals()`, `vars()` and `dir()` of model code: views that hide the machinery."""

import copy
import sys
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from rlm_dspy.repl import dicts, names, rules
from rlm_dspy.repl.names import PolicyError, exact


def _visible(name: object) -> bool:
    return (
        type(name) is str
        and not name.startswith("@")
        and (name == "__name__" or not names.is_reserved(name))
    )


class GlobalsView(MutableMapping):
    """The variables of a session, as `globals()` gives them; writes are checked as assignments are.

    Args:
        variables: The real namespace.
        protected: Names that may not be assigned to.
    """

    __slots__ = ("_protected", "_variables")

    def __init__(self, variables: dict[str, Any], protected: Callable[[], frozenset[str]]):
        self._variables, self._protected = variables, protected

    def __getitem__(self, name: str) -> Any:
        if not _visible(name):
            raise KeyError(name)
        return self._variables[name]

    def _checked(self, name: str) -> str:
        plain = exact(name)
        if names.is_reserved(plain) or plain.startswith("@"):
            raise PolicyError(names.variable_message(plain))
        if plain in self._protected():
            raise PolicyError(names.protected_message(plain))
        return plain

    def __setitem__(self, name: str, value: Any) -> None:
        self._variables[self._checked(name)] = value

    def __delitem__(self, name: str) -> None:
        del self._variables[self._checked(name)]

    def __iter__(self) -> Iterator[str]:
        return iter([name for name in self._variables if _visible(name)])

    def __len__(self) -> int:
        return sum(map(_visible, self._variables))

    def __repr__(self) -> str:
        return f"<variables {', '.join(self)}>"

    def copy(self) -> dict[str, Any]:
        """The variables as a plain dict."""
        return dict(self)

    def __copy__(self) -> dict[str, Any]:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return copy.deepcopy(self.copy(), memo)


def model_frame() -> Any:
    """The innermost frame of model code; None where there is none."""
    frame = sys._getframe(1)
    while frame is not None and names.SANDBOX_MARK not in frame.f_globals:
        frame = frame.f_back
    return frame


def scope_functions(view: GlobalsView) -> dict[str, Any]:
    """The four functions, for the session whose variables a view shows."""

    def local_names() -> Any:
        frame = model_frame()
        if frame is None or frame.f_locals is frame.f_globals:
            return view
        return {name: value for name, value in frame.f_locals.items() if _visible(name)}

    def globals_() -> GlobalsView:
        return view

    def locals_() -> Any:
        return local_names()

    def vars_(*obj: Any) -> Any:
        return dicts.own_dict(*obj) if obj else local_names()

    def dir_(*obj: Any) -> list[str]:
        return dir(*obj) if obj else sorted(local_names())

    found = {"globals": globals_, "locals": locals_, "vars": vars_, "dir": dir_}
    for name, function in found.items():
        function.__name__ = function.__qualname__ = name
    return found


rules.OPEN_INSTANCES.add(GlobalsView)
