"""Which steps of a run its answer depends on: a backward slice over the steps (Weiser, 1981).

A step matters where it binds, or may change, a name that a step which matters reads later. It is
decided from the code alone and on the safe side: a call that is not known to change nothing may
change all that it mentions, and what that was made of. Of a step that failed, what ran before the
failing statement counts; where that statement itself may have left something behind, nobody can say
what, and the run cannot be written down.
"""

import ast
import builtins
import re
import symtable
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.signatures import RESERVED_NAMES

# Functions and methods that change nothing that code holds.
_FUNCTIONS = (
    "abs all any bool chr dict enumerate filter float format frozenset hasattr int isinstance iter "
    "len list map max min ord range repr reversed round set sorted str sum tuple type zip "
    "Counter defaultdict date datetime timedelta"
)
_METHODS = (
    "chunks compile copy date day documents end escape extract_after findall finditer fullmatch "
    "get grep group groupdict groups items keys lines match mean median month most_common search "
    "span start strftime strptime sub subn total values weekday year"
)
_CHANGING = (
    "add append appendleft clear difference_update discard extend insert intersection_update pop "
    "popitem popleft remove reverse setdefault sort subtract symmetric_difference_update update"
)
_PURE_FUNCTIONS = RESERVED_NAMES | set(_FUNCTIONS.split())
_PURE_METHODS = frozenset(dir(str)) | set(_METHODS.split())
_MUTATORS = frozenset(_CHANGING.split())
_GIVEN = frozenset(dir(builtins)) | RESERVED_NAMES | {"true", "false", "null"}
_FAILED_AT = re.compile(r"^line (\d+): ", re.MULTILINE)
# Of these nothing ran.
_NEVER_RAN = ("[Error] SyntaxError", "[Error] IndentationError")


@dataclass(frozen=True)
class Ran:
    """A step as it ran.

    Args:
        number: Its number in the run.
        code: Its code.
        output: What it printed, or the error.
        ok: Whether all of it ran.
        undone: Whether the REPL undid it.
    """

    number: int
    code: str
    output: str = ""
    ok: bool = True
    undone: bool = False


@dataclass(frozen=True)
class Statement:
    """A top-level statement and the names that it has to do with.

    Args:
        node: The statement.
        loads: Names that it reads from outside of itself.
        binds: Names that it may bind.
        changes: Names whose values it may change.
        replaces: Names that it binds whatever happens.
    """

    node: ast.stmt
    loads: frozenset[str]
    binds: frozenset[str]
    changes: frozenset[str]
    replaces: frozenset[str]


@dataclass
class _Part:
    """What of a step surely ran, and what may have run in part."""

    step: Ran
    surely: list[Statement]
    perhaps: list[Statement] = field(default_factory=list)

    @property
    def code(self) -> str:
        if not self.perhaps:
            return self.step.code
        return "\n".join(ast.unparse(statement.node) for statement in self.surely)


def needed(steps: Sequence[Ran], last: Ran, inputs: Iterable[str]) -> list[str]:
    """The code of the steps that the last one depends on, and of it, in order.

    Args:
        steps: The steps before the last, in order.
        last: The step that submitted the answer.
        inputs: The names of the run's inputs.

    Raises:
        ConfigurationError: It depends on a step that failed half way.
    """
    given = _GIVEN | frozenset(inputs)
    parts = [_part(step) for step in steps]
    end = _Part(last, statements(last.code))
    sources = _sources([*parts, end], given)
    live = _live_before(end.surely, frozenset())
    kept = [end.code]
    for part in reversed(parts):
        touched = _perhaps(part, sources) & closed(live, sources, given)
        if touched:
            raise ConfigurationError(
                f"Step {part.step.number} failed half way and may have left {sorted(touched)} "
                "behind, which the answer depends on: a run whose steps all ran makes a recipe."
            )
        # What a needed value was made of may be the same object under another name, and what a
        # needed function reads is read when it is called.
        alike = closed(live, sources, given)
        matters = any(
            (one.binds | closed(one.changes, sources, given)) & alike for one in part.surely
        )
        if matters:
            kept.append(part.code)
            live = _live_before(part.surely, live)
    return kept[::-1]


def statements(code: str) -> list[Statement]:
    """The top-level statements of a step's code.

    Raises:
        ConfigurationError: It is not Python.
    """
    try:
        return [_statement(node) for node in ast.parse(code).body]
    except SyntaxError as error:
        raise ConfigurationError(f"A step of the run is not Python: {error}.") from error


def sources_of(codes: Iterable[str], inputs: Iterable[str]) -> dict[str, frozenset[str]]:
    """What each name was made of, by the names that were read to bind or to change it."""
    given = _GIVEN | frozenset(inputs)
    return _sources([_Part(Ran(0, code), statements(code)) for code in codes], given)


