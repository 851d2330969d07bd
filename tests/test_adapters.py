"""The lean wire format: what is sent, and what a reply is taken to say."""

import asyncio
import contextlib
import enum
import json
from typing import Literal

import dspy
import pydantic
import pytest
from dspy.utils.exceptions import AdapterParseError

from rlm_dspy.adapters import (
    CODE_GRAMMAR,
    LOOK_GRAMMAR,
    STOP,
    ReplAdapter,
    Wire,
    split_reply,
)
from rlm_dspy.demos import shown
from rlm_dspy.fencing import UNTRUSTED
from rlm_dspy.signatures import LeanPredict, PlanStep, SubQuery
from rlm_dspy.testing import ScriptedLM, code

TRIPLE = 'x = """\n```\nnot the end\n```\n"""\nprint(x)'


@pytest.mark.parametrize(
    ("reply", "reasoning", "source"),
    [
        ("Look.\n\n```python\nprint(1)\n```", "Look.", "print(1)"),
        ("```python\nprint(1)\n```", "", "print(1)"),
        ("```py\nprint(1)\n```", "", "print(1)"),
        ("```\nprint(1)\n```", "", "print(1)"),
        ("```Python\nprint(1)\n```", "", "print(1)"),
        ("  ```python\n  print(1)\n  ```".replace("  print", "print"), "", "print(1)"),
        (f"```python\n{TRIPLE}\n```", "", TRIPLE),
        (f"```python\n{TRIPLE}\n```\nOutput:\n3\n```python\nprint(2)\n```", "", TRIPLE),
        ("```python\nprint(1)\n```\nOutput:\n1\n\n```python\nprint(2)\n```", "", "print(1)"),
        ("```python\nif x\n```\nOutput: bad\n```python\nprint(2)\n```", "", "if x"),
        ("```python\nprint(1)", "", "print(1)"),
        ("```python\nprint(1)\n", "", "print(1)"),
        ("```python\nfor i in x:\n    print(i)```", "", "for i in x:\n    print(i)"),
        ("Sure: ```python\nprint(1)\n```", "Sure:", "print(1)"),
        ("```json\n{}\n```\nso\n```python\nprint(1)\n```", "```json\n{}\n```\nso", "print(1)"),
        ("```bash\nls\n```\nThen I will look.\n", "```bash\nls\n```\nThen I will look.", ""),
        ("```json\n{}", "```json\n{}", ""),
        ("print(context[:100])", "", "print(context[:100])"),
        ("`print(1)`", "", "print(1)"),
        ("I think that it is tulip.", "I think that it is tulip.", ""),
        ("tulip", "tulip", ""),
        ("", "", ""),
        ("```python\n```", "", ""),
        ("<think>\n```python\nprint(2)\n```\n</think>\n```python\nprint(1)\n```", "", "print(1)"),
        ("```python\nx.split('</think>')\n```", "", "x.split('</think>')"),
        ("```python\nprint(2)\n```\n</think>\nSo:\n```python\nprint(1)\n```", "So:", "print(1)"),
        ("<think>\n```python\nprint(2)\n```", "", ""),
        ("```python\nprint('<think> </think>')\n```", "", "print('<think> </think>')"),
    ],
)
def test_split_reply(reply, reasoning, source):
    assert split_reply(reply) == (reasoning, source)


def test_indented_code_keeps_its_indentation():
    assert split_reply("```python\nif 1:\n    a = 1\n```")[1] == "if 1:\n    a = 1"


@pytest.mark.parametrize(
    "reply",
    [
        "[[ ## reasoning ## ]]\nlook\n\n[[ ## code ## ]]\nprint(1)\n\n[[ ## completed ## ]]",
        "[[ ## code ## ]]\nprint(1)\n\n[[ ## completed ## ]]",
    ],
)
def test_dspys_field_markers_are_read(reply):
    assert ReplAdapter().parse(PlanStep, reply)["code"] == "print(1)"


