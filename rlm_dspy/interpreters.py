"""Interpreters behind dspy's protocol: which factory a run takes, and what one made is told.

A factory is taken from the call, else from the constructor, else from `dspy.configure`; without any
the REPL is ours. The interpreter that it makes is given its tools and the outputs of `SUBMIT`, as
`dspy.RLM` gives them, and a `SandboxSerializable` input as code that makes it there.
"""

import base64
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import dspy
from dspy.primitives.code_interpreter import (
    SIMPLE_TYPES,
    CodeInterpreter,
    _validate_interpreter_factory,
)
from dspy.primitives.sandbox_serializable import SandboxSerializable
from pydantic_core import PydanticSerializationError, to_jsonable_python

from rlm_dspy.citations import holds_citations
from rlm_dspy.coercion import type_name
from rlm_dspy.context.view import View
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.files import holds_files
from rlm_dspy.repl import RestrictedInterpreter

Factory = Callable[[], Any]


def checked_factory(factory: Any, name: str = "interpreter_factory") -> Factory | None:
    """A factory as it was given; nothing is made yet.

    Args:
        factory: The factory, or None.
        name: Where it was given, for the error.

    Raises:
        ConfigurationError: It is an interpreter, cannot be called, or says something of itself that
            is no text.
    """
    if factory is None:
        return None
    try:
        _validate_interpreter_factory(factory, name)
    except TypeError as error:
        raise ConfigurationError(str(error)) from error
    if not isinstance(getattr(factory, "execution_instructions", ""), str):
        raise ConfigurationError(f"{name}.execution_instructions must be a string.")
    return factory


def chosen_factory(call: Any, own: Factory | None) -> Factory | None:
    """The factory of a run; None for our own REPL.

    Args:
        call: What the call was given, or None.
        own: The module's, or None.

    Raises:
        ConfigurationError: The one that is taken is none.
    """
    if call is not None:
        return checked_factory(call)
    if own is not None:
        return own
    configured = dspy.settings.get("interpreter_factory")
    return checked_factory(configured, "dspy.settings.interpreter_factory")


def is_ours(factory: Factory | None) -> bool:
    """Whether a factory makes our own REPL: none, its class, a subclass, or a partial of one."""
    made = getattr(factory, "func", factory)
    return factory is None or (isinstance(made, type) and issubclass(made, RestrictedInterpreter))


def instructions_of(factory: Factory | None) -> str:
    """What a foreign factory says of its runtime; our own REPL is described by the rules."""
    if is_ours(factory):
        return ""
    said = getattr(factory, "execution_instructions", None)
    return said or getattr(getattr(factory, "func", None), "execution_instructions", None) or ""


def refuse_unisolated(factory: Factory) -> None:
    """Refuses a factory that does not ask for every layer of isolation.

    Args:
        factory: Another one than our REPL's class itself.

    Raises:
        ConfigurationError: It makes foreign interpreters, or our own without `isolation="require"`.
    """
    asked = getattr(factory, "keywords", {}).get("isolation")
    if not is_ours(factory) or asked != "require":
        raise ConfigurationError(
            'RLMOptions(isolation="require") refuses this interpreter_factory: only our own REPL '
            "says what isolates it. Leave interpreter_factory out, or pass "
            'functools.partial(RestrictedInterpreter, isolation="require").'
        )


def made_by(factory: Factory) -> Any:
    """A new interpreter.

    Raises:
        ConfigurationError: The factory made something else.
    """
    interpreter = factory()
    if not isinstance(interpreter, CodeInterpreter):
        needs = ("tools", "start", "execute", "shutdown")
        missing = ", ".join(name for name in needs if not hasattr(interpreter, name))
        raise ConfigurationError(
            "interpreter_factory must return a CodeInterpreter, not "
            f"{type(interpreter).__name__}: it has no {missing}."
        )
    return interpreter


def equip(
    interpreter: Any, tools: Mapping[str, Callable[..., Any]], outer: type[dspy.Signature]
) -> None:
    """Gives an interpreter its tools, and the outputs that its SUBMIT takes.

    Args:
        interpreter: A new one.
        tools: Host functions by the name that code calls them by.
        outer: The user's signature.
    """
    interpreter.tools.update(tools)
    if hasattr(interpreter, "output_fields"):
        ours = isinstance(interpreter, RestrictedInterpreter)
        interpreter.output_fields = output_fields(outer, ours=ours)
    if hasattr(interpreter, "_tools_registered"):  # dspy's: register the fresh tools
        interpreter._tools_registered = False


def crossing(tool: Callable[..., Any]) -> inspect.Signature:
    """A tool's signature as it can be sent to an interpreter: a default that is a type by name."""
    signature, nothing = inspect.signature(tool), inspect.Parameter.empty
    parameters = [
        parameter.replace(default=type_name(parameter.default))
        if isinstance(parameter.default, type) and parameter.default is not nothing
        else parameter
        for parameter in signature.parameters.values()
    ]
    return signature.replace(parameters=parameters)


def as_json(value: Any) -> Any:
    """A value as an interpreter takes it that may take JSON only.

    Args:
        value: Any; a `SandboxSerializable` stays as it is.

    Returns:
        Texts as `str`, models and dataclasses as dicts, tuples and sets as lists; what has no such
        form stays, and the interpreter says what it takes.
    """
    if isinstance(value, (str, View)):
        return str.__str__(value) if isinstance(value, str) else str(value)
    if value is None or isinstance(value, (int, float, SandboxSerializable)):
        return value
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_json(item) for item in value]
    try:
        return to_jsonable_python(value)
    except PydanticSerializationError:
        return value


def output_fields(outer: type[dspy.Signature], *, ours: bool = False) -> list[dict[str, str]]:
    """The outputs as dspy's interpreters take them: simple types are named, others left out.

    Args:
        outer: The user's signature.
        ours: Whether files and citations are named too, as our REPL takes them.
    """
    fields = []
    for name, field in outer.output_fields.items():
        kind: Any = field.annotation
        named = {"type": kind.__name__} if kind in SIMPLE_TYPES else {}
        if ours and holds_files(kind):
            named = {"type": "File"}
        elif ours and holds_citations(kind):
            named = {"type": "Citation"}
        fields.append({"name": name, **named})
    return fields


def assignment(name: str, value: SandboxSerializable) -> tuple[str, dict[str, Any]]:
    """Code that makes a serializable value in the interpreter, and the variables that it reads."""
    raw, payload = f"_raw_{name}", value.to_sandbox()
    given, lines = {raw: str(payload)}, []
    if isinstance(payload, bytes):
        try:
            given = {raw: payload.decode("utf-8")}
        except UnicodeDecodeError:
            given = {f"{raw}_base64": base64.b64encode(payload).decode("ascii")}
            lines = ["import base64", f"{raw} = base64.b64decode({raw}_base64)"]
    lines += [value.sandbox_setup(), value.sandbox_assignment(name, raw)]
    return "\n".join(line for line in lines if line), given
