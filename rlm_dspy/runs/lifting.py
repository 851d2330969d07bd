"""Parameters of code: the literals in it that the query says, so that another query can say others.

Only a whole literal is lifted: a name, a number or a phrase that stands in the query as it does in
the code, or a list whose members the query enumerates. What cannot be told to come from the query
stays as it is, and then the query's own words stay too: a query fits only where all that is not
lifted is said again. Names and numbers that the code says nowhere may be others, where it asks the
query itself. Nothing is lifted that is also said elsewhere in the code, in part of a longer
text, since that would stay behind. Members of a fixed set, such as the labels that a question is
asked with, may be; their parameter then takes only members of that set.
"""

import ast
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rlm_dspy.runs.query_words import (
    Place,
    is_quoted,
    spans_of,
    stands_out,
    template_of,
    words_of,
)
from rlm_dspy.runs.rewriting_code import outside_of_fstrings, replaced

PREFIX = "asked_"
# From so many digits on, a number in brackets is a key and no place in a list.
_KEY_DIGITS = 4
_ASKING = {"query", "question"}


@dataclass(frozen=True)
class Lifted:
    """Code with parameters.

    Args:
        steps: The steps, with names in place of what was lifted.
        parameters: What was lifted, by those names.
        template: The query with places for them; empty where the code takes any query.
        choices: The only values that a parameter takes, where they are few.
    """

    steps: tuple[str, ...]
    parameters: dict[str, Any]
    template: str
    choices: dict[str, list[Any]]


@dataclass(frozen=True)
class _Found:
    """A literal in the code, or a list of them.

    Args:
        step: The step it stands in, from 0.
        node: Where.
        value: What it says.
        movable: Whether a name could stand in its place.
        fixed: The other members of the set that it stands in, if it is one of several.
    """

    step: int
    node: ast.expr
    value: Any
    movable: bool
    fixed: tuple[Any, ...] = ()


def lifted(steps: Sequence[str], query: str) -> Lifted:
    """Code with parameters for what the query says.

    Args:
        steps: The code of each step.
        query: The query that it was written for.
    """
    steps = tuple(_asking_itself(code, query) for code in steps)
    found = [one for number, code in enumerate(steps) for one in _literals(number, code, query)]
    taken = _taken(found, query)
    names = dict(zip(map(_key, taken), _unused(steps), strict=False))
    moved = [one for one in found if _moves(one) and _key(one.value) in names]
    parameters = {names[_key(value)]: value for value in taken}
    left = [one for one in found if one not in moved]
    asks = _reads_query(steps)
    said = {word for one in left if isinstance(one.value, str) for word in words_of(one.value)}
    said |= {str(one.value) for one in left if isinstance(one.value, int)}
    free = asks and not taken and not said & words_of(query)
    places = {names[_key(value)]: value for value in taken}
    return Lifted(
        tuple(_renamed(code, number, moved, names) for number, code in enumerate(steps)),
        parameters,
        "" if free else template_of(query, places, said if asks else None),
        {names[_key(v)]: c for v in taken if (c := _choices(v, left))},
    )


def _unused(steps: Sequence[str]) -> Iterator[str]:
    """Names that the code does not have."""
    used = {n.id for code in steps for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name)}
    return (name for n in itertools.count(1) if (name := f"{PREFIX}{n}") not in used)


def _asking_itself(code: str, query: str) -> str:
    """Code in which a literal that is the whole query is the variable that holds it."""
    whole = " ".join(query.split())
    nodes = [
        node
        for node in outside_of_fstrings(ast.parse(code))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and " ".join(node.value.split()) == whole
    ]
    return replaced(code, [(node, "query") for node in nodes if whole])


def _reads_query(steps: Sequence[str]) -> bool:
    nodes = (node for code in steps for node in ast.walk(ast.parse(code)))
    return any(isinstance(node, ast.Name) and node.id in _ASKING for node in nodes)


