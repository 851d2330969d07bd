"""What a user of the module sees, with scripted models."""

import asyncio
import copy
import json
import threading
from typing import Literal

import dspy
import pytest

from rlm_dspy import RLM, Budget, ConfigurationError, Context, ContextError, RLMOptions
from rlm_dspy.testing import ScriptedLM, code

TEXT = (
    "The grass grows. " * 300 + "\nThe password of the vault is tulip.\n" + "The sky is up. " * 300
)
ROLES = ["plan", "sub_query", "extract", "direct"]


def run(replies, signature="context, query -> answer", *, inputs=None, **kwargs):
    lm = ScriptedLM(replies)
    with dspy.context(lm=lm):
        result = RLM(signature, **kwargs)(
            **(inputs or {"context": TEXT, "query": "What is the password of the vault?"})
        )
    return result, lm


def test_looks_and_submits():
    result, lm = run(
        [
            code("hits = context.grep('password')\nprint(hits[0])", "Find it."),
            code("SUBMIT(answer=hits[0].split('is ')[-1].split('.')[0])"),
        ]
    )
    assert result.answer == "tulip"
    assert [set(step) for step in result.trajectory] == [{"reasoning", "code", "output"}] * 2
    assert result.trajectory[0]["reasoning"] == "Find it."
    assert "password of the vault" in result.trajectory[0]["output"]
    assert result.run.status == "completed"
    assert result.run.planned_by == "model"
    assert result.run.spend.calls == len(lm.asked) == 2


def test_typed_outputs_are_repaired():
    result, _ = run(
        [code("SUBMIT(answer='x', n='many')"), code("SUBMIT(answer='x', n=3)")],
        "context, query -> answer: str, n: int",
    )
    assert (result.answer, result.n) == ("x", 3)
    assert "n: expected int, got str" in result.trajectory[0]["output"]


@pytest.mark.parametrize(
    ("submit", "told"),
    [("SUBMIT(answer=None)", "got None"), ("SUBMIT()", "answer"), ("SUBMIT(x=1)", "x")],
)
def test_wrong_submissions_go_back(submit, told):
    result, _ = run([code(submit), code("SUBMIT(answer='ok')")])
    assert result.answer == "ok"
    assert told in result.trajectory[0]["output"]


def test_class_signature_with_literal():
    class Triage(dspy.Signature):
        """Say how urgent the report is."""

        report: str = dspy.InputField()
        urgency: Literal["low", "high"] = dspy.OutputField()

    result, lm = run(
        [code("SUBMIT(urgency='medium')"), code("SUBMIT(urgency='high')")],
        Triage,
        inputs={"report": TEXT},
    )
    assert result.urgency == "high"
    assert "Say how urgent the report is." in lm.asked[0].system


def test_all_predictors_are_named():
    assert [name for name, _ in RLM().named_predictors()] == ROLES


def test_save_and_load(tmp_path):
    rlm = RLM("context, query -> answer: list[str]", sub_lm=ScriptedLM(["x"]))
    rlm.sub_query.signature = rlm.sub_query.signature.with_instructions("Be terse.")
    rlm.plan.demos = [dspy.Example(output="o", code="print(1)")]
    rlm.save(tmp_path / "program.json")
    other = RLM("context, query -> answer: list[str]")
    other.load(tmp_path / "program.json")
    assert other.sub_query.signature.instructions == "Be terse."
    assert other.plan.demos[0]["code"] == "print(1)"


def test_deepcopy_shares_the_lm_and_not_the_predictors():
    sub = ScriptedLM(["x"])
    rlm = RLM(sub_lm=sub)
    twin = copy.deepcopy(rlm)
    assert twin.sub_lm is sub
    assert twin.plan is not rlm.plan
    assert rlm.reset_copy().sub_lm is sub


def test_run_gives_answer_and_trace(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text(TEXT)
    for context in (TEXT, path, Context.from_text(TEXT), ["one", TEXT]):
        with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=str(len(context) > 0))")])):
            answer, trace = RLM().run("Is there text?", context)
        assert answer == "True"
        assert trace.status == "completed"
        assert trace.trajectory


def test_run_needs_context_and_query():
    with pytest.raises(ConfigurationError, match="context and query"):
        RLM("document -> answer").run("q", "text")


@pytest.mark.parametrize(
    ("signature", "told"),
    [
        ("llm_query, query -> answer", "llm_query"),
        ("context, query -> run", "run"),
        ("context, query -> trajectory", "trajectory"),
        ("interpreter_factory -> answer", "interpreter_factory"),
        ("no outputs at all", "signature"),
    ],
)
def test_signature_errors_name_the_field(signature, told):
    with pytest.raises(ConfigurationError, match=told):
        RLM(signature)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"context": "x"}, "Missing required inputs"),
        ({"context": "x", "query": "q", "more": 1}, "Unexpected inputs"),
    ],
)
def test_input_errors(inputs, told):
    with pytest.raises(ConfigurationError, match=told):
        RLM()(**inputs)


def test_empty_context_is_refused():
    with pytest.raises(ContextError, match="empty"):
        RLM()(context=" ", query="q")


