"""New nodes of a syntax tree, made in the place of old ones.

They carry their line and column from the start: filling these in afterwards walks the whole tree
again, and costs more than the policy itself.
"""

import ast
from typing import Any

from rlm_dspy.repl import names

_LOAD = ast.Load()


class At:
    """Makes new nodes that stand where an old one stood.

    Args:
        node: The old one; the new ones get its line and column.
    """

    __slots__ = ("_place",)

    def __init__(self, node: ast.AST):
        self._place = {name: getattr(node, name) for name in node._attributes}

    def name(self, name: str) -> ast.Name:
        """A variable, read."""
        return ast.Name(name, _LOAD, **self._place)

    def constant(self, value: Any) -> ast.Constant:
        """A literal."""
        return ast.Constant(value, **self._place)

    def call(self, guard: str, *args: ast.expr) -> ast.Call:
        """A call of a guard."""
        return ast.Call(self.name(guard), list(args), [], **self._place)

    def attribute(self, value: ast.expr, name: str) -> ast.Attribute:
        """An attribute, read without a guard."""
        return ast.Attribute(value, name, _LOAD, **self._place)

    def statement(self, value: ast.expr) -> ast.Expr:
        """An expression as a statement."""
        return ast.Expr(value, **self._place)

    def unless_free(
        self, owner: ast.expr, free: str, native: ast.expr, guarded: ast.expr
    ) -> ast.expr:
        """`native if type(owner) in free else guarded`, three times as fast for a variable.

        Only a variable may be named twice: reading it again gives the same object.
        """
        if not free or not isinstance(owner, ast.Name):
            return guarded
        kind = self.call(names.TYPE, owner)
        test = ast.Compare(kind, [ast.In()], [self.name(free)], **self._place)
        return ast.IfExp(test, native, guarded, **self._place)

    def lookup(self, body: ast.expr) -> ast.Lambda:
        """A function without parameters that gives an expression."""
        arguments = ast.arguments(
            posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[]
        )
        return ast.Lambda(arguments, body, **self._place)

    def assign(self, name: str, value: ast.expr) -> ast.Assign:
        """An assignment to a variable."""
        return ast.Assign([ast.Name(name, ast.Store(), **self._place)], value, **self._place)

    def empty_dict(self) -> ast.Dict:
        """`{}`."""
        return ast.Dict([], [], **self._place)

    def assign_item(self, owner: str, key: str, value: ast.expr) -> ast.Assign:
        """`owner[key] = value`."""
        item = ast.Subscript(self.name(owner), self.constant(key), ast.Store(), **self._place)
        return ast.Assign([item], value, **self._place)

    def attempt(self, tried: ast.stmt, error: str, otherwise: ast.stmt) -> ast.Try:
        """One statement, or another where the first raises an error of this class."""
        handler = ast.ExceptHandler(self.name(error), None, [otherwise], **self._place)
        return ast.Try([tried], [handler], [], [], **self._place)

    def delete(self, name: str) -> ast.Delete:
        """The end of a variable."""
        return ast.Delete([ast.Name(name, ast.Del(), **self._place)], **self._place)
