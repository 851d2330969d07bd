"""Whether an input is short enough to be answered by one direct call.

Tokens are counted by the tokenizer of the model that would answer, where this machine has it: that
of an embedded model, and OpenAI's. Else they are estimated.
"""

from collections.abc import Mapping
from typing import Any

from rlm_dspy.models.tokens import tokens_in
from rlm_dspy.signatures import taken_inputs
from rlm_dspy.task import Task

# A text with more characters for each token that is allowed is not counted: hardly any has so many.
_MOST_CHARS = 12


def fits_directly(task: Task, inputs: Mapping[str, Any]) -> bool:
    """Whether 'auto' answers these inputs directly.

    An embedded model is loaded for it, where the length alone does not tell.

    Args:
        task: What the run does.
        inputs: Its inputs, as the REPL gets them.
    """
    if taken_inputs(task.outer):
        return False
    most = task.options.direct_below_tokens
    characters = sum(len(value) if hasattr(value, "__len__") else 8 for value in inputs.values())
    if characters > most * _MOST_CHARS:
        return False
    text = "\n".join(str(value) for value in inputs.values())
    # No tokenizer makes more tokens than there are bytes.
    if len(text.encode(errors="replace")) <= most:
        return True
    counted = tokens_in(task.lm_of("direct"), text)
    return counted <= most if counted is not None else task.options.fits_directly(len(text))
