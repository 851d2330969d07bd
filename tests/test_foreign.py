"""`RLM` on interpreters that are not ours: dspy's own two and one on another machine."""

import asyncio
import csv
import functools
import io
import logging
import threading
import time
from dataclasses import dataclass

import dspy
import pydantic
import pytest
from dspy.primitives.code_interpreter import CodeInterpreterError
from dspy.primitives.local_interpreter import LocalInterpreter
from dspy.primitives.sandbox_serializable import SandboxSerializable
from remote_interpreter import RemoteInterpreter, RemoteServer

from bench import deno
from bench.installing import Unavailable
from rlm_dspy import RLM, Budget, ConfigurationError, Context, InterpreterError
from rlm_dspy.testing import ScriptedLM, code

TEXT = "Captain Branwick has the Grey Heron. " * 200
ENDLESS = {"local": "while True: pass", "deno": "while True: pass", "remote": "wait_for_ever()"}
# dspy's interpreter leaves its pipes to the garbage collector.
DENO = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Factory:
    """Makes interpreters of one kind, and keeps them."""

    def __init__(self, kind, make):
        self.kind = kind
        self.make = make
        self.made = []
        self.execution_instructions = getattr(make, "execution_instructions", "")

    def __call__(self):
        self.made.append(self.make())
        return self.made[-1]


@pytest.fixture(scope="session")
def deno_environment():
    try:
        return deno.prepare().environment
    except Unavailable as error:
        pytest.skip(f"dspy's Deno interpreter cannot be had here: {error}")


@pytest.fixture(scope="module")
def server():
    server = RemoteServer()
    yield server
    server.close()


@pytest.fixture(params=["local", "remote", pytest.param("deno", marks=DENO)])
def factory(request, monkeypatch, server):
    if request.param == "deno":
        for name, value in request.getfixturevalue("deno_environment").items():
            monkeypatch.setenv(name, value)
    made = Factory(
        request.param,
        {
            "local": LocalInterpreter,
            "deno": dspy.PythonInterpreter,
            "remote": functools.partial(RemoteInterpreter, server.url),
        }[request.param],
    )
    yield made
    for interpreter in made.made:  # each was shut down
        with pytest.raises(CodeInterpreterError):
            interpreter.execute("1")


def ran(factory, *steps, signature="context, query -> answer", inputs=None, **options):
    """One run on a planner that writes these steps."""
    rlm = RLM(signature, interpreter_factory=factory, sub_lm=ScriptedLM(["42"]), **options)
    with dspy.context(lm=ScriptedLM([code(step) for step in steps])):
        return rlm(**(inputs or {"context": TEXT, "query": "q"}))


def outputs(result):
    return [step["output"].rstrip("\n") for step in result.trajectory]


# --- what code can do there ---


def test_a_long_text_is_a_str_and_names_stay(factory):
    result = ran(
        factory,
        "found = context.find('Heron')\nprint(type(context) is str, len(context))",
        "SUBMIT(answer=context[found:found + 5])",
    )
    assert outputs(result)[0] == f"True {len(TEXT)}"
    assert (result.answer, result.run.status) == ("Heron", "completed")


def test_sub_queries_are_there(factory):
    result = ran(
        factory,
        "print(llm_query('a'), llm_query_batched(['a', 'b']))",
        "print(ask('how many?', context[:9], returns='int') + 1, ask('how many?', 'x') + '!')",
        "print(ask_each('q', ['a', 'b'], returns='int'), combine('q', ['a', 'b']))",
        "SUBMIT(answer='a')",
    )
    assert outputs(result)[:3] == ["42 ['42', '42']", "43 42!", "[42, 42] 42"]