def test_no_lm_is_a_clear_error():
    with pytest.raises(ConfigurationError, match=r"No LM is loaded.*\(lm=resolve_lm\(\)\)"):
        RLM()(context=TEXT, query="q")


def test_planner_without_code_ends_partial():
    result, lm = run(["I think it is tulip."] * 3 + ["tulip"], max_iters=3)
    assert result.run.status == "partial"
    assert result.run.reason == "steps"
    assert result.answer == "tulip"
    assert all("no Python code" in step["output"] for step in result.trajectory)
    assert len(lm.asked) == 4


def test_endless_loop_is_ended_and_told():
    result, _ = run(
        [code("while True: pass"), code("SUBMIT(answer='after')")],
        options=RLMOptions(step_seconds=1),
    )
    assert result.answer == "after"
    assert "[Error]" in result.trajectory[0]["output"]


def test_error_shows_line_and_what_was_printed():
    result, _ = run([code("print('before')\nx = {}\nx['key']"), code("SUBMIT(answer='ok')")])
    output = result.trajectory[0]["output"]
    assert "before" in output
    assert "KeyError" in output
    assert "line 3" in output


def test_state_persists_between_steps():
    result, _ = run([code("x = 41"), code("SUBMIT(answer=str(x + 1))")])
    assert result.answer == "42"


def test_direct_route():
    result, lm = run(
        ["tulip"], options=RLMOptions(route="auto"), inputs={"context": "tulip", "query": "q"}
    )
    assert result.answer == "tulip"
    assert result.run.planned_by == result.run.events[0].planned_by == "direct"
    assert "tulip" in lm.asked[0].last


def test_tools_sync_async_and_dspy():
    def double(n: int) -> int:
        """Twice n."""
        return 2 * n

    async def triple(n: int) -> int:
        """Three times n."""
        await asyncio.sleep(0)
        return 3 * n

    tool = dspy.Tool(lambda n: n + 1, name="plus_one", desc="n plus one", args={"n": {}})
    result, lm = run(
        [code("print(double(2), triple(n=3))"), code("SUBMIT(answer=str(plus_one(4)))")],
        tools=[double, triple, tool],
    )
    assert result.trajectory[0]["output"].strip() == "4 9"
    assert result.answer == "5"
    assert "double(n: integer): Twice n." in lm.asked[0].system


def test_tool_parameters_may_have_any_name():
    def lookup(name: str, args: int = 0) -> str:
        return f"{name}{args}"

    result, _ = run([code("SUBMIT(answer=lookup(name='a', args=3))")], tools=[lookup])
    assert result.answer == "a3"


def test_tool_failure_is_the_codes_to_handle():
    def broken():
        raise ValueError("no such record")

    result, _ = run(
        [code("try:\n    broken()\nexcept Exception as e:\n    SUBMIT(answer=str(e))")],
        tools=[broken],
    )
    assert "no such record" in result.answer


def test_nested_rlm_in_a_tool():
    def inner(text: str) -> str:
        with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=context.upper())")])):
            return RLM()(context=text, query="shout").answer

    async def ainner(text: str) -> str:
        with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=context.lower())")])):
            return (await RLM().acall(context=text, query="whisper")).answer

    result, _ = run([code("SUBMIT(answer=inner('abc') + ainner('DEF'))")], tools=[inner, ainner])
    assert result.answer == "ABCdef"


async def test_inside_a_running_loop():
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer='a')")])):
        awaited = await RLM().acall(context=TEXT, query="q")
        blocked = RLM()(context=TEXT, query="q")
    assert awaited.answer == blocked.answer == "a"


