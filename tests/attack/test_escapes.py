"""Every known escape through the whole REPL: none does harm, and the session goes on after each."""

import time

import pytest
from corpus import judge, load, load_own, prepared
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
    "own-cpu-in-a-cyclic-finalizer",
    "own-cpu-in-an-input-replaced",
    "own-memory-kept-over-steps",
    "own-crash-by-chained-zips",
    "own-crash-by-nested-parentheses",
    "own-exits-while-submitting",
    "own-finalizer-calls-a-tool",
}
# What honest code goes on to do in the same session.
AFTER = """
import collections, copy, csv, json, re, string, textwrap
class Row:
    def __init__(self, n): self.n = n
print(json.dumps({"a": [1]}), re.sub("a", "b", "a"), list(csv.reader(["x,y"])), Row(2).n,
      copy.deepcopy([1]), string.Template("$a").substitute(a=1), "{:>3}".format(4),
      collections.Counter("aab")["a"], textwrap.fill("a b"), llm_query("p"), len(context))
"""
# These rebind names of Python itself, as code may: what comes after does not know the old ones.
REBINDING = {"own-bind-builtins-that-guards-use", "own-step-2-guard-survives"}
AFTERWARDS = "{\"a\": [1]} b [['x', 'y']] 2 [1] 1   4 2 a b echo:p 20\n"


def echo(prompt):
    return "echo:" + str(prompt)[:24].replace("\n", " ")


def echo_batched(prompts):
    return [echo(prompt) for prompt in prompts]


def rows():
    marked = []
    for row in [*load(), *load_own()]:
        # The own rows that need no process are in the fast run of `test_escapes_policy`.
        heavy = row["harm"] in HEAVY or row["id"].startswith("own-")
        slow = heavy and row["id"] not in FAST
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
    assert repl.execute("y = [len(w) for w in 'a bb ccc'.split()]\nprint(sum(y))") == "6\n"
    if row["id"] not in REBINDING:
        assert repl.execute(AFTER) == AFTERWARDS
