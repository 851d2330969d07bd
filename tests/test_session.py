"""Many questions, one REPL: what stays, what a failure leaves, and how it is opened again."""

import asyncio
import re
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import dspy
import pytest

from rlm_dspy import (
    RLM,
    Budget,
    BudgetExceeded,
    ConfigurationError,
    Context,
    ProviderError,
    ReplayMismatch,
    RestrictedInterpreter,
    RLMOptions,
    StoreError,
)
from rlm_dspy.recording import store_of
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows.\n" * 300 + "The code of locker B-17 is 5309.\n"
STEPS = {
    "find": [
        "import random\nfound = context.grep('locker')\nchance = random.random()\n"
        "said = ask('Which code?', found[0])\nprint(said)",
        "SUBMIT(answer=f'{said} {chance}')",
    ],
    "again": ["SUBMIT(answer=f'{said} {found[0].start} {random.random()}')"],
    "read": ["print(ask('Again?', found[0]))", "SUBMIT(answer='read')"],
    "spoil": ["found = said = None\nprint('spoilt')", RuntimeError("the provider is down")],
    "half": ["half = [random.random()]\nprint(half)", "print(half)", "print(half, 1)"],
    "sub": [
        "found = rlm_query('inner', context)\nprint(found)",
        "SUBMIT(answer=f'{found} {inner}' if 'inner' in dir() else found)",
    ],
    "inner": ["inner = 1\nSUBMIT(answer=str(len(context)))"],
}