def _literals(step: int, code: str, query: str) -> Iterator[_Found]:
    """The literals of a step, those within a display with what else stands in it."""
    tree = ast.parse(code)
    plain = set(map(id, outside_of_fstrings(tree)))
    ignored = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    bound = {id(n) for node in ast.walk(tree) for n in _positional(node)}
    members: dict[int, tuple[Any, ...]] = {}
    for node in ast.walk(tree):
        values = _members(node)
        if len(values) < 2:
            continue
        said = [part.value for part in values]
        if isinstance(node, ast.List) and id(node) in plain and spans_of(said, query):
            yield _Found(step, node, said, True)
            ignored.update(map(id, values))
        else:
            members |= {id(part): tuple(said) for part in values}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in ignored:
            continue
        if isinstance(node.value, str) or type(node.value) is int:
            movable = id(node) in plain and id(node) not in bound
            yield _Found(step, node, node.value, movable, members.get(id(node), ()))


def _members(node: ast.AST) -> list[ast.Constant]:
    """The members of a list, tuple, set or dict that holds nothing but literals of one kind."""
    parts = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
    found = [part for part in parts if isinstance(part, ast.Constant)]
    kinds = {type(part.value) for part in found}
    return found if len(found) == len(parts) and kinds in ({str}, {int}) else []


def _positional(node: ast.AST) -> Iterator[ast.AST]:
    """What is no name or number of the question's, but a place or a size: in slices, in sums."""
    if isinstance(node, ast.Subscript):
        within = node.slice
        if isinstance(within, ast.Slice):
            yield from filter(_is_number, ast.walk(within))
        elif isinstance(within, ast.Constant) and _is_place(within):
            yield within
    elif isinstance(node, (ast.BinOp, ast.UnaryOp)):
        yield from (part for part in ast.iter_child_nodes(node) if _is_number(part))
    elif isinstance(node, ast.match_case):
        yield from ast.walk(node.pattern)


def _is_place(node: ast.Constant) -> bool:
    return _is_number(node) and len(str(node.value)) < _KEY_DIGITS


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def _moves(one: _Found) -> bool:
    return one.movable and not one.fixed


def _taken(found: Sequence[_Found], query: str) -> list[Any]:
    """What is lifted, the longest first: what the query says, and nothing else in the code."""
    values = {_key(one.value): one.value for one in found if _moves(one)}
    fixed = {value for one in found for value in one.fixed}
    taken = [v for v in values.values() if spans_of(v, query) and _is_specific(v, query, fixed)]
    taken.sort(key=lambda value: -len(str(value)))
    while (
        bad := next((v for v in taken if _stays_behind(v, taken, found, query)), None)
    ) is not None:
        taken.remove(bad)
    return taken


def _is_specific(value: Any, query: str, fixed: set[Any]) -> bool:
    if isinstance(value, list) or value in fixed:
        return True
    if isinstance(value, int):
        return abs(value) > 9
    return stands_out(value) or all(is_quoted(span, query) for span in spans_of(value, query))


def _stays_behind(value: Any, taken: Sequence[Any], found: Sequence[_Found], query: str) -> bool:
    """Whether something that is not lifted, or is lifted apart from it, says a value too."""
    own = spans_of(value, query)
    for other in taken:
        apart = other is value or not any(
            _overlap(a, b) for a in own for b in spans_of(other, query)
        )
        if not apart and len(str(other)) <= len(str(value)):
            return True
    words = words_of(value)
    for one in found:
        if _moves(one) and any(_key(one.value) == _key(other) for other in taken):
            continue
        if words & words_of(one.value) and not _names_a_set(one, value, found):
            return True
    return False


def _names_a_set(one: _Found, value: Any, found: Sequence[_Found]) -> bool:
    """Whether a literal says a value only as one of a set: in a display, or listed in a text."""
    members = value if isinstance(value, list) else [value]
    sets = [set(other.fixed) for other in found if set(members) <= set(other.fixed)]
    if one.fixed:
        return set(members) <= set(one.fixed) or one.value not in members
    return isinstance(one.value, str) and any(
        all(words_of(member) <= words_of(one.value) for member in each) for each in sets
    )


def _choices(value: Any, left: Sequence[_Found]) -> list[Any]:
    members = set(value) if isinstance(value, list) else {value}
    sets = [one.fixed for one in left if members <= set(one.fixed)]
    return [item for item in dict.fromkeys(sets[0]) if all(item in s for s in sets)] if sets else []


def _overlap(one: Place, other: Place) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _key(value: Any) -> tuple[str, str]:
    return type(value).__name__, repr(value)


def _renamed(
    code: str, step: int, moved: Sequence[_Found], names: dict[tuple[str, str], str]
) -> str:
    return replaced(code, [(m.node, names[_key(m.value)]) for m in moved if m.step == step])
