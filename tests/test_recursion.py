"""Runs within runs: `rlm_query` and the REPL's `dspy` object, with scripted models."""

import dspy
import pytest

from rlm_dspy import RLM, Budget, RLMOptions
from rlm_dspy.events import Planned, RunEnded, RunStarted, SubQueryAnswered, SubQueryStarted
from rlm_dspy.testing import ScriptedLM, code

TEXT = (
    "The grass grows.\n" * 300 + "The password of the vault is tulip.\n" + "The sky is up.\n" * 300
)
DEEP = Budget(depth=2)


def run(replies, *, inputs=None, sub=None, **kwargs):
    """A run whose planner, and whose sub-runs' planner, follow a script."""
    lm = ScriptedLM(replies)
    with dspy.context(lm=lm):
        rlm = RLM("context, query -> answer", sub_lm=sub and ScriptedLM(sub), **kwargs)
        return rlm(**(inputs or {"context": TEXT, "query": "What is the password?"})), lm


def outermost(asked):
    """Whether a planner was asked by the run itself."""
    return "query = 'What is the password?'" in asked.text


NESTED = [
    code("print(rlm_query('Which word?', context[4000:6000], returns=list[str]))"),
    code("SUBMIT(answer=[context.extract_after('vault is').rstrip('.')])"),
    code("SUBMIT(answer='tulip')"),
]


def test_a_sub_run_answers_with_its_own_planner_and_type():
    result, lm = run(NESTED, budget=DEEP)
    assert result.answer == "tulip"
    assert result.trajectory[0]["output"].splitlines()[0] == "['tulip']"
    inner = lm.asked[1]
    assert "Types: answer: list[str]" in inner.system
    assert "Which word?" in inner.text
    assert "context" in inner.text


def test_its_events_are_among_its_parents_under_a_number_of_its_own():
    result, _ = run(NESTED, budget=DEEP)
    kinds = [(event.run, event.kind) for event in result.run.events]
    assert [run for run, kind in kinds if kind == "run_started"] == ["", "1"]
    assert [run for run, kind in kinds if kind == "run_ended"] == ["1", ""]
    started = kinds.index(("", "sub_query_started"))
    answered = kinds.index(("", "sub_query_answered"))
    assert {run for run, _ in kinds[started + 1 : answered]} == {"1"}
    steps = [(event.run, event.step) for event in result.run.events if isinstance(event, Planned)]
    assert steps == [("", 1), ("1", 1), ("", 2)]


def test_the_account_is_the_parents():
    result, lm = run(NESTED, budget=DEEP)
    assert result.run.spend.calls == len(lm.asked) == 3
    assert result.run.spend.steps == 3
    assert set(result.run.spend.by_role) == {"plan", "plan@1"}


@pytest.mark.parametrize("limit", [{"calls": 5}, {"tokens": 9_000}, {"steps": 6}])
def test_a_limit_holds_for_the_whole_tree(limit):
    def script(asked):
        if "findings" in asked.text or "session looked for" in asked.system:
            return "nothing found"
        return code(f"print(rlm_query('again {asked.number}?', context[:3000]))")

    result, lm = run(script, budget=Budget(depth=4, **limit))
    assert result.run.status == "partial"
    spent = result.run.spend
    assert spent.calls == len(lm.asked)
    for name, most in limit.items():
        assert getattr(spent, name) <= most


def test_the_steps_of_a_sub_run_are_its_own():
    replies = [
        code("x = rlm_query('Which?', context[:3000])\nprint(x)"),
        code("print(1)"),
        code("print(2)"),
        code("SUBMIT(answer='inner')"),
        code("SUBMIT(answer=x)"),
    ]
    result, _ = run(replies, budget=DEEP, max_iters=3)
    assert result.answer == "inner"


@pytest.mark.parametrize(
    "call",
    [
        "rlm_query('password?', context)",
        "dspy.RLM('context, query -> answer')(context=context, query='password?').answer",
    ],
)
def test_where_runs_may_not_nest_one_sub_query_reads_what_fits(call):
    asked = []

    def sub(request):
        asked.append(request.text)
        return "tulip"

    result, _ = run([code(f"print({call})"), code("SUBMIT(answer='x')")], sub=sub)
    output = result.trajectory[0]["output"]
    assert output.startswith("tulip\n")
    assert "runs may not nest deeper here" in output
    assert len(asked) == 1
    assert "password of the vault is tulip" in asked[0]
    assert [e for e in result.run.events if e.run] == []


def test_what_was_left_out_is_said():
    result, _ = run(
        [code("rlm_query('password?', context)"), code("SUBMIT(answer='x')")], sub=["tulip"]
    )
    assert f"of {len(TEXT):,} characters" in result.trajectory[0]["output"]


def test_many_sub_runs_keep_their_order_and_fail_alone():
    def script(asked):
        if outermost(asked) and asked.number == 0:
            return code("print(rlm_query_batched(['a?', 'b?', 'c?'], ['text a', 'text b', '']))")
        if outermost(asked):
            return code("SUBMIT(answer='done')")
        return code("SUBMIT(answer=context[-1])")

    result, _ = run(script, budget=DEEP)
    first = result.trajectory[0]["output"].splitlines()[0]
    assert first.startswith("['a', 'b', '[ERROR] rlm_query: A context needs text")
    assert {event.run for event in result.run.events} == {"", "1", "2"}


def test_a_sub_run_that_finds_nothing_is_an_error_of_the_code():
    def script(asked):
        if outermost(asked):
            return code("SUBMIT(answer='gave up')" if asked.number else "rlm_query('b?', 'text')")
        return ValueError("no extraction either") if "findings" in asked.text else code("1")

    result, _ = run(script, budget=DEEP)
    assert result.answer == "gave up"
    assert "rlm_query" in result.trajectory[0]["output"]
    assert "[Error]" in result.trajectory[0]["output"]


