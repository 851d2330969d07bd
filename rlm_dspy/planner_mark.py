"""What tells the planner's signature from any other, through all that dspy makes of a signature.

Optimizers, adapters and loading make new classes of a signature's fields, so a field carries it.
"""

import functools
from typing import Any

import dspy

_MARK = "__rlm_plan"


def marked(desc: str) -> Any:
    """An input field by which `is_plan` knows the planner's signature.

    Args:
        desc: Its description.
    """
    field: Any = dspy.InputField(desc=desc)
    field.json_schema_extra[_MARK] = True
    return field


@functools.lru_cache(maxsize=256)
def is_plan(signature: type[dspy.Signature]) -> bool:
    """Whether a signature is the planner's, whatever its instructions."""
    extras = [field.json_schema_extra for field in signature.input_fields.values()]
    return any(isinstance(extra, dict) and _MARK in extra for extra in extras)
