"""The errors that are dspy's errors as well, so that code written for dspy's modules catches them.

They stand apart from `rlm_dspy.errors`, where the whole tree is drawn, only because importing dspy
costs most of a second, which the REPL's worker and `rlm --help` do not pay.
"""

from typing import Any

from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreterError
from dspy.utils.exceptions import LMError

from rlm_dspy.errors import RLMError


class PolicyViolation(RLMError, CodeExecutionError):
    """Code that the REPL's policy refuses; the model is told what to write instead.

    Attributes:
        output: What the code printed before it was refused (empty where refused at compile).
    """

    output: str = ""


class CodeFailed(RLMError, CodeExecutionError):
    """Code that failed, ran out of time or out of memory; the session goes on.

    Attributes:
        output: What the code printed before it failed.
        error_type: The exception's class name, such as "KeyError", "Timeout" or "MemoryError".
        line: The line of the code that failed, from 1; None where it is not known.
        rolled_back: Whether the session's state is the one before the step.
    """

    output: str = ""
    error_type: str = ""
    line: int | None = None
    rolled_back: bool = False


class InterpreterError(RLMError, CodeInterpreterError):
    """A REPL that broke, or a host-side setup that cannot work; the session is over.

    Attributes:
        output: What the code printed before that, where it is known.
    """

    output: str = ""


class ProviderError(RLMError, LMError):
    """A model that does not answer: no key, unknown model, no network, or retries used up.

    Attributes:
        model: The model's name.
        status: The HTTP status, where the provider gave one.
    """

    def __init__(
        self,
        message: str = "",
        *,
        model: str | None = None,
        status: int | None = None,
        **data: Any,
    ):
        super().__init__(message, **data)
        self.model = model
        self.status = status
