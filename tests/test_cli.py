"""`rlm`, as a user types it: in this process where that shows the same, else in one of its own."""

import contextlib
import io
import itertools
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from chat_server import ChatServer

from rlm_dspy.cli import run
from rlm_dspy.demo import haystack
from rlm_dspy.models import available
from rlm_dspy.recording import store_of

TEXT = "The grass grows. " * 200 + "The vault of Ostmore opens with tulip. " + "Rain fell. " * 200
QUESTION = "What opens the vault of Ostmore?"
SPEND = {"calls", "planner_tokens", "sub_tokens", "dollars", "seconds"}
KEYS = {"run", "answer", "outputs", "status", "reason", "planned_by", "spend", "context_chars"}
KEYS |= {"citations"}
SUBMIT = "```python\nSUBMIT(answer='tulip')\n```"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return str(path)


@pytest.fixture
def served(monkeypatch):
    """Starts a server that answers from a script, and makes its model the one that is used."""
    servers = []

    def start(*replies, **by_model):
        count = itertools.count()
        name = f"test-{uuid.uuid4().hex}"  # dspy's cache knows no answer of it

        def reply(body):
            for word, said in by_model.items():
                if word in body["model"]:
                    return said
            return replies[min(next(count), len(replies) - 1)]

        servers.append(ChatServer(reply))
        monkeypatch.setenv("RLM_MODEL", f"openai/{name}")
        monkeypatch.setenv("LLM_BASE_URL", servers[-1].url)
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def error_line(capsys):
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("rlm: error: ")
    return lines[0]


def rlm(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "rlm_dspy", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **kwargs,
    )


def test_help_loads_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rlm_dspy", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for command in ("ask", "doctor", "demo", "models"):
        assert f"\n  {command} " in done.stdout
    loaded = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()
    }
    assert "typer" in loaded
    assert not loaded & {"dspy", "litellm", "pydantic", "pydantic_settings", "RestrictedPython"}


def test_version():
    done = rlm("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("rlm 0.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ask"], "QUERY"),
        (["bogus"], "bogus"),
        (["ask", QUESTION, "FILE", "--bogus"], "--bogus"),
        (["ask", QUESTION, "FILE", "--route", "sideways"], "sideways"),
        (["ask", QUESTION, "FILE", "--budget-calls", "-1"], "-1"),
        (["ask", QUESTION, "FILE", "--max-steps", "0"], "--max-steps"),
        (["ask", "  ", "FILE"], "question is empty"),
        (["ask", QUESTION, "FILE", "-"], "'-'"),
        (["ask", QUESTION, "absent.txt"], "absent.txt: there is no such file"),
        (["ask", QUESTION, "EMPTY"], "empty.txt: holds nothing that can be read (empty)"),
        (["ask", QUESTION, "BINARY"], "binary (it has zero bytes)"),
        (["ask", QUESTION, "FOLDER"], "holds nothing that can be read (no file is chosen)"),
        (["ask", QUESTION, "FILE", "--include", "*.pdf"], "no file is chosen"),
        (["ask", QUESTION, "https://example.org/"], "--urls"),
        (["ask", QUESTION, "FILE", "--signature", "text -> answer"], "context and query"),
        (["ask", QUESTION, "FILE", "--signature", "context, query"], "not a signature"),
        (["ask", QUESTION, "FILE", "--signature", "context, query, ask -> answer"], "ask"),
        (["ask", QUESTION, "FILE", "--signature", "context, query -> run"], "run"),
        (["ask", QUESTION, "FILE", "--recipe", "bogus"], "bogus"),
        (["ask", QUESTION, "FILE", "--recipe", "absent.toml"], "absent.toml"),
        (["ask", QUESTION, "FILE", "--recipe", "general", "--route", "direct"], "--route"),
    ],
)
def test_a_usage_error_is_one_line(arguments, said, file, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "binary.bin").write_bytes(bytes(range(256)) * 8)
    paths = {
        "FILE": file,
        "EMPTY": str(tmp_path / "empty.txt"),
        "BINARY": str(tmp_path / "binary.bin"),
        "FOLDER": str(tmp_path / "folder"),
    }
    model = ["--model", "ollama/test"] if arguments[1:] else []
    assert run([paths.get(word, word) for word in arguments] + model) == 2
    assert said in error_line(capsys)


