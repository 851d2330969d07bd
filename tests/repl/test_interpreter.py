"""The REPL as a whole: steps, state, values both ways, tools, failures, roll-back, endings."""

import asyncio
import contextlib
import contextvars
import dataclasses
import enum
import math
import select
import threading
import time
from typing import Any

import dspy
import pydantic
import pytest
from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreter, FinalOutput
from dspy.utils import DummyLM
from dspy.utils.callback import BaseCallback

from rlm_dspy import wire
from rlm_dspy.context import Context
from rlm_dspy.dspy_errors import CodeFailed, InterpreterError, PolicyViolation
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.repl import RestrictedInterpreter
from rlm_dspy.repl.launch import Executor
from rlm_dspy.repl.variables import BIG


@pytest.fixture
def repl():
    with RestrictedInterpreter() as repl:
        yield repl


def received(value: Any) -> Any:
    """What a tool gets when the REPL passes on a variable of this value."""
    got = []
    with RestrictedInterpreter({"give": lambda x: got.append(x)}, snapshots=False) as repl:
        repl.execute("give(value)", {"value": value})
    return got[0]


# --- the protocol of dspy ---


def test_it_is_an_interpreter_of_dspy(repl):
    assert isinstance(repl, CodeInterpreter)
    assert isinstance(repl.execution_instructions, str)


def test_output_is_text_or_none(repl):
    assert repl.execute("print(1)\nprint('two')") == "1\ntwo\n"
    assert repl.execute("x = 5") is None
    assert repl.execute("x") == "5\n"


def test_names_stay_from_step_to_step(repl):
    repl.execute("import math\nx = [1]\ndef f(n):\n    return n + len(x)")
    assert repl.execute("x.append(2)\nprint(f(math.floor(1.5)))") == "3\n"


def test_submit_gives_the_fields():
    fields = [{"name": "answer", "type": "str"}, {"name": "n", "type": "int"}]
    with RestrictedInterpreter(output_fields=fields) as repl:
        assert repl.execute("SUBMIT(answer='a', n=2)") == FinalOutput({"answer": "a", "n": 2})
        assert repl.execute("SUBMIT('a', 2)") == FinalOutput({"answer": "a", "n": 2})
        with pytest.raises(CodeFailed, match="missing"):
            repl.execute("SUBMIT('a')")


def test_submit_without_fields_gives_output(repl):
    assert repl.execute("SUBMIT({'a': (1, 2)})") == FinalOutput({"output": {"a": (1, 2)}})


def test_tools_and_fields_may_change_between_steps(repl):
    assert repl.execute("print(1)") == "1\n"
    repl.tools["twice"] = lambda x: 2 * x
    repl.output_fields = [{"name": "n"}]
    assert repl.execute("SUBMIT(n=twice(x=4))") == FinalOutput({"n": 8})
    del repl.tools["twice"]
    with pytest.raises(CodeFailed, match="NameError"):
        repl.execute("twice(1)")


@pytest.mark.parametrize(
    ("code", "error", "says", "line"),
    [
        ("print('a')\nx = {}\nx['k']", CodeFailed, "KeyError: 'k'", 3),
        ("print('a')\nprint('b')\nimport os", PolicyViolation, "os", 3),
        ("def f():\n    return 1 / 0\nprint('a')\nf()", CodeFailed, "ZeroDivisionError", 4),
    ],
)
def test_failed_code_says_what_where_and_what_was_printed(repl, code, error, says, line):
    with pytest.raises(error, match=says) as caught:
        repl.execute(code)
    assert isinstance(caught.value, CodeExecutionError)
    assert caught.value.line == line
    if "policy" not in caught.value.message.lower():
        assert caught.value.output.startswith("a\n")
    assert repl.execute("print('on')") == "on\n"


def test_wrong_syntax_is_a_syntax_error(repl):
    with pytest.raises(SyntaxError, match="line 2"):
        repl.execute("x = 1\nx = = 2")
    assert repl.execute("print('on')") == "on\n"