def test_tools_of_all_kinds_are_there(factory):
    class Ship(pydantic.BaseModel):
        name: str

    def port(ship: Ship, far: bool = False) -> dict:
        """The port of a ship."""
        return {"port": f"{ship.name}'s port", "far": far}

    async def later(x: int) -> int:
        await asyncio.sleep(0.01)
        return x + 1

    def broken() -> str:
        raise KeyError("gone")

    def fleet() -> tuple[Ship, set]:
        return Ship(name="Heron"), {1}

    result = ran(
        factory,
        "print(port(ship={'name': 'Heron'})['port'], port({'name': 'Swan'}, far=True)['far'])",
        "print(renamed(x=1), renamed(2))",
        "try:\n    broken()\nexcept Exception as error:\n    print('caught', error)",
        "print(fleet()[0]['name'], fleet()[1])",
        "SUBMIT(answer='a')",
        tools=[port, dspy.Tool(later, name="renamed"), broken, fleet],
    )
    first, second, third, fourth, _ = outputs(result)
    assert fourth == "Heron [1]"
    assert (first, second) == ("Heron's port True", "2 3")
    assert third.startswith("caught")
    assert "gone" in third


def test_what_code_did_wrong_goes_back_to_the_planner(factory):
    result = ran(
        factory,
        "{}['key']",
        "def f(:",
        "SUBMIT(answer='a', n='many')",
        "SUBMIT('a', 7)",
        signature="context, query -> answer: str, n: int",
    )
    error, syntax, wrong, _ = outputs(result)
    assert "KeyError" in error
    assert error.startswith("[Error] ")
    assert syntax.startswith("[Error] ")
    assert wrong.startswith("[Type Error] n: expected int")
    assert (result.answer, result.n) == ("a", 7)


def test_the_call_limit_is_told_and_kept(factory):
    result = ran(
        factory,
        "print(len(llm_query_batched(['a', 'b'])))",
        "print(llm_query_batched(['a', 'b']))",
        "SUBMIT(answer='a')",
        max_llm_calls=3,
    )
    assert outputs(result)[0] == "2"
    assert "LLM call limit exceeded: 2 + 2 > 3" in outputs(result)[1]


@dataclass
class Part:
    title: str


def test_inputs_that_are_no_plain_data_arrive_as_such(factory):
    part = {"parts": [Part("one")], "texts": (Context.from_text("a text"), "b")}
    result = ran(
        factory,
        "print(data['parts'][0]['title'], data['texts'], model['n'], none is None)",
        "SUBMIT(answer='a')",
        signature="data: dict, model, none -> answer",
        inputs={"data": part, "model": pydantic.create_model("M", n=(int, 3))(), "none": None},
    )
    assert outputs(result)[0] == "one ['a text', 'b'] 3 True"


# --- serializable inputs ---


class Rows(SandboxSerializable):
    """A table as CSV, whose code needs the standard library alone."""

    def __init__(self, rows):
        self.rows = rows

    def sandbox_setup(self):
        return "import csv\nimport io"

    def to_sandbox(self):
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]))
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue().encode()

    def sandbox_assignment(self, var_name, data_expr):
        return f"{var_name} = list(csv.DictReader(io.StringIO({data_expr})))"

    def rlm_preview(self, max_chars=500):
        return f"a table of {len(self.rows)} rows"


class Frame(SandboxSerializable):
    """A DataFrame, wrapped as dspy's guide wraps it."""

    def __init__(self, frame):
        self.frame = frame

    def sandbox_setup(self):
        return "import io\nimport pandas as pd"

    def to_sandbox(self):
        return self.frame.to_parquet(index=False)

    def sandbox_assignment(self, var_name, data_expr):
        return f"{var_name} = pd.read_parquet(io.BytesIO({data_expr}))"

    def rlm_preview(self, max_chars=500):
        return f"DataFrame: {self.frame.shape[0]} rows x {self.frame.shape[1]} columns"


class Raw(Rows):
    """Bytes that are no text."""

    def sandbox_setup(self):
        return ""

    def to_sandbox(self):
        return b"\xff\xfe" * 3

    def sandbox_assignment(self, var_name, data_expr):
        return f"{var_name} = len({data_expr})"


