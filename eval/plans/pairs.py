"""The plan for OOLONG-Pairs: label every line, then test every user and pair in code."""

import re

from eval.plans.reading import Reading

_LISTED = re.compile(r"from the semantics of the \w+\): (.+)\. In your answer")
_BOTH = re.compile(r"at least one instance with an? (.+?) or (.+?)(?:, and all|\. Each of)")
_BOUND = re.compile(r"instances that are an? (.+?) for both users must be (\w+) (\w+) (\d+), (\d+)")
_ROLES = re.compile(r"such that one user has (.+), and the other user has (.+?)\. Each of")
_NUMBERS = {"one": 1, "two": 2}
_USERS = """
part = rows
{labels}
users = {{}}
for row, label in zip(rows, labels):
    users.setdefault(row[1], []).append((label, row[0]))
def number(user, label):
    return sum(1 for other, day in users[user] if other == label)
def days(user, label):
    return [day for other, day in users[user] if other == label]
first = [user for user in users if {first}]
second = [user for user in users if {second}]
pairs = {{(min(a, b), max(a, b)) for a in first for b in second if a != b}}
SUBMIT({output}="\\n".join("(" + str(a) + ", " + str(b) + ")" for a, b in sorted(pairs)))
"""


def pairs_plan(reading: Reading) -> tuple[str, str] | None:
    """The two steps; None for another question."""
    listed = _LISTED.search(reading.question)
    if listed is None:
        return None
    if roles := _ROLES.search(reading.question):
        first, second = (_role(side, listed[1].split(", ")) for side in roles.groups())
    else:
        first = second = _both(reading.question)
    code = _USERS.format(labels=reading.labels(), first=first, second=second, output=reading.output)
    return reading.rows(), code


def _both(question: str) -> str:
    either = _BOTH.search(question)
    assert either is not None, question
    test = f"(number(user, {either[1]!r}) or number(user, {either[2]!r}))"
    if bound := _BOUND.search(question):
        label, side, month, day, year = bound.groups()
        sign = ">" if side == "after" else "<"
        limit = f"date({year}, months.index({month[:3]!r}) + 1, {day})"
        test += f" and all(day {sign} {limit} for day in days(user, {label!r}))"
    return test


def _role(text: str, names: list[str]) -> str:
    either = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    has = re.findall(rf"(?:(exactly|at least) )?(one|two)(?: instances?)? with ({either})", text)
    return " and ".join(
        f"number(user, {label!r}) {'==' if how == 'exactly' else '>='} {_NUMBERS[count]}"
        for how, count, label in has
    )