def test_a_session_that_was_shut_down_is_over(repl):
    repl.shutdown()
    repl.shutdown()
    with pytest.raises(InterpreterError, match="over"):
        repl.execute("1")
    with pytest.raises(InterpreterError, match="over"):
        repl.start()


@pytest.mark.parametrize(
    "options",
    [
        {"step_seconds": 0},
        {"step_seconds": float("nan")},
        {"memory_mb": 1},
        {"max_output_chars": 0},
        {"isolation": "please"},
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigurationError):
        RestrictedInterpreter(**options)


@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    ("module", "replies"),
    [
        (
            lambda: dspy.ProgramOfThought(
                "question -> answer", interpreter_factory=RestrictedInterpreter
            ),
            [{"reasoning": "", "generated_code": "```python\nSUBMIT({'answer': 1 + 1})\n```"}],
        ),
        (
            lambda: dspy.CodeAct(
                "question -> answer", tools=[add], interpreter_factory=RestrictedInterpreter
            ),
            [{"generated_code": "```python\nprint(add(1, 1))\n```", "finished": "True"}],
        ),
    ],
    ids=["ProgramOfThought", "CodeAct"],
)
def test_other_modules_of_dspy_run_on_it(module, replies):
    lm = DummyLM([*replies, {"reasoning": "", "answer": "2"}])
    with dspy.context(lm=lm):
        assert module()(question="1 + 1?").answer == "2"
    assert "2" in str(lm.history[-1]["messages"][-1]["content"])


def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


class Recorder(BaseCallback):
    def __init__(self):
        self.events = []

    def on_interpreter_startup_end(self, call_id, outputs, exception=None):
        self.events.append("started")

    def on_interpreter_execute_end(self, call_id, outputs, exception=None):
        self.events.append(outputs)

    def on_interpreter_tool_call_start(self, call_id, instance, inputs):
        self.events.append((inputs["tool_name"], inputs["args"], inputs["kwargs"]))

    def on_interpreter_shutdown_end(self, call_id, outputs, exception=None):
        self.events.append("shut down")


def test_callbacks_of_dspy_see_what_happens():
    recorder = Recorder()
    with RestrictedInterpreter({"twice": lambda x: 2 * x}, callbacks=[recorder]) as repl:
        repl.execute("print(twice(3))")
    assert recorder.events == ["started", ("twice", [3], {}), "6\n", "shut down"]


def test_plain_dspy_rlm_runs_on_it():
    codes = iter(["print(len(context))", "SUBMIT(answer=context.upper()[:5])"])

    class Plan(dspy.Module):
        def forward(self, **_):
            return dspy.Prediction(reasoning="", code=next(codes))

    rlm = dspy.RLM("context -> answer", interpreter_factory=RestrictedInterpreter, max_iters=3)
    rlm.generate_action = Plan()
    result = rlm(context="hello world")
    assert result.answer == "HELLO"
    assert "11" in result.trajectory[0]["output"]


# --- values ---


class Colour(enum.Enum):
    RED = "red"


class Model(pydantic.BaseModel):
    a: int
    b: list[str]


@dataclasses.dataclass
class Point:
    x: int
    y: int


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        2**80,
        -0.5,
        math.inf,
        "text \ud800 \x00 é 🙂",
        b"\x00\xff",
        [1, [2.0, None]],
        (1, ("a",)),
        {"a": 1, 2: "b", (3, 4): [5]},
        {1, 2},
        list(range(50_000)),
        ["line"] * 50_000,
    ],
    ids=lambda value: repr(value)[:20],
)
def test_plain_values_pass_both_ways(value):
    got = received(value)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (Model(a=1, b=["x"]), {"a": 1, "b": ["x"]}),
        ([Model(a=1, b=[])], [{"a": 1, "b": []}]),
        (Point(1, 2), {"x": 1, "y": 2}),
        (Colour.RED, "red"),
    ],
)
def test_typed_values_arrive_as_plain_data(value, arrives):
    assert received(value) == arrives


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        ("{'a': 1}.items()", [("a", 1)]),
        ("types.MappingProxyType({'a': 1})", {"a": 1}),
        ("(str(n) for n in range(2))", ["0", "1"]),
        ("map(str, [1])", ["1"]),
        ("{Point(1)}", [{"x": 1}]),
        ("{(1, Point(1))}", [(1, {"x": 1})]),
        ("{datetime.date(2024, 1, 2)}", ["2024-01-02"]),
    ],
)
def test_what_leaves_is_made_plain(repl, value, arrives):
    code = "import dataclasses, datetime, types\n@dataclasses.dataclass(frozen=True)\n"
    assert repl.execute(f"{code}class Point: x: int\nSUBMIT({value})").output == {"output": arrives}


