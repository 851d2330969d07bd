"""The compiler pass: which Python model code may say.

Built on RestrictedPython's transformer, which refuses every kind of syntax that it has no rule for;
so what a new Python adds is refused until someone has read it. Each place where this pass allows
more than RestrictedPython does says why that is safe.

Guarded: attributes read and written, names bound, class and value patterns. Native: items,
iteration, unpacking, calls and everything else, since a guard on them would cost time and protect
nothing: they give only what an object's own methods give, and no object that model code can reach
has a method that leads out (`guards`, `facades`).
"""

import ast
import warnings
from types import CodeType
from typing import Any

from RestrictedPython.transformer import RestrictingNodeTransformer

from rlm_dspy.repl import names
from rlm_dspy.repl.names import PolicyError
from rlm_dspy.repl.nodes import At

_SKIPPED = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
# `__class__` inside a method is the class that the user is defining.
_READABLE_VARIABLES = ("__name__", "__debug__", "__class__")
_NEWER_SYNTAX = "is not available in this REPL: write it as in Python 3.11"


class Refused(PolicyError):
    """Code that the policy refuses before it runs.

    Args:
        message: What is refused and what to write instead.
        line: The line, from 1; None where it is not known.
    """

    def __init__(self, message: str, line: int | None = None):
        super().__init__(message)
        self.line = line


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


class Policy(RestrictingNodeTransformer):
    """Rewrites one step's syntax tree; what it refuses is in `refused` as (line, message).

    Args:
        protected: Names that code may not bind at the top level: the REPL's own functions.
    """

    def __init__(self, protected: frozenset[str]):
        super().__init__()
        self._protected = protected
        self._scopes: list[str] = ["module"]
        self._classes: list[str] = []
        self._patterns = 0
        self._hoisted: list[ast.stmt] = []
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

    # Names

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
        elif scope == "module" and name in self._protected:
            self.error(node, names.protected_message(name))

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
        return self.node_contents_visit(node)

    def check_import_names(self, node: ast.Import | ast.ImportFrom) -> ast.AST:
        """Checks the names that an import binds; the modules are checked when it runs.

        Widened: `import *` binds what a facade lists, and a facade lists no name that matters;
        what it may shadow is restored after the step.
        """
        if getattr(node, "is_lazy", 0):
            self.error(node, f"a lazy import {_NEWER_SYNTAX}")
        if isinstance(node, ast.ImportFrom) and node.level:
            self.error(node, "relative imports are not available: there is no package here")
        for alias in node.names:
            if alias.name != "*":
                self.check_name(node, alias.asname or alias.name.split(".")[0])
        return node

    # Attributes

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

    # Native: no guard is needed where no name is looked up on an object.

    def _native(self, node: ast.AST) -> ast.AST:
        return self.node_contents_visit(node)

    # Widened: items, iteration and unpacking call `__getitem__`, `__setitem__`, `__iter__` of the
    # object; those of built-in and facade types stay within it, the user's are the user's.
    visit_Subscript = visit_For = visit_comprehension = visit_Assign = visit_withitem = _native
    # Widened: a call can only call what was read through a guard; `*args`/`**kwargs` add nothing.
    visit_Call = _native
    # Widened: annotations are expressions like any other, and are never evaluated from strings.
    visit_AnnAssign = _native
    # Widened: `x += y` is a read, an operator and a write, each of them checked or native.
    visit_AugAssign = _native
    # Widened: coroutines are generators to the policy; their frames are refused by name, and the
    # only event loop (`asyncio` facade) has no sockets, threads or processes.
    visit_Await = visit_AsyncFor = _native
    visit_Module = _native

    # Handlers: the end of a step cannot be caught.

    def _ending(self, node: ast.AST) -> ast.stmt:
        at = At(node)
        return at.statement(at.call(names.SUBMITTED))

    def visit_Try(self, node: ast.Try) -> ast.AST:
        """Puts a check first into `finally`, so that SUBMIT is not swallowed by `return` there."""
        self.node_contents_visit(node)
        if node.finalbody:
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

    # Definitions

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Checks the name where it is bound and the parameters inside."""
        self.check_name(node, node.name)
        node.decorator_list = self._visited(node.decorator_list)
        if node.returns is not None:
            node.returns = self.visit(node.returns)
        self._refuse_type_parameters(node)
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

    def _inside(self, scope: str, body: list) -> list:
        self._scopes.append(scope)
        try:
            return self._visited(body)
        finally:
            self._scopes.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Checks the name; bases and metaclass are checked when the class is built.

        Widened: class keywords and any base are allowed here, since `guards.build_class` sees the
        objects themselves, which a name in the source does not tell.
        """
        self.check_name(node, node.name)
        node.decorator_list = self._visited(node.decorator_list)
        node.bases = self._visited(node.bases)
        node.keywords = self._visited(node.keywords)
        self._refuse_type_parameters(node)
        self._classes.append(node.name)
        node.body = self._inside("class", node.body)
        self._classes.pop()
        return node

    # Python 3.12 and later

    def _refuse_type_parameters(self, node: Any) -> None:
        if getattr(node, "type_params", None):
            self.error(node, f"`{node.name}[T]` {_NEWER_SYNTAX}, with TypeVar")

    def visit_TypeAlias(self, node: ast.AST) -> None:
        """Refuses `type X = …`, whose value is evaluated lazily in a scope of its own."""
        self.error(node, f"the statement `type X = ...` {_NEWER_SYNTAX}: `X = ...`")

    def visit_TemplateStr(self, node: ast.AST) -> None:
        """Refuses t-strings, which RestrictedPython lets through."""
        self.error(node, f"a t-string {_NEWER_SYNTAX}: an f-string")

    visit_Interpolation = visit_TemplateStr

    # Patterns. Widened: sequence, mapping, capture and literal patterns bind names (checked) and
    # read items (native). Class patterns make the interpreter itself read attributes, and value
    # patterns hand a value to the subject's `__eq__`: both get their object through a guard.

    def visit_Match(self, node: ast.Match) -> list[ast.stmt]:
        """Puts each guarded class before the statement; it is still looked up when it is tried."""
        outer, self._hoisted = self._hoisted, []
        node.subject = self.visit(node.subject)
        for case in node.cases:
            case.pattern = self.visit(case.pattern)
        hoisted, self._hoisted = self._hoisted, outer
        for case in node.cases:
            case.guard = case.guard and self.visit(case.guard)
            case.body = self._visited(case.body)
        return [*hoisted, node]

    def visit_MatchClass(self, node: ast.MatchClass) -> ast.AST:
        """Replaces the class by one that `guards.ClassPattern` has checked at that moment."""
        cls = self.visit(node.cls)
        node.patterns = self._visited(node.patterns)
        node.kwd_patterns = self._visited(node.kwd_patterns)
        if isinstance(cls, ast.Name) and not node.patterns and not node.kwd_patterns:
            return node
        name, self._patterns = f"@p{self._patterns}", self._patterns + 1
        at = At(node)
        positional, keywords = at.constant(len(node.patterns)), at.constant(tuple(node.kwd_attrs))
        guard = at.call(names.PATTERN, at.lookup(cls), positional, keywords)
        self._hoisted.append(at.assign(name, guard))
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
    visit_MatchSequence = visit_MatchOr = visit_MatchSingleton = visit_match_case = _native


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