def planner(asked):
    first = asked.turns[0][1]
    name = re.findall(r"query = '(\w+)'", first)[-1]
    said = STEPS[name][min(len(asked.turns) // 2, len(STEPS[name]) - 1)]
    return said if isinstance(said, Exception) else code(said)


class Program:
    """A module whose planner follows the name of the question."""

    def __init__(self, **made):
        self.lm = ScriptedLM(planner, model="planner")
        self.sub_lm = ScriptedLM(["5309"], model="sub")
        self.rlm = RLM(sub_lm=self.sub_lm, **made)

    def session(self, **given):
        return self.rlm.session(**given)

    def ask(self, session, question, **given):
        with dspy.context(lm=self.lm):
            return session.ask(question, **given)

    @property
    def calls(self):
        return len(self.lm.asked) + len(self.sub_lm.asked)


@pytest.fixture
def program():
    return Program()


@pytest.fixture
def session(program):
    with program.session(context=TEXT) as opened:
        yield opened


def test_variables_and_answers_stay(program, session):
    first = program.ask(session, "find")
    second = program.ask(session, "again")
    said, start, _ = second.answer.split()
    assert (said, int(start)) == ("5309", TEXT.index("The code"))
    assert first.run.id != second.run.id
    told = program.lm.asked[-1].turns[0][1]
    assert "1. find" in told
    assert first.answer in told
    assert "said (str, 4 characters)" in told
    assert session.vars()["said"] == "str, 4 characters"
    assert session.look("said") == "'5309'"
    assert [answer.question for answer in session.answers] == ["find", "again"]


def test_what_code_kept_of_a_context_counts_as_read(program, session):
    program.ask(session, "find")
    run = program.ask(session, "read").run
    assert run.coverage.sent == len("The code of locker B-17 is 5309.")


def test_a_question_that_fails_leaves_nothing(program, session):
    program.ask(session, "find")
    with pytest.raises(ProviderError, match="down"):
        program.ask(session, "spoil")
    assert session.look("said") == "'5309'"
    assert program.ask(session, "again").answer.startswith("5309 ")
    assert session.spent["calls"] == 6


def test_the_first_one_too(program, session):
    with pytest.raises(ProviderError):
        program.ask(session, "spoil")
    assert session.vars() == {}
    assert program.ask(session, "find").run.status == "completed"


def test_one_that_ends_early_stays(program):
    other = Program(max_iters=2)
    with other.session(context=TEXT) as session:
        other.ask(session, "find")
        assert other.ask(session, "half").run.status == "partial"
        assert session.vars()["half"] == "list, 1 items"
    with other.session(resume=session.id) as opened:
        assert opened.vars()["half"] == "list, 1 items"
        assert opened.answers[-1].result.run.status == "partial"


def test_it_is_opened_again_for_nothing(program):
    with program.session(context=TEXT) as session:
        program.ask(session, "find")
        with pytest.raises(ProviderError):
            program.ask(session, "spoil")
        before = program.ask(session, "again")
        spent = session.spent
    again = Program()
    with again.session(resume=session.id[:6]) as opened:
        assert again.calls == 0
        assert opened.id == session.id
        assert opened.answers[-1].result.answer == before.answer
        assert opened.spent == pytest.approx(spent)
        assert opened.unfinished is None
        later = again.ask(opened, "again")
    with program.session(resume="") as newest:
        assert newest.answers[-1].result.answer == later.answer
    assert before.answer.split()[:2] == later.answer.split()[:2]


def test_a_question_replays_and_forks_by_itself(program, session):
    program.ask(session, "find")
    result = program.ask(session, "again")
    paid = program.calls
    assert program.rlm.replay(result.run.id).answer == result.answer
    with dspy.context(lm=program.lm):
        assert program.rlm.fork(result.run.id).answer == result.answer
    assert program.calls == paid
    with dspy.context(lm=program.lm):
        other = program.rlm.fork(result.run.id, context=TEXT + TEXT)
    assert other.answer == result.answer  # what code had found is of the context there was
    assert other.run.coverage.characters == 2 * len(TEXT)
    with program.session(resume=session.id) as opened:  # the fork is none of its questions
        assert len(opened.answers) == 2


def killed(session, run, events):
    """Makes a recorded question one whose process was killed after so many events."""
    db = store_of()._db
    db.execute("DELETE FROM events WHERE run = ? AND number >= ?", (run, events))
    db.execute("UPDATE runs SET state = 'running', pid = 999999 WHERE id = ?", (run,))


@pytest.mark.parametrize(("question", "events"), [("find", 5), ("again", 3)])
def test_a_question_that_was_killed_can_be_finished(program, question, events):
    with program.session(context=TEXT) as session:
        result = program.ask(session, "find")
        if question == "again":
            result = program.ask(session, "again")
    killed(session, result.run.id, events)
    again = Program()
    with again.session(resume=session.id) as opened:
        assert opened.unfinished == question
        assert again.calls == 0
        with dspy.context(lm=again.lm):
            assert opened.finish().result().answer == result.answer
        assert opened.unfinished is None
        assert again.ask(opened, "again").answer.startswith("5309 ")


def test_or_left_out(program):
    with program.session(context=TEXT) as session:
        program.ask(session, "find")
        gone = program.ask(session, "again")
    killed(session, gone.run.id, 3)
    with program.session(resume=session.id) as opened:
        assert program.ask(opened, "again").answer == gone.answer
        assert opened.unfinished is None
    with program.session(resume=session.id) as opened:
        assert [answer.question for answer in opened.answers] == ["find", "again"]


def test_a_changed_answer_would_change_what_came_later(program, session):
    half = Program(max_iters=2)
    with half.session(context=TEXT) as session:
        half.ask(session, "find")
        early = half.ask(session, "half")
        half.ask(session, "again")
    with pytest.raises(StoreError, match="later ones build"):
        half.rlm.resume(early.run.id)


def test_a_lost_question_is_said(program, session):
    lost = program.ask(session, "find")
    program.ask(session, "again")
    store_of().delete([lost.run.id])
    with pytest.raises(StoreError, match="question 1 is not"):
        program.session(resume=session.id)


def test_another_module_is_a_mismatch(program, session):
    program.ask(session, "find")
    other = Program(tools=[len])
    with pytest.raises(ReplayMismatch):
        other.session(resume=session.id)


def test_the_session_has_limits_of_its_own(program):
    with program.session(context=TEXT, budget=Budget(calls=4)) as session:
        program.ask(session, "find")
        assert program.ask(session, "again").run.status == "partial"
        with pytest.raises(BudgetExceeded, match="session's limit of 4 calls"):
            program.ask(session, "again")
    opened = program.session(resume=session.id)
    with opened, pytest.raises(BudgetExceeded, match="4 calls"):
        program.ask(opened, "again")


def test_sub_runs_have_a_repl_of_their_own():
    program = Program(budget=Budget(depth=2))
    with program.session(context=TEXT) as session:
        assert program.ask(session, "sub").answer == str(len(TEXT))
        assert "inner" not in session.vars()
        spent = program.calls
    with program.session(resume=session.id) as opened:
        assert opened.vars()["found"] == "str, 4 characters"
    assert program.calls == spent


def test_one_question_at_a_time(program, session):
    program.lm.script.seconds = 0.3
    with dspy.context(lm=program.lm):
        first = session.start("find")
        with pytest.raises(ConfigurationError, match="one is under way: 'find'"):
            session.ask("again")
        first.cancel()
        with pytest.raises(Exception):  # noqa: B017, PT011 - a CancelledError of concurrent.futures
            first.result()
    program.lm.script.seconds = 0.0
    assert program.ask(session, "find").run.status == "completed"


class Gate:
    """Holds up every question of a session while it begins."""

    def __init__(self, session, monkeypatch):
        self.reached, self.opened = threading.Event(), threading.Event()
        self._launch = session._rlm.launch
        monkeypatch.setattr(session._rlm, "launch", self._held)

    def _held(self, *args, **kwargs):
        self.reached.set()
        assert self.opened.wait(20)
        return self._launch(*args, **kwargs)


def test_of_several_asked_at_once_one_gets_in(program, session, monkeypatch):
    gate = Gate(session, monkeypatch)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(program.ask, session, "find")
        assert gate.reached.wait(20)
        for ask in (session.ask, session.start, session.step):
            with pytest.raises(ConfigurationError, match="one is under way. Wait for it"):
                ask("again")
        with pytest.raises(ConfigurationError, match="one is under way"):
            session.finish()
        gate.opened.set()
        assert first.result().answer.startswith("5309 ")
    assert program.ask(session, "again").answer.startswith("5309 ")
    assert [answer.question for answer in session.answers] == ["find", "again"]


def test_one_that_does_not_begin_is_not_under_way(program, session, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(session._rlm, "launch", None)
        with pytest.raises(TypeError):
            program.ask(session, "find")
    assert program.ask(session, "find").run.status == "completed"


def test_a_listener_that_asks_is_refused(program, session):
    refused = []

    def listen(event):
        if not refused:
            with pytest.raises(ConfigurationError, match="one is under way") as caught:
                session.start("again")
            refused.append(caught.value)

    assert program.ask(session, "find", listeners=(listen,)).run.status == "completed"
    assert refused


def test_closing_waits_for_a_question_that_begins_and_ends_it(program, session, monkeypatch):
    program.lm.script.seconds = 20
    gate = Gate(session, monkeypatch)
    closing, wait_for = threading.Event(), session._lock.wait_for
    monkeypatch.setattr(session._lock, "wait_for", lambda over: closing.set() or wait_for(over))
    with ThreadPoolExecutor() as threads:
        first = threads.submit(program.ask, session, "find")
        assert gate.reached.wait(20)
        closed = threads.submit(session.close)
        assert closing.wait(20)
        gate.opened.set()
        closed.result(20)
        assert isinstance(first.exception(20), CancelledError)
    with pytest.raises(ConfigurationError, match="is closed"):
        program.ask(session, "find")


async def test_a_question_that_is_cancelled_while_it_begins_is_ended(program, session, monkeypatch):
    program.lm.script.seconds = 20
    gate = Gate(session, monkeypatch)
    with dspy.context(lm=program.lm):
        task = asyncio.create_task(session.aask("find"))
        assert await asyncio.to_thread(gate.reached.wait, 20)
        task.cancel()
        gate.opened.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        program.lm.script.seconds = 0
        assert (await session.aask("find")).answer.startswith("5309 ")


async def test_asked_from_a_loop_and_cancelled(program, session):
    with dspy.context(lm=program.lm):
        assert (await session.aask("find")).answer.startswith("5309")
        program.lm.script.seconds = 5
        task = asyncio.create_task(session.aask("again"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        program.lm.script.seconds = 0
        assert (await session.aask("again")).answer.startswith("5309 ")


def test_inputs_are_checked(program, session):
    with pytest.raises(ConfigurationError, match="no inputs \\['text'\\]"):
        program.session(text=TEXT)
    with pytest.raises(ConfigurationError, match="Missing required inputs"):
        session.ask()
    with pytest.raises(ConfigurationError, match="give inputs by name"):
        session.ask("find", query="find")
    other = Context.from_text("Nothing. " * 500 + "The code of locker C-3 is 11.")
    assert program.ask(session, "find", context=other).run.coverage.characters == len(other)


def test_another_interpreter_is_refused():
    program = Program(interpreter_factory=lambda: RestrictedInterpreter())
    session = program.session(context=TEXT)
    with session, pytest.raises(ConfigurationError, match="needs our own REPL"):
        program.ask(session, "find")


def test_a_closed_one_says_how_to_open_it(program, session):
    session.close()
    with pytest.raises(ConfigurationError, match=f"resume='{session.id}'"):
        program.ask(session, "find")


def test_unrecorded_it_works_and_cannot_be_opened_again():
    program = Program(options=RLMOptions(record="off"))
    with program.session(context=TEXT) as session:
        program.ask(session, "find")
        assert program.ask(session, "again").answer.startswith("5309 ")
    with pytest.raises(StoreError, match="no session"):
        program.session(resume=session.id)
