"""What code in the REPL asks sub-models with."""

import dspy
import pytest
from packs import answered

from rlm_dspy import RLM, Budget
from rlm_dspy.events import SubQueryAnswered, SubQueryFailed, SubQueryStarted
from rlm_dspy.queries.operators import as_text
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 400


def run(source, sub, *, seconds=0.0, signature="context, query -> answer", **kwargs):
    """Runs one step; what it submits or prints."""
    sub = ScriptedLM(sub, seconds=seconds)
    with dspy.context(lm=ScriptedLM([code(source), code("SUBMIT(answer='given up')")])):
        result = RLM(signature, sub_lm=sub, **kwargs)(context=TEXT, query="q")
    return result, sub


def first_output(result):
    return result.trajectory[0]["output"]


def echo(asked):
    return asked.last


@pytest.mark.parametrize("limit", [50, 99])
def test_a_batch_over_the_limit_is_refused_whole(limit):
    source = "llm_query_batched([str(i) for i in range(100)])"
    result, sub = run(source, ["fine"], max_llm_calls=limit)
    assert not sub.asked
    assert f"LLM call limit exceeded: 0 + 100 > {limit}" in first_output(result)


def test_the_limit_is_exact():
    source = (
        "a = llm_query_batched([str(i) for i in range(49)])\n"
        "b = llm_query('last')\n"
        "try:\n    llm_query('one more')\nexcept Exception as e:\n    SUBMIT(answer=str(e))"
    )
    result, sub = run(source, ["fine"])
    assert len(sub.asked) == 50
    assert "50 + 1 > 50" in result.answer


def test_typed_operators_are_not_counted_by_it():
    result, sub = run("SUBMIT(answer=ask('q', 't'))", ["fine"], max_llm_calls=0)
    assert result.answer == "fine"


def test_a_batch_is_concurrent_and_keeps_its_order():
    source = "xs = llm_query_batched([f'<{i}>' for i in range(30)])\nSUBMIT(answer=''.join(xs))"
    result, sub = run(source, echo, seconds=0.05)
    assert result.answer == "".join(f"<{i}>" for i in range(30))
    assert sub.script.most_in_flight == 30


def test_a_batchs_failures_are_their_items_own():
    def script(asked):
        return ValueError("broken") if asked.last == "1" else f"ok {asked.last}"

    result, _ = run("xs = llm_query_batched(['0', '1', '2'])\nSUBMIT(answer='|'.join(xs))", script)
    first, second, third = result.answer.split("|")
    assert (first, third) == ("ok 0", "ok 2")
    assert second.startswith("[ERROR] ")
    assert "broken" in second


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("llm_query('')", "cannot be empty"),
        ("llm_query_batched('one string')", "list of prompts"),
        ("ask_each('q', 'one string')", "must be a list, not str"),
        ("ask_each('q', 5)", "must be a list, not int"),
        ("combine('q', {'a': 1})", "must be a list, not dict"),
        ("combine('q', [])", "no parts"),
        ("combine('q', [None, None])", "no parts"),
        ("ask('q', 't', returns='thing')", "is not a type"),
        ("ask('q', 't', returns=object)", ""),
    ],
)
def test_what_is_asked_wrongly_is_told(source, told):
    result, sub = run(source, ["fine"])
    assert told in first_output(result)
    assert result.answer == "given up"


def test_empty_lists():
    result, sub = run("SUBMIT(answer=str((llm_query_batched([]), ask_each('q', []))))", ["fine"])
    assert result.answer == "([], [])"
    assert not sub.asked


