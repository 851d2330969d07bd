"""Runs of many kinds with scripted models, which tests record, replay, resume and fork."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import dspy
from dspy.utils.exceptions import LMRateLimitError, LMServerError

from rlm_dspy import RLM, Budget, Citation, Context, File, RLMOptions
from rlm_dspy.errors import RLMError
from rlm_dspy.events import as_json
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 300 + "The code of locker B-17 is 5309. " + "Rain falls. " * 300
LINES = [f"line {number}: {'ship' if number % 3 else 'harbour'}" for number in range(48)]


def labels(asked: Any) -> str:
    """What a sub-model answers: a label an item, or a word."""
    numbers = re.findall(r"(?m)^(\d+): line", asked.last)
    if numbers:
        return "\n".join(f"{n}: {'yes' if int(n) % 2 else 'no'}" for n in numbers)
    return "yes" if len(asked.last) % 2 else "no"


def forgetful(asked: Any) -> str:
    """The same, but for every fifth item of a pack."""
    numbers = re.findall(r"(?m)^(\d+): line", asked.last)
    if numbers:
        return "\n".join(f"{n}: yes" for at, n in enumerate(numbers) if at % 5)
    return "no"


class Failing:
    """A sub-model that fails at some of its requests, and says `answer` to the others."""

    def __init__(self, at: set[int], error: Callable[[], Exception], answer: Any = "fine"):
        self._at, self._error, self._answer = at, error, answer
        self.number = -1

    def __call__(self, asked: Any) -> Any:
        self.number += 1
        if self.number in self._at:
            return self._error()
        return self._answer(asked) if callable(self._answer) else self._answer


def nested(asked: Any) -> str:
    """A planner and sub-planner: the outer one starts two sub-runs."""
    if "Which part" in asked.text:
        return code("SUBMIT(answer=context.search('locker', k=1)[0].strip()[:20] or 'none')")
    if len(asked.turns) > 1:
        return code("SUBMIT(answer=' | '.join(map(str, parts)))")
    return code(
        "parts = rlm_query_batched(['Which part A?', 'Which part B?'], "
        "[context[:6000], context[4000:]])\nprint(parts)"
    )


class Plan(dspy.Signature):
    """Count with care."""

    context: str = dspy.InputField()
    query: str = dspy.InputField()
    kind: Literal["few", "many"] = dspy.OutputField()
    count: int = dspy.OutputField(desc="how many")


@dataclass
class Scenario:
    """One kind of run.

    Args:
        steps: The planner's replies.
        sub: The sub-model's.
        inputs: The run's inputs.
        made: What `RLM` gets.
        retries: How often an attempt is tried again.
        during: Called with the handle and the kinds of its events so far.
        sub_seconds: How long a reply of the sub-model takes.
    """

    steps: Any
    sub: Any = "fine"
    inputs: dict[str, Any] = field(default_factory=lambda: {"context": TEXT, "query": "Which?"})
    made: dict[str, Any] = field(default_factory=dict)
    retries: int = 0
    during: Callable[[Any, list[str]], None] | None = None
    sub_seconds: float = 0.0

    def module(self, options: dict[str, Any]) -> RLM:
        script = self.sub if callable(self.sub) else [self.sub]
        sub = ScriptedLM(script, model="sub", seconds=self.sub_seconds, num_retries=self.retries)
        made = dict(self.made)
        given = made.pop("options", RLMOptions()).model_dump() | options
        return RLM(**made, sub_lm=sub, options=RLMOptions(**given))

    def run(self, **options: Any) -> Any:
        """Runs it.

        Returns:
            The prediction, or the error that ended it.
        """
        steps = self.steps if callable(self.steps) else list(self.steps)
        with dspy.context(lm=ScriptedLM(steps, model="planner", num_retries=self.retries)):
            rlm = self.module(options)
            seen: list[str] = []
            listen = (lambda event: seen.append(event.kind),)
            handle = rlm.start(listeners=listen, **self.inputs)
            if self.during is not None:
                self.during(handle, seen)
            try:
                return handle.result()
            except RLMError as error:
                return error


def server_error() -> Exception:
    return LMServerError("the server broke", status=500)


def rate_limit() -> Exception:
    return LMRateLimitError("slow down", status=429, retry_after=0.01)


def stop_soon(handle: Any, seen: list[str]) -> None:
    while "sub_query_answered" not in seen:
        time.sleep(0.005)
    time.sleep(0.1)
    handle.stop()


def lookup(name: str, times: int = 1) -> str:
    """Looks a name up."""
    if name == "broken":
        raise ValueError("no such name")
    return f"{name} is {len(name) * times}"


async def fetch(number: int) -> dict:
    """Fetches a number."""
    return {"number": number, "parts": (1, 2), "data": b"\x00\xff"}


SUBMIT = "SUBMIT(answer=str(found))"
RANDOM = (
    "import random, time, uuid, datetime\n"
    "found = (random.random(), random.sample(range(99), 3), time.time(), str(uuid.uuid4()), "
    "datetime.datetime.now().isoformat(), list({'a', 'b', 'cc', 'dd', 'eee'}))\nprint(found)"
)


def scenarios() -> dict[str, Scenario]:
    """All of them, by name."""
    found = {
        "look_up": Scenario([code("hit = context.grep('locker')[0]\nprint(hit)"),
                             code("SUBMIT(answer=str(hit).split()[-1].strip('.'))")]),
        "chance": Scenario([code(RANDOM), code(RANDOM + "\n" + SUBMIT)]),
        "ask": Scenario([code("found = ask('Which?', context[:99])\n" + SUBMIT)], "a ship"),
        "each": Scenario([code(f"found = ask_each('Is it?', {LINES}, returns=bool)\n{SUBMIT}")],
                         labels),
        "each_forgetful": Scenario(
            [code(f"found = ask_each('Is it?', {LINES}, returns=bool)\nprint(found)\n{SUBMIT}")],
            forgetful),
        "alone": Scenario(
            [code(f"found = ask_each('Is it?', {LINES[:12]}, returns=bool)\n{SUBMIT}")], labels),
        "keep_combine": Scenario(
            [code(f"kept = keep('Is it?', {LINES})\nfound = combine('All?', kept)\n{SUBMIT}")],
            labels),
        "same_question": Scenario(
            [code("found = llm_query_batched(['same'] * 6 + ['other'])\n" + SUBMIT)], labels),
        "repair": Scenario([code("found = ask('How many?', 'text', returns=int)\n" + SUBMIT)],
                           Failing({}, server_error, lambda a: "7" if "Wrong" in a.last else "x")),
        "sub_fails": Scenario(
            [code("found = ask_each('Is it?', ['a', 'b', 'c', 'd'])\nprint(found)\n" + SUBMIT)],
            Failing({1, 3}, server_error)),
        "retried": Scenario(
            [code("found = ask_each('Is it?', ['a', 'b', 'c'])\nprint(found)\n" + SUBMIT)],
            Failing({0, 2}, rate_limit), retries=4),
        "code_error": Scenario(
            [code("x = 5\n1 / 0"), code("print(x)"), code("SUBMIT(answer=str(x))")]),
        "policy": Scenario([code("import os\nos.system('ls')"), code("SUBMIT(answer='no')")]),
        "timeout": Scenario(
            [code("x = 1"), code("x = 2\ny = ask('q', 't')\nwhile True: pass"),
             code("SUBMIT(answer=str(x))")],
            made={"options": RLMOptions(step_seconds=0.3)}),
        "wrong_type": Scenario(
            [code("SUBMIT(kind='lots', count=1)"), code("SUBMIT(kind='many', count='x')"),
             code("SUBMIT(kind='many', count=12)")],
            made={"signature": Plan}),
        "nested": Scenario(nested, labels, made={"budget": Budget(depth=2)}),
        "too_deep": Scenario(
            [code("found = rlm_query('Which?', context[:5000])\nprint(found)\n" + SUBMIT)], "flat"),
        "tools": Scenario(
            [code("print(lookup('ship'), lookup('ship', 3), fetch(4))"),
             code("try:\n    lookup('broken')\nexcept Exception as e:\n    print(type(e), e)"),
             code("found = [lookup('a'), fetch(number=2)]\n" + SUBMIT)],
            made={"tools": [lookup, fetch]}),
        "steps": Scenario([code(f"print({n})") for n in range(9)], made={"max_iters": 3}),
        "calls": Scenario(
            [code("for n in range(40):\n    print(ask(f'Which {n}?', 'text'))"), code("print(1)")],
            made={"budget": Budget(calls=9)}),
        "batch_over_calls": Scenario(
            [code(f"found = ask_each('Is it?', {[f'item {n}' for n in range(14)]})\nprint(found)"),
             code("SUBMIT(answer='x')")],
            made={"budget": Budget(calls=12, concurrency=4)}),
        "tokens": Scenario(
            [code("for n in range(40):\n    print(ask(f'Which {n}?', 'text'))"), "the end"],
            made={"budget": Budget(tokens=4_000)}),
        "stopped": Scenario(
            [code("print('first')"),
             code("found = []\nfor n in range(400):\n    found.append(ask(f'Which {n}?', 'text'))"),
             "extracted"],
            "one", during=stop_soon, sub_seconds=0.02),
        "stopped_in_batch": Scenario(
            [code(f"found = ask_each('Is it?', {[f'item {n}' for n in range(16)]}, pack=1)"),
             "extracted"],
            "one", during=stop_soon, sub_seconds=0.3, made={"budget": Budget(concurrency=3)}),
        "stopped_in_code": Scenario(
            [code("print(ask('q', 't'))\nwhile True: pass"), "extracted"], during=stop_soon),
        "seconds": Scenario(
            [code("while True: pass"), "extracted"],
            made={"budget": Budget(seconds=0.6)}),
        "stuck": Scenario([code("print('same')")]),
        "errors": Scenario([code("1 / 0"), code("2 / 0"), code("3 / 0"), "extracted"],
                           made={"options": RLMOptions(max_errors=3)}),
        "planner_fails": Scenario([code("print(1)"), server_error()]),
        "nothing_said": Scenario(["I do not know.", code("SUBMIT(answer='no')")]),
        "direct": Scenario(["5309"], made={"options": RLMOptions(route="direct")}),
        "recipe": Scenario(["5309"], "5309", made={"recipe": "general"}),
        "phase0": Scenario(
            [code("SUBMIT(answer='planned')")],
            inputs={"context": TEXT + "\nLocker: B-17\n", "query": "What is the Locker?"},
            made={"options": RLMOptions(phase0="auto")}),
        "citation": Scenario(
            [code("SUBMIT(answer='5309', source='The code of locker B-99 is 5309.')"),
             code("SUBMIT(answer='5309', source=context.grep('locker')[0])")],
            made={"signature": "context, query -> answer: str, source: Citation"}),
        "file": Scenario(
            [code("with open('out.csv', 'w') as f:\n    f.write('a,b')\n"
                  "SUBMIT(answer=File('out.csv'))")],
            made={"signature": "context, query -> answer: File"}),
        "documents": Scenario(
            [code("print([d.title for d in context.documents])\n"
                  "found = [len(d) for d in context.documents]\n" + SUBMIT)],
            inputs={"context": Context.from_documents([("One é", "grün " * 700), ("Two", "x")]),
                    "query": "Which?"}),
        "dspy_object": Scenario(
            [code("p = dspy.Predict('text -> label: str')\nfound = p(text='ship').label\n"
                  + SUBMIT)],
            "a label"),
        "coverage": Scenario(
            [code("SUBMIT(answer='early')"), code("found = ask('Which?', context)\n" + SUBMIT)],
            "late", made={"options": RLMOptions(min_coverage=0.9)}),
        "plain_inputs": Scenario(
            [code("found = (numbers, when, sorted(names))\nprint(found)\n" + SUBMIT)],
            inputs={"numbers": [1, 2.5, None], "when": {"a": (1, 2)}, "names": ["x", "y"]},
            made={"signature": "numbers, when, names -> answer"}),
        "long_output": Scenario([code("print('ab' * 20_000)"), code("SUBMIT(answer='x')")]),
        "surrogates": Scenario([code("print('\\ud800 x')\nSUBMIT(answer='\\ud83d y')")]),
        "addresses": Scenario([code("class A: pass\nprint(A())"), code("SUBMIT(answer='x')")]),
    }  # fmt: skip
    for number in range(10):
        found[f"mixed_{number}"] = mixed(number)
    return found


def mixed(number: int) -> Scenario:
    """A run that does several things, by chance."""
    import random

    draw = random.Random(number)
    pieces = [
        "import random\nprint(random.choice(context.split()))",
        f"print(ask_each('Is it?', {LINES[: draw.randint(3, 40)]}, returns=bool))",
        "print(lookup('name'), lookup('name', 2))",
        "print(undefined)",
        "print(ask('How many?', context[:50], returns=str))",
        "total = sum(len(d) for d in context.documents)\nprint(total)",
        "print(llm_query_batched([f'q{n}' for n in range(5)]))",
    ]
    steps = [code(piece) for piece in draw.sample(pieces, 4)]
    failing = set(draw.sample(range(30), draw.randint(0, 3)))
    sub = Failing(failing, server_error, labels if number % 2 else forgetful)
    return Scenario([*steps, code("SUBMIT(answer='done')")], sub, made={"tools": [lookup]})


def result_of(outcome: Any) -> dict[str, Any]:
    """What two runs must share to be the same."""
    if isinstance(outcome, RLMError):
        return {"error": f"{type(outcome).__name__}: {outcome}", "run": facts(outcome.run)}
    outputs = {name: repr(outcome[name]) for name in outcome.keys() if name != "run"}  # noqa: SIM118
    return {"outputs": outputs, "run": facts(outcome.run)}


def facts(run: Any) -> dict[str, Any]:
    """A run but for its objects."""
    spend = run.spend.as_dict()
    del spend["seconds"]
    return {
        "id": run.id,
        "ended": (run.status, run.reason, run.planned_by),
        "spend": spend,
        "events": [as_json(event) for event in run.events],
        "trajectory": repr(run.trajectory),
    }


__all__ = ["LINES", "TEXT", "Citation", "File", "Scenario", "result_of", "scenarios"]
