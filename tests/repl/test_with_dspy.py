"""Our REPL as the interpreter of dspy's own modules."""

import csv
import functools
import io
import json
import threading

import dspy
import pytest
from dspy.primitives.code_interpreter import CodeInterpreterError, FinalOutput
from dspy.primitives.sandbox_serializable import SandboxSerializable
from dspy.utils import DummyLM
from dspy.utils.callback import BaseCallback

from rlm_dspy.dspy_errors import InterpreterError
from rlm_dspy.repl import RestrictedInterpreter

DEPRECATED = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")


class Factory:
    """Makes our interpreters, and keeps them."""

    execution_instructions = RestrictedInterpreter.execution_instructions

    def __init__(self, **options):
        self.options = options
        self.made = []

    def __call__(self):
        self.made.append(RestrictedInterpreter(**self.options))
        return self.made[-1]


@pytest.fixture
def factory():
    made = Factory()
    yield made
    assert made.made
    for interpreter in made.made:
        with pytest.raises(CodeInterpreterError, match="over"):
            interpreter.execute("1")


def steps(*codes):
    return DummyLM([{"reasoning": f"step {n}", "code": code} for n, code in enumerate(codes)])


def ran(factory, *codes, signature="context, query -> answer", inputs=None, **options):
    """One run of `dspy.RLM` on a planner that writes these steps."""
    rlm = dspy.RLM(signature, interpreter_factory=factory, **options)
    with dspy.context(lm=steps(*codes)):
        return rlm(**(inputs or {"context": "the Grey Heron sails", "query": "q"}))


def outputs(result):
    return [step["output"].rstrip("\n") for step in result.trajectory]


# --- dspy.RLM ---


def test_it_looks_remembers_and_submits(factory):
    result = ran(factory, "words = context.split()\nwords", "SUBMIT(answer=words[2])")
    assert outputs(result) == ["['the', 'Grey', 'Heron', 'sails']", "FINAL: {'answer': 'Heron'}"]
    assert (result.answer, result.final_reasoning) == ("Heron", "step 1")


@DEPRECATED
def test_its_sub_agents_work(factory, caplog):
    code = (
        "import dspy\n"
        "ask = dspy.Predict('text, question -> name: str, n: int')\n"
        "found = ask(text=context, question='which ship?')\n"
        "print(found.name, found.n + 1)"
    )
    rlm = dspy.RLM(
        "context, query -> answer",
        interpreter_factory=factory,
        sub_lm=DummyLM([{"name": "Heron", "n": "2"}]),
    )
    with dspy.context(lm=steps(code, "SUBMIT(answer=found.name)")):
        result = rlm(context="the Grey Heron sails", query="q")
    assert outputs(result)[0] == "Heron 3"
    assert result.answer == "Heron"
    assert "unavailable" not in caplog.text


def test_a_sub_agent_of_a_kind_that_is_not_there_is_an_error_of_the_code(factory):
    result = ran(factory, "dspy.ReAct('q -> a')", "SUBMIT(answer='x')")
    assert "no attribute 'ReAct'" in outputs(result)[0]


def test_tools_and_sub_queries_are_called(factory):
    async def later(x: int) -> int:
        """One more."""
        return x + 1

    def port(ship: str) -> dict:
        """Where a ship lies."""
        return {"port": f"{ship}'s port"}

    sub = DummyLM([{"said": str(number)} for number in range(5)])
    result = ran(
        factory,
        "print(port(ship='Heron')['port'], later(x=1))",
        "print(len([llm_query('a'), *llm_query_batched(['b', 'c'])]))",
        "llm_query_batched(['d', 'e'])",
        "SUBMIT('a')",
        tools=[port, later],
        sub_lm=sub,
        max_llm_calls=4,
    )
    assert outputs(result)[:2] == ["Heron's port 2", "3"]
    assert "LLM call limit exceeded: 3 + 2 > 4" in outputs(result)[2]
    assert len(sub.history) == 3


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("{}['key']", "KeyError: 'key'"),
        ("import os", "import os is not allowed"),
        ("().__class__.__subclasses__()", "__subclasses__"),
        ("def f(:", "SyntaxError"),
        ("kept = 2\nwhile True: pass", "longer than 0.5 seconds"),
        ("kept = 2\nx = []\nwhile True: x.append('a' * 1_000_000)", "filled the 64 MiB"),
        ("raise SystemExit", "SystemExit"),
        ("SUBMIT(answer='a')", "missing"),
        ("SUBMIT(answer='a', n='many')", "[Type Error] n: expected int"),
    ],
)
def test_what_code_did_wrong_goes_back_and_the_run_goes_on(factory, wrong, told):
    factory.options = {"step_seconds": 0.5, "memory_mb": 64}
    result = ran(
        factory,
        "kept = 1",
        wrong,
        "SUBMIT(answer=context, n=kept)",
        signature="context -> answer, n: int",
        inputs={"context": "text"},
    )
    assert told in outputs(result)[1]
    assert (result.answer, result.n) == ("text", 1)


