"""The corpus with the policy off: what the operating system alone keeps code from doing.

The code is plain Python in a locked worker. It may read its own interpreter as it likes; it may
not write or read a file, hang the host, fill the memory, or take the session with it.
"""

import os
import sys

import pytest
from corpus import judge, load, load_own, prepared
from dspy.primitives.code_interpreter import CodeExecutionError
from raw_worker import RawLauncher

from rlm_dspy.repl import RestrictedInterpreter

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0,
    reason="the layers are Linux's, and all of them are there for root alone",
)
FILES = frozenset({"canary", "secret"})
HEAVY = frozenset({"hang", "memory", "crash"})
ROWS = [*load(), *load_own()]
SECRET = "S3CRET-of-the-host"


@pytest.fixture(scope="module")
def repl():
    with RestrictedInterpreter(
        _launcher=RawLauncher(), step_seconds=1.5, memory_mb=256, max_output_chars=10_000
    ) as repl:
        yield repl


def attempt(repl, code):
    try:
        return repl.execute(code, {"context": "some text to look at"}) or ""
    except (CodeExecutionError, SyntaxError) as error:
        return getattr(error, "output", "") + str(error)


def some(harms, mark=()):
    found = [row for row in ROWS if row["harm"] in harms]
    return [pytest.param(row, id=row["id"], marks=list(mark)) for row in found]


@pytest.mark.parametrize("row", [*some(FILES), *some(HEAVY, [pytest.mark.slow])])
def test_an_escape_without_the_policy_does_no_harm(row, repl, tmp_path, monkeypatch):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    canary, secret = folder / "canary", tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o644)
    monkeypatch.setenv("RLM_TEST_KEY", SECRET)
    outputs = [
        attempt(repl, step) for step in prepared(row, canary=str(canary), secret=str(secret))
    ]
    assert judge(row, outputs, canary=canary, secret_text=SECRET) == ""
    assert attempt(repl, "print(sum([1, 2, 3]))") == "6\n"


def test_without_the_policy_and_the_layers_files_are_read_and_written(tmp_path):
    """So that the refusals above mean something."""
    harmed = []
    with RestrictedInterpreter(
        _launcher=RawLauncher(), _layers=(), step_seconds=5, snapshots=False
    ) as bare:
        for row in ROWS:
            if row["harm"] not in FILES or not row.get("plain_cpython"):
                continue
            canary, secret = tmp_path / f"canary-{row['id']}", tmp_path / "secret"
            secret.write_text(SECRET)
            steps = prepared(row, canary=str(canary), secret=str(secret))
            outputs = [attempt(bare, step) for step in steps]
            if judge(row, outputs, canary=canary, secret_text=SECRET):
                harmed.append(row["id"])
    assert len(harmed) > 15
