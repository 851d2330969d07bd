"""Inputs, checked, and long texts as contexts where the interpreter is ours."""

import dspy
import pytest

from rlm_dspy import RLM, ConfigurationError, Context, ContextError, RLMOptions
from rlm_dspy.inputs import prepared
from rlm_dspy.testing import ScriptedLM, code

LONG = "The grass grows. " * 300
SIGNATURE = dspy.Signature("context, query -> answer")


def prepare(signature=SIGNATURE, *, ours=True, searched=False, options=None, **inputs):
    outer = dspy.Signature(signature) if isinstance(signature, str) else signature
    return prepared(outer, inputs, options or RLMOptions(), ours=ours, searched=searched)


def test_a_long_text_is_a_context_and_a_short_one_a_str():
    given = prepare(context=LONG, query="q")
    assert isinstance(given["context"], Context)
    assert str(given["context"]) == LONG
    assert given["query"] == "q"
    assert type(given["query"]) is str


@pytest.mark.parametrize(("length", "kind"), [(10, str), (11, Context)])
def test_the_border_is_an_option(length, kind):
    options = RLMOptions(context_above_chars=10)
    assert isinstance(prepare(context="x" * length, query="q", options=options)["context"], kind)


def test_any_long_text_is_one_whatever_its_name():
    given = prepare("log, question -> answer", log=LONG, question=LONG)
    assert all(isinstance(value, Context) for value in given.values())


def test_a_path_is_read(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("short", encoding="utf-8")
    assert str(prepare(context=path, query="q")["context"]) == "short"
    assert prepare(context=path, query="q", ours=False)["context"] == "short"


@pytest.mark.parametrize("value", [Context.from_text(LONG), LONG])
def test_a_foreign_interpreter_gets_plain_text(value):
    given = prepare(context=value, query="q", ours=False)
    assert type(given["context"]) is str
    assert given["context"] == LONG


@pytest.mark.parametrize("value", [5, None, ["a", LONG], {"a": 1}, b"bytes", 2.5])
def test_other_values_stay_as_they_are(value):
    assert prepare(context=value, query="q")["context"] is value


def test_the_signatures_order_is_kept():
    assert list(prepare("a, b, c -> d", c="3", a="1", b="2")) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"context": "x"}, r"Missing required inputs: \['query'\]"),
        ({}, r"Missing required inputs: \['context', 'query'\]"),
        ({"context": "x", "query": "q", "z": 1, "y": 2}, r"Unexpected inputs .*\['y', 'z'\]"),
    ],
)
def test_missing_and_unexpected_inputs_are_named(inputs, told):
    with pytest.raises(ConfigurationError, match=told):
        prepare(**inputs)


def test_defaults_of_the_signature_are_used():
    class WithDefault(dspy.Signature):
        context: str = dspy.InputField()
        tone: str = dspy.InputField(default="dry")
        answer: str = dspy.OutputField()

    assert prepare(WithDefault, context="x") == {"context": "x", "tone": "dry"}
    assert prepare(WithDefault, context="x", tone="warm")["tone"] == "warm"


@pytest.mark.parametrize("empty", ["", "  \n "])
def test_an_empty_context_is_refused(empty):
    with pytest.raises(ContextError, match="'context' is empty"):
        prepare(context=empty, query="q")


def test_another_empty_input_is_a_value_like_any_other():
    assert prepare(context="x", query="") == {"context": "x", "query": ""}


@pytest.mark.parametrize(
    ("inputs", "longest"),
    [
        ({"context": "a short text", "query": "q"}, "context"),
        ({"context": "c", "query": "a query that is longer"}, "query"),
        ({"context": ["one", "two two two"], "query": "q"}, "context"),
    ],
)
def test_what_a_recipe_searches_is_a_context_however_short(inputs, longest):
    given = prepare(searched=True, **inputs)
    assert [name for name, value in given.items() if isinstance(value, Context)] == [longest]


def test_long_texts_stay_as_they_are_for_a_recipe():
    given = prepare(searched=True, context=LONG, query="q")
    assert isinstance(given["context"], Context)
    assert given["query"] == "q"


@pytest.mark.parametrize("text", ["ünïcødé 漢字 🌷 " * 300, "\x00 nul \r\n" * 300])
def test_odd_texts_reach_the_code_unchanged(text):
    source = "print(len(context), ascii(context[:30]) == repr_)"
    with dspy.context(lm=ScriptedLM([code(source), code("SUBMIT(answer='a')")])):
        result = RLM("context, repr_ -> answer")(context=text, repr_=ascii(text[:30]))
    assert result.trajectory[0]["output"].split()[:2] == [str(len(text)), "True"]


def test_plain_values_reach_the_code_unchanged():
    inputs = {"a": 5, "b": [1, "x", None], "c": {"k": [True]}, "d": 2.5, "e": None}
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=repr((a, b, c, d, e)))")])):
        result = RLM("a: int, b: list, c: dict, d: float, e -> answer")(**inputs)
    assert result.answer == repr(tuple(inputs.values()))


def test_the_callers_values_are_not_changed():
    rows = [1, 2]
    with dspy.context(lm=ScriptedLM([code("rows.append(3)\nSUBMIT(answer=str(rows))")])):
        assert RLM("rows: list -> answer")(rows=rows).answer == "[1, 2, 3]"
    assert rows == [1, 2]