def test_what_never_ends_does_not_leave(repl):
    with pytest.raises(CodeFailed, match="more than 2,000,000 items"):
        repl.execute("import itertools\nSUBMIT(itertools.count())")


def test_a_large_text_is_a_real_str():
    text = "é" + "abcdefghi\n" * (BIG // 10) + "\ud800 end"
    with RestrictedInterpreter() as repl:
        step = "print(type(text) is str, len(text), text[0], text[-3:], text.count('abc'))"
        shown = repl.execute(step, {"text": text})
    assert shown == f"True {len(text)} é end {BIG // 10}\n"


@pytest.mark.parametrize("value", [object(), lambda: 1, open])
def test_what_cannot_enter_is_refused_and_the_session_goes_on(repl, value):
    with pytest.raises(InterpreterError, match="'thing' cannot enter"):
        repl.execute("1", {"thing": value})
    assert repl.execute("print('on')") == "on\n"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("1x", InterpreterError),
        ("class", InterpreterError),
        ("a b", InterpreterError),
        ("SUBMIT", PolicyViolation),
        ("__builtins__", PolicyViolation),
    ],
)
def test_a_variable_needs_a_free_name(repl, name, error):
    with pytest.raises(error, match="name"):
        repl.execute("1", {name: 1})
    assert repl.execute("print('on')") == "on\n"


class Counted:
    """A value that counts how often it is sent."""

    def __init__(self, text):
        self.text = text
        self.sent = 0

    def __to_worker__(self):
        self.sent += 1
        return wire.Parcel("str", (self.text.encode(),))


def test_what_was_given_before_is_not_sent_again(repl):
    value = Counted("hello")
    for _ in range(3):
        assert repl.execute("print(value)", {"value": value}) == "hello\n"
    assert value.sent == 1
    other = Counted("other")
    assert repl.execute("print(value)", {"value": other}) == "other\n"


def test_a_changed_list_is_sent_again(repl):
    rows = [1, [2]]
    assert repl.execute("print(rows)", {"rows": rows}) == "[1, [2]]\n"
    rows[1].append(3)
    assert repl.execute("print(rows)", {"rows": rows}) == "[1, [2, 3]]\n"


def test_a_parcel_of_an_unknown_module_is_refused(repl):
    class Foreign:
        def __to_worker__(self):
            return wire.Parcel("os:system", ())

    with pytest.raises(InterpreterError, match="not one of the worker's modules"):
        repl.execute("1", {"value": Foreign(), "other": 1})
    assert repl.execute("print('on')") == "on\n"
    repl._session._worker.handle.kill()
    with pytest.raises(CodeFailed):
        repl.execute("1")
    assert repl.execute("print('on')") == "on\n"  # what was refused does not come back


# --- tools ---


@pytest.mark.parametrize(
    ("argument", "schema"),
    [
        ("int", {"type": "integer"}),
        ("list[str]", {"type": "array", "items": {"type": "string"}}),
        ("Literal['a', 'b']", {"enum": ["a", "b"], "type": "string"}),
    ],
)
def test_a_type_passes_as_its_schema(argument, schema):
    got = []
    with RestrictedInterpreter({"ask": lambda x, returns: got.append(returns)}) as repl:
        repl.execute(f"from typing import Literal\nask('q', returns={argument})")
    assert got == [schema]


