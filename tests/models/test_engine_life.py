"""How a process with an engine starts, forks and ends. Each in a process of its own."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

START = """
import os, sys
from rlm_dspy.models import find
from rlm_dspy.models.assembly import Job, Stopped
from rlm_dspy.models.engine import Engine, close_engines, engine_for
path = find("smollm2-135m")
def ask(engine, text="hello", n=5):
    messages = [{"role": "user", "content": text}]
    return engine.submit(Job({"messages": messages, "max_tokens": n, "temperature": 0}))
engine = engine_for(path)
first = ask(engine).reply.result()["choices"][0]["message"]["content"]
"""


def run(smol, code, *options):
    done = subprocess.run(
        [sys.executable, *options, "-c", START + code],
        capture_output=True,
        text=True,
        env={**os.environ, "RLM_MODELS_DIR": str(smol.parent)},
        timeout=100,
    )
    return done.returncode, done.stdout, done.stderr


def test_nothing_is_written_and_the_process_ends(smol):
    assert run(smol, "assert first") == (0, "", "")


@pytest.mark.parametrize("text", ["hello", "hello " * 3000], ids=["decode", "prefill"])
def test_a_process_ends_while_a_request_runs(smol, text):
    code = f"import time; ask(engine, {text!r}, 5000); ask(engine); time.sleep(0.3)"
    assert run(smol, code) == (0, "", "")


def test_an_engine_that_closes_ends_its_requests(smol):
    code = """
jobs = [ask(engine, "Write a long story.", 5000) for _ in range(4)]
close_engines()
for job in jobs:
    try:
        job.reply.result(timeout=10)
    except Stopped:
        print("stopped")
assert ask(engine_for(path)).reply.result()["choices"][0]["message"]["content"] == first
"""
    assert run(smol, code) == (0, "stopped\n" * 4, "")


@pytest.mark.parametrize("ending", ["os._exit(7)", "sys.exit(7)"])
@pytest.mark.parametrize("busy", [False, True])
def test_a_forked_child_has_an_engine_of_its_own(smol, ending, busy):
    code = f"""
running = ask(engine, "Write a long story.", 60) if {busy} else None
child = os.fork()
if child == 0:
    mine = engine_for(path)
    assert mine is not engine
    assert ask(mine).reply.result()["choices"][0]["message"]["content"] == first
    try:
        ask(engine)
    except Stopped:
        print("refused", flush=True)
    {ending}
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert running is None or running.reply.result()["choices"]
assert ask(engine).reply.result()["choices"][0]["message"]["content"] == first
"""
    assert run(smol, code) == (0, "refused\n7\n", "")


@pytest.mark.parametrize("closed", [False, True])
def test_a_forked_child_that_uses_no_engine_ends_too(smol, closed):
    code = f"""
if {closed}:
    close_engines()
child = os.fork()
if child == 0:
    sys.exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run(smol, code) == (0, "3\n", "")


def test_the_whole_path_is_quiet(smol):
    code = """
from rlm_dspy.models import resolve_lm
lm = resolve_lm("local/smollm2-135m", cache=False)
grammar = 'root ::= "quiet"'
print(lm("hello", grammar=grammar)[0])
import asyncio
print(asyncio.run(lm.acall("hello", grammar=grammar))[0])
"""
    assert run(smol, code) == (0, "quiet\nquiet\n", "")