def made_in(interpreter):
    """What a planner sees of a table and of bytes that are made in an interpreter."""
    rows = Rows([{"ship": "Heron", "tons": 5}, {"ship": "Swan", "tons": 7}])
    lm = ScriptedLM([code("print(sum(int(row['tons']) for row in table), raw)")])
    rlm = RLM("table, raw -> answer", interpreter_factory=interpreter, max_iters=1)
    with dspy.context(lm=lm):
        result = rlm(table=rows, raw=Raw(rows.rows))
    return outputs(result), lm.asked[0].last


def test_a_serializable_input_is_made_in_the_interpreter(factory):
    shown, told = made_in(factory)
    assert shown == ["12 6"]
    assert "table: a table of 2 rows\n  after: import csv\nimport io" in told


def test_a_serializable_input_is_made_in_our_repl_too():
    assert made_in(None)[0] == ["12 6"]


def test_a_dataframe_is_made_where_there_is_pandas():
    pandas = pytest.importorskip("pandas", reason="comes with the extra `eval`")
    result = ran(
        LocalInterpreter,
        "print(type(table).__name__, table.tons.sum())",
        "SUBMIT(answer=table.ship[0])",
        signature="table -> answer",
        inputs={"table": Frame(pandas.DataFrame({"ship": ["Heron", "Swan"], "tons": [5, 7]}))},
    )
    assert outputs(result)[0] == "DataFrame 12"
    assert result.answer == "Heron"


class Elsewhere(Rows):
    def sandbox_setup(self):
        return "import no_such_module"


@pytest.mark.parametrize("interpreter", [None, LocalInterpreter])
def test_what_cannot_be_made_is_said_before_a_model_is_asked(interpreter):
    lm = ScriptedLM([code("SUBMIT(answer='a')")])
    with (
        dspy.context(lm=lm),
        pytest.raises(InterpreterError, match=r"'table' \(Elsewhere\) cannot be made") as caught,
    ):
        RLM("table -> answer", interpreter_factory=interpreter)(table=Elsewhere([{"a": 1}]))
    assert "no_such_module" in str(caught.value)
    assert caught.value.run.status == "failed"
    assert lm.asked == []


# --- how it is passed, and what it says of itself ---


class Told(Factory):
    def __init__(self, said):
        super().__init__("local", LocalInterpreter)
        self.execution_instructions = said


@pytest.mark.parametrize("way", ["constructor", "configured", "call"])
def test_three_ways_to_pass_it(way):
    mine, other = Told("Runs on mine."), Told("Runs on the other.")
    lm = ScriptedLM([code("SUBMIT(answer='a')")])
    rlm = RLM(interpreter_factory=None if way == "configured" else other)
    if way == "constructor":
        mine, other = other, mine
    with dspy.context(lm=lm, interpreter_factory=mine if way == "configured" else other):
        call = {"interpreter_factory": mine} if way == "call" else {}
        assert rlm(context=TEXT, query="q", **call).answer == "a"
    assert (len(mine.made), len(other.made)) == (1, 0)
    told = lm.asked[0].text
    assert told.count(mine.execution_instructions) == 1
    assert other.execution_instructions not in told


def test_an_optimized_instruction_keeps_what_the_optimizer_wrote():
    mine, other = Told("Runs on mine."), Told("Runs on the other.")
    rlm = RLM(interpreter_factory=mine)
    assert "Runs on mine." in rlm.generate_action.signature.instructions
    rlm.plan.signature = rlm.plan.signature.with_instructions("Better words.")
    for factory in (mine, other):
        lm = ScriptedLM([code("SUBMIT(answer='a')")])
        with dspy.context(lm=lm):
            rlm(interpreter_factory=factory, context=TEXT, query="q")
        assert lm.asked[0].system.startswith("Better words.")
        assert lm.asked[0].text.count(factory.execution_instructions) == 1
    assert rlm.plan.signature.instructions == "Better words."