def test_a_tool_runs_in_the_thread_that_executes():
    seen = []
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("mine")

    def tool():
        seen.append((threading.get_ident(), variable.get()))

    with RestrictedInterpreter({"tool": tool}) as repl:
        repl.execute("tool()")
    assert seen == [(threading.get_ident(), "mine")]


def test_an_asynchronous_tool_is_waited_for():
    async def slow(x):
        await asyncio.sleep(0.01)
        return x + 1

    with RestrictedInterpreter({"slow": slow}) as repl:
        assert repl.execute("print(slow(1))") == "2\n"


async def test_an_asynchronous_tool_works_inside_a_running_loop():
    async def slow(x):
        await asyncio.sleep(0.01)
        return x + 1

    with RestrictedInterpreter({"slow": slow}) as repl:
        assert repl.execute("print(slow(1))") == "2\n"


def test_a_tool_that_fails_raises_in_the_code():
    def tool():
        raise KeyError("gone")

    with RestrictedInterpreter({"tool": tool}) as repl:
        with pytest.raises(CodeFailed, match="gone"):
            repl.execute("print('a')\ntool()")
        shown = repl.execute("try:\n    tool()\nexcept Exception as e:\n    print('caught', e)")
    assert shown is not None
    assert shown.startswith("caught")


def test_a_result_that_cannot_enter_is_an_error_of_the_tool():
    with RestrictedInterpreter({"tool": lambda: object()}) as repl:
        with pytest.raises(CodeFailed, match="cannot enter the REPL"):
            repl.execute("tool()")
        assert repl.execute("print('on')") == "on\n"


def test_an_argument_that_cannot_leave_is_an_error_of_the_code():
    with RestrictedInterpreter({"tool": lambda x: x}) as repl:
        with pytest.raises(CodeFailed, match="cannot leave the REPL"):
            repl.execute("tool(lambda: 1)")
        assert repl.execute("print(tool({'a': {1, 2}, 'b': range(2)}))") == (
            "{'a': {1, 2}, 'b': [0, 1]}\n"
        )


class StopAll(Exception):
    """An exception of the host's that is not the model's business."""

    ends_step = True


@pytest.mark.parametrize("error", [StopAll, KeyboardInterrupt, asyncio.CancelledError, SystemExit])
def test_what_ends_a_step_comes_out_and_the_state_is_as_before(error):
    def tool():
        raise error

    with RestrictedInterpreter({"tool": tool}) as repl:
        repl.execute("x = 1")
        with pytest.raises(error):
            repl.execute("x = 2\ntry:\n    tool()\nexcept BaseException:\n    x = 3")
        assert repl.execute("print(x)") == "1\n"


def test_a_step_inside_a_step_is_refused():
    said = []

    def tool():
        try:
            repl.execute("1")
        except InterpreterError as error:
            said.append(str(error))

    with RestrictedInterpreter({"tool": tool}) as repl:
        repl.execute("tool()")
        assert repl.execute("print('on')") == "on\n"
    assert "one at a time" in said[0]


def test_the_clock_stands_while_a_tool_runs():
    with RestrictedInterpreter({"wait": lambda: time.sleep(0.8)}, step_seconds=0.5) as repl:
        assert repl.execute("wait()\nprint('done')") == "done\n"


# --- losing a step ---

LOST = {
    "Timeout": "print('seen')\nx = 2\nwhile True: pass",
    "MemoryError": "print('seen')\nx = 2\ny = []\nwhile True: y.append('a' * 1_000_000)",
}


