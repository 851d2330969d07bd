"""The REPL's `dspy`: modules that run on the host, through the run's own models and limits.

`dspy.Predict("text -> names: list[str]")(text=…)`, `dspy.ChainOfThought` and `dspy.RLM` ask the
host by one function and give back a `Prediction`; `dspy.Signature(text, instructions)` and
`dspy.Module` are there for code that uses them. Nothing of dspy itself is in the worker: the other
names of the library are not there.
"""

from collections.abc import Callable
from typing import Any

from rlm_dspy.repl import rules
from rlm_dspy.repl.modules import Facade, facade
from rlm_dspy.repl.names import exact

# The name of the host's function, which becomes the object.
NAME = "dspy"
KINDS = ("Predict", "ChainOfThought", "RLM")


class Prediction:
    """The outputs of a module, as attributes and by name."""

    def __getitem__(self, name: str) -> Any:
        return self.__dict__[name]

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def __iter__(self) -> Any:
        return iter(list(self.__dict__))

    def __len__(self) -> int:
        return len(self.__dict__)

    def keys(self) -> list[str]:
        """The names of the outputs."""
        return list(self.__dict__)

    def items(self) -> list[tuple[str, Any]]:
        """The outputs with their names."""
        return list(self.__dict__.items())

    def toDict(self) -> dict[str, Any]:
        """The outputs as a dict."""
        return dict(self.__dict__)

    def __repr__(self) -> str:
        return f"Prediction({', '.join(f'{name}={value!r}' for name, value in self.items())})"


class Signature:
    """The inputs and outputs of a module, and what it is to do."""

    def __init__(self, signature: Any, instructions: Any = None):
        self.signature = _text(signature)
        self.instructions = None if instructions is None else _text(instructions)

    def __repr__(self) -> str:
        return f"Signature({self.signature!r})"


class Module:
    """A module of code's own: calling it calls `forward`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What `forward` gives."""
        return self.forward(*args, **kwargs)  # ty: ignore[missing-attribute]


def module(call: Callable[..., dict[str, Any]]) -> Facade:
    """The object named `dspy`.

    Args:
        call: Has the host run a module: (kind, signature, instructions, inputs) to outputs.
    """
    made = {kind: _maker(kind, call) for kind in KINDS}
    return facade(NAME, **made, Signature=Signature, Module=Module, Prediction=Prediction)


def _maker(kind: str, call: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
    def make(signature: Any, instructions: Any = None) -> Callable[..., Prediction]:
        asked = signature if type(signature) is Signature else Signature(signature, instructions)
        text, said = asked.signature, asked.instructions

        def run(**inputs: Any) -> Prediction:
            prediction = Prediction()
            prediction.__dict__.update(call(kind, text, said, inputs))
            return prediction

        run.__name__ = run.__qualname__ = f"dspy.{kind}({text!r})"
        return run

    make.__name__ = make.__qualname__ = kind
    return make


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(
            "a signature here is a text such as 'question, text -> answer: int', not "
            f"{type(value).__name__}"
        )
    return exact(value)


rules.OPEN_INSTANCES |= {Prediction, Signature}
rules.OPEN_CLASSES |= {Module, Prediction, Signature}