@pytest.mark.parametrize(
    ("variables", "arguments", "said"),
    [
        ({}, [], "RLM_MODEL"),
        ({"RLM_MODEL": "openia/gpt-5"}, [], "openai/"),
        ({}, ["--model", "openai/gpt-4o"], "OPENAI_API_KEY"),
        ({}, ["--model", "local/qwen2.5-coder-0.5b"], "rlm models pull"),
        ({}, ["--model", "local/absent.gguf"], "absent.gguf"),
        (
            {"RLM_MODEL": "openai/gpt-4o", "LLM_API_KEY": "sk-secret"},
            ["--model", "anthropic/claude-sonnet-4-5"],
            "ANTHROPIC_API_KEY",
        ),
        (
            {"LLM_API_KEY": "sk-secret"},
            ["--model", "openai/gpt-4o", "--sub-model", "anthropic/claude-sonnet-4-5"],
            "ANTHROPIC_API_KEY",
        ),
        (
            {"RLM_MODEL": "ollama/test", "RLM_MONTHLY_DOLLARS": "abc"},
            [],
            "RLM_MONTHLY_DOLLARS='abc'",
        ),
        ({"RLM_MODEL": "ollama/test"}, ["--budget-dollars", "1", "--model", "openai/x"], "KEY"),
    ],
)
def test_a_configuration_error_is_one_line(variables, arguments, said, file, monkeypatch, capsys):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert run(["ask", QUESTION, file, *arguments]) == 5
    line = error_line(capsys)
    assert said in line
    assert "sk-secret" not in line


@pytest.mark.parametrize(
    "how",
    [
        [],
        pytest.param(["--recipe", "general"], marks=pytest.mark.slow),  # waits for its retries
        pytest.param(["--route", "direct"], marks=pytest.mark.slow),
    ],
)
def test_a_server_that_is_down(how, file, monkeypatch, capsys):
    monkeypatch.setenv("RLM_MODEL", f"openai/down-{uuid.uuid4().hex}")
    monkeypatch.setenv("LLM_BASE_URL", "http://127.0.0.1:9/v1")
    assert run(["ask", QUESTION, file, *how, "--quiet"]) == 5
    assert "down-" in error_line(capsys)


def test_a_server_that_refuses(served, file, capsys):
    served(401)
    assert run(["ask", QUESTION, file, "--json"]) == 5
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["status"], found["answer"]) == ("failed", None)
    assert err.startswith("rlm: error: ")
    assert "Traceback" not in err


def test_a_price_that_is_unknown(served, file, capsys):
    served(SUBMIT)
    assert run(["ask", QUESTION, file, "--budget-dollars", "1", "--quiet"]) == 5
    assert "price" in error_line(capsys)


def test_the_answer_is_all_of_stdout(served, file, capsys):
    server = served("```python\ncontext.grep('vault')\n```", SUBMIT)
    assert run(["ask", QUESTION, file]) == 0
    out, err = capsys.readouterr()
    assert out == "tulip\n"
    read, cost = err.splitlines()
    assert read.startswith("read ")
    assert " printed; " in read
    for part in (server.requests[0]["model"], "2 steps", "2 calls", "200 tokens", "price unknown"):
        assert part in cost
    assert "vault of Ostmore opens" not in json.dumps(server.requests[0])
    assert "vault of Ostmore opens" in json.dumps(server.requests[1])


def test_quiet_prints_the_answer_alone(served, file, capsys):
    served(SUBMIT)
    assert run(["ask", QUESTION, file, "-q"]) == 0
    assert capsys.readouterr() == ("tulip\n", "")