@pytest.mark.parametrize("kind", LOST)
def test_a_lost_step_is_rolled_back(kind):
    with RestrictedInterpreter(step_seconds=1, memory_mb=64) as repl:
        repl.execute("x = 1\nimport random\nrandom.seed(5)")
        repl.execute("given", {"given": "text"})
        for _ in range(2):
            with pytest.raises(CodeFailed, match="rolled back to its state before") as caught:
                repl.execute(LOST[kind])
            assert caught.value.error_type == kind
            assert caught.value.output == "seen\n"
            assert repl.execute("print(x, given, random.random())") is not None
        assert repl.execute("print(x)") == "1\n"


def test_the_first_step_lost_starts_anew():
    with RestrictedInterpreter(step_seconds=0.3) as repl:
        with pytest.raises(CodeFailed, match="started anew, as before this step"):
            repl.execute("x = given\nwhile True: pass", {"given": 5})
        assert repl.execute("print(given, 'x' in globals())") == "5 False\n"


@pytest.mark.parametrize("options", [{"snapshots": False}, {"_launcher": Executor()}])
def test_without_copies_the_given_variables_come_back(options):
    with RestrictedInterpreter(step_seconds=0.5, **options) as repl:
        repl.execute("x = 1", {"given": "text", "big": "b" * BIG})
        with pytest.raises(CodeFailed, match="those that code defined are gone"):
            repl.execute("while True: pass")
        step = "print(given, len(big), 'x' in globals())"
        assert repl.execute(step) == f"text {BIG} False\n"


def test_random_numbers_go_on_after_a_roll_back_as_they_would_have():
    with RestrictedInterpreter(step_seconds=0.5) as repl:
        repl.execute("import random\nrandom.seed(7)")
        with pytest.raises(CodeFailed):
            repl.execute("random.random()\nwhile True: pass")
        rolled_back = repl.execute("print(random.random())")
    with RestrictedInterpreter() as repl:
        assert repl.execute("import random\nrandom.seed(7)\nprint(random.random())") == rolled_back


def test_a_killed_worker_is_a_crash_and_is_rolled_back(repl):
    repl.execute("x = 1")
    repl.execute("y = 1")
    assert settles(lambda: is_frozen(repl))
    repl._session._worker.handle.kill()
    with pytest.raises(CodeFailed, match="crashed its Python process") as caught:
        repl.execute("x = 2")
    assert caught.value.error_type == "Crash"
    assert repl.execute("print(x, y)") == "1 1\n"


def test_a_step_can_be_interrupted_from_another_thread():
    with RestrictedInterpreter(step_seconds=None) as repl:
        repl.interrupt()  # nothing runs: nothing happens
        repl.execute("x = 1")
        timer = threading.Timer(0.3, repl.interrupt)
        timer.start()
        with pytest.raises(CodeFailed, match="interrupted.*rolled back") as caught:
            repl.execute("print('seen')\nx = 2\nwhile True: pass")
        timer.join()
        assert caught.value.error_type == "Interrupted"
        assert caught.value.output == "seen\n"
        assert repl.execute("print(x)") == "1\n"


def test_an_interrupt_that_comes_too_late_harms_no_later_step():
    with RestrictedInterpreter() as repl:
        for _ in range(30):
            timer = threading.Timer(0.001, repl.interrupt)
            timer.start()
            with contextlib.suppress(CodeFailed):
                repl.execute("x = 1")
            timer.join()
            assert repl.execute("print('on')") == "on\n"


def test_a_step_that_computes_in_c_can_be_interrupted():
    with RestrictedInterpreter(step_seconds=None) as repl:
        repl.execute("x = 1")
        timer = threading.Timer(0.3, repl.interrupt)
        timer.start()
        with pytest.raises(CodeFailed, match="interrupted"):
            repl.execute("import re\nre.match('(a+)+$', 'a' * 40 + 'b')")
        timer.join()
        assert repl.execute("print(x)") == "1\n"