def closed(
    names: Iterable[str], sources: dict[str, frozenset[str]], given: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Names and all that they were made of, what was given left out."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in given:
            found.add(name)
            waiting.extend(sources.get(name, ()))
    return frozenset(found)


def calls_submit(node: ast.AST) -> bool:
    """Whether there is a call of `SUBMIT` in it."""
    return any(isinstance(n, ast.Name) and n.id == "SUBMIT" for n in ast.walk(node))


def _sources(parts: Sequence[_Part], given: frozenset[str]) -> dict[str, frozenset[str]]:
    made_of: dict[str, set[str]] = {}
    for part in parts:
        for one in [*part.surely, *part.perhaps]:
            for name in (one.binds | one.changes) - given:
                made_of.setdefault(name, set()).update(one.loads - {name})
    return {name: frozenset(names) for name, names in made_of.items()}


def _live_before(ran: Sequence[Statement], live: frozenset[str]) -> frozenset[str]:
    for one in reversed(ran):
        live = (live - one.replaces) | one.loads
    return live


def _perhaps(part: _Part, sources: dict[str, frozenset[str]]) -> frozenset[str]:
    """The names that a statement may have left bound or changed when it failed."""
    found: set[str] = set()
    for number, one in enumerate(part.perhaps):
        # An assignment whose value could not be had binds nothing.
        whole = number or not isinstance(one.node, (ast.Assign, ast.AnnAssign, ast.AugAssign))
        found |= closed(one.changes, sources) | (one.binds if whole else frozenset())
    return frozenset(found)


def _part(step: Ran) -> _Part:
    if step.undone or any(said in step.output for said in _NEVER_RAN) and not step.ok:
        return _Part(step, [])
    try:
        ran = statements(step.code)
    except ConfigurationError:
        return _Part(step, [])
    if step.ok:
        return _Part(step, ran)
    at = _failed_at(step, ran)
    return _Part(step, ran[:at], ran[at : at + 1] if at else ran)


def _failed_at(step: Ran, ran: Sequence[Statement]) -> int:
    """The first statement that may not have run to its end; 0 where that is not known."""
    submits = [number for number, one in enumerate(ran) if calls_submit(one.node)]
    if "[Error]" not in step.output:  # it submitted what was not accepted
        return submits[0] if len(submits) == 1 else 0
    found = _FAILED_AT.search(step.output.rpartition("[Error]")[2])
    if found is None or "PolicyViolation" in step.output:
        return 0
    line = int(found[1])
    within = (n for n, one in enumerate(ran) if one.node.lineno <= line <= _end(one.node))
    return next(within, 0)


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _statement(node: ast.stmt) -> Statement:
    table = symtable.symtable(ast.unparse(node), "<step>", "exec")
    symbols = table.get_symbols()
    binds = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
    loads = {s.get_name() for s in symbols if s.is_referenced()}
    for child in table.get_children():
        inner_loads, inner_binds = _of_scope(child)
        loads |= inner_loads
        binds |= inner_binds
    augmented = {
        n.target.id
        for n in ast.walk(node)
        if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)
    }
    return Statement(
        node,
        frozenset(loads | augmented),
        frozenset(binds),
        frozenset(_changes(node)),
        frozenset(_replaces(node)),
    )


def _of_scope(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """The names of the step that a function, class or comprehension reads and binds."""
    outer = [s for s in table.get_symbols() if s.is_global()]
    loads = {s.get_name() for s in outer if s.is_referenced()}
    binds = {s.get_name() for s in outer if s.is_assigned()}
    for child in table.get_children():
        inner_loads, inner_binds = _of_scope(child)
        loads |= inner_loads
        binds |= inner_binds
    return loads, binds


def _replaces(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        targets = [node.target]
    inside = (n for target in targets for n in ast.walk(target))
    return {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _changes(node: ast.stmt) -> set[str]:
    changed: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, (ast.Attribute, ast.Subscript)) and not isinstance(part.ctx, ast.Load):
            changed |= _names(part.value)
        elif isinstance(part, ast.AugAssign):
            changed |= _names(part.target)
        elif isinstance(part, ast.Call):
            changed |= _changed_by(part)
    return changed


def _changed_by(call: ast.Call) -> set[str]:
    function = call.func
    if isinstance(function, ast.Name) and function.id in _PURE_FUNCTIONS:
        return set()
    if isinstance(function, ast.Attribute):
        if function.attr in _MUTATORS:
            return _names(function.value)
        if function.attr in _PURE_METHODS:
            return set()
    return _names(call)


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
