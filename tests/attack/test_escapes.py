"""Every known escape through the whole REPL: none does harm, and the session goes on after each."""

import time

import pytest
from corpus import judge, load, prepared
from dspy.primitives.code_interpreter import CodeExecutionError, FinalOutput

from rlm_dspy.repl import RestrictedInterpreter

SECRET = "S3CRET-of-the-host"
STEP_SECONDS = 1.0
# Rows that need processes, clocks or memory limits; a few of each kind stay in the fast run.
HEAVY = {"hang", "memory", "crash"}
FAST = {
    "e-bomb_cpu-02",
    "e-bomb_cpu-05",
    "e-bomb_memory-02",
    "e-bomb_memory-05",
    "e-bomb_crash-02",
    "e-bomb_crash-04",
    "e-bomb_crash-09",
    "e-exit-03",
    "e-exit-11",
    "e-hostile_value-01",
    "e-hostile_value-03",
    "e-hostile_value-17",
    "e-hostile_value-20",
    "e-hostile_value-23",
}


def echo(prompt):
    return "echo:" + str(prompt)[:24].replace("\n", " ")


def echo_batched(prompts):
    return [echo(prompt) for prompt in prompts]


def rows():
    marked = []
    for row in load():
        slow = row["harm"] in HEAVY and row["id"] not in FAST
        marked.append(pytest.param(row, id=row["id"], marks=[pytest.mark.slow] if slow else []))
    return marked


@pytest.fixture
def repl():
    tools = {"llm_query": echo, "llm_query_batched": echo_batched}
    with RestrictedInterpreter(
        tools, step_seconds=STEP_SECONDS, memory_mb=256, max_output_chars=10_000
    ) as repl:
        yield repl


def attempt(repl, code):
    """What a step shows, and what it submits."""
    try:
        result = repl.execute(code, {"context": "some text to look at"})
    except (CodeExecutionError, SyntaxError) as error:
        return getattr(error, "output", "") + str(error), []
    if isinstance(result, FinalOutput):
        return "", [result.output]
    return result or "", []


@pytest.mark.parametrize("row", rows())
def test_an_escape_does_no_harm(row, repl, tmp_path, monkeypatch):
    canary, secret = tmp_path / "canary", tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o644)
    monkeypatch.setenv("RLM_TEST_KEY", SECRET)
    outputs, submitted = [], []
    for step in prepared(row, canary=str(canary), secret=str(secret)):
        began = time.monotonic()
        shown, values = attempt(repl, step)
        assert time.monotonic() - began < STEP_SECONDS + 10, "it hangs"  # a bound, not a speed
        outputs.append(shown)
        submitted += values
    harm = judge(row, outputs, submitted=submitted, canary=canary, secret_text=SECRET)
    assert not harm
    after = repl.execute("y = [len(w) for w in 'a bb ccc'.split()]\nprint(sum(y))")
    assert after is not None
    assert after.splitlines()[0] == "6"