def test_many_threads_at_once():
    lm = ScriptedLM(lambda asked: code("SUBMIT(answer=query)"), seconds=0.01)
    rlm, answers = RLM(), {}

    def work(name):
        with dspy.context(lm=lm):
            answers[name] = rlm(context=TEXT, query=name).answer

    threads = [threading.Thread(target=work, args=(f"q{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {f"q{i}": f"q{i}" for i in range(8)}


def test_evaluate_with_threads():
    examples = [
        dspy.Example(context=TEXT, query=str(i), answer=str(i)).with_inputs("context", "query")
        for i in range(8)
    ]
    with dspy.context(lm=ScriptedLM(lambda asked: code("SUBMIT(answer=query)"))):
        score = dspy.Evaluate(
            devset=examples,
            metric=lambda example, pred, trace=None: example.answer == pred.answer,
            num_threads=8,
            display_progress=False,
        )(RLM())
    assert score.score == 100


def test_evaluate_saves_what_it_measured(tmp_path):
    example = dspy.Example(context=TEXT, query="q", answer="a").with_inputs("context", "query")
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer='a')")])):
        evaluated = dspy.Evaluate(
            devset=[example],
            metric=lambda example, pred, trace=None: example.answer == pred.answer,
            num_threads=1,
            save_as_json=str(tmp_path / "rows.json"),
            save_as_csv=str(tmp_path / "rows.csv"),
        )(RLM())
    (_, result, _) = evaluated.results[0]
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert row["pred_answer"] == "a"
    assert row["run"] == json.loads(json.dumps(result.toDict()))["run"] == result.run.toDict()
    assert row["run"]["id"] == result.run.id
    assert row["run"]["spend"]["calls"] == 1
    assert result.run.id in (tmp_path / "rows.csv").read_text()


async def test_cancelling_ends_the_run():
    with dspy.context(lm=ScriptedLM([code("x = 1")], seconds=30)):
        task = asyncio.create_task(RLM().acall(context=TEXT, query="q"))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_stopping_gives_the_partial_answer():
    def script(asked):
        return "best guess" if "findings" in asked.last else code("import time; time.sleep(0.05)")

    with dspy.context(lm=ScriptedLM(script)):
        steps = threading.Event()
        handle = RLM(max_iters=10_000).start(
            listeners=(lambda event: steps.set() if event.kind == "executed" else None,),
            context=TEXT,
            query="q",
        )
        assert steps.wait(20)
        handle.stop()
        result = handle.result()
    assert (result.answer, result.run.status) == ("best guess", "partial")
    assert result.run.reason == "interrupted"


def test_usage_is_tracked_by_dspy():
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer='a')")]), track_usage=True):
        result = RLM()(context=TEXT, query="q")
    usage = result.get_lm_usage()["scripted"]
    assert usage["prompt_tokens"] > 0
    assert result.run.spend.planner_tokens == usage["prompt_tokens"] + usage["completion_tokens"]


def test_optimizer_trace_names_the_predictors():
    replies = [code("SUBMIT(answer=ask('which?', context[:20]))"), "grass"]
    with dspy.context(lm=ScriptedLM(replies), trace=[]):
        rlm = RLM()
        rlm(context=TEXT, query="q")
        traced = [predictor for predictor, _, _ in dspy.settings.trace]
    assert traced == [rlm.plan, rlm.sub_query]


def test_plain_chat_adapter_still_works():
    replies = [
        "[[ ## reasoning ## ]]\nlook\n\n[[ ## code ## ]]\n```python\nprint(len(context))\n```\n\n"
        "[[ ## completed ## ]]",
        "[[ ## code ## ]]\nSUBMIT(answer='a')\n\n[[ ## completed ## ]]",
    ]
    with dspy.context(lm=ScriptedLM(replies), adapter=dspy.ChatAdapter()):
        result = RLM()(context=TEXT, query="q")
    assert result.answer == "a"
    assert result.trajectory[0]["output"].strip() == str(len(TEXT))


def test_same_program_as_dspy_rlm():
    sub = ScriptedLM(["a text about grass"])
    program = RLM("context, query -> answer: str, n: int", max_iters=5, max_llm_calls=4, sub_lm=sub)
    replies = [
        code("x = llm_query(f'Summarize: {context[:40]}')\nprint(x)"),
        code("ys = llm_query_batched(['a', 'b', 'c'])\nSUBMIT(x, len(ys))"),
    ]
    with dspy.context(lm=ScriptedLM(replies)):
        result = program(context=TEXT, query="q")
    assert (result.answer, result.n) == ("a text about grass", 3)
    assert len(sub.asked) == 4


def test_budget_lifts_max_llm_calls():
    assert RLM().max_llm_calls == 50
    assert RLM(budget=Budget(calls=5)).max_llm_calls is None
    assert RLM(budget=Budget(calls=5), max_llm_calls=7).max_llm_calls == 7


def test_inputs_may_be_called_as_arguments_of_other_methods_are():
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=notes + listeners)")])):
        rlm = RLM("context, notes, listeners -> answer")
        result = rlm(context="text", notes="no", listeners="body")
    assert result.answer == "nobody"
    assert rlm.replay(result.run.id).answer == "nobody"


def test_a_majority_votes_on_the_last_output():
    ports = ["Ulm", "Bonn", "Ulm"]
    lm = ScriptedLM([code(f"SUBMIT(ship='{n}', port='{port}')") for n, port in enumerate(ports)])
    programs = [RLM("context, query -> ship, port") for _ in range(3)]
    with dspy.context(lm=lm):
        voted = dspy.Ensemble(reduce_fn=dspy.majority).compile(programs)(context=TEXT, query="q")
    assert voted.port == "Ulm"
    assert voted.run.status == "completed"
    assert list(voted.keys())[-2:] == ["ship", "port"]


def test_an_output_may_be_called_as_an_argument_of_a_prediction():
    result, _ = run([code("SUBMIT(base='b', self='s')")], "context, query -> base, self")
    assert (result.base, result["self"]) == ("b", "s")


class Defaults(dspy.Signature):
    """Answer."""

    context: str = dspy.InputField()
    tags: list[str] = dspy.InputField(default_factory=list)
    answer: str = dspy.OutputField()


def test_an_input_that_is_left_out_is_made_by_its_factory():
    source = code("tags.append('x')\nSUBMIT(answer=str(tags))")
    for _ in range(2):
        result, _ = run([source], Defaults, inputs={"context": TEXT})
        assert result.answer == "['x']"
