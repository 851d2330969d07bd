"""dspy's sandbox facade on our REPL: `dspy.RLM` and `dspy.Flex` give code a `dspy` of their own.

They register two host tools and execute a shim whose names no restricted code may have. The shim is
recognised and not run: our own `dspy` object (`sub_agents`) speaks to the two tools in its place.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from dspy.primitives.facade import CALL_TOOL, CONSTRUCT_TOOL, SHIM_SETUP, SIGNATURE_MARKER

from rlm_dspy.repl.sub_agents import NAME


def is_shim(code: str, tools: Mapping[str, Any]) -> bool:
    """Whether code is dspy's shim, with its two tools at hand."""
    return code == SHIM_SETUP and CALL_TOOL in tools and CONSTRUCT_TOOL in tools


def served(tools: Mapping[str, Callable[..., Any]], handles: "itertools.count[int]") -> dict:
    """Tools as our REPL takes them: the facade's two as one function behind the `dspy` object.

    Args:
        tools: The tools by name.
        handles: Numbers the predictors that code makes.
    """
    others = {n: tool for n, tool in tools.items() if n not in (CALL_TOOL, CONSTRUCT_TOOL)}
    if len(others) + 2 != len(tools):
        return dict(tools)
    construct, call = tools[CONSTRUCT_TOOL], tools[CALL_TOOL]

    def run(kind: str, signature: str, instructions: str | None, inputs: dict[str, Any]) -> Any:
        asked = {
            SIGNATURE_MARKER: True,
            "signature": signature,
            "instructions": instructions,
        }
        handle = construct(kind=kind, signature=asked, attr_name=f"agent_{next(handles)}")
        return call(handle=handle, inputs=inputs)

    return {**others, NAME: run}
