"""Answers without a model: declared, by rule, and left alone."""

import datetime

import dspy
import pytest
from dspy.signatures.signature import make_signature
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.phase0 import KINDS, measured
from rlm_dspy import RLM, Context, ContextError, Lookup, RLMOptions
from rlm_dspy.measures import date_of, number_of
from rlm_dspy.phase0 import typed
from rlm_dspy.testing import ScriptedLM, code

INVOICE = """# Invoice

**Invoice number:** 4711
Due date: 12 March 2024
"total": "$1.2 million",
Paid: yes
Note: first
Note: second

| item | price | status |
|---|---|---|
| rope | 12 EUR | open |
| sail | 80 EUR | paid |
| tar | 7.5 EUR | open |
"""
ORDERS = 'id,name,total\n1,"Roth, Eva",10\n2,Bo,20\n'
CONTEXT = Context.from_documents(
    [
        {"title": "invoice.md", "path": "in/invoice.md", "text": INVOICE},
        {"title": "orders.csv", "path": "in/orders.csv", "text": ORDERS},
    ]
)


def asked(phase0, query="What?", answer=str, context=CONTEXT, **options):
    fields = {
        "context": (str, dspy.InputField()),
        "query": (str, dspy.InputField()),
        "answer": (answer, dspy.OutputField()),
    }
    lm = ScriptedLM([code("SUBMIT(answer=None)")])
    with dspy.context(lm=lm):
        rlm = RLM(make_signature(fields), options=RLMOptions(phase0=phase0), **options)
        return rlm(context=context, query=query)


@pytest.mark.parametrize(
    ("lookup", "kind", "answer", "line"),
    [
        (Lookup(field="invoice number"), str, "4711", 3),
        (Lookup(field="Invoice  Number"), int, 4711, 3),
        (Lookup(field="due date"), datetime.date, datetime.date(2024, 3, 12), 4),
        (Lookup(field="total"), float, 1_200_000.0, 5),
        (Lookup(field="paid"), bool, True, 6),
        (Lookup(after="Due date: "), datetime.date | None, datetime.date(2024, 3, 12), 4),
        (Lookup(pattern=r"(?P<day>\d+) (?P<value>[A-Z]\w+) \d{4}"), str, "March", 4),
        (Lookup(pattern=r"\d{4}$"), list[str], None, None),
        (Lookup(column="status", where={"item": "SAIL"}), str, "paid", 13),
        (Lookup(column="total", where={"name": "Roth, Eva"}), int, 10, 2),
        (Lookup(aggregate="count", where={"status": "open"}), int, 2, 12),
        (Lookup(aggregate="sum", column="price", where={"status": "open"}), float, 19.5, 12),
        (Lookup(aggregate="mean", column="total"), float, 15.0, 2),
        (Lookup(aggregate="max", column="price"), int, 80, 12),
        (Lookup(when=r"order (?P<n>\d)", column="total", where={"id": "{n}"}), int, 20, 3),
        (Lookup(when=r"order (?P<n>\d)", pattern=r"^{n},(\w+),"), str, "Bo", 3),
    ],
)
def test_what_is_declared_is_found(lookup, kind, answer, line):
    result = asked((lookup,), "The total of order 2?", kind)
    if answer is None:
        assert result.run.planned_by == "model"
        return
    assert (result.answer, result.run.planned_by) == (answer, "phase0")
    spend = result.run.spend
    assert (result.run.status, spend.calls, spend.steps) == ("completed", 0, 0)
    started, looked_up, _ = result.run.events
    assert (started.planned_by, looked_up.outputs) == ("phase0", {"answer": answer})
    found = looked_up.found["answer"]
    assert (found.line, found.how) == (line, "exact")
    assert CONTEXT[found.start : found.end] == found.text


@pytest.mark.parametrize(
    ("lookup", "kind"),
    [
        (Lookup(field="note"), str),  # two values
        (Lookup(field="notes"), str),  # none
        (Lookup(field="total"), datetime.date),  # another type
        (Lookup(field="due date"), int),
        (Lookup(when="nothing of the kind", field="total"), str),
        (Lookup(column="price"), str),  # three rows
        (Lookup(column="price", where={"item": "flag"}), str),
        (Lookup(column="weight", where={"item": "rope"}), str),
        (Lookup(aggregate="sum", column="item"), float),
        (Lookup(aggregate="count"), int),  # two tables
    ],
)
def test_what_is_not_certain_goes_to_the_model(lookup, kind):
    result = asked((lookup,), answer=kind | None)
    assert (result.answer, result.run.planned_by) == (None, "model")


