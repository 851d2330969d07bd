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
from rlm_dspy.rerunning import load

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
        (("--last", "--signature", "context, query -> answer: int"), "leave --signature out"),
        (("--resume", "abc", "--recipe", "general"), "leave --recipe out"),
        (("FILE", "--session-dollars", "-1"), "at least 0"),
    ],
)
def test_what_cannot_be_meant(served, file, monkeypatch, capsys, arguments, said):
    given = [file if argument == "FILE" else argument for argument in arguments]
    assert chat(monkeypatch, [], *given) != 0
    assert said in capsys.readouterr().err


def test_a_session_that_goes_on_asks_only_models_of_this_machine(served, file, monkeypatch, capsys):
    assert chat(monkeypatch, ["What opens it?"], file, "-q") == 0
    monkeypatch.setenv("LLM_BASE_URL", "https://models.example.org/v1")
    monkeypatch.setenv("LLM_API_KEY", "sk-none")
    session = ("--last", "-q", "--local-only")
    paid = len(served.seen)
    capsys.readouterr()
    assert chat(monkeypatch, ["Where?"], *session) == 5
    assert "models.example.org" in capsys.readouterr().err
    monkeypatch.setenv("LLM_BASE_URL", served.url)
    assert chat(monkeypatch, ["Where?"], *session, "--sub-model", "anthropic/claude-x") == 5
    assert "There is no key" in capsys.readouterr().err
    assert len(served.seen) == paid
    assert chat(monkeypatch, ["Where?"], *session) == 0
    assert load(None).about["options"]["local_only"] is True


def test_what_the_environment_names_now_is_not_what_a_session_asks(served, file, monkeypatch):
    assert chat(monkeypatch, ["What opens it?"], file, "-q") == 0
    session = os.environ["RLM_MODEL"]
    monkeypatch.setenv("RLM_MODEL", "ollama/far:1-cloud")  # which local-only refuses
    monkeypatch.setenv("OPENAI_API_BASE", served.url)
    assert chat(monkeypatch, ["Where?"], "--last", "-q", "--local-only") == 0
    assert (load(None).row.model, load(None).row.sub_model) == (session, session)


def test_urls_are_not_read_again_where_nothing_may_leave(served, file, monkeypatch, capsys):
    monkeypatch.setattr("rlm_dspy.recording.KEPT_BYTES", 1_000)
    assert chat(monkeypatch, ["What opens it?"], file, "-q") == 0
    monkeypatch.setattr("rlm_dspy.resuming.paths_again", lambda notes: ["https://example.org/a"])
    capsys.readouterr()
    assert chat(monkeypatch, ["Where?"], "--last", "-q", "--local-only") == 2
    assert "--local-only fetches nothing" in capsys.readouterr().err


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
