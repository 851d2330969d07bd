"""Putting other text in the place of parts of a code, all else left as it is written."""

import ast
from collections.abc import Iterator, Sequence
from typing import Any


def outside_of_fstrings(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those in f-strings, whose places in the source Python 3.11 does not know."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.JoinedStr):
            yield from outside_of_fstrings(child)


def replaced(code: str, replacements: Sequence[tuple[Any, str]]) -> str:
    """Code with texts in the place of some of its nodes.

    Args:
        code: Python.
        replacements: Nodes of its tree, none within another or in an f-string, each with the text.
    """
    starts = [0]
    data = code.encode()
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node, text in sorted(replacements, key=lambda one: (-one[0].lineno, -one[0].col_offset)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        before, after = data[:start], data[end:]
        # A quotation mark ends where a keyword begins, and a name does not: 'a'in b.
        gaps = [b" " * side.isalnum() for side in (before[-1:], after[:1])]
        data = gaps[0].join([before, text.encode()]) + gaps[1] + after
    return data.decode()