@pytest.mark.parametrize(
    "wrapped",
    [functools.partial(LocalInterpreter, execution_timeout=60), lambda: LocalInterpreter()],
    ids=["partial", "lambda"],
)
def test_what_an_interpreter_says_is_told_however_it_is_made(wrapped):
    lm = ScriptedLM([code("SUBMIT(answer='a')")])
    with dspy.context(lm=lm):
        RLM(interpreter_factory=wrapped)(context=TEXT, query="q")
    assert lm.asked[0].text.count(LocalInterpreter.execution_instructions) == 1


class NoText:
    execution_instructions = 5

    def __call__(self):
        return LocalInterpreter()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (LocalInterpreter(), "already implements CodeInterpreter"),
        (5, "zero-argument callable"),
        (NoText(), "execution_instructions must be a string"),
    ],
    ids=["an interpreter", "no callable", "no text"],
)
def test_a_wrong_factory_is_refused(wrong, told):
    with pytest.raises(ConfigurationError, match=told):
        RLM(interpreter_factory=wrong)
    inputs = {"context": TEXT, "query": "q"}
    with pytest.raises(ConfigurationError, match=told):
        RLM()(interpreter_factory=wrong, **inputs)
    with (
        dspy.context(interpreter_factory=wrong),
        pytest.raises(ConfigurationError, match=rf"dspy\.settings\..*{told}"),
    ):
        RLM()(**inputs)


def test_a_factory_that_makes_something_else_is_refused():
    told = "must return a CodeInterpreter, not dict: it has no tools, start, execute, shutdown"
    with pytest.raises(ConfigurationError, match=told):
        ran(dict, "1")


# --- endings ---


@pytest.mark.parametrize("kind", ["deadline", "cancelled"])
async def test_a_step_that_does_not_end_holds_nobody_up(factory, kind):
    lm = ScriptedLM([code("print('on')"), code(ENDLESS[factory.kind]), "an answer"])
    begun = threading.Event()
    seconds = 10 if factory.kind == "deno" else 1.5  # Deno starts in a few
    budget = Budget(seconds=seconds) if kind == "deadline" else None
    rlm = RLM(interpreter_factory=factory, budget=budget)
    with dspy.context(lm=lm):
        handle = rlm.start(
            listeners=(lambda event: begun.set() if event.kind == "executed" else None,),
            context=TEXT,
            query="q",
        )
    assert await asyncio.to_thread(begun.wait, 30)
    if kind == "deadline":
        run = (await handle.wait()).run
        assert (run.status, run.reason) == ("partial", "seconds")
        assert run.spend.seconds < seconds + 1
    else:
        await asyncio.sleep(0.2)
        started = time.monotonic()
        handle.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handle.wait()
        assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    ("make", "step", "told"),
    [
        (LocalInterpreter, "import os; os._exit(1)", "exited unexpectedly"),
        (
            functools.partial(LocalInterpreter, execution_timeout=0.5),
            "while True: pass",
            "exceeded execution timeout",
        ),
    ],
    ids=["died", "timed out"],
)
def test_an_interpreter_that_breaks_ends_the_run(make, step, told):
    with pytest.raises(InterpreterError, match=told) as caught:
        ran(make, "print(1)", step, "SUBMIT(answer='a')")
    assert isinstance(caught.value, CodeInterpreterError)
    assert len(caught.value.run.trajectory) == 1


class Scripted:
    """Keeps the protocol, and gives or raises what it is told."""

    def __init__(self, *replies):
        self.tools = {}
        self.replies = list(replies)
        self.calls = []
        self.shut = 0

    def start(self):
        self.calls.append("start")

    def execute(self, code, variables=None):
        self.calls.append(code)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def shutdown(self):
        self.shut += 1


