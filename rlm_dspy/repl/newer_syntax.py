"""The compiler pass: what Python has gained since 3.11.

Allowed: type parameters, their bounds and defaults, and `type X = ...` (3.12, 3.13). Refused, with
what to write instead: t-strings (3.14). Needs no rule: f-strings nested in f-strings (3.12) and
`except A, B:` (3.14), whose trees are those of older syntax.
"""

import ast
from typing import Any

from rlm_dspy.repl.rewriter import Rewriter


class NewerSyntax(Rewriter):
    """Type parameters, type aliases, template strings."""

    def type_parameters(self, node: Any) -> None:
        """Checks the type parameters of a function, class or alias.

        Widened: their bounds, defaults and the values of aliases are expressions like any other,
        compiled into functions with the step's own namespace. What they make (`TypeVar`,
        `TypeAliasType`) gives no attribute but its name: `evaluate_value` and its kin, which
        hand such a function to the library, are refused with every other.
        """
        parameters = getattr(node, "type_params", None)  # there is none before Python 3.12
        if parameters:
            node.type_params = self._inside("function", parameters)

    def visit_TypeVar(self, node: Any) -> ast.AST:
        """Checks the name, as a parameter's (`*Ts` and `**P` come here as well)."""
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    visit_TypeVarTuple = visit_ParamSpec = visit_TypeVar

    def visit_TypeAlias(self, node: Any) -> ast.AST:
        """Checks the name where it is bound; the value has a scope of its own."""
        node.name = self.visit(node.name)
        self.type_parameters(node)
        (node.value,) = self._inside("function", [node.value])
        return node

    def visit_TemplateStr(self, node: ast.AST) -> None:
        """Refuses t-strings, which RestrictedPython lets through: nothing here renders one."""
        self.error(node, "a t-string is not available in this REPL: write an f-string")

    visit_Interpolation = visit_TemplateStr
