"""The twenty queries of OOLONG-Pairs: their words, and which pairs of users they ask for.

Source: appendix D.1 of the RLM paper (arXiv 2512.24601v3). "X or Y" includes both; dates are
strict; a user without an instance of a label fulfils every condition on all of its instances;
either user may play either role; nobody is paired with themselves.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Literal

from eval.oolong.lines import MONTHS, Line

# D description and abstract concept, E entity, H human being, N numeric value, L location,
# A abbreviation: the labels of trec_coarse in the order in which the queries list them.
LETTERS = "DEHNLA"
TREC_LABELS = (
    *("description and abstract concept", "entity", "human being"),
    *("numeric value", "location", "abbreviation"),
)
_FRAME = (
    "In the above data, list all pairs of user IDs (no duplicate pairs, list lower ID first) "
    "{condition}. Each of the {ones} can be labelled as one of the labels (the data does not "
    "provide the labels, you need to figure out the label from the semantics of the {one}): "
    "{labels}. In your answer, list all pairs in the format (user_id_1, user_id_2), separated by "
    "newlines."
)
_NUMBERS = {1: "one", 2: "two"}


@dataclass(frozen=True)
class Bound:
    """Something that must be true of all of a user's instances of a label.

    Args:
        letter: The label.
        side: Whether they are after or before the day.
        day: The day, which is on neither side.
    """

    letter: str
    side: Literal["after", "before"]
    day: date


@dataclass(frozen=True)
class Count:
    """How many instances of a label a user has."""

    letter: str
    number: int
    exactly: bool = False


Role = tuple[Count, ...]


@dataclass(frozen=True)
class Query:
    """One query: the same condition on both users, or two roles.

    Args:
        number: Its number in the paper, from 1.
        either: Two labels, of one of which both users have an instance; "" where there are roles.
        bound: What must be true of both users' instances besides.
        roles: What one user has, and what the other has.
        words: The first role in the paper's words, where they are not the usual ones.
    """

    number: int
    either: str = ""
    bound: Bound | None = None
    roles: tuple[Role, Role] | None = None
    words: str = ""

    def text(self, labels: Sequence[str], one: str) -> str:
        """The query in words.

        Args:
            labels: Six labels, in the order of `LETTERS`.
            one: What one instance is called, such as "question".
        """
        condition = self._condition(dict(zip(LETTERS, labels, strict=True)))
        listed = ", ".join(labels)
        return _FRAME.format(condition=condition, one=one, ones=f"{one}s", labels=listed)

    def pairs(self, lines: Iterable[Line], labels: Sequence[str]) -> list[tuple[int, int]]:
        """The pairs of users that it asks for, in order."""
        letters = dict(zip(labels, LETTERS, strict=True))
        users: dict[int, list[tuple[str, date]]] = {}
        for line in lines:
            users.setdefault(line.user, []).append((letters[line.label], line.date))
        if self.roles is None:
            fit = sorted(user for user, found in users.items() if self._both(found))
            return list(combinations(fit, 2))
        first, second = (
            [user for user, found in users.items() if _plays(role, found)] for role in self.roles
        )
        return sorted({(min(a, b), max(a, b)) for a in first for b in second if a != b})

    def _both(self, found: list[tuple[str, date]]) -> bool:
        if not any(letter in self.either for letter, _ in found):
            return False
        bound = self.bound
        if bound is None:
            return True
        days = [day for letter, day in found if letter == bound.letter]
        if bound.side == "after":
            return all(day > bound.day for day in days)
        return all(day < bound.day for day in days)

    def _condition(self, names: dict[str, str]) -> str:
        if self.roles is not None:
            one = self.words.format(**names) or _role(self.roles[0], names)
            return f"such that one user has {one}, and the other user has " + _role(
                self.roles[1], names
            )
        first, second = (names[letter] for letter in self.either)
        text = f"where both users have at least one instance with {_a(first)} or {second}"
        if self.bound is not None:
            day = self.bound.day
            text += (
                f", and all instances that are {_a(names[self.bound.letter])} for both users must "
                f"be {self.bound.side} {MONTHS[day.month - 1]} {day.day}, {day.year}"
            )
        return text


def _plays(role: Role, found: list[tuple[str, date]]) -> bool:
    has = Counter(letter for letter, _ in found)
    return all(has[c.letter] == c.number if c.exactly else has[c.letter] >= c.number for c in role)


def _role(role: Role, names: dict[str, str]) -> str:
    parts = [
        f"{'exactly' if c.exactly else 'at least'} {_NUMBERS[c.number]} "
        f"instance{'s' if c.number > 1 else ''} with {names[c.letter]}"
        for c in role
    ]
    if len(parts) < 3:
        return " and ".join(parts)
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _roles(text: str) -> tuple[Role, Role]:
    """Two roles from "E1 A1 / E=1": a label and its least, or its exact, number."""
    one, other = (
        tuple(Count(word[0], int(word[-1]), "=" in word) for word in side.split())
        for side in text.split("/")
    )
    return one, other


QUERIES = (
    Query(1, "NL"),
    Query(2, "EH"),
    Query(3, "DA"),
    Query(4, "HL", Bound("H", "after", date(2023, 1, 6))),
    Query(5, "EN", Bound("E", "before", date(2023, 3, 15))),
    Query(6, "LA"),
    Query(7, "DN", Bound("N", "after", date(2023, 2, 1))),
    Query(8, "HD"),
    Query(9, "EL", Bound("L", "after", date(2023, 4, 10))),
    Query(10, "NA", Bound("A", "before", date(2023, 5, 20))),
    Query(
        11,
        roles=_roles("E1 A1 / E=1"),
        words="at least one instance with {E} and one with {A}",
    ),
    Query(12, roles=_roles("N2 / L1 H1")),
    Query(13, roles=_roles("D=1 / A1 E1")),
    Query(14, roles=_roles("H1 N1 / L=2")),
    Query(15, roles=_roles("E1 L1 A1 / N=1")),
    Query(16, roles=_roles("D1 H1 / E2 A=1")),
    Query(17, roles=_roles("N=1 / L1 D1")),
    Query(18, roles=_roles("A1 H=1 / E1 N1")),
    Query(19, roles=_roles("L2 E1 / D=1 A=1")),
    Query(20, roles=_roles("N1 H1 / L1 E1 A=1")),
)
