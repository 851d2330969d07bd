"""A run that died anywhere goes on to the same answer, and pays for nothing twice."""

import itertools
import re
import socket
import time
from collections import Counter

import dspy
import pytest
from dspy.utils.exceptions import LMAuthError

from rlm_dspy import RLM, Budget, ReplayMismatch, RLMOptions, StoreError
from rlm_dspy.dspy_errors import ProviderError
from rlm_dspy.events import CallFailed, Charged, RunEnded, RunResumed, SubQueryFailed
from rlm_dspy.recording import store_of
from rlm_dspy.rerunning import load
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 300 + "The code of locker B-17 is 5309."
ITEMS = [f"line {number}" for number in range(24)]
STEPS = [
    "import random\nseen = [random.random()]\nprint(ask('Which?', context[:80]))",
    f"found = ask_each('Is it?', {ITEMS}, returns=bool)\nprint(sum(found), price('ship'))",
    "parts = rlm_query_batched(['Part A?', 'Part B?'], [context[:4000], context[2000:]])\n"
    "seen.append(random.random())\nprint(parts)",
    "SUBMIT(answer=f'{seen} {found} {parts} {price(\"end\")}')",
]


def planner(asked):
    if "Part " in asked.turns[0][1]:
        return code("SUBMIT(answer=str(len(context)) + ask('Sub?', context[:40]))")
    return code(STEPS[len(asked.turns) // 2])


def sub(asked):
    numbers = re.findall(r"(?m)^(\d+): line", asked.last)
    if numbers:
        return "\n".join(f"{n}: {'yes' if int(n) % 2 else 'no'}" for n in numbers if n != "14")
    return "yes" if "line" in asked.last else "a ship"


_names = itertools.count()


class Program:
    """A module whose models and tools count what they are asked."""

    def __init__(self, **made):
        self.paid = Counter()
        self.called = Counter()

        def price(name: str) -> int:
            """The price of a thing."""
            self.called[name] += 1
            return len(name)

        self.lm = ScriptedLM(self.counting(planner), model="planner")
        self.rlm = RLM(
            sub_lm=ScriptedLM(self.counting(sub), model="sub"),
            tools=[price],
            **{"budget": Budget(depth=2)} | made,
        )

    def counting(self, script):
        def reply(asked):
            self.paid[asked.text] += 1
            return script(asked)

        return reply

    def __call__(self, **inputs):
        with dspy.context(lm=self.lm):
            return self.rlm(**{"context": TEXT, "query": "q"} | inputs)

    def resume(self, run_id):
        with dspy.context(lm=self.lm):
            return self.rlm.resume(run_id)


def died(run_id, number):
    """A copy of a recorded run whose process was killed when so many events were written."""
    db = store_of()._db
    name = f"{next(_names)} of {run_id}"
    columns = [row[1] for row in db.execute("PRAGMA table_info(runs)") if row[1] != "id"]
    listed = ", ".join(columns)
    db.execute(f"INSERT INTO runs (id, {listed}) SELECT ?, {listed} FROM runs WHERE id = ?",
               (name, run_id))  # fmt: skip
    db.execute("UPDATE runs SET state = 'running', pid = 0, answer = '' WHERE id = ?", (name,))
    db.execute(
        "INSERT INTO events SELECT ?, number, kind, data, messages, outputs FROM events "
        "WHERE run = ? AND number < ?",
        (name, run_id, number),
    )
    db.execute("UPDATE runs SET pid = 999999 WHERE id = ?", (name,))
    return name


def asked(run_id):
    """The prompts whose answers are recorded, but for that of the extraction."""
    exchanges, events = store_of().exchanges(run_id), load(run_id).events
    return {
        "\n\n".join(f"{m['role']}\n{m['content']}" for m in messages)
        for number, (messages, said) in exchanges.items()
        if said is not None and events[number].role != "extract"
    }


@pytest.fixture(scope="module")
def whole():
    program = Program()
    result = program()
    return result, program.paid


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 6))]
)
def test_it_goes_on_from_any_event(whole, part):
    result, paid = whole
    count = len(result.run.events)
    for number in range(part + 1, count, 6):
        again = Program()
        name = died(result.run.id, number)
        before = load(name)
        resumed = again.resume(name)
        assert resumed.answer == result.answer, number
        assert resumed.run.status == "completed"
        known = [e for e in before.events if isinstance(e, Charged) and not e.error]
        assert sum(again.paid.values()) == sum(paid.values()) - len(known)
        assert not again.paid - paid
        assert resumed.run.spend.calls == result.run.spend.calls
        assert resumed.run.spend.tokens == result.run.spend.tokens
        assert resumed.run.spend.by_role == result.run.spend.by_role
        stored = load(name)
        assert stored.row.state == "completed"
        assert [e.model_dump_json() for e in stored.events] == [
            e.model_dump_json() for e in resumed.run.events
        ]


