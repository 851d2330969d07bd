"""The cache under several processes, and its limit."""

import os
import subprocess
import sys

import pytest

ASK = """
import asyncio, sys
import dspy
from rlm_dspy import RLM, Budget
from rlm_dspy.testing import ScriptedLM, code

def script(asked):
    return "the answer to " + asked.last

items = [f"question {n}" for n in range(60)]
sub = ScriptedLM(script, cache=True, seconds=0.002)
step = code(f"SUBMIT(answer='|'.join(llm_query_batched({items!r})))")
with dspy.context(lm=ScriptedLM([step])):
    result = RLM(sub_lm=sub, budget=Budget(concurrency=8))(context="The grass. " * 400, query="q")
assert result.answer == "|".join("the answer to " + item for item in items), result.answer
spend = result.run.spend
assert len(sub.asked) + spend.cache_hits == 60
print(len(sub.asked))
"""

FILL = """
import os, dspy
from rlm_dspy.caching import cache_stats
for n in range(400):
    dspy.cache.put({"n": n}, os.urandom(20_000))
print(cache_stats().size, cache_stats().limit)
"""


def started(source, folder, **variables):
    environment = {**os.environ, "DSPY_CACHEDIR": str(folder), **variables}
    return subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.slow
def test_several_processes_use_it_at_once(tmp_path):
    first = [started(ASK, tmp_path) for _ in range(3)]
    paid = [int(process.communicate(timeout=120)[0]) for process in first]
    assert 60 <= sum(paid) <= 180
    later = started(ASK, tmp_path)
    assert later.communicate(timeout=120)[0] == "0\n"


@pytest.mark.slow
def test_its_size_is_limited_by_dspys_setting(tmp_path):
    filled = started(FILL, tmp_path, DSPY_CACHE_LIMIT="2000000")
    size, limit = map(int, filled.communicate(timeout=120)[0].split())
    assert limit == 2_000_000
    assert size < 4_000_000  # each of its parts keeps some room of its own
