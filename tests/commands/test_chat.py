"""`rlm chat`: many questions about the same files."""

import io
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
import uuid

import pytest
from chat_server import ChatServer

from rlm_dspy.cli import run

TEXT = "The grass grows.\n" * 200 + "The vault of Ostmore opens with tulip.\n"
CODE = "```python\n{}\n```"
STEPS = {
    "What opens it?": ["found = context.grep('vault')\nprint(found)", "SUBMIT(answer=found[0])"],
    "Where?": ["print(found[0].start)", "SUBMIT(answer=str(found[0].start))"],
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return str(path)


@pytest.fixture
def served(monkeypatch, tmp_path):
    """A server that plans by the question; `waits` is a question whose second step hangs."""
    waits, hang = set(), threading.Event()

    def reply(body):
        turns = [message["content"] for message in body["messages"] if message["role"] == "user"]
        asked = re.findall(r"query = '([^']*)'", turns[0])[-1]
        if asked not in STEPS:
            return 400
        if len(turns) > 1 and asked in waits:
            hang.wait(60)
        return CODE.format(STEPS[asked][len(turns) - 1])

    server = ChatServer(reply)
    server.waits, server.hang = waits, hang
    monkeypatch.setenv("RLM_MODEL", f"openai/test-{uuid.uuid4().hex}")
    monkeypatch.setenv("LLM_BASE_URL", server.url)
    monkeypatch.setenv("RLM_STORE", str(tmp_path / "runs.sqlite"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    yield server
    hang.set()
    server.close()


def chat(monkeypatch, lines, *arguments):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    return run(["chat", *arguments])


def test_one_question_a_line(served, file, monkeypatch, capsys):
    lines = ["What opens it?", "", "/vars", "Where?", "/runs", "/cost", "/nothing", "/quit", "x"]
    assert chat(monkeypatch, lines, file) == 0
    out, err = capsys.readouterr()
    said = out.splitlines()
    assert said[0] == "The vault of Ostmore opens with tulip."
    assert "found: list, 1 items" in said
    assert str(TEXT.index("The vault")) in said
    assert re.search(r"^2\. [0-9a-f]{12}  completed  Where\?$", out, re.MULTILINE)
    assert "4 steps · 4 calls" in out
    assert said[-1].startswith("/vars")
    session = re.search(r"Session ([0-9a-f]{12})\.", err)[1]
    paid = len(served.seen)
    assert chat(monkeypatch, ["/vars", "Where?"], "--resume", session[:5], "-q") == 0
    again = capsys.readouterr().out.splitlines()
    assert "found: list, 1 items" in again
    assert again[-1] == str(TEXT.index("The vault"))
    assert len(served.seen) == paid + 2
    assert chat(monkeypatch, ["/runs"], "--last") == 0
    assert "3 questions so far" in capsys.readouterr().err


def test_a_question_that_fails_does_not_end_it(served, file, monkeypatch, capsys):
    assert chat(monkeypatch, ["What opens it?", "Unknown?", "Where?"], file, "-q") == 5
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == str(TEXT.index("The vault"))
    assert err.startswith("rlm: error:")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "What about?"),
        (("-",), "What about?"),
        (("FILE", "--resume", "abc"), "files already"),
        (("--resume", "abc"), "no session 'abc'"),
        (("--last",), "no session"),
        (("FILE", "--session-dollars", "-1"), "at least 0"),
    ],
)
def test_what_cannot_be_meant(served, file, monkeypatch, capsys, arguments, said):
    given = [file if argument == "FILE" else argument for argument in arguments]
    assert chat(monkeypatch, [], *given) != 0
    assert said in capsys.readouterr().err


def started(file, *arguments, **streams):
    command = [sys.executable, "-m", "rlm_dspy", "chat", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **streams)


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_killed_in_a_question_it_goes_on_for_nothing(served, file, monkeypatch, capsys):
    served.waits.add("Where?")
    process = started(file, file, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write("What opens it?\nWhere?\n")
    process.stdin.flush()
    until(lambda: len(served.seen) == 4)  # the second step of the second question hangs
    process.send_signal(signal.SIGKILL)
    process.communicate()
    served.waits.clear()
    served.hang.set()
    assert chat(monkeypatch, ["/vars", "/runs"], "--last") == 0
    out, err = capsys.readouterr()
    assert "Going on with: Where?" in err
    assert out.splitlines()[0] == str(TEXT.index("The vault"))
    assert "found: list, 1 items" in out
    assert len(served.seen) == 5  # the one that was not answered


@pytest.mark.slow
def test_an_interrupt_ends_the_question_and_not_the_conversation(served, file):
    """At a terminal: Ctrl-C in a question, then another question, then the end of the input."""
    served.waits.add("Where?")
    ours, theirs = pty.openpty()
    process = started(
        file, file, "-q", stdin=theirs, stdout=subprocess.PIPE, start_new_session=True
    )
    os.close(theirs)
    os.write(ours, b"What opens it?\nWhere?\n")
    until(lambda: len(served.seen) == 4)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    served.waits.clear()
    served.hang.set()
    os.write(ours, b"/runs\n\x04")
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert "2. " in out
    assert "partial" in out