def test_the_clock_of_a_step_that_was_interrupted_is_kept():
    def timed(asked):
        if len(asked.turns) == 1:
            return code("import time\nt = time.time()\nprint(ask('Which?', 'text'))")
        return code("SUBMIT(answer=str(t))")

    program = Program()
    program.lm.script.script = timed
    result = program()
    numbers = [n for n, e in enumerate(result.run.events) if e.kind == "sub_query_started"]
    again = Program()
    again.lm.script.script = timed
    assert again.resume(died(result.run.id, numbers[0])).answer == result.answer


def test_a_completed_run_is_replayed(whole):
    result, _ = whole
    again = Program()
    assert again.resume(result.run.id).run.events == result.run.events
    assert not again.paid
    assert not again.called


def test_one_that_was_stopped_goes_on_and_replays_afterwards():
    slow = Program(budget=Budget(concurrency=2, depth=2))
    slow.rlm.sub_lm.script.seconds = 0.05
    with dspy.context(lm=slow.lm):
        handle = slow.rlm.start(context=TEXT, query="q")
        while slow.paid.total() < 4:
            time.sleep(0.01)
        handle.stop()
        partial = handle.result()
    assert partial.run.status == "partial"
    recorded = asked(partial.run.id)
    again = Program()
    resumed = again.resume(partial.run.id)
    assert resumed.run.status == "completed"
    kinds = [type(event) for event in resumed.run.events]
    assert kinds.count(RunEnded) == 2 + 2  # two of the sub-runs
    assert kinds.count(RunResumed) == 1
    assert recorded
    assert not recorded & again.paid.keys()
    replay = again.rlm.replay(partial.run.id)
    assert replay.answer == resumed.answer
    assert [e.model_dump_json() for e in replay.run.events] == [
        e.model_dump_json() for e in resumed.run.events
    ]


def test_a_limit_that_ended_it_may_be_raised():
    first = Program(budget=Budget(calls=6, depth=2))
    partial = first()
    assert (partial.run.status, partial.run.reason) == ("partial", "calls")
    second = Program(budget=Budget(calls=100, depth=2))
    resumed = second.resume(partial.run.id)
    assert resumed.run.status == "completed"
    calls = first.paid.total() + second.paid.total()
    assert resumed.run.spend.calls == calls


def test_what_was_paid_counts_against_the_limit():
    first = Program(budget=Budget(calls=6, depth=2))
    partial = first()
    resumed = Program(budget=Budget(calls=6, depth=2)).resume(partial.run.id)
    assert resumed.run.status == "partial"
    assert resumed.run.spend.calls <= 6


def down(asked=None):
    return LMAuthError("down", model="m", status=401)  # which is not tried again


def dumped(events):
    return [event.model_dump_json() for event in events]


