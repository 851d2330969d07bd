"""The private loop: forks, exits, nesting, and no process left behind."""

import asyncio
import contextvars
import os
import subprocess
import sys
import textwrap
import threading

import dspy
import pytest
from dspy.utils.callback import BaseCallback

from rlm_dspy import RLM, Budget, ConfigurationError
from rlm_dspy.loop import ElasticExecutor, Handle, OwnThread, on_private_loop, private_loop
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 400
SUBMIT = code("SUBMIT(answer='a')")
not_312 = pytest.mark.skipif(
    sys.version_info[:2] == (3, 12),
    reason="Python 3.12 starts no thread while it exits (python/cpython#113964)",
)

PRELUDE = """
import dspy, os, sys
from rlm_dspy import RLM
from rlm_dspy.testing import ScriptedLM, code
TEXT = "The grass grows. " * 400
def run(name, lm=None):
    with dspy.context(lm=lm or ScriptedLM([code(f"SUBMIT(answer={name!r})")])):
        return RLM()(context=TEXT, query="q").answer
"""


def script(source, timeout=60):
    """Runs a program of its own and gives what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "never retrieved" not in done.stderr
    return done.stdout.split()


ONE_LIFE = """
import atexit, pathlib, time
from rlm_dspy import Budget

def children():
    parents = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
            state, parent = stat.rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(pid)] = int(parent)
    mine, more = set(), {os.getpid()}
    while more:
        more = {pid for pid, parent in parents.items() if parent in more} - mine
        mine |= more
    return mine

run("first")
before = children()
for name in "abc":
    run(name)
with dspy.context(lm=ScriptedLM([code("1 / 0")])):
    RLM(max_iters=1)(context=TEXT, query="q")
lm = ScriptedLM(lambda a: "guess" if "<findings>" in a.last else code("while True: pass"))
with dspy.context(lm=lm):
    print("abandoned:", RLM(budget=Budget(seconds=1))(context=TEXT, query="q").answer)
end = time.monotonic() + 10
while len(children()) > len(before) and time.monotonic() < end:
    time.sleep(0.05)
print("left:", len(children()) - len(before), flush=True)
child = os.fork()
if child == 0:
    os._exit(0 if run("child") == "child" else 3)
