"""The failure of a host function, on its way into model code."""

from rlm_dspy.repl import rules


class ToolFailed(Exception):
    """What `call_tool` raises when a tool failed.

    Args:
        message: The host's message.
        error_type: The class name of the host's error.
    """

    def __init__(self, message: str, error_type: str = "RuntimeError"):
        super().__init__(message)
        self.message = message
        self.error_type = error_type


class ToolError(RuntimeError):
    """A tool's failure, as model code sees and may catch it."""


rules.OPEN_INSTANCES.add(ToolError)