def test_one_that_fails_again_is_recorded_each_time():
    program = Program()
    program.lm.script.script = lambda asked: STEP if len(asked.turns) == 1 else down()
    with pytest.raises(ProviderError) as caught:
        program()
    name = caught.value.run.id
    for times in (2, 3):
        with pytest.raises(ProviderError) as caught:
            program.resume(name)
        events = load(name).events
        assert sum(isinstance(e, CallFailed) for e in events) == times
        assert sum(isinstance(e, Charged) and bool(e.error) for e in events) == times
        assert caught.value.run.spend.calls == times + 2  # the first step, and its sub-query
        with pytest.raises(ProviderError) as replayed:
            program.rlm.replay(name)
        assert dumped(replayed.value.run.events) == dumped(events)
        assert replayed.value.run.spend.by_role == caught.value.run.spend.by_role
    again = Program()
    again.lm.script.script = again.counting(lambda asked: code("SUBMIT(answer=str(x))"))
    resumed = again.resume(name)
    assert (resumed.answer, again.paid.total()) == ("a ship", 1)
    assert resumed.run.spend.calls == 6
    replay = again.rlm.replay(name)
    assert dumped(replay.run.events) == dumped(resumed.run.events)


STEP = code("try:\n    x = ask('Which?', 'text')\nexcept Exception as error:\n    x = str(error)")


def test_a_sub_query_that_fails_again_in_a_step_that_was_interrupted_is_recorded():
    def planned(asked):
        return STEP if len(asked.turns) == 1 else code("SUBMIT(answer=x)")

    program = Program()
    program.lm.script.script, program.rlm.sub_lm.script.script = planned, down
    result = program()
    kinds = [event.kind for event in result.run.events]
    name = died(result.run.id, kinds.index("sub_query_failed") + 1)
    resumed = program.resume(name)
    assert resumed.answer == result.answer
    events = load(name).events
    for kind in (CallFailed, SubQueryFailed):
        assert sum(isinstance(event, kind) for event in events) == 2
    calls = sum(isinstance(event, Charged) for event in events)
    assert resumed.run.spend.calls == calls == result.run.spend.calls + 1
    replay = program.rlm.replay(name)
    assert dumped(replay.run.events) == dumped(events)
    assert replay.run.spend.by_role == resumed.run.spend.by_role


def test_a_sub_run_that_failed_in_a_step_that_is_over_has_failed():
    ask = "try: x = rlm_query('Part A?', context[:4000])\nexcept Exception as error: x = str(error)"
    is_down = [True]

    def plan(asked):
        if "Part" in asked.turns[0][1]:
            return down()
        if len(asked.turns) == 1:
            return code(f"{ask}\nprint(x)")
        return down() if is_down[0] else code("SUBMIT(answer=x)")

    rlm = RLM(budget=Budget(depth=2))
    with dspy.context(lm=ScriptedLM(plan)):
        with pytest.raises(ProviderError) as failed:
            rlm(context=TEXT, query="q")
        run, is_down[0] = failed.value.run.id, False
        answer = rlm.resume(run).answer
    assert rlm.replay(run).answer == answer


def test_another_prompt_is_a_mismatch_that_names_the_event(whole):
    result, _ = whole
    other = Program()
    other.rlm.plan.signature = other.rlm.plan.signature.with_instructions("Do it otherwise.")
    name = died(result.run.id, 12)
    with pytest.raises(ReplayMismatch, match="in step 1 a plan call") as caught:
        other.resume(name)
    assert (caught.value.step, caught.value.event) == (1, "plan")
    assert not other.paid
    assert load(name).row.state == "running"  # it may still be resumed
    assert Program().resume(name).answer == result.answer


def test_another_sub_query_prompt_is_a_mismatch_in_a_step_that_is_over(whole):
    result, _ = whole
    other = Program()
    other.rlm.sub_query.signature = other.rlm.sub_query.signature.with_instructions("Otherwise.")
    name = died(result.run.id, len(result.run.events) - 4)
    with pytest.raises(ReplayMismatch, match="sub_query"):
        other.resume(name)


def test_another_process_that_is_at_it_is_not_disturbed(whole):
    result, _ = whole
    name = died(result.run.id, 9)
    host = socket.gethostname()  # as a machine without /proc says it
    store_of()._db.execute("UPDATE runs SET pid = 1, host = ? WHERE id = ?", (host, name))
    with pytest.raises(StoreError, match="under way in process 1"):
        Program().resume(name)


def test_metadata_cannot_be_resumed():
    program = Program(options=RLMOptions(record="metadata"))
    result = program()
    with pytest.raises(StoreError, match="without its texts"):
        program.resume(result.run.id)
