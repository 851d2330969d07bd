"""An answer that the planner read off what its code printed: in a recipe, a sub-query reads it.

A planner often prints what it found and types the answer into the next step. That literal is right
for this text alone; what led to it is right for others: the code that printed, and the question.
"""

import ast
from collections.abc import Sequence
from dataclasses import replace

from rlm_dspy.runs.rewriting_code import outside_of_fstrings, replaced
from rlm_dspy.runs.slicing import Ran

# What a sub-query reads at most, characters: what a planner is shown of a step by default.
SHOWN_CHARS = 10_000

_TELL = """{shown} = []
def {tell}(*values, sep=" ", **how):
    if values not in ((None,), ("",), ([],)):
        {shown}.append(sep.join(map(str, values)))
        print(*values, sep=sep, **how)
"""
_READ = """read = "\\n".join({shown})[:{most}]
if read.strip():  # else nothing was found, and there is nothing to ask about
    SUBMIT(**{{name: ask(query, read, returns=schema) for name, schema in outputs.items()}})"""


def with_reading(steps: Sequence[Ran], shown: Sequence[int], last: Ran) -> tuple[list[Ran], Ran]:
    """Steps that keep what some of them print, and a last one that asks about it.

    Args:
        steps: The steps before the last.
        shown: The places among them of those whose output the answer was read off.
        last: The step that submitted the answer.

    Returns:
        The same number of steps, and the last.
    """
    used = {n.id for s in [*steps, last] for n in _names(s.code)}
    names = {name: _unused(name, used) for name in ("shown", "tell")}
    changed = list(steps)
    for number, place in enumerate(shown):
        code = _telling(steps[place].code, names["tell"])
        head = "" if number else _TELL.format(**names)
        changed[place] = replace(steps[place], code=head + code)
    return changed, replace(last, code=_READ.format(most=SHOWN_CHARS, **names))


def _telling(code: str, tell: str) -> str:
    """Code whose prints, and the value of whose last expression, are kept."""
    tree = ast.parse(code)
    prints = [
        (node, tell)
        for node in outside_of_fstrings(tree)
        if isinstance(node, ast.Name) and node.id == "print" and isinstance(node.ctx, ast.Load)
    ]
    end = tree.body[-1]
    if isinstance(end, ast.Expr) and not _prints(end.value):
        own = [node for node, _ in prints if not _holds(end, node)]
        value = f"{tell}({ast.unparse(end.value)})"
        return replaced(code, [*((node, tell) for node in own), (end, value)])
    return replaced(code, prints)


def _prints(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )


def _holds(outer: ast.AST, node: ast.AST) -> bool:
    return any(part is node for part in ast.walk(outer))


def _names(code: str) -> list[ast.Name]:
    try:
        return [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)]
    except SyntaxError:
        return []


def _unused(name: str, used: set[str]) -> str:
    while name in used:
        name += "_too"
    return name
