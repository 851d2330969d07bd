"""Every error this library raises, in one tree.

    RLMError
    ├── ConfigurationError   a wrong argument, setting, model name, key or recipe     (a ValueError)
    ├── ContextError         an input that cannot be read                         (a ValueError too)
    ├── SubQueryError        a sub-query that cannot be answered
    ├── MCPToolError         a tool of an MCP server that failed, or whose server is gone
    ├── BudgetExceeded       what a limit refuses; the run ends with a partial answer
    ├── StoreError           the run record cannot be written or read
    ├── ReplayMismatch       a replayed run asked for something else than its record holds
    └── in `rlm_dspy.dspy_errors`, since they are dspy's errors as well:
        ├── PolicyViolation  code that the REPL's policy refuses          (a CodeExecutionError too)
        ├── CodeFailed       code that failed, ran too long or too big    (a CodeExecutionError too)
        ├── InterpreterError a REPL that broke                          (a CodeInterpreterError too)
        └── ProviderError    a model that does not answer                          (an LMError too)

Every error carries its data as attributes, so that a program can act on it without parsing the
message. This module imports nothing: the REPL's worker and `rlm --help` load it without dspy.
"""

from typing import Any


class RLMError(Exception):
    """Base of all errors of this library.

    Args:
        message: What is wrong: the value, the rule it breaks, and what to do.
        **data: The values behind the message; each becomes an attribute and an entry of `data`.

    Attributes:
        run: The run that it ended, as far as it came; None where there was none.
    """

    run: Any = None

    def __init__(self, message: str = "", **data: Any):
        super().__init__(message)
        self.message = message
        self.data = data
        for name, value in data.items():
            setattr(self, name, value)


class ConfigurationError(RLMError, ValueError, TypeError):
    """A wrong argument, setting, model name, key, signature or recipe.

    It is a `TypeError` as well as a `ValueError`, since `dspy.RLM` raises now one and now the other
    for the same mistakes.
    """


class ContextError(RLMError, ValueError):
    """An input that cannot be read, or an operation on it that cannot be done."""


class SubQueryError(RLMError):
    """A sub-query without an answer: its model failed, or the answer does not fit its type."""


class MCPToolError(RLMError):
    """A tool of an MCP server failed, took too long, or its server is gone."""


class BudgetExceeded(RLMError):
    """A limit of the budget refuses what was asked.

    Attributes:
        limit: The limit's name: "calls", "tokens", "dollars", "seconds" or "steps".
        asked: What was asked for, in the limit's unit.
        left: What was left of it.
    """

    limit: str = ""
    asked: float = 0
    left: float = 0


class StoreError(RLMError):
    """The run record cannot be written or read."""


class ReplayMismatch(RLMError):
    """A replayed run asked for something else than its record holds."""
