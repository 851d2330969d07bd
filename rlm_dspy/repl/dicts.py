"""`vars(obj)` and `obj.__dict__` of the user's objects.

An instance's real dictionary would take any key, among them special names that trusted library code
obeys (`copy` does what `__reduce_ex__` says); so it is shown as a copy that writes through a guard.
"""

from typing import Any

from rlm_dspy.repl import guards, names, rules
from rlm_dspy.repl.names import exact


def own_dict(obj: Any) -> dict[str, Any]:
    """What `vars(obj)` gives: the attributes of an object or class of the user's.

    Raises:
        RefusedAttribute: The object is not of a class of the user's.
    """
    if isinstance(obj, type) and rules.is_user_class(obj):
        return {name: value for name, value in obj.__dict__.items() if not names.is_reserved(name)}
    free = rules.WRITABLE_TYPES.get(type(obj), rules.NONE) is None
    if free or rules.is_user_class(type(obj)) or rules.is_user_function(obj):
        return InstanceDict(obj)
    raise rules.refused(obj, "__dict__")


class InstanceDict(dict):
    """`obj.__dict__` of a user's object: a copy whose changes go through the write guard."""

    _owner: Any

    def __init__(self, obj: Any):
        super().__init__(
            {key: value for key, value in obj.__dict__.items() if not names.is_dunder(key)}
        )
        self._owner = obj

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (dict(self),)

    def __setitem__(self, key: str, value: Any) -> None:
        key = exact(key)
        guards.write(self._owner, key).__dict__[key] = value  # past what a descriptor would do
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        key = exact(key)
        del guards.write(self._owner, key).__dict__[key]
        super().pop(key, None)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Sets many attributes."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other: Any) -> "InstanceDict":
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Sets an attribute that is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:  # ty: ignore[incompatible-method-override]
        """Removes an attribute and gives its value."""
        value = super().get(key, *default)
        if key in self:
            del self[key]
        elif not default:
            raise KeyError(key)
        return value

    def popitem(self) -> tuple[str, Any]:
        """Removes the last attribute."""
        key = next(reversed(self))
        return key, self.pop(key)

    def clear(self) -> None:
        """Removes all attributes."""
        for key in list(self):
            del self[key]


guards.READERS["__dict__"] = own_dict
rules.OPEN_INSTANCES.add(InstanceDict)