def test_runs_nest_as_deep_as_the_budget_says():
    def script(asked):
        return code("SUBMIT(answer=rlm_query('deeper?', context[:3000]))")

    result, _ = run(script, budget=Budget(depth=3), sub=["bottom"])
    assert result.answer == "bottom"
    assert sorted({event.run for event in result.run.events}) == ["", "1", "1.1"]


def test_the_planner_is_told_of_it_only_where_it_works():
    replies = [code("SUBMIT(answer='x')")]
    assert "rlm_query" not in run(replies)[1].asked[0].system
    assert "rlm_query(" in run(replies, budget=DEEP)[1].asked[0].system


def test_a_sub_run_does_not_hear_of_its_parents_task():
    class Outer(dspy.Signature):
        """Count the ships of the line."""

        context: str = dspy.InputField()
        query: str = dspy.InputField()
        answer: str = dspy.OutputField()

    lm = ScriptedLM(NESTED)
    with dspy.context(lm=lm):
        RLM(Outer, budget=DEEP)(context=TEXT, query="What is the password?")
    heard = ["Count the ships" in asked.system for asked in lm.asked]
    assert heard == [True, False, True]


def test_tools_are_inherited_as_declared():
    def shout(text: str) -> str:
        """Says it loudly."""
        return text.upper()

    for inherit, told in ((True, True), (False, False), (("shout",), True), (("other",), False)):
        _, lm = run(NESTED, budget=DEEP, tools=[shout], options=RLMOptions(inherit_tools=inherit))
        assert "shout" in lm.asked[0].system
        assert ("shout" in lm.asked[1].system) == told


# --- the `dspy` object ---


def test_predict_asks_the_sub_model_with_codes_own_signature():
    result, _ = run(
        [
            code(
                "import dspy\n"
                "found = dspy.Predict('text, question -> name: str, age: int')"
                "(text=context[:20], question='who?')\n"
                "print(found.name, found.age + 1, found.keys(), found['name'])"
            ),
            code("SUBMIT(answer='x')"),
        ],
        sub=['{"name": "Ada", "age": 36}'],
    )
    assert result.trajectory[0]["output"].splitlines()[0] == "Ada 37 ['name', 'age'] Ada"
    (started,) = [e for e in result.run.events if isinstance(e, SubQueryStarted)]
    assert (started.operator, started.question) == (
        "dspy.Predict",
        "text, question -> name, age",
    )
    (answered,) = [e for e in result.run.events if isinstance(e, SubQueryAnswered)]
    assert answered.value == {"name": "Ada", "age": 36}


def test_chain_of_thought_reasons_first():
    result, _ = run(
        [
            code("r = dspy.ChainOfThought('q -> a: int')(q='1+1')\nprint(r.reasoning, r.a)"),
            code("SUBMIT(answer='x')"),
        ],
        sub=['{"reasoning": "one and one", "a": 2}'],
    )
    assert result.trajectory[0]["output"].splitlines()[0] == "one and one 2"


def test_instructions_and_modules_of_code_work():
    source = """
from dspy import Signature

class Twice(dspy.Module):
    def __init__(self):
        self.ask = dspy.Predict(Signature('q -> a', 'Answer in French.'))
    def forward(self, q):
        return [self.ask(q=q).a, self.ask(q=q).a]

print(Twice()(q='hello?'))
"""
    asked = []

    def sub(request):
        asked.append(request.text)
        return "bonjour"

    result, _ = run([code(source), code("SUBMIT(answer='x')")], sub=sub)
    assert result.trajectory[0]["output"].splitlines()[0] == "['bonjour', 'bonjour']"
    assert "Answer in French." in asked[0]


def test_a_sub_run_by_signature():
    result, lm = run(
        [
            code(
                "r = dspy.RLM('report -> names: list[str]')(report=context[:3000])\nprint(r.names)"
            ),
            code("SUBMIT(names=[report[4:9]])"),
            code("SUBMIT(answer='x')"),
        ],
        budget=DEEP,
    )
    assert result.trajectory[0]["output"].splitlines()[0] == "['grass']"
    assert "names: list[str]" in lm.asked[1].system


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("dspy.Predict('no arrow')(q=1)", "is not a signature"),
        ("dspy.Predict('q -> a')(x=1)", "takes the inputs"),
        ("dspy.Predict('lm, q -> a')(lm='x', q='y')", "cannot have the inputs ['lm']"),
        ("dspy.Predict('q -> a: int')(q='x')", "does not have the outputs"),
        ("dspy.ReAct('q -> a')", "no attribute 'ReAct'"),
        ("dspy.Predict(3)", "a signature here is a text"),
        ("import dspy.predict", "No module named 'dspy'"),
    ],
)
def test_what_is_wrong_goes_back_to_the_planner(source, told):
    result, _ = run([code(source), code("SUBMIT(answer='x')")], sub=["no number at all"])
    assert told in result.trajectory[0]["output"]
    assert result.answer == "x"


def test_it_counts_as_a_sub_query():
    result, _ = run(
        [code("dspy.Predict('q -> a')(q='x')\ndspy.Predict('q -> a')(q='y')"), code("SUBMIT('x')")],
        sub=["a"],
        max_llm_calls=1,
    )
    assert "LLM call limit exceeded" in result.trajectory[0]["output"]


def test_ended_sub_runs_leave_no_worker_behind():
    result, _ = run(NESTED, budget=DEEP)
    assert [e.status for e in result.run.events if isinstance(e, RunEnded)] == ["completed"] * 2
    assert len([e for e in result.run.events if isinstance(e, RunStarted)]) == 2
