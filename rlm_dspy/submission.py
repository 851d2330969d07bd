"""What code submitted, checked against the outer signature."""

from collections.abc import Mapping
from typing import Any

import dspy

from rlm_dspy import files
from rlm_dspy.coercion import submitted, type_name
from rlm_dspy.events import Submitted
from rlm_dspy.options import RLMOptions


def checked(
    outer: type[dspy.Signature], given: Mapping[str, Any], options: RLMOptions
) -> Submitted:
    """The typed outputs, or what does not fit, as the planner is told it.

    Args:
        outer: The user's signature.
        given: What `SUBMIT` was given, by output field.
        options: Which files may be delivered.
    """
    fields = outer.output_fields
    form = f"SUBMIT({', '.join(fields)})"
    if missing := sorted(set(fields) - set(given)):
        return Submitted(
            accepted=False, error=f"[Error] Missing output fields: {missing}. Use {form}"
        )
    outputs, errors = {}, []
    for name, info in fields.items():
        try:
            outputs[name] = submitted(given[name], info.annotation)
        except ValueError as error:
            kind = type(given[name]).__name__
            errors.append(f"{name}: expected {type_name(info.annotation)}, got {kind}: {error}")
    try:
        files.check(outputs, options.file_kinds, options.file_mb << 20)
    except ValueError as error:
        errors.append(str(error))
    if errors:
        return Submitted(accepted=False, error="[Type Error] " + "; ".join(errors))
    return Submitted(accepted=True, outputs=outputs)
