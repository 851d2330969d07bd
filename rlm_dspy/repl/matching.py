"""The compiler pass: the patterns of `match`.

Widened: sequence, mapping, capture and literal patterns bind names (checked) and read items
(native). Class patterns make the interpreter itself read attributes, and value patterns hand a
value to the subject's `__eq__`: both get their object through a guard (`patterns`).
"""

import ast

from rlm_dspy.repl import names
from rlm_dspy.repl.nodes import At
from rlm_dspy.repl.rewriter import Rewriter


class Matching(Rewriter):
    """`match` and its patterns."""

    def __init__(self, protected: frozenset[str]):
        super().__init__(protected)
        self._patterns = 0
        self._hoisted: dict[str, ast.stmt] = {}

    def visit_Match(self, node: ast.Match) -> list[ast.stmt]:
        """Puts each guarded class before the statement; it is still looked up when it is tried."""
        outer, self._hoisted = self._hoisted, {}
        node.subject = self.visit(node.subject)
        for case in node.cases:
            case.pattern = self.visit(case.pattern)
        hoisted, self._hoisted = self._hoisted, outer
        for case in node.cases:
            case.guard = case.guard and self.visit(case.guard)
            case.body = self._visited(case.body)
        # In a class body a variable is an attribute.
        ended = map(At(node).delete, hoisted) if self._scopes[-1] == "class" else ()
        return [*hoisted.values(), node, *ended]

    def visit_MatchClass(self, node: ast.MatchClass) -> ast.AST:
        """Replaces the class by one that `patterns.ClassPattern` has checked at that moment."""
        cls = self.visit(node.cls)
        node.patterns = self._visited(node.patterns)
        node.kwd_patterns = self._visited(node.kwd_patterns)
        if isinstance(cls, ast.Name) and not node.patterns and not node.kwd_patterns:
            return node
        name, self._patterns = f"@p{self._patterns}", self._patterns + 1
        at = At(node)
        positional, keywords = at.constant(len(node.patterns)), at.constant(tuple(node.kwd_attrs))
        guard = at.call(names.PATTERN, at.lookup(cls), positional, keywords)
        self._hoisted[name] = at.assign(name, guard)
        node.cls = at.attribute(at.name(name), "cls")
        return node

    def _held(self, value: ast.expr) -> ast.expr:
        """An attribute chain in a pattern, as the one form that may hold a call: `call().value`."""
        new = self.visit(value)
        if isinstance(value, ast.Attribute):
            at = At(value)
            return at.attribute(at.call(names.HOLD, new), "value")
        return new

    def visit_MatchValue(self, node: ast.MatchValue) -> ast.AST:
        """Reads a dotted name through the attribute guard."""
        node.value = self._held(node.value)
        return node

    def visit_MatchMapping(self, node: ast.MatchMapping) -> ast.AST:
        """Reads dotted keys through the attribute guard; checks the name of `**rest`."""
        self.check_name(node, node.rest)
        node.keys = [self._held(key) for key in node.keys]
        node.patterns = self._visited(node.patterns)
        return node

    def visit_MatchAs(self, node: ast.MatchAs) -> ast.AST:
        """Checks the name that captures."""
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    visit_MatchStar = visit_MatchAs  # ty: ignore[incompatible-method-override]
    visit_MatchSequence = visit_MatchOr = visit_MatchSingleton = Rewriter.native
    visit_match_case = Rewriter.native
