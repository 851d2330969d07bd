"""The compiler pass: which Python model code may say.

Built on RestrictedPython's transformer, which refuses every kind of syntax that it has no rule for;
so what a new Python adds is refused until someone has read it. Each place where this pass allows
more than RestrictedPython does says why that is safe.

Guarded: attributes read and written, names bound, class and value patterns. Native: items,
iteration, unpacking, calls and everything else, since a guard on them would cost time and protect
nothing: they give only what an object's own methods give, and no object that model code can reach
has a method that leads out (`guards`, `facades`).

The rules stand by kind of syntax: `binding` (names), `attributes`, `annotations`, `definitions`,
`newer_syntax`, `matching`; the rest is here.
"""

import ast
import warnings
from types import CodeType

from rlm_dspy.repl import names
from rlm_dspy.repl.annotations import Annotations
from rlm_dspy.repl.attributes import Attributes
from rlm_dspy.repl.binding import Binding
from rlm_dspy.repl.definitions import Definitions
from rlm_dspy.repl.matching import Matching
from rlm_dspy.repl.nodes import At
from rlm_dspy.repl.rewriter import Refused, Rewriter

__all__ = ["Policy", "Refused", "compile_step"]


class Policy(Annotations, Binding, Attributes, Definitions, Matching):
    """All the rules together; what they refuse is in `refused` as (line, message).

    Args:
        protected: Names that code may not bind at the top level: the REPL's own functions.
    """

    # Native: no guard is needed where no name is looked up on an object.

    # Widened: items, iteration and unpacking call `__getitem__`, `__setitem__`, `__iter__` of the
    # object; those of built-in and facade types stay within it, the user's are the user's.
    visit_Subscript = visit_For = visit_comprehension = visit_Assign = visit_withitem = (
        Rewriter.native
    )
    # Widened: a call can only call what was read through a guard; `*args`/`**kwargs` add nothing.
    visit_Call = Rewriter.native
    # Widened: `x += y` is a read, an operator and a write, each of them checked or native.
    visit_AugAssign = Rewriter.native
    # Widened: coroutines are generators to the policy; their frames are refused by name, and the
    # only event loop (`asyncio` facade) has no sockets, threads or processes.
    visit_Await = visit_AsyncFor = Rewriter.native

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        """Makes the names of `**mapping` plain: one that lies is another name at each look."""
        node.value = self.visit(node.value)
        if node.arg is None:
            node.value = At(node).call(names.KEYWORDS, node.value)
        return node

    def visit_Module(self, node: ast.Module) -> ast.AST:
        """Looks first whether annotations are texts in this step."""
        self._annotations_are_texts = any(
            isinstance(line, ast.ImportFrom)
            and line.module == "__future__"
            and any(alias.name == "annotations" for alias in line.names)
            for line in node.body
        )
        return self.native(node)

    # Handlers: the end of a step cannot be caught.

    def _ending(self, node: ast.AST) -> ast.stmt:
        at = At(node)
        return at.statement(at.call(names.SUBMITTED))

    def visit_Try(self, node: ast.Try) -> ast.AST:
        """Puts a check first into a `finally` that could keep SUBMIT from ending the step."""
        swallows = any(map(_may_leave, node.finalbody))
        self.node_contents_visit(node)
        if swallows:
            node.finalbody.insert(0, self._ending(node))
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        """Puts a check first into a handler, so that `except BaseException` is no way out."""
        self.check_name(node, node.name)
        self.node_contents_visit(node)
        node.body.insert(0, self._ending(node))
        return node

    def visit_TryStar(self, node: ast.AST) -> None:
        """Keeps `except*` refused: CPython 3.11 hands user code the group it is splitting."""
        self.error(node, "`except*` is not available: use `except ExceptionGroup as e`")

    def visit_With(self, node: ast.With) -> list[ast.stmt]:
        """Widened to native unpacking; checks afterwards, since `__exit__` may swallow SUBMIT."""
        self.node_contents_visit(node)
        return [node, self._ending(node)]

    def visit_AsyncWith(self, node: ast.AsyncWith) -> list[ast.stmt]:
        """Widened, as `with` is."""
        self.node_contents_visit(node)
        return [node, self._ending(node)]


_LEAVING = (ast.Return, ast.Break, ast.Continue, ast.Yield, ast.YieldFrom, ast.Await)
_LEAVING += (ast.AsyncFor, ast.AsyncWith)
_OWN_FLOW = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def _may_leave(node: ast.AST) -> bool:
    """Whether a statement of a `finally` can leave it before its end, with an exception pending."""
    if isinstance(node, _OWN_FLOW):
        return False
    if isinstance(node, _LEAVING) or getattr(node, "is_async", 0):
        return True
    return any(map(_may_leave, ast.iter_child_nodes(node)))


def _echoed(tree: ast.Module) -> None:
    """Makes a last expression report its value, as a REPL does."""
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = tree.body[-1]
        at = At(last)
        last.value = at.call(names.ECHO, at.call(names.MARK), last.value)


def compile_step(code: str, filename: str, protected: frozenset[str]) -> CodeType:
    """Compiles one step under the policy.

    Args:
        code: The step's source.
        filename: How tracebacks name it.
        protected: Names that the step may not bind at its top level.

    Returns:
        Code to run in a namespace whose built-ins are the guards'.

    Raises:
        SyntaxError: The source is not Python.
        Refused: The policy refuses it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(code, filename)
            policy = Policy(protected)
            tree = policy.visit(tree)
            if policy.refused:
                line, message = policy.refused[0]
                raise Refused(message, line)
            _echoed(tree)
            return compile(tree, filename, "exec", dont_inherit=True)
        except (RecursionError, MemoryError):
            raise Refused(
                "the code is nested too deeply: split it into several statements"
            ) from None
        except ValueError as error:  # null bytes, lone surrogates
            raise SyntaxError(f"the source cannot be read: {error}") from None
