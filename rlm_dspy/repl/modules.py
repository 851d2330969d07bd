"""What a module is to model code: an object with listed names and nothing else."""

import sys
from typing import Any

from rlm_dspy.repl import classes, rules
from rlm_dspy.repl.names import RefusedImport


class Facade:
    """A module of model code.

    It has no `__name__` of its own (`rules.ANSWERS` gives it to model code): with one, the
    interpreter's `from json import decoder` would fall back to the real `sys.modules`. It is made
    by `facade()`, not by `__init__`, so that no call can make it anew.
    """

    def __getattr__(self, name: str) -> Any:
        own = object.__getattribute__(self, "__dict__")
        message = f"module '{own['_ name']}' has no attribute '{name}' here"
        raise AttributeError(message, name=name, obj=None)

    def __setattr__(self, name: str, value: Any) -> None:
        # Of the library too: a generic alias sets `__orig_class__` on what its call gives.
        raise AttributeError(f"{self!r} is read-only")

    def __copy__(self) -> "Facade":
        return self

    def __deepcopy__(self, memo: object) -> "Facade":
        return self

    def __dir__(self) -> list[str]:
        return sorted(name for name in self.__dict__ if name.isidentifier())

    def __repr__(self) -> str:
        return f"<module '{self.__dict__['_ name']}'>"


def facade(name: str, /, **attributes: Any) -> Facade:
    """A module of this name with these attributes."""
    made = object.__new__(Facade)
    made.__dict__.update({"_ name": name, **attributes})
    return made


def listed(real: Any, words: str) -> dict[str, Any]:
    """Some attributes of a real module, by name; names that this Python lacks are left out."""
    return {name: getattr(real, name) for name in words.split() if hasattr(real, name)}


def exported(real: Any, without: str = "") -> dict[str, Any]:
    """What a real module exports by `__all__`, without some names."""
    left_out = without.split()
    return {name: getattr(real, name) for name in real.__all__ if name not in left_out}


def import_from(module: Facade, names: tuple[str, ...]) -> None:
    """Checks that a module has the names of a `from … import`.

    Raises:
        RefusedImport: It lacks one of them, which the real module has.
        ImportError: The real module lacks it as well.
    """
    for name in names:
        if name != "*" and name not in module.__dict__:
            own = module.__dict__["_ name"]
            message = f"cannot import name '{name}' from '{own}'"
            if hasattr(sys.modules.get(own), name):
                raise RefusedImport(f"{message}: it is not available here")
            raise ImportError(message, name=own)


classes.show_as(Facade, "module")
rules.ANSWERS[Facade, "__name__"] = lambda module: module.__dict__["_ name"]
rules.ANSWERS[Facade, "__doc__"] = lambda module: f"{module!r}, as far as it is safe."
rules.OPEN_INSTANCES.add(Facade)
