"""Which names model code may use, and the errors that tell a model what to write instead.

Promises: every rule about a *name* (of a variable, an attribute, a method to define) is here and
nowhere else; the compiler pass (`policy`) and the run-time guards (`guards`) both ask this module.
Does not promise: anything about objects; what may be done with an object is `guards`' business.
"""

import re

from RestrictedPython.transformer import INSPECT_ATTRIBUTES


class PolicyError(Exception):
    """What model code asked for is refused; the message says what to write instead."""


class RefusedAttribute(PolicyError, AttributeError):
    """An attribute that may not be read or set; an AttributeError, so that `hasattr` says no."""


class RefusedFile(PolicyError, FileNotFoundError):
    """A file that is not there for model code; `except OSError` catches it."""


class RefusedImport(PolicyError, ModuleNotFoundError):
    """A module that is not there for model code; `except ImportError` catches it."""


# Guards carry names that no source text can spell (the parser makes identifiers only, the compiler
# takes any string), so that no assignment, parameter, pattern, import or class body can shadow one.
READ = "@read"
READ_SPECIAL = "@read_special"
WRITE = "@write"
SUBMITTED = "@submitted"
ECHO = "@echo"
MARK = "@mark"
PATTERN = "@pattern"
HOLD = "@hold"
SPECIAL = "@special"
ANNOTATED = "@annotated"
UNKNOWN = "@unknown"
KEYWORDS = "@keywords"
# The types whose public (or `_x`) attributes need no further look, and what asks for a type.
TYPE = "@type"
FREE_READ = "@free_read"
FREE_WRITE = "@free_write"
FREE_PRIVATE = "@free_private"
SANDBOX_MARK = "@sandbox"

# `_x_` and `__x__`: kept for the machinery, so that a reader never wonders whose a name is.
_RESERVED = re.compile(r"_.*[^_].*_\Z|__.*[^_].*__\Z", re.DOTALL)
_DUNDER = re.compile(r"__.*[^_].*__\Z", re.DOTALL)

_OPERATORS = (
    "lt le eq ne gt ge add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or "
    "radd rsub rmul rmatmul rtruediv rfloordiv rmod rdivmod rpow rlshift rrshift rand rxor ror "
    "iadd isub imul imatmul itruediv ifloordiv imod ipow ilshift irshift iand ixor ior "
    "neg pos abs invert complex int float index round trunc floor ceil "
    "len length_hint getitem setitem delitem missing iter next reversed contains "
    "str repr bytes format hash bool call enter exit await aiter anext aenter aexit"
)
_OPERATOR_METHODS = frozenset(f"__{word}__" for word in _OPERATORS.split())

# What a class body may define. Left out on purpose: `__del__` (runs at any moment, also inside a
# guard), `__getattribute__`, `__class__` and `__reduce*__`/`__getstate__`/`__setstate__` (trusted
# library code such as `copy` obeys them and would write to objects that user code may not write
# to), `__instancecheck__`/`__subclasshook__`/`__prepare__` (metaclass business).
DEFINABLE = _OPERATOR_METHODS | frozenset(
    {
        "__init__", "__new__", "__post_init__", "__init_subclass__", "__class_getitem__",
        "__getattr__", "__setattr__", "__delattr__", "__dir__", "__get__", "__set__", "__delete__",
        "__set_name__", "__copy__", "__deepcopy__", "__slots__", "__match_args__", "__doc__",
        "__hash__",
    }
)  # fmt: skip

# Of these, what trusted code would obey wherever it leads; `specials` stands in front of them.
CHECKED = frozenset({"__getattr__", "__new__", "__deepcopy__", "__slots__"})

# What may be read from any object. None of them yields a frame, a code object, a module, a
# namespace or a class other than the object's own; `guards` answers some of them itself.
READABLE = _OPERATOR_METHODS | frozenset(
    {
        "__init__", "__new__", "__init_subclass__", "__post_init__", "__setattr__", "__delattr__",
        "__name__", "__qualname__", "__doc__", "__class__", "__dict__",
        "__module__", "__annotations__", "__cause__", "__context__", "__suppress_context__",
        "__notes__", "__wrapped__", "__members__", "__match_args__", "__class_getitem__",
        "__copy__", "__deepcopy__", "__dir__", "__slots__",
        "__mro__", "__bases__", "__subclasses__", "__dataclass_fields__",
    }
)  # fmt: skip

