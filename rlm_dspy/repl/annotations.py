"""The compiler pass: annotations, which no code of the library's evaluates for itself.

From Python 3.14 on, annotations are functions that run when they are asked for. Asked by the
library for a form that bears unknown names (`annotationlib.call_annotate_function`; `dataclass`,
`NamedTuple`, `TypedDict` and `inspect.signature` do it), such a function runs a second time with
made-up values for the names. These record what is done with them as source text, names of keyword
arguments unchecked, and the library evaluates that text, past the policy and with the real
built-ins. So model code gets no such function: fields of classes are evaluated where they stand, as
before 3.14, one that does not know a name yet stays the text that it is; the function of a `def` is
put behind one that answers for itself; annotated variables outside of classes are variables.
"""

import ast
import sys
from typing import Any

from rlm_dspy.repl import names
from rlm_dspy.repl.nodes import At
from rlm_dspy.repl.rewriter import Rewriter

DEFERRED = sys.version_info >= (3, 14)
_VALUE = 1  # `annotationlib.Format.VALUE`
_FIELDS = "__annotations__"


def annotated(function: Any) -> Any:
    """Puts a function's annotations behind one that never asks to be run with made-up values.

    Args:
        function: As `def` has made it, before any decorator has seen it.
    """
    real = function.__annotate__

    def __annotate__(form: int, /) -> dict[str, Any]:
        try:
            return real(_VALUE)
        except Exception:
            if form == _VALUE:
                raise
            return {}

    function.__annotate__ = __annotate__
    return function


class Annotations(Rewriter):
    """`x: T`, `def f(x: T) -> T`."""

    def __init__(self, protected: frozenset[str]):
        super().__init__(protected)
        # Whether the class bodies around have fields.
        self._fields: list[bool] = []

    @property
    def _deferred(self) -> bool:
        return DEFERRED and not self._annotations_are_texts

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """Widened: annotations are expressions like any other, never evaluated from texts."""
        scope = self._scopes[-1]
        stored = self._deferred and node.simple and scope != "function"
        text = ast.unparse(node.annotation) if stored and scope == "class" else ""
        node.target = self.visit(node.target)
        node.annotation = self._annotation(node.annotation)  # ty: ignore[invalid-assignment]
        node.value = node.value and self.visit(node.value)
        if not stored or not isinstance(node.target, ast.Name):
            return node
        make = self._field if scope == "class" else self._variable
        return make(node, node.target.id, text)

    def _variable(self, node: ast.AnnAssign, name: str, text: str) -> ast.stmt:
        at = At(node)
        return at.assign(name, node.value) if node.value else at.statement(at.constant(None))

    def _field(self, node: ast.AnnAssign, name: str, text: str) -> list[ast.stmt]:
        at, self._fields[-1] = At(node), True
        key = names.mangled(name, self._classes[-1])
        known = at.assign_item(_FIELDS, key, node.annotation)
        unknown = at.assign_item(_FIELDS, key, at.constant(text))
        value = [at.assign(name, node.value)] if node.value else []
        return [*value, at.attempt(known, names.UNKNOWN, unknown)]

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Begins the body of a class that has fields with an empty dictionary for them."""
        self._fields.append(False)
        super().visit_ClassDef(node)
        if self._fields.pop():
            at = At(node)
            after = 0 if ast.get_docstring(node, clean=False) is None else 1
            node.body.insert(after, at.assign(_FIELDS, at.empty_dict()))
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Puts `annotated` next to the function, before its decorators."""
        super().visit_FunctionDef(node)
        if self._deferred and _is_annotated(node):
            node.decorator_list.append(At(node).name(names.ANNOTATED))
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # ty: ignore[incompatible-method-override]


def _is_annotated(node: ast.FunctionDef) -> bool:
    args = node.args
    every = (*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg)
    return node.returns is not None or any(arg and arg.annotation for arg in every)
