"""Answers without a model: how often the rules of `phase0="auto"` are right, and how often silent.

    uv run --all-extras python -m bench.phase0

Each question is about a generated text. "Certain" ones have an answer that the text gives in a form
the rules know. "Near misses" look the same, but the text has the label or the row twice, or the
question asks for something else: the right thing is to leave them to a model. "Traps" are texts
that take back in other words what a label says, or only show it as an example: no rule can see
that, and they are counted apart. No model is asked.
"""

import argparse
import random
from collections import Counter
from dataclasses import dataclass
from types import FunctionType

from bench.header import command_line, header
from rlm_dspy import Context, RLMOptions
from rlm_dspy.phase0 import looked_up
from rlm_dspy.signatures import outer_signature

_LABELS = ("invoice number", "due date", "total", "contract value", "project lead", "order id")
_LABELS += ("delivery address", "reference", "account manager", "start date", "port of call")
_NAMES = ("Roth", "Okafor", "Lindqvist", "Tanaka", "Moreau", "Silva", "Novak", "Haddad", "Byrne")
_GOODS = ("rope", "sail", "tar", "anchor", "lantern", "barrel", "compass", "canvas", "chart")
_STATES = ("open", "paid", "late", "void")
_PROSE = (
    "The clerk noted the weather and went home.",
    "Rain fell until the evening.",
    "Nobody asked for more that day.",
    "The report was read twice, and filed.",
)
_FORMS = ("{}: {}", "**{}:** {}", "- {}: {}", '"{}": "{}",', "{} = {}", "| {}: {}")
_SIGNATURE = outer_signature("context, query -> answer: str")


@dataclass(frozen=True)
class Question:
    """A question, its text, and the right answer; None where a model must answer."""

    text: str
    asked: str
    right: str | None


def _lines(draw: random.Random, *lines: str) -> str:
    """Lines at random places of some prose, in their order."""
    prose = [draw.choice(_PROSE) for _ in range(draw.randint(5, 40))]
    places = sorted(draw.sample(range(len(prose)), len(lines)), reverse=True)
    for place, line in zip(places, reversed(lines), strict=True):
        prose.insert(place, line)
    return "\n".join(prose)


def _field(draw: random.Random, label: str, value: str) -> str:
    written = draw.choice((label, label.capitalize(), label.title()))
    return draw.choice(_FORMS).format(written, value)


def _value(draw: random.Random) -> str:
    numbers = (str(draw.randint(100, 99_999)), f"{draw.randint(1, 999)},{draw.randint(100, 999)}")
    return draw.choice((*numbers, f"{draw.choice(_NAMES)} {draw.randint(1, 9)}"))


def _ask(draw: random.Random, label: str) -> str:
    forms = ("What is the {}?", "what's the {}", "The {}?", "What was {}?")
    return draw.choice(forms).format(label)


def _table(draw: random.Random, goods: list[str]) -> tuple[str, dict[str, tuple[str, str]]]:
    rows = {g: (f"{draw.randint(1, 900)} EUR", draw.choice(_STATES)) for g in goods}
    separator = draw.choice(("| ", ",", "\t"))
    rule = ["---|---|---"] if separator == "| " else []
    lines: list[str] = [separator.join(("item", "price", "status")), *rule]
    lines += [separator.join((g, *rest)) for g, rest in rows.items()]
    return "\n".join(lines), rows


def certain_field(draw: random.Random) -> Question:
    """A label that stands once."""
    label, other = draw.sample(_LABELS, 2)
    value = _value(draw)
    both = (_field(draw, label, value), _field(draw, other, _value(draw)))
    return Question(_lines(draw, *draw.sample(both, 2)), _ask(draw, label), value)


def certain_cell(draw: random.Random) -> Question:
    """A row of a table that is named by its first cell."""
    goods = draw.sample(_GOODS, 5)
    table, rows = _table(draw, goods)
    column = draw.choice((0, 1))
    asked = f"What is the {('price', 'status')[column]} of the {goods[0]}?"
    asked = asked.replace("of the", draw.choice(("of", "for")))
    return Question(table, asked, rows[goods[0]][column])


def certain_count(draw: random.Random) -> Question:
    """How many rows have a value."""
    table, rows = _table(draw, draw.sample(_GOODS, 7))
    state = draw.choice([state for _, state in rows.values()])
    number = sum(s == state for _, s in rows.values())
    return Question(table, f"How many rows are there where status is {state}?", str(number))