def test_branches_are_independent(repl):
    repl.execute("x = [1]", {"given": "text"})
    twin = repl.branch()
    third = twin.branch()
    assert twin.execute("x.append(2)\nprint(x, given)") == "[1, 2] text\n"
    assert repl.execute("print(x)") == "[1]\n"
    repl.shutdown()
    assert twin.execute("print(x)") == "[1, 2]\n"
    assert third.execute("print(x)") == "[1]\n"
    assert settles(lambda: is_frozen(twin))
    twin._session._worker.handle.kill()
    with pytest.raises(CodeFailed, match="rolled back"):
        twin.execute("1")
    assert twin.execute("print(x)") == "[1, 2]\n"
    twin.shutdown()
    assert third.execute("print(x)") == "[1]\n"
    third.shutdown()


def is_frozen(repl):
    """Whether the copy of the present state exists."""
    copy = repl._session._copies.newest
    return bool(select.select([copy.channel.sock], [], [], 0)[0])


def settles(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


# --- contexts ---


def test_a_context_is_mapped_and_needs_no_private_memory():
    text = "abcdefghi\n" * 10_000_000
    with RestrictedInterpreter(memory_mb=32) as repl:
        step = "print(len(context), context[50:55], context.find('i', 100))"
        for _ in range(2):
            shown = repl.execute(step, {"context": Context.from_text(text)})
            assert shown == "100000000 abcde 108\n"
        with pytest.raises(CodeFailed, match="filled the 32 MiB"):
            repl.execute("str(context) + 'x'")
        assert repl.execute("print(len(context))") == "100000000\n"


def test_a_text_in_a_file_is_read_where_it_lies(tmp_path, monkeypatch):
    monkeypatch.setattr("rlm_dspy.context.in_place.IN_PLACE_BYTES", 1)
    monkeypatch.setattr("rlm_dspy.context.assembly.IN_MEMORY_BYTES", 1)
    monkeypatch.setattr("rlm_dspy.context.assembly.LEAST_IN_PLACE", 1)
    path = tmp_path / "text.txt"
    path.write_text("zwölf\n" * 1000, encoding="utf-8")
    context = Context.from_path(path)
    with RestrictedInterpreter() as repl:
        for _ in range(2):
            shown = repl.execute("print(len(context), context.lines(7, 7))", {"context": context})
            assert shown == "6000 ['zwölf']\n"
        twin = repl.branch()
        path.write_text("other")
        with pytest.raises(CodeFailed, match=r"text\.txt: changed while it was in use"):
            repl.execute("context.find('zwölf', 3000)")
        with twin, pytest.raises(CodeFailed, match="changed while it was in use"):
            twin.execute("context.find('zwölf', 3000)")


def test_large_plain_data_passes_whole(repl):
    rows = [{"text": "x" * 1000, "n": n} for n in range(3000)]
    assert repl.execute("print(len(rows), rows[2999]['n'])", {"rows": rows}) == "3000 2999\n"


def test_one_object_under_two_names_is_one_object(repl):
    context, rows = Context.from_text("text"), [1]
    given = {"context": context, "P": context, "rows": rows, "same": rows}
    step = "print(context is P, rows is same)"
    assert repl.execute(step, given) == "True True\n"
    rows.append(2)
    assert repl.execute("print(rows is same, same)", given) == "True [1, 2]\n"
    repl._session._worker.handle.kill()
    with pytest.raises(CodeFailed):
        repl.execute("1")
    assert repl.execute(step) == "True True\n"


def test_a_span_passes_to_a_tool_as_its_text():
    got = []
    with RestrictedInterpreter({"give": got.append}) as repl:
        repl.execute("give(context[0:5])", {"context": Context.from_text("hello world")})
    assert got == ["hello"]
    assert type(got[0]) is str


# --- many at once ---


def test_many_sessions_at_once_do_not_mix():
    outputs = {}

    def session(n):
        with RestrictedInterpreter({"tool": lambda x: x + n}) as repl:
            repl.execute(f"x = {n}")
            outputs[n] = [repl.execute("x = tool(x)\nprint(x)") for _ in range(3)]

    threads = [threading.Thread(target=session, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outputs == {n: [f"{n * k}\n" for k in (2, 3, 4)] for n in range(8)}