def test_json(served, file, capsys):
    served("```python\nSUBMIT(answer=['a', 'é'], n=2)\n```")
    arguments = ["--json", "--signature", "context, query -> answer: list[str], n: int"]
    assert run(["ask", QUESTION, file, *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= KEYS
    assert set(found["spend"]) >= SPEND
    assert found["answer"] == ["a", "é"]
    assert found["outputs"] == {"answer": ["a", "é"], "n": 2}
    assert (found["status"], found["reason"], found["planned_by"]) == ("completed", "", "model")
    assert found["context_chars"] == len(TEXT)
    assert found["spend"]["planner_tokens"] == 100
    assert found["models"]["main"].startswith("openai/test-")


def test_several_outputs_are_lines(served, file, capsys):
    served("```python\nSUBMIT(answer='tulip', n=2, all=['a', 'b'])\n```")
    signature = "context, query -> answer: str, n: int, all: list[str]"
    assert run(["ask", QUESTION, file, "-q", "--signature", signature]) == 0
    assert capsys.readouterr().out == 'answer: tulip\nn: 2\nall: ["a", "b"]\n'


def test_citations_follow_the_answer(served, file, capsys):
    served("```python\nSUBMIT(answer='tulip', citations=['opens with tulip', 'Zwiebel'])\n```")
    arguments = ["--signature", "context, query -> answer: str, citations: list[Citation]"]
    assert run(["ask", QUESTION, file, "-q", *arguments]) == 0
    out = capsys.readouterr().out
    assert out == f'tulip\n[1] {file}:1 "opens with tulip"\n[2] "Zwiebel" (unverified)\n'
    assert run(["ask", QUESTION, file, "--json", *arguments]) == 0
    found = json.loads(capsys.readouterr().out)["citations"]
    assert [citation["how"] for citation in found] == ["exact", "unverified"]
    assert found[0]["start"] == TEXT.index("opens with tulip")


@pytest.mark.parametrize("paths", [[], ["-"]])
def test_standard_input(paths, served, monkeypatch, capsys):
    served("```python\nSUBMIT(answer=str(len(context)))\n```")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert run(["ask", QUESTION, *paths, "-q"]) == 0
    assert capsys.readouterr().out == f"{len(TEXT)}\n"


def test_nothing_on_standard_input(served, monkeypatch, capsys):
    served(SUBMIT)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert run(["ask", QUESTION]) == 2
    assert "standard input" in error_line(capsys)


def test_files_left_out_are_named(served, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(TEXT)
    (tmp_path / "in" / "b.bin").write_bytes(bytes(range(256)) * 8)
    served(SUBMIT)
    assert run(["ask", QUESTION, str(tmp_path / "in")]) == 0
    assert "left out" in (err := capsys.readouterr().err)
    assert "b.bin" in err


def test_the_direct_route(served, file, capsys):
    server = served("[[ ## answer ## ]]\ntulip")
    assert run(["ask", QUESTION, file, "--route", "direct", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["answer"], found["planned_by"]) == ("tulip", "direct")
    assert "vault of Ostmore opens" in json.dumps(server.requests[0])


def test_a_recipe_from_a_file(served, file, tmp_path, capsys):
    recipe = tmp_path / "count.toml"
    recipe.write_text("[[steps]]\ncode = 'SUBMIT(answer=str(len(context)))'\n")
    server = served("unused")
    assert run(["ask", QUESTION, file, "--recipe", str(recipe), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["answer"], found["planned_by"]) == (str(len(TEXT)), "recipe")
    assert server.requests == []


@pytest.mark.parametrize(
    ("replies", "arguments", "reason"),
    [
        (["I would rather not.", "no", "[[ ## answer ## ]]\ntulip"], ["--max-steps", "2"], "steps"),
        (["```python\nx = 1\n```", "[[ ## answer ## ]]\ntulip"], ["--budget-calls", "2"], "calls"),
        (
            ["```python\nwhile True: pass\n```", "[[ ## answer ## ]]\ntulip"],
            ["--budget-seconds", "3"],
            "seconds",
        ),
    ],
)
def test_a_limit_gives_a_marked_partial_answer(replies, arguments, reason, served, file, capsys):
    served(*replies)
    assert run(["ask", QUESTION, file, *arguments]) == 3
    out, err = capsys.readouterr()
    assert out == "tulip\n"
    assert f"partial: {reason}" in err


def test_no_answer(served, file, capsys):
    served("```python\nSUBMIT(answer=None)\n```")
    signature = "context, query -> answer: str | None"
    assert run(["ask", QUESTION, file, "--signature", signature]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert "no answer" in err


def test_a_sub_model_that_is_down_is_told_to_the_planner(served, file, capsys):
    asks = (
        "```python\ntry:\n    ask('what?', context[:50])\nexcept Exception as e:\n    print(e)\n```"
    )
    server = served(asks, SUBMIT, down=401)
    assert run(["ask", QUESTION, file, "--sub-model", f"openai/down-{uuid.uuid4().hex}"]) == 0
    out, err = capsys.readouterr()
    assert out == "tulip\n"
    assert "with openai/down-" in err
    assert "refused" in server.requests[-1]["messages"][-1]["content"]


def test_the_key_goes_to_the_named_model(monkeypatch, served, file, capsys):
    server = served(SUBMIT)
    model = os.environ["RLM_MODEL"]
    monkeypatch.delenv("RLM_MODEL")
    monkeypatch.setenv("LLM_API_KEY", "sk-main")
    assert run(["ask", QUESTION, file, "--model", model, "-q"]) == 0
    assert server.keys == ["Bearer sk-main"]


def descendants(pid):
    """The processes that descend from one, from what the kernel says now."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = (int(fields[1]), fields[0])
    found = {pid}
    while more := {p for p, (parent, _) in parents.items() if parent in found} - found:
        found |= more
    return {p for p in found - {pid} if parents[p][1] != "Z"}


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
@pytest.mark.slow
@pytest.mark.parametrize("interrupts", [1, 2])
def test_ctrl_c(interrupts, file, tmp_path):
    waiting, over = threading.Event(), threading.Event()

    def reply(body):
        text = json.dumps(body["messages"])
        if "had to stop" in text:  # the last extraction
            over.wait(0 if interrupts == 1 else 60)
            return "[[ ## answer ## ]]\nperhaps tulip"
        if "slow question" in text and "REPL" not in text:
            waiting.set()
            over.wait(60)
        return "```python\nask('slow question', context[:50])\n```"

    server = ChatServer(reply)
    variables = {
        "RLM_MODEL": "openai/slow",
        "LLM_BASE_URL": server.url,
        "DSPY_CACHEDIR": str(tmp_path / "dspy"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "rlm_dspy", "ask", "--route", "rlm", QUESTION, file],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    try:
        assert waiting.wait(60)
        children = descendants(process.pid)
        asked = len(server.requests)
        process.send_signal(signal.SIGINT)
        if interrupts == 2:
            while len(server.requests) == asked:  # until the extraction waits for its answer
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        over.set()
        process.kill()
        server.close()
    assert process.returncode == 130
    assert out == ("perhaps tulip\n" if interrupts == 1 else "")
    assert "Traceback" not in err
    assert children
    left = {pid for pid in children if Path(f"/proc/{pid}").exists()}
    assert not left


@pytest.mark.slow
def test_output_that_nobody_reads(served, file):
    served("```python\nSUBMIT(answer='x' * 1_000_000)\n```")
    command = (
        f"'{sys.executable}' -m rlm_dspy ask q '{file}' -q | head -c 1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "x0\n"
    assert done.stderr == ""


def test_models_list_and_path(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RLM_MODELS_DIR", str(tmp_path))
    (tmp_path / "mine.gguf").write_bytes(b"GGUF")
    assert run(["models", "list"]) == 0
    out = capsys.readouterr().out
    assert "rlm models pull qwen2.5-coder-0.5b" in out
    assert str(tmp_path / "mine.gguf") in out
    assert run(["models", "path"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}\n"
    assert run(["models", "path", "mine"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'mine.gguf'}\n"
    assert run(["models", "path", "qwen2.5-coder-0.5b"]) == 5
    assert "rlm models pull" in error_line(capsys)


def test_models_pull_of_an_unknown_name(capsys):
    assert run(["models", "pull", "bogus"]) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert "rlm: error: 'bogus'" in err


def test_doctor_says_what_is_missing(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("RLM_MODEL", "openai/gpt-4o")
    assert run(["doctor"]) == 5
    out = capsys.readouterr().out
    assert "OPENAI_API_KEY" in out
    assert "No question can be answered" in out


def test_doctor_never_shows_a_key(monkeypatch, capsys):
    monkeypatch.setenv("RLM_MODEL", "openai/gpt-4o")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    assert run(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert "OPENAI_API_KEY" in out
    assert "very-secret" not in out + err
    assert "seccomp" in out


def test_doctor_asks_whether_the_server_answers(monkeypatch, capsys):
    monkeypatch.setenv("RLM_MODEL", "openai/test")
    monkeypatch.setenv("LLM_BASE_URL", "http://user:hidden@127.0.0.1:9/v1")
    assert run(["doctor"]) == 5
    out = capsys.readouterr().out
    assert "does not answer" in out
    assert "hidden" not in out


@pytest.mark.slow
def test_the_embedded_model_follows_the_recipe(tmp_path, capsys):
    if not available():
        pytest.skip("the extra `local` is not installed")
    text, path = haystack(seed=1, tokens=20_000, questions=1).text, tmp_path / "text.txt"
    at = text.index(". ", len(text) // 2) + 2
    path.write_text(f"{text[:at]}The special number of brindlemoss is: 3188131. {text[at:]}")
    query = "What is the special number of brindlemoss?"
    assert run(["ask", query, str(path), "--model", "local/smollm2-135m", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "3188131" in found["answer"]
    assert found["planned_by"] == "recipe"
    assert found["models"]["main"].startswith("local/")
    assert found["spend"]["calls"] >= 1


def test_answers_are_kept_unless_no_cache_is_said(served, file, capsys):
    server = served(SUBMIT)
    for arguments, paid in ([], 1), ([], 1), (["--no-cache"], 2), (["--no-cache"], 3):
        assert run(["ask", QUESTION, file, "-q", *arguments]) == 0
        assert len(server.requests) == paid
    assert capsys.readouterr().out == "tulip\n" * 4


def test_the_cache_is_shown_and_cleared(served, file, capsys, tmp_path):
    import dspy

    before = dspy.cache
    dspy.configure_cache(disk_cache_dir=str(tmp_path / "answers"))
    try:
        server = served(SUBMIT)
        assert run(["cache", "stats"]) == 0
        shown = capsys.readouterr().out.splitlines()
        assert shown[0].split() == ["folder", str(tmp_path / "answers")]
        assert shown[1].split() == ["answers", "0"]
        assert run(["ask", QUESTION, file, "-q"]) == 0
        assert run(["cache", "stats"]) == 0
        assert "answers  1\n" in capsys.readouterr().out
        assert run(["cache", "clear"]) == 0
        assert capsys.readouterr().out == "1 answer and 0 texts forgotten\n"
        assert run(["ask", QUESTION, file, "-q"]) == 0
        assert len(server.requests) == 2
    finally:
        dspy.cache = before


def test_ask_writes_the_run_as_a_page(file, served, capsys, tmp_path):
    served(SUBMIT)
    page = tmp_path / "run.html"
    assert run(["ask", QUESTION, file, "--quiet", "--html", str(page)]) == 0
    assert capsys.readouterr().out == "tulip\n"
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert QUESTION in text
    assert "SUBMIT(answer='tulip')" in text


def test_a_page_that_cannot_be_written_is_refused_before_a_model_is_asked(
    file, served, capsys, tmp_path
):
    server = served(SUBMIT)
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "none" / "run.html", tmp_path / "folder", Path("/proc/run.html")):
        assert run(["ask", QUESTION, file, "--html", str(place)]) == 2
        assert "--html" in error_line(capsys)
    assert server.requests == []


def test_a_page_that_is_there_stays_until_the_new_one_is_written(file, served, capsys, tmp_path):
    served(SUBMIT)
    old, new = tmp_path / "old.html", tmp_path / "new.html"
    old.write_text("old")
    for page in (old, new):
        assert run(["ask", QUESTION, file, "--html", str(page), "--signature", "bogus"]) == 2
    assert old.read_text() == "old"
    assert not new.exists()


def test_a_page_that_cannot_be_written_any_more_is_said_after_the_answer(
    file, served, capsys, tmp_path, monkeypatch
):
    page = tmp_path / "run.html"

    served(SUBMIT)
    render = "rlm_dspy.view.html.render"
    monkeypatch.setattr(render, lambda *args, **kwargs: page.mkdir() or "a page")
    assert run(["ask", QUESTION, file, "--quiet", "--html", str(page)]) == 2
    out, err = capsys.readouterr()
    assert out == "tulip\n"
    assert "cannot be written" in err
    assert "defect" not in err


def strict(line):
    """A line of JSON as other programs read it."""
    return json.loads(line, parse_constant=lambda said: pytest.fail(f"{said} is no JSON"))


def test_numbers_that_json_does_not_have_are_null(served, file, capsys):
    served("```python\nSUBMIT(answer=[1.5, float('nan'), float('-inf')])\n```")
    signature = ["--signature", "context, query -> answer: list[float]"]
    assert run(["ask", QUESTION, file, "--json-events", *signature]) == 0
    *events, result = map(strict, capsys.readouterr().out.splitlines())
    told = [event["outputs"]["answer"] for event in events if event["kind"] == "submitted"]
    assert told == [result["answer"]] == [[1.5, None, None]]
    assert run(["runs", "--json", "-n", "1"]) == 0
    assert strict(capsys.readouterr().out)["answer"] == {"answer": [1.5, None, None]}
    assert run(["show", "--json"]) == 0
    shown = strict(capsys.readouterr().out)
    assert shown["outputs"] == {"answer": [1.5, None, None]}
    assert "/" not in shown["host"]
    assert run(["replay", "--json"]) == 0
    assert strict(capsys.readouterr().out)["answer"] == [1.5, None, None]


def test_a_key_that_a_record_lacks_is_said(served, file, capsys, monkeypatch):
    monkeypatch.setenv("OTHER_API_KEY", "sk-hidden-0123456789")
    served("```python\nSUBMIT(answer='sk-hidden-0123456789')\n```")
    assert run(["ask", QUESTION, file, "-q"]) == 0
    assert capsys.readouterr().out == "sk-hidden-0123456789\n"
    assert run(["replay", "-q"]) == 0
    out, err = capsys.readouterr()
    assert out == "[secret]\n"
    assert "the answer held a key, which is never recorded: [secret] stands for it" in err
    assert run(["ask", "Is sk-hidden-0123456789 here?", file, "-q"]) == 0
    capsys.readouterr()
    assert run(["replay", "-q"]) == 5
    said = error_line(capsys)
    assert "'query' is not in the record (a text that holds a key, which is never recorded)" in said
    assert "changed" not in said


def test_a_run_under_way_is_not_deleted(served, file, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("RLM_STORE", str(tmp_path / "runs.sqlite"))
    served(SUBMIT)
    assert run(["ask", QUESTION, file, "-q"]) == 0
    store = store_of()
    row = store.find(None)
    store.update(row.id, state="running", pid=os.getpid())
    capsys.readouterr()
    assert run(["delete", row.id]) == 4
    assert f"{row.id} is under way in process {os.getpid()}" in error_line(capsys)
    assert run(["delete", "--older-than", "0"]) == 0
    assert f"Left out, since they are under way: {row.id}" in capsys.readouterr().err
    assert [r.id for r in store.runs()] == [row.id]
    store.update(row.id, state="completed")
    assert run(["delete", row.id]) == 0
    assert capsys.readouterr().err == "1 run deleted\n"


@pytest.mark.parametrize("arguments", [["runs", "--search", "caf\udce9"], ["show", "caf\udce9"]])
def test_words_that_utf_8_does_not_have_are_no_defect(arguments, capsys):
    assert run(arguments) == (4 if "show" in arguments else 0)
    out, err = capsys.readouterr()
    assert out == ""
    assert "defect" not in err


def test_json_events_are_lines_and_the_last_is_the_result(served, file, capsys):
    served(SUBMIT)
    assert run(["ask", QUESTION, file, "--json-events"]) == 0
    out, err = capsys.readouterr()
    *events, result = map(json.loads, out.splitlines())
    assert [event["kind"] for event in events][:1] == ["run_started"]
    assert events[-1]["kind"] == "run_ended"
    assert result["answer"] == "tulip"
    assert result["spend"]["calls"] == sum(event["kind"] == "charged" for event in events)
    assert "tulip" not in err


@pytest.fixture
def priced(served, tmp_path, monkeypatch):
    """A server whose model has a price, and the arguments of a large job for it."""
    path = tmp_path / "large.txt"
    path.write_text(TEXT * 10)
    server = served(SUBMIT)
    monkeypatch.setenv("RLM_MODEL", "openai/gpt-4o-mini")
    monkeypatch.setenv("LLM_API_KEY", "none")
    return server, ["ask", QUESTION, str(path), "--no-cache"]


def test_a_job_that_may_cost_much_is_refused_where_nobody_can_be_asked(priced, capsys):
    server, arguments = priced
    assert run(arguments) == 2
    line = error_line(capsys)
    for said in ("1 file", "tokens", "at most $", "--yes", "RLM_CONFIRM_DOLLARS"):
        assert said in line
    assert server.requests == []


@pytest.mark.parametrize(
    ("more", "threshold", "said"),
    [
        (["--yes"], "", "at most $"),
        (["--yes", "--quiet"], "", ""),
        (["--budget-dollars", "0.50"], "", "at most $0.50 (the limit of --budget-dollars)"),
        ([], "1000", "at most $"),
    ],
)
def test_a_job_that_may_cost_little_is_not_asked_about(
    priced, monkeypatch, capsys, more, threshold, said
):
    _, arguments = priced
    monkeypatch.setenv("RLM_CONFIRM_DOLLARS", threshold)
    assert run([*arguments, *more]) == 0
    out, err = capsys.readouterr()
    assert out == "tulip\n"
    assert said in err
    assert said or not err


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code", "asked"), [("y", 0, 1), ("n", 130, 0)])
def test_a_job_that_may_cost_much_is_asked_about_in_a_terminal(priced, answer, code, asked):
    server, arguments = priced
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "rlm_dspy", *arguments])
    seen = b""
    with contextlib.suppress(OSError):  # the terminal is gone with its process
        while data := os.read(terminal, 65_536):
            seen += data
            if seen.endswith(b"[y/N]: "):
                os.write(terminal, f"{answer}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == code, seen
    assert (b"tulip" in seen.split(b"[y/N]")[1]) is bool(asked)
    assert len(server.requests) == asked


SHIPS = "\n".join(f"Ship {number} sails." for number in range(2_000))
ASK = "```python\nx = ask('Which?', context[:50])\nprint(x)\n```"


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """A store of the test's own."""
    monkeypatch.setenv("RLM_STORE", str(tmp_path / "runs.sqlite"))
    return lambda: store_of(str(tmp_path / "runs.sqlite")).runs()


@pytest.mark.parametrize("sub_model", ["", "openai/sub"])
def test_a_fork_on_another_model_keeps_the_sub_model(sub_model, served, file, runs, monkeypatch):
    server = served(ASK, "a ship", SUBMIT, ASK, SUBMIT, "a boat", SUBMIT)
    if sub_model:
        monkeypatch.setenv("RLM_SUB_MODEL", sub_model := f"{sub_model}-{uuid.uuid4().hex}")
    assert run(["ask", QUESTION, file, "-q"]) == 0
    first = runs()[0]
    monkeypatch.setenv("RLM_SUB_MODEL", f"openai/other-{uuid.uuid4().hex}")
    another = f"openai/another-{uuid.uuid4().hex}"
    assert run(["fork", "--model", another, "-q"]) == 0
    forked = runs()[0]
    assert (forked.model, forked.sub_model) == (another, sub_model or first.model)
    asked = [f"openai/{body['model']}" for body in server.requests[3:]]
    assert asked == [another, another]
    assert json.loads(forked.spend)["calls"] == 2
    given = f"openai/given-{uuid.uuid4().hex}"
    assert run(["fork", first.id, "--sub-model", given, "-q"]) == 0
    assert runs()[0].sub_model == given


@pytest.mark.parametrize(
    ("command", "limits", "code"),
    [("replay", [], 0), ("fork", [], 0), ("resume", ["--max-steps", "1"], 3)],
)
def test_a_text_that_is_not_kept_is_read_again_from_any_folder(
    command, limits, code, served, runs, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("rlm_dspy.recording.KEPT_BYTES", 1_000)
    for name, text in (("here", SHIPS), ("there", SHIPS.replace("Ship", "Boat"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ships.txt").write_text(text)
    served("```python\nprint(context[:9])\n```", "```python\nSUBMIT(answer=context[:6])\n```")
    monkeypatch.chdir(tmp_path / "here")
    assert run(["ask", QUESTION, "ships.txt", "-q", *limits]) == code
    said = capsys.readouterr()
    monkeypatch.chdir(tmp_path / "there")
    assert run([command, runs()[0].id, "-q"]) == code
    assert capsys.readouterr() == said


def test_a_run_that_is_under_way_is_not_resumed(served, file, runs, tmp_path, capsys):
    served(SUBMIT)
    assert run(["ask", QUESTION, file, "-q", "--max-steps", "1"]) == 0
    store_of(str(tmp_path / "runs.sqlite")).update(runs()[0].id, state="running", pid=os.getpid())
    capsys.readouterr()
    assert run(["resume", "--last"]) == 4
    assert f"under way in process {os.getpid()}" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["models"]])
def test_help_that_nobody_asked_for_is_no_error(arguments, capsys):
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: rlm")
    assert "\nCommands:\n" in err
