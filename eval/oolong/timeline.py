"""The task group `timeline`.

One question is asked less often than in the source: how many dates are represented exactly n
times has a gold that counts among the 50 most frequent dates only. It is asked where no more than
50 dates have n lines or more, so that the gold is what the question says.
"""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from datetime import date

from eval.oolong.asked import ALL, CLOSE, Gold, Question, compared, of_subset, ranked
from eval.oolong.lines import MONTHS, Line, labels_of, short_date
from eval.oolong.windows import Window

COMPETING_DATES = 50
# "Exactly n times": n is the count of the date at this place, from 0.
NTH_DATE = 3
TRIES = 10
SHORTEST_RANGE = 10
_SINGLE = (
    "For how many months is the label '{a}' the single most frequently occuring label? Disregard "
    "months where there is a tie for the most common label.  Give your final answer in the form "
    "'Answer: [X]', where [X] is the number of months where '{a}' is the most common label."
)
_MORE_MONTHS = (
    "For how many months does the label '{a}' occur more frequently than the label '{b}'? "
    "Disregard months where there is a tie.  Give your final answer in the form 'Answer: [X]', "
    "where [X] is the number of months where '{a}' occurs more often than '{b}.'"
)
_FIRST_MONTH = (
    "In which month did the label '{a} first occur more often than the label '{b}'? Give your "
    "final answer in the form 'Answer: [month] [year]', where [month] is the name of the month and "
    "[year] is the four-digit year where '{a}' first occured more often than '{b}.'"
)


def timeline_questions(window: Window, draw: random.Random) -> Iterator[Question]:
    """The questions about dates over a context."""
    lines = sorted(window.lines, key=lambda line: line.date)
    yield from _dates(ranked([line.date for line in lines]))
    yield from _before_and_after(lines, draw)
    yield from _month(window.lines, draw)
    yield from _range(lines, draw)
    yield from _by_month(lines)


def _dates(dates: list[tuple[Gold, int]]) -> Iterator[Question]:
    form = (
        "Give your final answer in the form 'Date: [X]', where [X] is the date in the format "
        "MM/DD/YYYY."
    )
    text = f"{ALL} which date is represented {{}} often? {form}"
    counts = [count for _, count in dates]
    if len(dates) == 1 or counts[0] > counts[1]:
        yield Question("timeline", "MOST_FREQ", "DATE", text.format("most"), (dates[0][0],))
        if len(dates) > 2 and counts[1] > counts[2]:
            second = text.format("the second most")
            yield Question("timeline", "SECOND_MOST_FREQ", "DATE", second, (dates[1][0],))
    if len(dates) <= NTH_DATE:
        return
    n = counts[NTH_DATE]
    if sum(count >= n for count in counts) <= COMPETING_DATES:
        exactly = (
            f"{ALL} how many dates are represented exactly {n} times? Give your final answer in the"
            " form 'Answer: [X]', where [X] is the number of dates represented exactly "
            f"{n} times."
        )
        yield Question("timeline", "REPRESENTED_N_TIMES", "NUMERIC", exactly, (counts.count(n),))


def _before_and_after(lines: list[Line], draw: random.Random) -> Iterator[Question]:
    found: list[Question] = []
    for _ in range(TRIES):
        at = draw.randint(int(len(lines) * 0.15), int(len(lines) * 0.75))
        found = list(_around(lines, lines[at].date, draw))
        if found:
            break
    yield from found


def _around(lines: list[Line], day: date, draw: random.Random) -> Iterator[Question]:
    before = [line.label for line in lines if line.date < day]
    after = [line.label for line in lines if line.date > day]
    if not before or not after:
        return
    labels = sorted(set(before))
    draw.shuffle(labels)
    for label in labels:
        earlier, later = before.count(label) / len(before), after.count(label) / len(after)
        if abs(earlier - later) > CLOSE or earlier == later:
            text = (
                f"{ALL} was label '{label}' more common, less common, or the same frequency before "
                f"{day}, as compared to after {day}? Give your final answer in the form 'Answer: "
                f"{label} is [X] before {day}', where [X] is 'more common', 'less common', or 'the "
                "same frequency'."
            )
            gold = compared(earlier, later, ("more common", "less common", "the same frequency"))
            yield Question("timeline", "RELATIVE_FREQ", "COMPARISON", text, (gold,))


def _month(lines: tuple[Line, ...], draw: random.Random) -> Iterator[Question]:
    month = draw.choice(sorted({line.date.month for line in lines}))
    name = MONTHS[month - 1]
    about = (
        "For the following question, only consider the subset of instances that occur in "
        f"{name} of any year. Among instances occuring in {name},"
    )
    yield from of_subset([x.label for x in lines if x.date.month == month], "timeline", about)


def _range(lines: list[Line], draw: random.Random) -> Iterator[Question]:
    first = draw.randint(int(len(lines) * 0.1), int(len(lines) * 0.5))
    start = lines[first].date
    first = next(number for number, line in enumerate(lines) if line.date == start)
    least = first + SHORTEST_RANGE
    last = draw.randint(least, max(least + 2, int(len(lines) * 0.9)))
    end = lines[min(last, len(lines) - 1)].date
    about = (
        "For the following question, only consider the subset of instances that occur between "
        f"{short_date(start)} and {short_date(end)}, inclusive. Among instances occuring in this "
        "date range,"
    )
    labels = [line.label for line in lines if start <= line.date <= end]
    yield from of_subset(labels, "timeline", about)


def _by_month(lines: list[Line]) -> Iterator[Question]:
    months: dict[tuple[int, int], Counter[str]] = {}
    for line in lines:
        months.setdefault((line.date.year, line.date.month), Counter())[line.label] += 1
    pairs = list(itertools.permutations(labels_of(lines), 2))
    (year, month), first = next(iter(months.items()))
    for a, b in pairs:
        if first[a] > first[b]:
            gold = f"{MONTHS[month - 1]} {year}"
            text = _FIRST_MONTH.format(a=a, b=b)
            yield Question("timeline", "RELATIVE_FREQ", "MONTH_YEAR", text, (gold,))
    for a, b in pairs:
        more = sum(counts[a] > counts[b] for counts in months.values())
        text = _MORE_MONTHS.format(a=a, b=b)
        yield Question("timeline", "RELATIVE_FREQ", "NUMERIC", text, (more,))
    for a in labels_of(lines):
        single = sum(
            all(counts[a] > counts[b] for b in counts if b != a) for counts in months.values()
        )
        text = _SINGLE.format(a=a)
        yield Question("timeline", "MOST_FREQ", "NUMERIC", text, (single,))
