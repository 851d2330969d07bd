"""Literals of code that a query says: which become parameters, and which stay."""

import pytest

from rlm_dspy.runs.lifting import lifted


def of(code, query):
    found = lifted([code], query)
    return found.steps[0], found.parameters, found.template, found.choices


LABELS = "['ham', 'spam', 'junk']"


@pytest.mark.parametrize(
    ("code", "query", "parameters"),
    [
        ("f('Roth')", "Who is Roth?", ["Roth"]),
        ("f('grey-heron', 44106)", "Did user 44106 see grey-heron?", ["grey-heron", 44106]),
        ("f('the red door')", "Who painted the red door?", ["the red door"]),
        ("f('door')", "Who painted the 'door'?", ["door"]),
        ("row['Roth']", "Who is Roth?", ["Roth"]),
        ("f(['a', 'b', 'c'])", "What of a, b, and c?", [["a", "b", "c"]]),
        ("x[44106] > 3", "Did user 44106 see it?", [44106]),
        ("f([17, 23])", "What of users 17 and 23?", [[17, 23]]),
        # not as the query says it, or nothing that stands out in it
        ("f('roth')", "Who is Roth?", []),
        ("f('door')", "Who painted the door?", []),
        ("f('Rot')", "Who is Roth?", []),
        ("f(4410)", "Did user 44106 see it?", []),
        ("f(27)", "What was on 2023-04-27?", []),
        ("f('Who')", "Who is Roth?", []),
        ("f(3)", "Which 3 users?", []),
        # places and sizes
        ("x[:500]", "The first 500?", []),
        ("x[12] + 12", "What of 12?", []),
        # said elsewhere too, where it would stay behind
        ("f('Roth') + g('Ottilie Roth')", "Who is Roth?", []),
        ("f('Roth', rf'{x} Roth')", "Who is Roth?", []),
        ("f('Roth', r'Roth\\s+says')", "Who is Roth?", []),
        ("f('Roth', 'Ottilie Roth')", "Who is Ottilie Roth?", []),
    ],
)
def test_whole_literals_that_the_query_says_are_lifted(code, query, parameters):
    steps, found, template, _ = of(code, query)
    assert sorted(map(str, found.values())) == sorted(map(str, parameters))
    assert all(f"{{{name}}}" in template and name in steps for name in found)
    if not parameters:
        assert (steps, template) == (code, query)


def test_a_member_of_a_fixed_set_takes_only_others_of_it():
    code = f"kinds = ask_each('ham, spam or junk?', xs, returns={LABELS})\nkinds.count('spam')"
    steps, parameters, template, choices = of(code, "How many are spam?")
    assert steps == code.replace("count('spam')", "count(asked_1)")
    assert parameters == {"asked_1": "spam"}
    assert (template, choices) == ("How many are {asked_1}?", {"asked_1": ["ham", "spam", "junk"]})


@pytest.mark.parametrize(
    ("code", "steps"),
    [
        ("if'Roth'in x: f('Roth')", "if asked_1 in x: f(asked_1)"),
        ("f('é', 'Roth',\n  'Roth')", "f('é', asked_1,\n  asked_1)"),
        ("'''Roth'''\nf('Roth')  # Roth", "'''Roth'''\nf(asked_1)  # Roth"),
        ("asked_1 = f('Roth')", "asked_1 = f(asked_2)"),
    ],
)
def test_the_rest_of_the_code_stays_as_it_is_written(code, steps):
    assert of(code, "Who is Roth?")[0] == steps


def test_a_literal_that_is_the_query_is_the_query():
    code = "hits = context.search('Who is Roth?')\nask('Who  is Roth?', hits[0])"
    steps, parameters, template, _ = of(code, "Who is Roth?")
    assert steps == "hits = context.search(query)\nask(query, hits[0])"
    assert (parameters, template) == ({}, "")


@pytest.mark.parametrize(
    ("code", "free"),
    [
        ("ask(query, context.search(query)[0])", True),
        ("ask(query + ' Say it shortly.', context)", True),
        ("ask(query, context.search('Roth mate')[0])", False),
        ("len(context)", False),
    ],
)
def test_only_code_that_reads_the_query_and_says_nothing_of_it_takes_any(code, free):
    query = "Who is the mate of Roth?"
    assert of(code, query)[2] == ("" if free else query)


@pytest.mark.parametrize(
    ("code", "template"),
    [
        ("ask(query, f('magic number'))", "What {asked_1} has {} in {} or {}?"),
        ("ask(query, f('number'), g(2024))", "What magic number has {} in {asked_1} or {}?"),
        ("ask(query, f('number of Oslo'))", "What magic number has {} in {} or Oslo?"),
        ("ask(query, f(r'in Oslo: \\w'), x[:2024])", "What magic number has {} in 2024 or Oslo?"),
        ("f('number')", "What magic number has red-door in 2024 or Oslo?"),
    ],
)
def test_names_that_the_code_says_nowhere_may_be_others(code, template):
    assert of(code, "What magic number has red-door in 2024 or Oslo?")[2] == template
