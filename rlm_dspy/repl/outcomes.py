"""What a step came to, and how its failure is told to the model.

Promises: a message of bounded length, with the failed line and what was wrong; no code of the
user's runs but an exception's own `__str__`.
"""

from dataclasses import dataclass
from typing import Any

from rlm_dspy.repl import faults
from rlm_dspy.repl.names import PolicyError
from rlm_dspy.repl.rewriter import Refused


@dataclass
class StepResult:
    """What one step came to.

    Attributes:
        kind: "ok", "submit", "error" (the code failed), "policy" (it is refused) or "syntax".
        output: What was printed and the value of a last expression, cut and escaped.
        submitted: For "submit": the fields that SUBMIT got, as plain data.
        error_type: The exception's class name, "PolicyViolation" or "SyntaxError".
        message: What to tell the model: the error, its lines, what to write instead; for "ok", a
            note about a variable that was put back.
        line: The line of the step that failed, from 1.
    """

    kind: str
    output: str = ""
    submitted: Any = None
    error_type: str = ""
    message: str = ""
    line: int | None = None


def failure(error: BaseException, filename: str, sources: faults.Sources) -> StepResult:
    """The outcome of a step that raised.

    Args:
        error: What it raised.
        filename: The step's name.
        sources: The source of every step.
    """
    if isinstance(error, Refused):
        return _at_line("policy", "PolicyViolation", str(error), error.line, filename, sources)
    line, lines = faults.trace(error.__traceback__, sources, filename)
    if isinstance(error, SyntaxError) and error.__traceback__ and not lines:  # from the compiler
        kind = faults.type_name(error)
        return _at_line("syntax", kind, str(error.msg), error.lineno, filename, sources)
    refused = isinstance(error, PolicyError)
    kind = "PolicyViolation" if refused else faults.type_name(error)
    text = faults.text_of(error)
    head = f"{kind}: {text}" if text else kind
    message = "\n".join([head, *faults.notes_of(error), *lines])
    return StepResult("policy" if refused else "error", "", None, kind, message, line)


def _at_line(
    kind: str, name: str, text: str, line: int | None, filename: str, sources: faults.Sources
) -> StepResult:
    where = f"line {line}: {sources.line(filename, line)}" if line else ""
    message = "\n".join(filter(None, [f"{name}: {faults.cut(text)}", where]))
    return StepResult(kind, "", None, name, message, line)