def test_the_last_step_is_answered_by_extraction(factory):
    replies = [{"reasoning": "", "code": "print(context)"}, {"answer": "extracted"}]
    rlm = dspy.RLM("context -> answer", interpreter_factory=factory, max_iters=1)
    with dspy.context(lm=DummyLM(replies)):
        result = rlm(context="text")
    assert (result.answer, outputs(result)) == ("extracted", ["text"])


def test_a_session_that_is_lost_ends_the_run(factory):
    def shut() -> str:
        factory.made[0].shutdown()
        return ""

    with pytest.raises(InterpreterError):
        ran(factory, "shut()", "SUBMIT('a')", tools=[shut])
    assert factory.made[0]._session._worker is None


class Table(SandboxSerializable):
    def sandbox_setup(self):
        return "import csv\nimport io"

    def to_sandbox(self):
        text = io.StringIO()
        csv.writer(text).writerows([["ship", "tons"], ["Heron", 5], ["Swan", 7]])
        return text.getvalue().encode()

    def sandbox_assignment(self, var_name, data_expr):
        return f"{var_name} = list(csv.DictReader(io.StringIO({data_expr})))"

    def rlm_preview(self, max_chars=500):
        return "2 ships"


def test_serializable_inputs_are_made(factory):
    result = ran(
        factory,
        "SUBMIT(sum(int(row['tons']) for row in table))",
        signature="table -> tons: int",
        inputs={"table": Table()},
    )
    assert result.tons == 12


@pytest.mark.parametrize("way", ["configured", "call"])
def test_other_ways_to_pass_it(factory, way):
    rlm = dspy.RLM("query -> answer")
    configured = {"interpreter_factory": factory} if way == "configured" else {}
    called = {"interpreter_factory": factory} if way == "call" else {}
    with dspy.context(lm=steps("SUBMIT(query)"), **configured):
        assert rlm(query="q", **called).answer == "q"


def test_the_planner_is_told_what_the_repl_is(factory):
    lm = steps("SUBMIT('a')")
    with dspy.context(lm=lm):
        dspy.RLM("query -> answer", interpreter_factory=factory)(query="q")
    assert RestrictedInterpreter.execution_instructions in lm.history[0]["messages"][0]["content"]


async def test_awaited_with_an_asynchronous_tool(factory):
    async def later(x: int) -> int:
        return x + 1

    rlm = dspy.RLM("query -> n: int", interpreter_factory=factory, tools=[later])
    with dspy.context(lm=steps("SUBMIT(later(x=1))")):
        assert (await rlm.acall(query="q")).n == 2


class Echo:
    """A planner that submits each run's own input."""

    def __call__(self, **_):
        return dspy.Prediction(reasoning="", code="SUBMIT(llm_query(query) + query)")


