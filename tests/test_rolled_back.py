"""A run whose step is lost goes on from the state before it, and is told so; scripted models."""

import dspy
import pytest

from rlm_dspy import RLM, RLMOptions
from rlm_dspy.testing import ScriptedLM, code

LOST = {
    "memory": ("kept.append(2)\nx = bytearray(1 << 40)", "filled"),
    "memory, bit by bit": (
        "kept.append(2)\nx = []\nwhile True: x.append(bytes(1 << 20))",
        "filled",
    ),
    "time": ("kept.append(2)\nwhile True: pass", "ran longer than 1 seconds"),
    "time, in C": ("kept.append(2)\nsum(range(10 ** 12))", "ran longer than 1 seconds"),
    "crash of the C stack": (
        "kept.append(2)\nx = iter([1])\nfor _ in range(300_000): x = map(abs, x)\nnext(x)",
        "crashed its Python process",
    ),
}
RECURSION = "kept.append(2)\ndef f(n): return f(n + 1)\nf(0)"


def run(lost, seconds=1.0):
    lm = ScriptedLM(
        [
            code("kept = [1]\nfound = context.extract_after('password is')"),
            code(lost),
            code("print(kept)"),
            code("SUBMIT(answer=found)"),
        ]
    )
    options = RLMOptions(step_seconds=seconds, memory_mb=128)
    with dspy.context(lm=lm):
        rlm = RLM("context, query -> answer", options=options)
        text = "grass\n" * 500 + "The password is tulip\n" + "sky\n" * 500
        return rlm(context=text, query="What is the password?")


@pytest.mark.parametrize("lost", sorted(LOST))
def test_it_answers_from_the_state_before(lost):
    source, told = LOST[lost]
    result = run(source)
    assert (result.answer, result.run.status) == ("tulip", "completed")
    outputs = [step["output"] for step in result.trajectory]
    assert told in outputs[1]
    assert "rolled back to its state before this step" in outputs[1]
    assert outputs[2].strip() == "[1]"


def test_a_recursion_too_deep_is_an_ordinary_error():
    result = run(RECURSION, seconds=20)
    outputs = [step["output"] for step in result.trajectory]
    assert "RecursionError" in outputs[1]
    assert (outputs[2].strip(), result.answer) == ("[1, 2]", "tulip")


def test_sub_queries_of_a_lost_step_are_not_forgotten():
    asked = []

    def sub(request):
        asked.append(request.text)
        return "tulip"

    lm = ScriptedLM(
        [code("x = ask('password?', context[:50])\nwhile True: pass"), code("SUBMIT(answer='on')")]
    )
    with dspy.context(lm=lm):
        rlm = RLM(
            "context, query -> answer", sub_lm=ScriptedLM(sub), options=RLMOptions(step_seconds=1)
        )
        result = rlm(context="The password is tulip\n" * 200, query="What?")
    assert "the REPL was started anew, as before this step" in result.trajectory[0]["output"]
    assert result.answer == "on"
    assert [e.value for e in result.run.events if e.kind == "sub_query_answered"] == ["tulip"]
    assert result.run.spend.calls == 3