print("child:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print("parent:", run("after"))
if sys.version_info[:2] != (3, 12):
    atexit.register(lambda: print("exiting:", run("exiting")))
"""


@pytest.fixture(scope="module")
def one_life():
    """What one program saw: processes left, an abandoned step, a fork, a run at exit."""
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    said = iter(script(ONE_LIFE))
    return dict(zip(said, said, strict=True))


@pytest.mark.slow
def test_a_forked_child_runs_on_a_loop_of_its_own(one_life):
    assert one_life["child:"] == "0"
    assert one_life["parent:"] == "after"


@not_312
def test_a_run_while_the_interpreter_exits(one_life):
    assert one_life["exiting:"] == "exiting"


def test_an_abandoned_step_ends_quietly(one_life):
    assert one_life["abandoned:"] == "guess"


def test_no_process_is_left_after_a_run(one_life):
    assert int(one_life["left:"]) <= 0


def test_a_run_that_is_alive_at_exit_does_not_hold_it_up():
    said = script(
        """
        lm = ScriptedLM([code("x = 1")], seconds=60)
        with dspy.context(lm=lm):
            RLM().start(context=TEXT, query="q")
        print("bye")
        """
    )
    assert said == ["bye"]


@pytest.mark.slow
def test_a_loop_whose_thread_has_ended_is_started_anew():
    said = script(
        """
        import threading
        from rlm_dspy.loop import private_loop
        threading.excepthook = lambda _: None
        run("first")
        broken = private_loop()
        thread = next(t for t in threading.enumerate() if t.name == "rlm-loop")
        broken.call_soon_threadsafe(broken._selector.close)
        thread.join(30)
        print(thread.is_alive(), run("second"), private_loop() is broken)
        """
    )
    assert said == ["False", "second", "False"]


@not_312
@pytest.mark.slow
def test_the_first_run_while_the_interpreter_exits():
    assert script("import atexit; atexit.register(lambda: print(run('first')))") == ["first"]


def test_a_blocking_call_inside_a_run_is_refused():
    async def inner(text: str) -> str:
        return RLM()(context=text, query="q").answer

    lm = ScriptedLM([code("inner('text')"), SUBMIT])
    with dspy.context(lm=lm):
        result = RLM(tools=[inner])(context=TEXT, query="q")
    assert result.answer == "a"
    assert "await rlm.acall" in result.trajectory[0]["output"]


def test_waiting_for_a_handle_inside_a_run_is_refused():
    async def inner() -> str:
        with dspy.context(lm=ScriptedLM([SUBMIT])):
            handle = RLM().start(context=TEXT, query="q")
        try:
            return handle.result().answer
        except ConfigurationError as error:
            return f"{error} {(await handle.wait()).answer}"

    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=inner())")])):
        answer = RLM(tools=[inner])(context=TEXT, query="q").answer
    assert "await rlm.acall" in answer
    assert answer.endswith(" a")


def test_twenty_sync_tools_that_call_rlms_do_not_starve():
    def inner(text: str) -> str:
        with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=query)")], seconds=0.05)):
            return RLM()(context=TEXT, query=text).answer

    answers, rlm = {}, RLM(tools=[inner])

    def outer(name):
        with dspy.context(lm=ScriptedLM([code(f"SUBMIT(answer=inner({name!r}))")])):
            answers[name] = rlm(context=TEXT, query="q").answer

    threads = [threading.Thread(target=outer, args=(f"n{i}",), daemon=True) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {f"n{i}": f"n{i}" for i in range(20)}


def test_sync_lms_that_block_do_not_starve_either():
    barrier = threading.Barrier(12)

    class Engine:
        def complete(self, request):
            barrier.wait(30)
            return ScriptedLM([SUBMIT]).script.complete(request)

    lm = dspy.LM("blocking", engine=Engine(), cache=False)
    batch = code("SUBMIT(answer=str(len(llm_query_batched(['x'] * 12))))")
    with dspy.context(lm=ScriptedLM([batch])):
        assert RLM(sub_lm=lm)(context=TEXT, query="q").answer == "12"


async def test_cancelling_frees_the_loop_at_once():
    def slow() -> int:
        return 1

    lm = ScriptedLM([code("while True: pass")])
    with dspy.context(lm=lm):
        task = asyncio.create_task(RLM(tools=[slow]).acall(context=TEXT, query="q"))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with dspy.context(lm=ScriptedLM([SUBMIT])):
            assert (await RLM().acall(context=TEXT, query="q")).answer == "a"


def test_settings_of_the_caller_are_seen_in_tools_and_models():
    name = contextvars.ContextVar("name", default="unset")

    def who() -> str:
        return f"{name.get()} {dspy.settings.lm.model}"

    name.set("caller")
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=who())")], model="mine")):
        assert RLM(tools=[who])(context=TEXT, query="q").answer == "caller mine"


def test_runs_do_not_see_each_others_changes():
    name = contextvars.ContextVar("name", default="unset")

    async def rename():
        name.set("changed")
        return name.get()

    assert Handle(rename()).result() == "changed"
    assert name.get() == "unset"


def test_errors_and_results_come_back():
    async def fail():
        raise KeyError("mine")

    async def where():
        return on_private_loop(), asyncio.get_running_loop() is private_loop()

    with pytest.raises(KeyError, match="mine"):
        Handle(fail()).result()
    assert Handle(where()).result() == (True, True)
    assert not on_private_loop()


def test_cancelling_a_handle_cleans_up_first():
    cleaned, started = threading.Event(), threading.Event()

    async def work():
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.set()

    handle = Handle(work())
    assert started.wait(10)
    handle.cancel()
    with pytest.raises((asyncio.CancelledError, Exception)):
        handle.result()
    assert cleaned.is_set()
    assert handle.future.cancelled()


def test_the_executor_starts_a_thread_whenever_none_is_idle():
    executor, barrier = ElasticExecutor(), threading.Barrier(30)
    futures = [executor.submit(barrier.wait, 20) for _ in range(30)]
    assert sorted(future.result(30) for future in futures) == list(range(30))
    assert executor.submit(lambda: 5).result(10) == 5
    with pytest.raises(ZeroDivisionError):
        executor.submit(lambda: 1 / 0).result(10)


def test_a_thread_of_ones_own_keeps_order_and_context():
    thread, seen = OwnThread("own"), []
    name = contextvars.ContextVar("name", default="unset")
    for number in range(5):
        name.set(number)
        last = thread.submit(lambda: seen.append((name.get(), threading.current_thread().name)))
    last.result(10)
    thread.close()
    assert seen == [(number, "own") for number in range(5)]


def test_threads_share_one_loop():
    loops = []
    threads = [threading.Thread(target=lambda: loops.append(private_loop())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, loops))) == 1


@pytest.mark.slow
def test_a_sync_tool_that_outlasts_the_limit_does_not_lose_the_answer():
    release = threading.Event()

    def slow() -> int:
        release.wait(20)
        return 1

    def script_(asked):
        if "<findings>" in asked.last:
            release.set()
            return "guess"
        return code("slow()")

    with dspy.context(lm=ScriptedLM(script_)):
        result = RLM(tools=[slow], budget=Budget(seconds=2))(context=TEXT, query="q")
    assert (result.answer, result.run.status, result.run.reason) == ("guess", "partial", "seconds")


def within(call, seconds=30):
    """What a call raises or returns, from a thread of its own: a test that hangs says so."""
    outcome = []

    def run():
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - what it raises is what is asked for
            outcome.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
    thread.start()
    thread.join(seconds)
    assert outcome, "it hangs"
    return outcome[0]


class Leaving:
    """What raises an exception in each place where a run calls code of the user's."""

    def __init__(self, error):
        self.error = error

    def leave(self, *args, **kwargs):
        raise self.error

    async def leave_later(self, *args, **kwargs):
        await asyncio.sleep(0)
        raise self.error

    def run(self, place):
        tool = self.leave_later if place == "async_tool" else self.leave
        lm, sub_lm = ScriptedLM([code(CALLS.get(place, "SUBMIT(answer='a')"))]), None
        if place in ("lm", "sub_lm"):
            failing = dspy.LM("leaving", engine=self, cache=False)
            lm, sub_lm = (failing, None) if place == "lm" else (lm, failing)
        callback = BaseCallback()
        callback.on_lm_start = self.leave
        with dspy.context(lm=lm, callbacks=[callback] if place == "callback" else []):
            factory = self.leave if place == "factory" else None
            rlm = RLM(tools=[dspy.Tool(tool, name="leave")], sub_lm=sub_lm)
            listeners = (self.leave,) if place == "listener" else ()
            start = rlm.start(
                interpreter_factory=factory, listeners=listeners, context=TEXT, query="q"
            )
            return start.result()

    complete = leave  # as an LM's engine


CALLS = {
    "tool": "leave()",
    "async_tool": "leave()",
    "sub_lm": "print(ask_each('what?', ['a', 'b', 'c']))",
}
PLACES = ["tool", "async_tool", "listener", "callback", "factory", "lm", "sub_lm"]


@pytest.mark.parametrize("place", PLACES)
def test_an_exit_ends_the_run_that_called_it_and_no_other(place):
    error = KeyboardInterrupt() if place == "tool" else SystemExit(3)
    assert within(lambda: Leaving(error).run(place)) is error
    with dspy.context(lm=ScriptedLM([SUBMIT])):
        assert within(lambda: RLM()(context=TEXT, query="q").answer) == "a"


def test_an_exit_in_a_callback_of_the_loop_does_not_end_it():
    def leave():
        raise SystemExit

    async def other():
        asyncio.get_running_loop().call_soon(leave)
        await asyncio.sleep(0.01)
        return "goes on"

    assert within(Handle(other()).result) == "goes on"