# What may be set on a class or function that user code defined, after its definition.
WRITABLE = _OPERATOR_METHODS | frozenset(
    {"__name__", "__qualname__", "__doc__", "__init__", "__wrapped__"}
)
WRITABLE_ON_FUNCTIONS = frozenset({"__name__", "__qualname__", "__doc__", "__wrapped__"})

# `_x` attributes that belong to the public face of named tuples and enums.
PUBLIC_UNDERSCORES = frozenset(
    {"_asdict", "_replace", "_make", "_fields", "_field_defaults", "_value_", "_name_"}
)
# Of enums: what is shown of each is a copy.
ENUM_MAPS = frozenset({"_member_map_", "_member_names_", "_value2member_map_"})
# `_x_` names that enum reads from a class body.
ENUM_HOOKS = frozenset({"_missing_", "_generate_next_value_", "_ignore_", "_order_", "_value_"})

# Frames, code and tracebacks hang on these: refused by name on every object, whatever its type.
FRAME_NAMES = INSPECT_ATTRIBUTES | frozenset({"gi_suspended", "cr_suspended", "ag_suspended"})
# `str.format` and `str.format_map` read attributes that a template names; `guards` wraps them.
FORMATTERS = frozenset({"format", "format_map"})

# Read natively, without a guard: on every object that model code can hold, an attribute of such a
# name is plain data or a method that reaches nothing but its own object and its arguments. It is
# the vocabulary of the built-in containers, of text and of patterns; a test holds that no type has
# a rule against one of them. Left out: `copy` and `clear`, which the library has written in Python
# as well; read from a class, those take any object for their own (see `methods`).
NATIVE = frozenset(
    name
    for kind in (str, bytes, list, dict, set, frozenset, tuple, int, float, re.Match)
    for name in dir(kind)
    if not name.startswith("_")
) - FORMATTERS - {"string", "re", "copy", "clear"} | frozenset(
    {"findall", "finditer", "search", "match", "fullmatch"}
)


def exact(text: object) -> str:
    """A plain `str` with the characters of a string, whatever a subclass overrides.

    Raises:
        TypeError: `text` is not a string.
    """
    return text if type(text) is str else str.__str__(text)


def is_reserved(name: str) -> bool:
    """Whether a variable of this name is kept for the machinery: `_x_` and `__x__`."""
    name = exact(name)
    return name[:1] == "_" and _RESERVED.match(name) is not None


def is_dunder(name: str) -> bool:
    """Whether a name has the form `__x__`."""
    name = exact(name)
    return name[:2] == "__" and _DUNDER.match(name) is not None


def mangled(name: str, class_name: str | None) -> str:
    """The name that Python gives a private `__x` inside a class; any other name unchanged."""
    if class_name is None or not name.startswith("__") or name.endswith("__"):
        return name
    stripped = class_name.lstrip("_")
    return f"_{stripped}{name}" if stripped else name


_INSTEAD = {
    "__dict__": "use vars(obj) on an object of your own class",
    "__globals__": "use globals() to look a variable up",
    "__class__": "use type(obj)",
    "__bases__": "use isinstance() or issubclass()",
    "__base__": "use isinstance() or issubclass()",
    "__mro__": "use isinstance() or issubclass()",
    "__subclasses__": "it is there for classes of your own",
    "__traceback__": "print the exception itself",
    "__builtins__": "use the built-in functions by name",
    "__del__": "use a context manager (`with`) to clean up",
    "__getattribute__": "define __getattr__",
    "__reduce__": "define __copy__ or __deepcopy__",
    "__reduce_ex__": "define __copy__ or __deepcopy__",
    "__annotate__": "use __annotations__",
    "__value__": "write the type itself",
    "__file__": "there are no files; the input is already in the variables",
}


def attribute_message(name: str, owner: str = "") -> str:
    """Why an attribute is refused, and what to write instead."""
    hint = _INSTEAD.get(name)
    if hint is None and name in FRAME_NAMES:
        hint = "frames and code objects are not available"
    if hint is None and is_dunder(name):
        hint = "call the built-in function or operator that stands for it"
    if hint is None:
        hint = "use the public attributes (without a leading underscore)"
    return f"attribute `{name}`{' of ' + owner if owner else ''} is not available: {hint}"


def variable_message(name: str) -> str:
    """Why a variable's name is refused, and what to write instead."""
    hint = _INSTEAD.get(name, f"choose a name like `{name.strip('_') or 'x'}`")
    return f"the name `{name}` is reserved: {hint}"


def protected_message(name: str) -> str:
    """Why a function of the REPL cannot be assigned to, and what to write instead."""
    return f"`{name}` belongs to the REPL and cannot be assigned to: choose another variable name"