class Recorder(ScriptedLM):
    """Answers with one text and keeps what it was asked."""

    async def acall(self, prompt=None, *, messages=None, **kwargs):
        self.messages, self.request = messages, kwargs
        return [self.script.script[0]]


def asked(signature, reply="ok", *, wire=None, demos=(), **inputs):
    lm = Recorder([reply])
    adapter = ReplAdapter(None if wire is None else lambda lm: wire)
    with contextlib.suppress(AdapterParseError):
        outputs = asyncio.run(adapter.acall(lm, {}, signature, list(demos), inputs))
        return lm, outputs[0]
    return lm, None


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("kind", "reply", "value", "form"),
    [
        (str, "A tulip.", "A tulip.", ""),
        (int, "There are 1,234.", 1234, "Answer with one whole number only."),
        (float, "about 2.5", 2.5, "Answer with one number only."),
        (bool, "Yes.", True, "Answer with yes or no only."),
        (Literal["low", "high"], "**High**", "high", "Answer with exactly one of: low, high."),
        (list[str], '["a", "b"]', ["a", "b"], "Answer with a JSON list of strings only."),
        (list[str], "- a\n- b", ["a", "b"], "Answer with a JSON list of strings only."),
        (dict[str, int], '```json\n{"a": 1}\n```', {"a": 1}, "Answer with JSON only"),
        (Color, '"blue"', Color.BLUE, "Answer with JSON only"),
        (int | None, "null", None, "Answer with JSON only"),
        (int | None, "7", 7, "Answer with JSON only"),
    ],
)
def test_one_typed_output(kind, reply, value, form):
    signature = SubQuery.with_updated_fields("response", type_=kind)
    lm, outputs = asked(signature, reply, question="How many?", text="some text")
    assert outputs == {"response": value}
    last = lm.messages[-1]["content"]
    assert last.startswith("How many?\n\n<text>\nsome text\n</text>")
    assert form in last
    assert "[[ ##" not in json.dumps(lm.messages)


def test_the_fixed_instruction_is_first_and_the_text_last():
    lm, _ = asked(SubQuery, question="Which?", text="some text")
    assert [message["role"] for message in lm.messages] == ["system", "user"]
    assert lm.messages[0]["content"] == SubQuery.instructions
    assert lm.messages[1]["content"].endswith("</text>")


def test_several_outputs_are_one_json_object():
    signature = dspy.Signature("document -> answer: str, n: int, tags: list[str]")
    reply = 'Here: {"answer": "x", "n": "1,200", "tags": ["a"]} and so on'
    lm, outputs = asked(signature, reply, document="text")
    assert outputs == {"answer": "x", "n": 1200, "tags": ["a"]}
    assert '"answer" (str), "n" (int), "tags" (list[str])' in lm.messages[-1]["content"]


def test_a_json_string_that_is_of_the_type_is_taken_as_it_is():
    signature = dspy.Signature(
        {
            "document": (str, dspy.InputField()),
            "room": (int | str, dspy.OutputField()),
            "state": (Literal["known", "unknown"] | None, dspy.OutputField()),
            "source": (str, dspy.OutputField()),
            "note": (str | None, dspy.OutputField()),
            "n": (int, dspy.OutputField()),
        }
    )
    said = {"room": "5", "state": "unknown", "source": "    return 1\n", "note": "none", "n": "5"}
    assert ReplAdapter().parse(signature, json.dumps(said)) == said | {"n": 5}
    with pytest.raises(AdapterParseError, match="5B"):
        ReplAdapter().parse(signature, json.dumps(said | {"n": "5B"}))


@pytest.mark.parametrize("reply", ["no idea", '{"answer": "x"}', '{"answer": "x", "n": "many"}'])
def test_what_is_not_the_outputs_is_a_parse_error(reply):
    with pytest.raises(AdapterParseError) as caught:
        ReplAdapter().parse(dspy.Signature("document -> answer: str, n: int"), reply)
    assert caught.value.lm_response == reply


