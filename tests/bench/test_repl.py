"""The texts and the cases of `bench.repl`; its tables are made by hand, not in a test."""

import contextlib
import io
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import deno, repl_texts
from bench.installing import Unavailable
from bench.repl_cases import percentile
from bench.repl_texts import Text


@pytest.mark.slow
@given(st.text(min_size=1, max_size=9), st.integers(1, 9), st.integers(0, 90), st.integers(0, 90))
def test_a_slice_of_a_repeated_block_is_that_of_the_whole_text(block, times, start, length):
    whole = block * times
    start = min(start, len(whole))
    assert Text(None, block, times).slice(start, start + length) == whole[start : start + length]


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("size", [1_000, 3_000_000])
def test_the_questions_have_the_answers_that_python_gives(tmp_path, size, ascii_only):
    made = repl_texts.make(tmp_path / "text", size, seed=1, ascii_only=ascii_only)
    text = (tmp_path / "text").read_text(encoding="utf-8")
    assert text.isascii() == ascii_only
    assert size * 0.9 < len(text.encode()) <= size
    for pairs in made.questions("text").values():
        for code, wanted in pairs:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(code.format(at=49) if "{at}" in code else code, {"text": text})
            assert printed.getvalue() == f"{wanted}\n"


def test_a_percentile_is_one_of_the_values():
    values = [float(number) for number in range(200, 0, -1)]
    assert percentile(values, 0.95) == 190
    assert percentile(values, 1) == 200
    assert percentile([5.0], 0.95) == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("request_", "keys"),
    [
        ({"case": "steps", "rival": "rlm_dspy", "count": 3, "pause": 0}, {"median", "p95"}),
        ({"case": "timeout", "rival": "rlm_dspy"}, {"ended", "recovered", "kept"}),
    ],
)
def test_a_case_says_what_it_measured_last(request_, keys):
    command = [sys.executable, "-m", "bench.repl_cases", json.dumps(request_)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *before, last = map(json.loads, done.stdout.splitlines())
    assert {"ready": True} in before
    assert set(last["measured"]) == keys


def test_a_case_that_cannot_run_says_why():
    request = json.dumps({"case": "steps", "rival": "rlms", "count": 1, "pause": 0})
    command = [sys.executable, "-m", "bench.repl_cases", request]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "error": "ModuleNotFoundError: No module named 'rlm'"
    }


def test_without_npm_deno_is_not_available(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="no npm"):
        deno.prepare(tmp_path / "deno")
    assert not (tmp_path / "deno").exists()