def test_eight_runs_at_once_do_not_mix(factory):
    rlm = dspy.RLM("query -> answer", interpreter_factory=factory, sub_lm=Shout())
    rlm.generate_action = Echo()
    answers = {}
    threads = [
        threading.Thread(target=lambda q=f"q{n}": answers.update({q: rlm(query=q).answer}))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {f"q{n}": f"Q{n}q{n}" for n in range(8)}
    assert len(factory.made) == 8


class Shout:
    """A model that says what it was asked, in capitals."""

    def __call__(self, prompt):
        return [prompt.upper()]


# --- dspy.ProgramOfThought and dspy.CodeAct ---


def generated(source):
    return {"reasoning": "", "generated_code": f"```python\n{source}\n```", "finished": "True"}


def shown(lm, field="code_output"):
    """What the last prompt says that the code gave."""
    text = lm.history[-1]["messages"][-1]["content"]
    return text.split(f"[[ ## {field} ## ]]\n")[1].split("\n")[0]


@DEPRECATED
@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("SUBMIT({'answer': 6 * 7})", {"output": {"answer": 42}}),
        ("result = 6 * 7", "42\n"),
        ("print('one')\n6 * 7", "one\n42\n"),
        ("import math\nSUBMIT({'a': {3}, 'b': (1, b'\\xff'), 'c': {(1, 2): math.inf}})", None),
    ],
)
def test_program_of_thought(factory, source, output):
    lm = DummyLM([generated(source), {"reasoning": "", "answer": "42"}])
    with dspy.context(lm=lm):
        program = dspy.ProgramOfThought("question -> answer", interpreter_factory=factory)
        assert program(question="6 * 7?").answer == "42"
    given = json.loads(shown(lm))
    assert output is None or given == output


@DEPRECATED
@pytest.mark.parametrize(
    "wrong", ["1 / 0", "def f(:", "import os", "while True: pass", "raise SystemExit"]
)
def test_program_of_thought_writes_anew_what_failed(factory, wrong):
    factory.options = {"step_seconds": 0.3}
    replies = [generated(wrong), generated("SUBMIT(2)"), {"reasoning": "", "answer": "2"}]
    with dspy.context(lm=DummyLM(replies)):
        program = dspy.ProgramOfThought("question -> answer", interpreter_factory=factory)
        assert program(question="?").answer == "2"


def longest(words: list[str]) -> str:
    """The longest word."""
    return max(words, key=len)


@DEPRECATED
def test_code_act(factory):
    failed = {**generated("longest(3)"), "finished": "False"}
    right = generated("print(longest(['a', 'abc']))")
    lm = DummyLM([failed, right, {"reasoning": "", "answer": "abc"}])
    with dspy.context(lm=lm):
        act = dspy.CodeAct("question -> answer", tools=[longest], interpreter_factory=factory)
        result = act(question="?")
    assert result.answer == "abc"
    assert "TypeError" in result.trajectory["observation_0"]
    assert json.loads(result.trajectory["code_output_1"]) == "abc\n"


# --- the rest of the protocol ---


def test_a_lazy_start_is_seen_inside_the_step():
    class Recorder(BaseCallback):
        def __init__(self):
            self.seen = []

        def on_interpreter_execute_start(self, call_id, instance, inputs):
            self.seen.append("step")

        def on_interpreter_startup_start(self, call_id, instance, inputs):
            self.seen.append("start")

        def on_interpreter_execute_end(self, call_id, outputs, exception=None):
            self.seen.append("end")

    recorder = Recorder()
    repl = RestrictedInterpreter(callbacks=[recorder])
    repl.execute("1")
    repl.execute("1")
    repl.shutdown()
    assert recorder.seen == ["step", "start", "end", "step", "end"]


def test_an_unknown_tool_is_the_interpreters_error():
    with (
        RestrictedInterpreter() as repl,
        pytest.raises(CodeInterpreterError, match="Unknown tool: missing"),
    ):
        repl.invoke_tool("missing", [], {})


@pytest.mark.parametrize("variables", [["a"], "a", 5])
def test_variables_are_a_dict(variables):
    with (
        RestrictedInterpreter() as repl,
        pytest.raises(InterpreterError, match="variables must be a dict"),
    ):
        repl.execute("1", variables)


def test_declared_fields_keep_their_types():
    fields = [{"name": "seen"}, {"name": "raw"}]
    with RestrictedInterpreter(output_fields=fields) as repl:
        found = repl.execute("SUBMIT({1, 2}, b'\\xff')")
    assert found == FinalOutput({"seen": {1, 2}, "raw": b"\xff"})


def test_a_partial_of_it_is_a_factory():
    small = functools.partial(RestrictedInterpreter, max_output_chars=100)
    result = ran(small, "print('a' * 1000)", "SUBMIT('a')")
    assert len(outputs(result)[0]) < 500
