"""The ground of the compiler pass: walking a step's tree, noting what is refused, checking names.

The rules themselves are mixed in by `policy.Policy`, one module a kind of syntax.
"""

import ast

from RestrictedPython.transformer import RestrictingNodeTransformer

from rlm_dspy.repl import names
from rlm_dspy.repl.names import PolicyError

NEWER_SYNTAX = "is not available in this REPL: write it as in Python 3.11"
_SKIPPED = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)


class Refused(PolicyError):
    """Code that the policy refuses before it runs.

    Args:
        message: What is refused and what to write instead.
        line: The line, from 1; None where it is not known.
    """

    def __init__(self, message: str, line: int | None = None):
        super().__init__(message)
        self.line = line


class Rewriter(RestrictingNodeTransformer):
    """Rewrites one step's syntax tree; what it refuses is in `refused` as (line, message).

    Args:
        protected: Names that code may not bind at the top level: the REPL's own functions.
    """

    def __init__(self, protected: frozenset[str]):
        super().__init__()
        self._protected = protected
        self._scopes: list[str] = ["module"]
        self._classes: list[str] = []
        # The names of `names.CHECKED` that each class body around binds.
        self._specials: list[set[str]] = []
        # Under `from __future__ import annotations` they are texts, which nothing evaluates.
        self._annotations_are_texts = False
        self.refused: list[tuple[int | None, str]] = []

    def error(self, node: ast.AST, info: str) -> None:
        """Notes what is refused, with its line."""
        self.refused.append((getattr(node, "lineno", None), info))

    def not_allowed(self, node: ast.AST) -> None:
        """Refuses a kind of syntax that has no rule."""
        self.error(node, f"{type(node).__name__} syntax is not available in this REPL")

    def node_contents_visit(self, node: ast.AST) -> ast.AST:
        """Visits a node's children; operators and contexts have none and are passed over."""
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                value[:] = self._visited(value)
            elif isinstance(value, ast.AST) and not isinstance(value, _SKIPPED):
                setattr(node, name, self.visit(value))
        return node

    def _visited(self, nodes: list) -> list:
        out = []
        for node in nodes:
            new = self.visit(node) if isinstance(node, ast.AST) else node
            if isinstance(node, _SKIPPED):
                new = node
            out.extend(new if isinstance(new, list) else [new])
        return out

    def _inside(self, scope: str, body: list) -> list:
        self._scopes.append(scope)
        try:
            return self._visited(body)
        finally:
            self._scopes.pop()

    def native(self, node: ast.AST) -> ast.AST:
        """Syntax that needs no guard: no name is looked up on an object."""
        return self.node_contents_visit(node)

    def _annotation(self, node: ast.expr | None) -> ast.expr | None:
        """An annotation: code like any other, or left as it stands where it becomes a text."""
        return self.visit(node) if node is not None and not self._annotations_are_texts else node

    def check_name(
        self, node: ast.AST, name: str | None, allow_magic_methods: bool = False
    ) -> None:
        """Checks a name that is bound, whatever binds it.

        Widened: `_x` and `__` are ordinary variables (RestrictedPython keeps them for its guards;
        ours have names that no source can spell), and a class body may define the special methods
        of `names.DEFINABLE`, none of which trusted code obeys to the user's advantage.
        """
        if name is None:
            return
        scope = self._scopes[-1]
        if names.is_reserved(name):
            if scope != "class" or name not in names.DEFINABLE | names.ENUM_HOOKS:
                self.error(node, names.variable_message(name))
            elif name in names.CHECKED:
                self._specials[-1].add(name)
        elif scope == "module" and name in self._protected:
            self.error(node, names.protected_message(name))