@pytest.mark.parametrize(
    ("returns", "reply", "value"),
    [
        ("str", "tulip", "'tulip'"),
        ("int", "There are 1,234.", "1234"),
        ("float", "2.5", "2.5"),
        ("bool", "Yes.", "True"),
        ("list[str]", "- a\n- b", "['a', 'b']"),
        ("list[int]", "[1, 2]", "[1, 2]"),
        ("tuple[int, str]", '[1, "a"]', "(1, 'a')"),
        ('\'Literal["low", "high"]\'', "High", "'high'"),
        ("{'type': 'object', 'properties': {'n': {'type': 'integer'}}}", '{"n": "3"}', "{'n': 3}"),
        ("int | None", "not found", "None"),
    ],
)
def test_typed_answers(returns, reply, value):
    result, sub = run(f"SUBMIT(answer=repr(ask('q', 't', returns={returns})))", [reply])
    assert result.answer == value
    assert len(sub.asked) == 1


def test_one_repair_that_says_what_was_wrong():
    result, sub = run("SUBMIT(answer=str(ask('How many?', 't', returns=int)))", ["many", "7"])
    assert result.answer == "7"
    assert len(sub.asked) == 2
    assert "Answered before: 'many'" in sub.asked[1].last


@pytest.mark.parametrize(
    ("returns", "said"), [("bool", "That is not true."), ("int", "2 million"), ("float", "1,5")]
)
def test_what_can_be_read_in_two_ways_is_asked_again(returns, said):
    source = f"SUBMIT(answer=str(float(ask('q', 't', returns={returns}))))"
    result, sub = run(source, [said, "1"])
    assert (result.answer, len(sub.asked)) == ("1.0", 2)
    assert said in sub.asked[1].last


def test_the_limits_of_a_schema_are_checked():
    schema = "{'type': 'integer', 'minimum': 0}"
    source = f"SUBMIT(answer=str(ask('How many?', 't', returns={schema})))"
    result, sub = run(source, ["-5", "7"])
    assert (result.answer, len(sub.asked)) == ("7", 2)
    assert "greater than or equal to 0" in sub.asked[1].last


def test_an_answer_that_stays_wrong_is_an_error_to_see():
    result, sub = run("ask('How many?', 't', returns=int)", ["many"])
    assert "the model's answer is not of type int" in first_output(result)
    assert "many" not in first_output(result).replace("How many", "")  # a text may have written it
    (failed,) = [event for event in result.run.events if event.kind == "sub_query_failed"]
    assert failed.said == "many"
    assert len(sub.asked) == 2


@pytest.mark.parametrize("adapter", [dspy.ChatAdapter(), dspy.JSONAdapter()])
def test_plain_replies_under_another_adapter_are_coerced_before_paying_again(adapter):
    sub = ScriptedLM(["many", "1,234"])
    reply = (
        '{"reasoning": "", "code": "SUBMIT(answer=str(ask(\'n?\', \'t\', returns=int)))"}'
        if isinstance(adapter, dspy.JSONAdapter)
        else "[[ ## code ## ]]\nSUBMIT(answer=str(ask('n?', 't', returns=int)))"
    )
    with dspy.context(lm=ScriptedLM([reply]), adapter=adapter):
        assert RLM(sub_lm=sub)(context=TEXT, query="q").answer == "1234"
    assert len(sub.asked) == 2


def test_the_question_and_the_fenced_text_are_sent():
    _, sub = run("ask('Which city?', context[:16])", ["Ulm"])
    assert "Which city?" in sub.asked[0].last
    assert "<text>\nThe grass grows.\n</text>" in sub.asked[0].last


def test_ask_each_is_concurrent_and_in_order():
    source = (
        "xs = ask_each('n?', [f'item {i}' for i in range(20)], returns=int, pack=1)\n"
        "SUBMIT(answer=str(xs))"
    )
    result, sub = run(
        source, lambda asked: asked.last.split("item ")[1].split("\n")[0], seconds=0.05
    )
    assert result.answer == str(list(range(20)))
    assert sub.script.most_in_flight == 20


def test_ask_each_failures_are_missing_with_the_reason_in_the_events():
    def script(asked):
        return ValueError("broken") if "item 1" in asked.last else "fine"

    source = "SUBMIT(answer=str(ask_each('n?', ['item 0', 'item 1', 'item 2'])))"
    result, _ = run(source, script)
    assert result.answer.startswith("['fine', Missing(")
    assert result.answer.endswith("), 'fine']")
    (failed,) = [e for e in result.run.events if isinstance(e, SubQueryFailed)]
    assert failed.error == "ProviderError"
    assert "broken" in failed.reason


