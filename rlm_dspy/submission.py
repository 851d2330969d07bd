"""What code submitted, checked against the outer signature."""

from collections.abc import Mapping
from typing import Any

import dspy
from dspy.adapters.utils import annotation_allows_none

from rlm_dspy import files
from rlm_dspy.citations import only_citations
from rlm_dspy.coercion import submitted, type_name
from rlm_dspy.events import Submitted
from rlm_dspy.options import RLMOptions


def found_nothing(outer: type[dspy.Signature], outputs: Mapping[str, Any]) -> bool:
    """Whether an answer says that there is none: every output but citations is None, and may be.

    Args:
        outer: The user's signature.
        outputs: The outputs by name.
    """
    kinds = {name: info.annotation for name, info in outer.output_fields.items()}
    answers = [name for name, kind in kinds.items() if not only_citations(kind)]
    return bool(answers) and all(
        outputs.get(name) is None and annotation_allows_none(kinds[name]) for name in answers
    )


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