def test_an_error_out_of_the_protocol_is_the_interpreters():
    broken = Scripted("1", ConnectionError("the line is dead"))
    with pytest.raises(InterpreterError, match="ConnectionError: the line is dead") as caught:
        ran(lambda: broken, "a = 1", "a = 2")
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert broken.shut == 1


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (None, "(no output - did you forget to print?)"),
        ("", "(no output - did you forget to print?)"),
        (0, "0"),
        (False, "False"),
        ([], "[]"),
        (["a", 1], "a\n1"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_what_an_interpreter_gives_is_shown(reply, shown):
    result = ran(lambda: Scripted(reply, dspy.primitives.FinalOutput({"answer": "a"})), "x", "y")
    assert outputs(result)[0] == shown


def test_a_planner_that_fails_leaves_no_interpreter_behind():
    class Broken:
        def __call__(self, **_):
            raise ValueError("no plan")

    interpreter = Scripted()
    rlm = RLM("query -> answer", interpreter_factory=lambda: interpreter)
    rlm.generate_action = Broken()
    with pytest.raises(ValueError, match="no plan"):
        rlm(query="q")
    assert (interpreter.calls, interpreter.shut) == (["start"], 1)


def test_an_interpreter_that_is_made_too_late_is_shut_down_unstarted():
    interpreter, made = Scripted(), threading.Event()

    def slow():
        made.wait(20)
        return interpreter

    with dspy.context(lm=ScriptedLM(["an answer"])):
        budget = Budget(seconds=1)
        result = RLM(interpreter_factory=slow, budget=budget).start(context=TEXT, query="q")
        threading.Timer(1.5, made.set).start()
        assert result.result().run.reason == "seconds"
    assert (interpreter.calls, interpreter.shut) == ([], 1)


# --- many, awaited, said ---


def test_eight_runs_at_once_do_not_mix(factory):
    rlm = RLM("context, query -> answer", interpreter_factory=factory)
    lm = ScriptedLM(lambda asked: code("x = query\nSUBMIT(answer=llm_query(x) + query)"))
    answers = {}

    def work(name):
        with dspy.context(lm=lm):
            answers[name] = rlm(context=TEXT, query=name).answer

    rlm.sub_lm = ScriptedLM(["got "])
    threads = [threading.Thread(target=work, args=(f"q{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {f"q{i}": f"gotq{i}" for i in range(8)}
    assert len(factory.made) == 8
    if factory.kind == "remote":
        assert {frozenset(made.threads) for made in factory.made} == {frozenset(["rlm-repl"])}


async def test_awaited(factory):
    rlm = RLM("context, query -> answer", interpreter_factory=factory)
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=query)")])):
        assert (await rlm.acall(context=TEXT, query="q")).answer == "q"


@pytest.mark.parametrize("interpreter", [None, LocalInterpreter])
def test_verbose_says_each_step(caplog, interpreter):
    ran(interpreter, "print(6 * 7)", "SUBMIT(answer='a')", verbose=True, max_iters=5)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert said[0] == "RLM iteration 1/5\nReasoning: \nCode:\nprint(6 * 7)"
    assert said[1].startswith("Output (")
    assert "42" in said[1]
    assert said[2].startswith("RLM iteration 2/5")
    assert said[3].endswith("FINAL: {'answer': 'a'}")


def test_nothing_is_said_unless_it_is_asked_for(caplog):
    ran(None, "SUBMIT(answer='a')")
    assert [record for record in caplog.records if record.levelno == logging.INFO] == []


# --- predictors put in place of ours, as dspy's users do ---


class Answers:
    """A predictor without `acall` that gives these predictions in turn."""

    def __init__(self, *predictions):
        self.predictions = list(predictions)

    def __call__(self, **_):
        return dspy.Prediction(**self.predictions.pop(0))


def test_replaced_predictors_are_asked():
    rlm = RLM("query -> answer", max_iters=1, interpreter_factory=lambda: Scripted("seen"))
    rlm.generate_action = Answers({"reasoning": "look", "code": "```python\nprint(1)\n```"})
    rlm.extract = Answers({"answer": "extracted"})
    result = rlm(query="q")
    assert result.answer == "extracted"
    assert result.final_reasoning == "Extract forced final output"
    assert result.trajectory == [{"reasoning": "look", "code": "print(1)", "output": "seen"}]
