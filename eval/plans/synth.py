"""The plans for OOLONG-synth: take the lines that are meant, label them if it matters, count."""

import re

from eval.oolong.lines import MONTHS
from eval.plans.reading import Reading

_DAY = r"(\w{3} \d{2}, \d{4})"
_ONLY = "For the following question, only consider the subset of instances that "
# What the question is about: a pattern, and the test of a row of (date, user, text, label).
_SCOPES = (
    (r"In the above data, ", "True"),
    (rf"{_ONLY}are associated with user IDs (\d+(?:, \d+)*)\. .*? users, ", "row[1] in [{0}]"),
    (rf"{_ONLY}occur in (\w+) of any year\. .*? in \w+, ", "row[0].month == {0}"),
    (rf"{_ONLY}occur between {_DAY} and {_DAY}, inclusive\. .*? range, ", "{0} <= row[0] <= {1}"),
    (r"(?=In which month|For how many months)", "True"),
)
# The lines' labels, the rows with dates and users, or both.
LABELS, ROWS, BOTH = "labels", "rows", "both"
_MONTHLY = """
by_month = {{}}
for row, label in sorted(zip(part, labels)):
    by_month.setdefault((row[0].year, row[0].month), Counter())[label] += 1
"""
# A pattern of the question proper, what its code needs of the lines, and the code.
_QUESTIONS = (
    (
        r"which of the labels is the (most|least) common\? .*? one of the labels: (.+)\.$",
        LABELS,
        'found = {choose}({listed}, key=labels.count)\nSUBMIT({output}="Label: " + found)',
    ),
    (
        r"is label '(.+?)' more common, .*? as label '(.+?)'\?",
        LABELS,
        "a, b = labels.count({0!r}), labels.count({1!r})\n"
        "how = 'more common than' if a > b else 'less common than' if a < b else ''\n"
        'SUBMIT({output}="Answer: " + {0!r} + " is " + (how or "same frequency as") + " " + {1!r})',
    ),
    (
        r"how many data points should be classified as label '(.+?)'\?",
        LABELS,
        'SUBMIT({output}="Answer: " + str(labels.count({0!r})))',
    ),
    (
        r"which user is represented (?:the (second) )?most often\?",
        ROWS,
        "ranked = Counter(row[1] for row in part).most_common(2)\n"
        'SUBMIT({output}="User: " + str(ranked[{place}][0]))',
    ),
    (
        r"which user has the most instances with the label (.+?)\? Give",
        BOTH,
        "mine = Counter(row[1] for row, label in zip(part, labels) if label == {0!r})\n"
        "ranked = mine.most_common(1)\n"
        'SUBMIT({output}="User: " + (str(ranked[0][0]) if ranked else "none"))',
    ),
    (
        r"which user has more instances with the label (.+): User (\d+) or User (\d+)\?",
        BOTH,
        "mine = Counter(row[1] for row, label in zip(part, labels) if label == {0!r})\n"
        'SUBMIT({output}="User: " + str({1} if mine[{1}] > mine[{2}] else {2}))',
    ),
    (
        r"which date is represented (?:the (second) )?most often\?",
        ROWS,
        "found = Counter(row[0] for row in part).most_common(2)[{place}][0]\n"
        'SUBMIT({output}=f"Date: {{found.month:02}}/{{found.day:02}}/{{found.year}}")',
    ),
    (
        r"how many dates are represented exactly (\d+) times\?",
        ROWS,
        "counts = Counter(row[0] for row in part).values()\n"
        'SUBMIT({output}="Answer: " + str(sum(1 for count in counts if count == {0})))',
    ),
    (
        r"was label '(.+?)' more common, .*? before (\d+)-(\d+)-(\d+), as compared",
        BOTH,
        "day = date({1}, {month}, {day})\n"
        "early = [label for row, label in zip(part, labels) if row[0] < day]\n"
        "late = [label for row, label in zip(part, labels) if row[0] > day]\n"
        "a, b = early.count({0!r}) / len(early), late.count({0!r}) / len(late)\n"
        "how = 'more common' if a > b else 'less common' if a < b else 'the same frequency'\n"
        'SUBMIT({output}="Answer: " + {0!r} + " is " + how + " before " + str(day))',
    ),
    (
        r"In which month did the label '(.+?) first occur more often than the label '(.+?)'\?",
        BOTH,
        _MONTHLY + "led = [month for month, n in by_month.items() if n[{0!r}] > n[{1!r}]]\n"
        "names = {months}\n"
        'found = f"{{names[led[0][1] - 1]}} {{led[0][0]}}" if led else "none"\n'
        'SUBMIT({output}="Answer: " + found)',
    ),
    (
        r"For how many months does the label '(.+?)' occur more .*? than the label '(.+?)'\?",
        BOTH,
        _MONTHLY + "led = [month for month, n in by_month.items() if n[{0!r}] > n[{1!r}]]\n"
        'SUBMIT({output}="Answer: " + str(len(led)))',
    ),
    (
        r"For how many months is the label '(.+?)' the single most",
        BOTH,
        _MONTHLY + "def single(n):\n"
        "    return all(n[{0!r}] > n[other] for other in n if other != {0!r})\n"
        'SUBMIT({output}="Answer: " + str(sum(1 for n in by_month.values() if single(n))))',
    ),
)


def synth_plan(reading: Reading) -> tuple[str, str] | None:
    """The two steps; None for a question that it does not know."""
    for pattern, test in _SCOPES:
        if scope := re.match(pattern, reading.question):
            rest = reading.question[scope.end() :]
            part = f"part = [row for row in rows if {test.format(*map(_value, scope.groups()))}]\n"
            for asked, needs, code in _QUESTIONS:
                if found := re.match(asked, rest):
                    if needs == LABELS and test == "True":
                        return reading.texts_and_labels(), _filled(code, found, reading)
                    labels = "" if needs == ROWS else reading.labels()
                    return reading.rows(), part + labels + _filled(code, found, reading)
    return None


def _filled(code: str, found: re.Match[str], reading: Reading) -> str:
    groups = found.groups()
    last = groups[-1] or ""
    return code.format(
        *groups,
        output=reading.output,
        choose="max" if groups[0] == "most" else "min",
        listed=last.split(", "),
        place=int(groups[0] == "second"),
        months=list(MONTHS),
        month=int(groups[2]) if len(groups) == 4 else 0,
        day=int(groups[3]) if len(groups) == 4 else 0,
    )


def _value(text: str) -> str:
    """A value of a scope as code: a month's number, a date, or ids."""
    if text in MONTHS:
        return str(MONTHS.index(text) + 1)
    if text[:3].isalpha():
        month, day, year = text.replace(",", "").split()
        return f"date({year}, months.index({month!r}) + 1, {int(day)})"
    return text