def test_ask_each_where_nothing_answers_is_an_error():
    result, _ = run("ask_each('n?', ['a', 'b'])", [ValueError("broken")])
    assert "broken" in first_output(result)


def test_ask_each_over_passages_of_the_context():
    result, sub = run("SUBMIT(answer=str(len(ask_each('n?', context.chunks(2000)))))", ["fine"])
    assert int(result.answer) == len(sub.asked) >= 3


def test_combine_in_one_call():
    result, sub = run("SUBMIT(answer=combine('Sum?', ['a', None, 'b']))", ["ab"])
    assert result.answer == "ab"
    assert "1: a\n2: b" in sub.asked[0].last
    assert len(sub.asked) == 1


@pytest.mark.parametrize(
    ("part", "returns", "answer", "calls"),
    [
        ("**1,912**.", "int", "1912", 0),
        ("In 1912 some ships left.", "int", "7", 1),
        ("On page 1 nobody left.", "int | None", "7", 1),
        ("any text", "str", "any text", 0),
    ],
)
def test_one_part_is_the_answer_where_it_is_one_as_a_whole(part, returns, answer, calls):
    source = f"SUBMIT(answer=str(combine('How many ships?', [{part!r}], returns={returns})))"
    result, sub = run(source, ["7"])
    assert (result.answer, len(sub.asked)) == (answer, calls)


def test_combine_as_a_tree():
    def script(asked):
        return str(sum(int(n) for n in asked.last.replace("\n", " ").split() if n.isdigit()))

    source = (
        "xs = [' '.join(['1'] * 1500)] * 8\nSUBMIT(answer=str(combine('Sum?', xs, returns=int)))"
    )
    result, sub = run(source, script)
    assert result.answer == str(8 * 1500)
    assert len(sub.asked) > 1
    assert max(len(asked.last) for asked in sub.asked) < 8_000


def test_every_sub_query_has_its_events():
    result, _ = run("ask('q1', 't')\nllm_query_batched(['a', 'b'])", ["fine"])
    started = [e for e in result.run.events if isinstance(e, SubQueryStarted)]
    answered = [e for e in result.run.events if isinstance(e, SubQueryAnswered)]
    assert [e.operator for e in started] == ["ask", "llm_query_batched", "llm_query_batched"]
    assert sorted(e.query for e in started) == sorted(e.query for e in answered) == [1, 2, 3]
    assert {e.step for e in started} == {1}


def test_an_exhausted_budget_is_an_error_to_see():
    source = "print([x[:7] for x in llm_query_batched(['a'] * 10)])"
    result, sub = run(source, ["fine"], budget=Budget(calls=8))
    assert first_output(result).count("[ERROR]") == 10 - len(sub.asked) == 5


def test_an_optimized_instruction_carries_over_to_typed_queries():
    sub = ScriptedLM(["7"])
    rlm = RLM(sub_lm=sub)
    rlm.sub_query.signature = rlm.sub_query.signature.with_instructions("Be terse.")
    rlm.sub_query.demos = [dspy.Example(question="1 + 1?", text="sums", response="2")]
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=str(ask('n?', 't', returns=int)))")])):
        assert rlm(context=TEXT, query="q").answer == "7"
    assert sub.asked[0].system.startswith("Be terse. ")
    assert sub.asked[0].turns[1] == ("assistant", "2")


def test_texts():
    assert as_text(["a", ("b", 3)]) == "a\nb\n3"
    assert as_text({"a": 1}) == "{'a': 1}"


def verdict(asked):
    return "yes" if "warm" in asked.last.split("<text>")[1] else "no"


