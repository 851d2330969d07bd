"""The compiler pass: functions, lambdas and classes."""

import ast

from rlm_dspy.repl import names
from rlm_dspy.repl.newer_syntax import NewerSyntax
from rlm_dspy.repl.nodes import At


class Definitions(NewerSyntax):
    """`def`, `lambda`, `class`."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Checks the name where it is bound and the parameters inside."""
        self.check_name(node, node.name)
        node.decorator_list = self._visited(node.decorator_list)
        node.returns = self._annotation(node.returns)
        self.type_parameters(node)
        self._function(node)
        node.body = self._inside("function", node.body)
        return node

    # Widened: see `visit_Await`.
    visit_AsyncFunctionDef = visit_FunctionDef  # ty: ignore[incompatible-method-override]

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        """Checks the parameters."""
        self._function(node)
        node.body = self._inside("function", [node.body])[0]
        return node

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        args = node.args
        args.defaults = self._visited(args.defaults)
        args.kw_defaults = [default and self.visit(default) for default in args.kw_defaults]
        self._scopes.append("function")
        for arg in (*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg):
            if arg is not None:
                self.visit(arg)
        self._scopes.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Checks the name; bases and metaclass are checked when the class is built.

        Widened: class keywords and any base are allowed here, since `classes.build_class` sees the
        objects themselves, which a name in the source does not tell.
        """
        self.check_name(node, node.name)
        node.decorator_list = self._visited(node.decorator_list)
        node.bases = self._visited(node.bases)
        node.keywords = self._visited(node.keywords)
        self.type_parameters(node)
        self._classes.append(node.name)
        self._specials.append(set())
        node.body = self._inside("class", node.body)
        node.body += [self._checked(node, name) for name in sorted(self._specials.pop())]
        self._classes.pop()
        return node

    def _checked(self, node: ast.ClassDef, name: str) -> ast.stmt:
        """Puts a check in front of a special method, as the last thing that the body does."""
        at = At(node)
        return at.assign(name, at.call(names.SPECIAL, at.constant(name), at.name(name)))