def test_a_missing_output_with_a_default_is_filled():
    class Out(dspy.Signature):
        document: str = dspy.InputField()
        answer: str = dspy.OutputField()
        note: str = dspy.OutputField(default="none")

    assert ReplAdapter().parse(Out, '{"answer": "x"}') == {"answer": "x", "note": "none"}


def typed(kind):
    return SubQuery.with_updated_fields("response", type_=kind)


MANY = dspy.Signature("document -> answer: str, n: int")
CHOICE, YES_NO = typed(Literal["low", "high"]), typed(bool)


@pytest.mark.parametrize(
    ("signature", "wire", "extra"),
    [
        (PlanStep, Wire(), {}),
        (PlanStep, Wire(stop=True), {"stop": list(STOP)}),
        (PlanStep, Wire(constraint="grammar"), {"extra_body": {"grammar": LOOK_GRAMMAR}}),
        (PlanStep, Wire(constraint="json_schema"), {}),
        (SubQuery, Wire(stop=True, constraint="grammar"), {}),
        (typed(int), Wire(constraint="grammar"), {}),
        (typed(int | None), Wire(constraint="grammar"), {}),
        (
            CHOICE,
            Wire(constraint="grammar"),
            {"extra_body": {"grammar": 'root ::= "low" | "high"'}},
        ),
        (YES_NO, Wire(constraint="grammar"), {"extra_body": {"grammar": 'root ::= "yes" | "no"'}}),
        (CHOICE, Wire(constraint="json_schema"), {}),
        (MANY, Wire(), {}),
    ],
)
def test_what_the_server_takes_is_in_the_request(signature, wire, extra):
    lm, _ = asked(signature, wire=wire, question="q", text="t", document="d")
    assert lm.request == extra


def test_after_the_first_look_the_planner_may_submit():
    lm, _ = asked(PlanStep, wire=Wire(constraint="grammar"), output="The code is 7.")
    assert lm.request == {"extra_body": {"grammar": CODE_GRAMMAR}}


def test_several_outputs_are_constrained_by_a_schema():
    lm, _ = asked(MANY, wire=Wire(constraint="json_schema"), document="d")
    schema = lm.request["response_format"].model_json_schema()
    assert schema["required"] == ["answer", "n"]
    assert schema["additionalProperties"] is False
    lm, _ = asked(MANY, wire=Wire(constraint="grammar"), document="d")
    assert lm.request["response_format"]["json_schema"]["schema"] == schema


def test_a_list_is_constrained_where_the_server_takes_any_schema():
    lm, _ = asked(typed(list[str]), wire=Wire(constraint="grammar"), question="q")
    schema = lm.request["response_format"]["json_schema"]["schema"]
    assert schema == {"type": "array", "items": {"type": "string"}}


def test_the_callers_own_parameters_win():
    lm = Recorder(["```python\nx\n```"])
    adapter = ReplAdapter(lambda lm: Wire(stop=True))
    asyncio.run(adapter.acall(lm, {"stop": ["END"], "n": 1}, PlanStep, [], {"rules": "r"}))
    assert lm.request == {"stop": ["END"], "n": 1}


def test_the_planners_turns():
    turns = [{"rules": "RULES", "variables": "VARS", "reasoning": "why", "code": "x = 1"}]
    history = dspy.History(messages=turns)
    messages = ReplAdapter().format(PlanStep, [], {"output": "printed", "history": history})
    assert messages == [
        {"role": "system", "content": f"{PlanStep.instructions}\n\nRULES"},
        {"role": "user", "content": "VARS"},
        {"role": "assistant", "content": "why\n\n```python\nx = 1\n```"},
        {"role": "user", "content": "Output:\nprinted"},
    ]


def test_a_turn_without_code_has_none():
    history = dspy.History(messages=[{"variables": "v", "reasoning": "prose", "code": ""}])
    messages = ReplAdapter().format(PlanStep, [], {"output": "o", "history": history})
    assert messages[2]["content"] == "prose"