def test_keep_gives_the_items_in_order():
    items = "['warm 1', 'cold', 'warm 2', 'warm 3']"
    result, _ = run(f"SUBMIT(answer=str(keep('Is it warm?', {items})))", verdict)
    assert result.answer == "['warm 1', 'warm 2', 'warm 3']"


def test_keep_says_which_it_could_not_judge():
    def script(asked):
        return ValueError("broken") if "odd" in asked.last else verdict(asked)

    source = "xs = keep('Is it warm?', ['warm', 'odd', 'cold'])\nSUBMIT(answer=str(xs))"
    result, _ = run(source, script)
    assert result.answer.startswith("['warm', Missing(")
    assert "broken" in result.answer


def test_missing_is_false_and_says_why():
    def script(asked):
        return ValueError("broken") if "item 1" in asked.last else "fine"

    source = (
        "xs = ask_each('n?', ['item 0', 'item 1', None, 'item 3'])\n"
        "kinds = [isinstance(x, Missing) for x in xs]\n"
        "SUBMIT(answer=str([kinds, [x for x in xs if x], 'broken' in xs[1].reason, xs[2]]))"
    )
    result, _ = run(source, script)
    assert result.answer == (
        "[[False, True, True, False], ['fine', 'fine'], True, Missing('the item is None')]"
    )


def test_missing_answers_are_left_out_of_what_is_combined():
    source = (
        "xs = ask_each('n?', ['a', None, 'b'], pack=1)\nSUBMIT(answer=combine('All?', xs + xs))"
    )
    _, sub = run(source, ["fine"])
    assert sub.asked[-1].last.count("fine") == 4
    assert "Missing" not in sub.asked[-1].last


@pytest.mark.parametrize("signature", ["context, query -> answer", "context, query -> answer: int"])
def test_missing_is_no_output(signature):
    source = "xs = ask_each('n?', [None, 'a'])\nSUBMIT(answer=xs[0])"
    result, _ = run(source, ["fine"], signature=signature)
    assert "answer" in first_output(result)
    assert "got Missing('the item is None')" in first_output(result)


def test_missing_inside_an_output_is_none():
    source = "SUBMIT(answer=ask_each('n?', [None, 'a']))"
    result, _ = run(source, ["fine"], signature="context, query -> answer: list[str | None]")
    assert result.answer == [None, "fine"]


@pytest.mark.parametrize("pack", ["'many'", "-1", "2.5", "[]"])
def test_a_pack_that_is_no_number_is_told(pack):
    result, sub = run(f"ask_each('n?', ['a'], pack={pack})", ["fine"])
    assert "is no number of items" in first_output(result)
    assert not sub.asked


@pytest.mark.parametrize(("pack", "calls"), [("1", 20), ("0", 20), ("False", 20), ("True", 1)])
def test_how_many_share_a_call(pack, calls):
    def script(asked):
        return answered(asked, lambda text: text.split()[1])

    source = (
        f"xs = ask_each('n?', [f'item {{i}}' for i in range(20)], returns=int, pack={pack})\n"
        "SUBMIT(answer=str(xs))"
    )
    result, sub = run(source, script)
    assert result.answer == str(list(range(20)))
    assert len(sub.asked) == calls


@pytest.mark.parametrize("names", [["a", "b", "c"], ["c", "a", "b"], ["b", "c", "a"]])
def test_options_are_asked_for_in_their_order_whatever_was_asked_before(names):
    source = f"SUBMIT(answer=ask('Which?', 'text', returns={{'enum': {names}}}))"
    _, sub = run(source, ["a"])
    assert f"exactly one of: {', '.join(names)}." in sub.asked[0].last


@pytest.mark.parametrize("call", ["ask_each('q?', {'a', 'b'})", "keep('q?', frozenset(['a']))"])
def test_a_set_has_no_order(call):
    source = f"try:\n    {call}\nexcept Exception as e:\n    SUBMIT(answer=str(e))"
    result, sub = run(source, ["fine"])
    assert "pass sorted(items)" in result.answer
    assert not sub.asked