def label_twice(draw: random.Random) -> Question:
    """A label with two values."""
    label = draw.choice(_LABELS)
    lines = [_field(draw, label, _value(draw) + ending) for ending in ("1", "2")]
    return Question(_lines(draw, *lines), _ask(draw, label), None)


def taken_back(draw: random.Random) -> Question:
    """A label whose value prose corrects, by its name."""
    label = draw.choice(_LABELS)
    later = f"Correction: the {label} is {_value(draw)} now."
    return Question(_lines(draw, _field(draw, label, _value(draw)), later), _ask(draw, label), None)


def longer_label(draw: random.Random) -> Question:
    """Another label that ends or begins like the one asked for."""
    label = draw.choice(_LABELS)
    other = draw.choice((f"old {label}", f"{label} before tax", f"previous {label}"))
    return Question(_lines(draw, _field(draw, other, _value(draw))), _ask(draw, label), None)


def narrower(draw: random.Random) -> Question:
    """A question about less than the label says."""
    label = draw.choice(_LABELS)
    more = draw.choice(("of the first order", "in dollars", "last year", "without tax", "by month"))
    text = _lines(draw, _field(draw, label, _value(draw)))
    return Question(text, f"What is the {label} {more}?", None)


def row_twice(draw: random.Random) -> Question:
    """Two rows of one name."""
    goods = draw.sample(_GOODS, 4)
    table, _ = _table(draw, goods)
    again = next(line for line in table.split("\n") if line.startswith(goods[0]))
    return Question(f"{table}\n{again[:-1]}9x", f"What is the status of {goods[0]}?", None)


def two_conditions(draw: random.Random) -> Question:
    """A count with a condition that the rules do not know."""
    table, _ = _table(draw, draw.sample(_GOODS, 6))
    more = draw.choice(("and price is below 50", "or late", "before May", "but not paid"))
    return Question(table, f"How many rows where status is open {more}?", None)


def most(draw: random.Random) -> Question:
    """A question for the greatest of a column."""
    table, _ = _table(draw, draw.sample(_GOODS, 6))
    asked = draw.choice(("What is the highest price?", "What is the price of the cheapest item?"))
    return Question(table, asked, None)


def of_another(draw: random.Random) -> Question:
    """A label of one thing, asked of another."""
    label = draw.choice(_LABELS)
    text = _lines(draw, f"Form of {_NAMES[0]}", _field(draw, label, _value(draw)))
    return Question(text, f"What is the {label} of {_NAMES[1]}?", None)


def in_other_words(draw: random.Random) -> Question:
    """A value that prose takes back without its label."""
    label = draw.choice(_LABELS)
    later = f"What the form says above is out of date: it is {_value(draw)} now."
    return Question(_lines(draw, _field(draw, label, _value(draw)), later), _ask(draw, label), None)


def an_example(draw: random.Random) -> Question:
    """A label that only an example has."""
    label = draw.choice(_LABELS)
    lines = ("A form is filled in like this (made-up values):", _field(draw, label, _value(draw)))
    return Question(_lines(draw, *lines), _ask(draw, label), None)


KINDS: dict[str, tuple[FunctionType, ...]] = {
    "certain": (certain_field, certain_cell, certain_count),
    "near miss": (
        *(label_twice, taken_back, longer_label, narrower),
        *(row_twice, two_conditions, most, of_another),
    ),
    "trap": (in_other_words, an_example),
}


def measured(made: FunctionType, count: int, seed: int) -> Counter[str]:
    """How many questions of one kind were answered "right", "wrong", or left "silent"."""
    draw, tally = random.Random(f"{seed} {made.__name__}"), Counter[str]()
    options = RLMOptions(phase0="auto")
    for _ in range(count):
        question = made(draw)
        inputs = {"context": Context.from_text(question.text), "query": question.asked}
        found = looked_up(_SIGNATURE, inputs, options)
        said = None if found is None else found.outputs["answer"]
        tally["silent" if said is None else "right" if said == question.right else "wrong"] += 1
    return tally


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=500, help="questions of each kind")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(header(command_line("bench.phase0")))
    for group, kinds in KINDS.items():
        total = Counter[str]()
        for made in kinds:
            tally = measured(made, args.count, args.seed)
            total += tally
            print(f"{group:10} {made.__name__:16} {_line(tally)}")
        print(f"{group:10} {'all':16} {_line(total)}")


def _line(tally: Counter[str]) -> str:
    return "  ".join(f"{name} {tally[name]:5,}" for name in ("right", "wrong", "silent"))


if __name__ == "__main__":
    main()
