"""The compiler pass: the names that code binds and the variables that it reads."""

import ast

from rlm_dspy.repl import names
from rlm_dspy.repl.rewriter import NEWER_SYNTAX, Rewriter

# `__class__` inside a method is the class that the user is defining.
_READABLE_VARIABLES = ("__name__", "__debug__", "__class__")


class Binding(Rewriter):
    """Variables, parameters, `global`, `nonlocal`, `import`."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Checks a variable's name; `print` is an ordinary function here."""
        if not isinstance(node.ctx, ast.Load):
            self.check_name(node, node.id)
        elif names.is_reserved(node.id) and not self._readable(node.id):
            self.error(node, names.variable_message(node.id))
        return node

    def _readable(self, name: str) -> bool:
        # A class body may name the methods it has just defined (`__rmul__ = __mul__`).
        in_class = self._scopes[-1] == "class" and name in names.DEFINABLE
        return in_class or name in _READABLE_VARIABLES

    def visit_Global(self, node: ast.Global) -> ast.AST:
        """Checks the names, so that a function cannot bind what the top level may not."""
        for name in node.names:
            if names.is_reserved(name):
                self.error(node, names.variable_message(name))
            elif name in self._protected:
                self.error(node, names.protected_message(name))
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        """Widened: names of enclosing functions, whose bindings were checked where they stand."""
        for name in node.names:
            if names.is_reserved(name):
                self.error(node, names.variable_message(name))
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Checks a parameter's name (positional-only and starred ones come here as well)."""
        self.check_name(node, node.arg)
        node.annotation = self._annotation(node.annotation)
        return node

    def check_import_names(self, node: ast.Import | ast.ImportFrom) -> ast.AST:
        """Checks the names that an import binds; the modules are checked when it runs.

        Widened: `import *` binds what a facade lists, and a facade lists no name that matters;
        what it may shadow is restored after the step.
        """
        if getattr(node, "is_lazy", 0):
            self.error(node, f"a lazy import {NEWER_SYNTAX}")
        if isinstance(node, ast.ImportFrom) and node.level:
            self.error(node, "relative imports are not available: there is no package here")
        for alias in node.names:
            if alias.name != "*":
                self.check_name(node, alias.asname or alias.name.split(".")[0])
        return node
