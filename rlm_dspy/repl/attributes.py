"""The compiler pass: attributes that code reads, writes and deletes."""

import ast

from rlm_dspy.repl import names
from rlm_dspy.repl.nodes import At
from rlm_dspy.repl.rewriter import Rewriter


def _kind(name: str) -> str:
    if name in names.FORMATTERS or names.is_reserved(name):
        return "special"
    return "private" if name[0] == "_" else "public"


# The set of types that makes a guard needless, by whether the attribute is read and its kind.
_FREE = {
    (True, "public"): names.FREE_READ,
    (True, "private"): names.FREE_PRIVATE,
    (False, "public"): names.FREE_WRITE,
    (False, "private"): names.FREE_PRIVATE,
    (True, "special"): "",
    (False, "special"): "",
}


class Attributes(Rewriter):
    """`x.y`, wherever it stands."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Sends an attribute access through a guard, except reads of harmless names.

        Widened: `_x` and a short list of `__x__` names may be read and written where the guard
        finds that the object's class is the user's own; `names.NATIVE` lists the names that need
        no guard on any object. `x.y += 1` and `x.y: T = 1` become plain writes through the guard.
        """
        name = names.mangled(node.attr, self._classes[-1] if self._classes else None)
        node.value = self.visit(node.value)
        load = isinstance(node.ctx, ast.Load)
        if name in names.FRAME_NAMES or (
            names.is_dunder(name) and name not in (names.READABLE if load else names.WRITABLE)
        ):
            self.error(node, names.attribute_message(name))
            return node
        if load and name in names.NATIVE:
            return node
        free, at = _FREE[load, _kind(name)], At(node)
        guard = names.READ if free == names.FREE_READ else names.READ_SPECIAL
        guarded = at.call(guard if load else names.WRITE, node.value, at.constant(name))
        if load:
            return at.unless_free(node.value, free, node, guarded)
        node.value = at.unless_free(node.value, free, node.value, guarded)
        return node