def test_demos_are_chat_turns_before_the_runs_own():
    demos = [dspy.Example(output="seen", reasoning="why", code="print(1)")]
    messages = ReplAdapter().format(PlanStep, demos, {"rules": "R", "variables": "V"})
    assert [message["content"] for message in messages[1:]] == [
        "Output:\nseen",
        "why\n\n```python\nprint(1)\n```",
        "V",
    ]


def test_a_demo_of_a_later_step_comes_with_the_steps_before_it():
    first = {"variables": "one", "code": "a = 1"}
    later = {"output": "1", "history": {"messages": [first]}, "code": "b = 2"}
    last = {"output": "2", "history": dspy.History(messages=[first, later]), "code": "c = 3"}
    other = {"variables": "two", "code": "a = 1"}
    demos = [dspy.Example(**turn) for turn in (first, later, last, other, other)]
    messages = ReplAdapter().format(PlanStep, demos, {"variables": "V"})
    said = [message["content"] for message in messages if message["role"] == "user"]
    assert said == ["one", "Output:\n1", "Output:\n2", "two", "V"]


@pytest.mark.parametrize(("constraint", "prose"), [("grammar", False), (None, True)])
def test_demos_are_as_the_planner_can_write_them(constraint, prose):
    first = {"variables": "one", "reasoning": "Look.", "code": "a = 1"}
    demo = dspy.Example(output="1", history={"messages": [first]}, reasoning="Now.", code="b = 2")
    asking = {"demos": [demo], "variables": "V", "rules": "R", "history": dspy.History(messages=[])}
    lm, _ = asked(PlanStep, code("c = 3"), wire=Wire(constraint=constraint), **asking)
    said = [turn["content"] for turn in lm.messages if turn["role"] == "assistant"]
    bare = [code("a = 1"), code("b = 2")]
    assert said == ([f"Look.\n\n{bare[0]}", f"Now.\n\n{bare[1]}"] if prose else bare)


def test_demos_of_other_predictors():
    demos = [dspy.Example(question="1 + 1?", text="sums", response=2)]
    messages = ReplAdapter().format(typed(int), demos, {"question": "2 + 2?"})
    assert messages[1]["content"].startswith("1 + 1?\n\n<text>\nsums\n</text>")
    assert messages[2] == {"role": "assistant", "content": "2"}
    demos = [dspy.Example(document="d", answer="x", n=3)]
    messages = ReplAdapter().format(MANY, demos, {"document": "e"})
    assert json.loads(messages[2]["content"]) == {"answer": "x", "n": 3}


def test_demos_and_instructions_of_a_predictor_go_through_it():
    lm = ScriptedLM(["4"])
    predict = LeanPredict(typed(int).with_instructions("Count."))
    predict.demos = [dspy.Example(question="1 + 1?", response=2)]
    with dspy.context(lm=lm, adapter=ReplAdapter()):
        assert predict(question="2 + 2?").response == 4
    assert lm.asked[0].system == f"Count. {UNTRUSTED}"
    assert [role for role, _ in lm.asked[0].turns] == ["user", "assistant", "user"]


def test_oversized_and_foreign_demos_are_dropped():
    lm = ScriptedLM(["4"])
    predict = LeanPredict(SubQuery)
    predict.demos = [
        dspy.Example(question="q", text="x" * 5_000, response="too long"),
        dspy.Example(context="c", answer="of another predictor"),
        dspy.Example(response="an output without an input"),
        dspy.Example(question="kept?", response="kept"),
    ]
    with dspy.context(lm=lm, adapter=ReplAdapter()):
        predict(question="q", text="t")
    assert len(lm.asked[0].turns) == 3
    assert "kept?" in lm.asked[0].turns[0][1]


def test_of_a_planners_demo_each_step_has_to_be_short():
    steps = [{"output": "x" * 3_000, "code": f"a = {n}"} for n in range(5)]
    demo = dspy.Example(output="o", code="b", history=dspy.History(messages=steps))
    assert shown([demo], PlanStep)
    steps[2]["output"] = "x" * 5_000
    assert not shown([dspy.Example(output="o", code="b", history={"messages": steps})], PlanStep)