@pytest.mark.parametrize(
    ("text", "lookup", "answer"),
    [
        ("state: ok\n" + "the state report\n" * 1_100 + "state: off", Lookup(field="state"), None),
        ("a=1\n" + "a=\n" * 1_100 + "a=2", Lookup(pattern=r"a=(\w*)"), None),
        ("Sum: " + "word " * 80 + "END", Lookup(after="Sum: "), ("word " * 80) + "END"),
        ('{\n "port": 8080,\n}', Lookup(field="port"), "8080"),
        ('{\n "on": true,\n}', Lookup(field="on"), "true"),
        ('{\n "name": "a \\"b\\"",\n}', Lookup(field="name"), 'a "b"'),
        ('{\n "port": 1, "name": "b",\n}', Lookup(field="port"), None),
        ('{\n "server": {\n  "name": "a"}}', Lookup(field="server"), None),
        ('{\n "server": null\n}', Lookup(field="server"), None),
        ("text: |\n  more\n", Lookup(field="text"), None),
        ("text: >-\n  more\n", Lookup(field="text"), None),
    ],
)
def test_values_are_whole_and_certain(text, lookup, answer):
    found = asked((lookup,), answer=str | None, context=Context.from_text(text))
    assert (found.answer, found.run.planned_by) == (answer, "phase0" if answer else "model")


def test_every_output_must_be_found_and_citations_come_with_them():
    signature = "context, query -> number: int, total: float, sources: list[Citation]"
    both = (Lookup(field="invoice number"), Lookup(output="total", field="total"))
    lm = ScriptedLM([code("SUBMIT(number=1, total=2, sources=[])")])
    with dspy.context(lm=lm):
        found = RLM(signature, options=RLMOptions(phase0=both))(context=CONTEXT, query="q")
        half = RLM(signature, options=RLMOptions(phase0=both[:1]))(context=CONTEXT, query="q")
    assert (found.number, found.total, found.run.planned_by) == (4711, 1.2e6, "phase0")
    assert [c.place for c in found.sources] == ["in/invoice.md:3", "in/invoice.md:5"]
    assert found.run.citations == tuple(found.sources)
    assert (half.number, half.run.planned_by) == (1, "model")


def test_a_recipe_and_a_run_without_it_are_left_alone():
    lookups = (Lookup(field="invoice number"),)
    assert asked(lookups, recipe="general").run.planned_by == "recipe"
    assert asked("off", "What is the invoice number?", str | None).run.planned_by == "model"


def test_a_pattern_that_is_refused():
    pytest.importorskip("re2")
    with pytest.raises(ContextError, match="linear"):
        asked((Lookup(pattern="(?<=a)b"),))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"field": "a", "after": "b"},
        {"pattern": "("},
        {"when": "(", "field": "a"},
        {"field": "a", "where": {"b": "c"}},
        {"aggregate": "sum"},
        {"field": "a", "aggregate": "count"},
        {"label": "a"},
    ],
)
def test_what_declares_nothing(given):
    with pytest.raises(ValidationError):
        Lookup(**given)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("What is the invoice number?", "4711"),
        ("what's the due date", "12 March 2024"),
        ("What is the price of sail?", "80 EUR"),
        ("How many rows where status is open?", "2"),
        ("What is the total?", None),  # a label, and a column
        ("What is the note?", None),
        ("What is the invoice number of Bo?", None),
        ("How many rows where status is gone?", None),
        ("Tell me everything.", None),
    ],
)
def test_the_rules(query, answer):
    result = asked("auto", query, str | None)
    assert (result.answer, result.run.planned_by == "phase0") == (answer, answer is not None)


@pytest.mark.parametrize("made", [made for kinds in KINDS.values() for made in kinds])
def test_the_rules_are_as_precise_as_is_said(made):
    group = next(group for group, kinds in KINDS.items() if made in kinds)
    said = {"certain": "right", "near miss": "silent", "trap": "wrong"}[group]
    assert measured(made, 5, seed=1) == {said: 5}


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.sampled_from([int, float, str]))
def test_typed_gives_the_type_or_refuses(text, kind):
    try:
        assert type(typed(text, kind)) is kind
    except ValueError:
        assert kind is not str


@given(st.dates(min_value=datetime.date(1000, 1, 1)))
def test_dates(date):
    forms = (f"{date.day} {date:%B %Y}", f"{date:%B} {date.day}, {date.year}", date.isoformat())
    assert {date_of(form) for form in (*forms, f"{date.day}.{date.month}.{date.year}")} == {date}


@pytest.mark.parametrize("text", ["03/04/2024", "30 February 2024", "May 2024", "12 Foo 2024", ""])
def test_what_is_not_one_date(text):
    with pytest.raises(ValueError, match=r"not|must be|is out of|range"):
        date_of(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("1,234", 1234), ("-3.5 kg", -3.5), ("$4.2 million", 4.2e6), ("12 %", 12)),
        ("€ 5k", 5000),
        *(("5 km/h", 5), ("7 m", 7), ("3 bn", 3e9), ("1.5 thousand tons", 1500), ("20 °C", 20)),
    ],
)
def test_numbers_with_units(text, number):
    assert number_of(text) == number


@pytest.mark.parametrize("text", ["", "about 5", "5 or 6", "1,23", "12-15", "1.2.3", "five", "5,5"])
def test_what_is_not_one_number(text):
    with pytest.raises(ValueError, match="not one number"):
        number_of(text)