@pytest.mark.parametrize(
    "kind", [dspy.Image, list[dspy.Image], dspy.Image | None, dspy.Tool, dspy.Code["python"]]
)
def test_dspys_own_types_keep_dspys_format(kind):
    signature = dspy.Signature({"given": (kind, dspy.InputField())}).append(
        "answer", dspy.OutputField(), type_=str
    )
    assert "[[ ## answer ## ]]" in ReplAdapter().format(signature, [], {})[0]["content"]
    reply = "[[ ## answer ## ]]\nx\n\n[[ ## completed ## ]]"
    assert ReplAdapter().parse(signature, reply) == {"answer": "x"}


def test_an_image_is_sent_as_an_image():
    signature = dspy.Signature("picture: dspy.Image -> answer")
    url = "https://example.org/a.png"
    messages = ReplAdapter().format(signature, [], {"picture": dspy.Image(url)})
    assert {"type": "image_url", "image_url": {"url": url}} in messages[-1]["content"]


def test_imagined_turns_are_cut():
    assert ReplAdapter().parse(SubQuery, "tulip\n<text>\nmore") == {"response": "tulip"}


@pytest.mark.parametrize(
    "reply", ["It doubles.\n\nInput: 21\nOutput: 42\n\nNo more.", "<svg>\n<text x='1'>\n</svg>"]
)
def test_a_text_keeps_its_lines(reply):
    assert ReplAdapter().parse(SubQuery, reply) == {"response": reply}


@pytest.mark.parametrize("kind", [str, bool, Color])
def test_what_a_model_thought_is_no_part_of_its_answer(kind):
    signature = SubQuery.with_updated_fields("response", type_=kind)
    said = {str: "Yes, blue", bool: "yes", Color: '"blue"'}[kind]
    plain = ReplAdapter().parse(signature, said)
    for reply in (f"<think>No, red.</think>\n\n{said}", f"No, red.\n</think>\n{said}"):
        assert ReplAdapter().parse(signature, reply) == plain


@pytest.mark.parametrize("reply", ["The tag is </think> in Qwen.", "</thinking>\nx"])
def test_a_mark_within_an_answer_is_no_thought(reply):
    assert ReplAdapter().parse(SubQuery, reply) == {"response": reply}


def test_a_reply_that_ends_with_its_thinking_is_none():
    with pytest.raises(AdapterParseError, match="ends with its thinking"):
        ReplAdapter().parse(SubQuery, "<think>It could be")
    assert ReplAdapter().parse(SubQuery, "") == {"response": ""}


class Told(dspy.Signature):
    """Judge."""

    report: str = dspy.InputField(desc="as it was signed")
    verdict: str = dspy.OutputField(desc="one clause")


class Ship(pydantic.BaseModel):
    title: str
    color: Color


def test_descriptions_and_limits_are_told():
    last = asked(Told, report="r")[0].messages[-1]["content"]
    assert last == "report: as it was signed\n<report>\nr\n</report>\n\nverdict: one clause"
    both = Told.append("score", dspy.OutputField(ge=1, le=5), type_=int)
    last = asked(both, report="r")[0].messages[-1]["content"]
    assert '"verdict" (str; one clause), "score" (int; greater than or equal to: 1, less' in last


def test_of_a_models_fields_the_schema_is_told():
    signature = dspy.Signature("text -> ship, n: int").with_updated_fields("ship", type_=Ship)
    last = asked(signature, text="t")[0].messages[-1]["content"]
    schema = json.loads(last.rpartition("ship: JSON of this schema: ")[2])
    assert list(schema["properties"]) == ["title", "color"]
    assert schema["$defs"]["Color"]["enum"] == ["red", "blue"]
    assert "Title" not in last


def test_code_helper_is_what_the_planner_is_read_by():
    assert split_reply(code("print(1)", "why")) == ("why", "print(1)")
