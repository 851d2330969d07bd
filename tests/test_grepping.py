"""`rlm grep`: lines of the files themselves, with the exit codes of grep."""

import json
import re

import pytest
from chat_server import ChatServer

from rlm_dspy.cli import run

FILES = {
    "a.txt": "The invoice was not settled.\nWe had lunch.\n\nThe bill is late.\nThe end.\n",
    "b.md": "The sky is blue.\nThe bill is paid.\nThat was it.\n",
    "c.py": "bill = 3\n",
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def judge(monkeypatch):
    """Starts a server whose model says yes to lines that match a pattern."""
    servers = []

    def start(pattern):
        def reply(body):
            asked = body["messages"][-1]["content"]
            if "ten other words" in asked:
                return '["sky", "blue"]'
            (text,) = re.findall(r"<text>\n(.*)\n</text>", asked, re.DOTALL)
            verdict = {True: "yes", False: "no"}
            items = re.findall(r"^(\d+): (.*)$", text, re.MULTILINE)
            told = [f"{number}: {verdict[bool(re.search(pattern, at))]}" for number, at in items]
            return "\n".join(told) if "items" in asked else verdict[bool(re.search(pattern, text))]

        servers.append(ChatServer(reply))
        monkeypatch.setenv("RLM_MODEL", "openai/judge")
        monkeypatch.setenv("LLM_BASE_URL", servers[-1].url)
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def grep(capsys, *arguments):
    """What it exits with and prints."""
    code = run(["grep", *arguments, "--no-cache"])
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def test_lines_are_printed_as_grep_prints_them(files, judge, capsys):
    judge("bill")
    code, lines, err = grep(capsys, "what is owed", ".")
    assert (code, lines) == (
        0,
        ["a.txt:4:The bill is late.", "b.md:2:The bill is paid.", "c.py:1:bill = 3"],
    )
    assert "Judged 8 lines, 1 not." in err


def test_nothing_found_exits_with_one(files, judge, capsys):
    judge("nowhere")
    assert grep(capsys, "-q", "what is owed", ".") == (1, [], "")


@pytest.mark.parametrize(
    "arguments", [("owed", "absent.txt"), ("", "a.txt"), ("owed", "a.txt", "--budget-calls", "0")]
)
def test_what_goes_wrong_exits_with_two(files, judge, capsys, arguments):
    judge("bill")
    code, lines, err = grep(capsys, "-q", *arguments)
    assert (code, lines) == (2, [])
    assert err.startswith("rlm: error: ")


def test_lines_around_are_shown_once(files, judge, capsys):
    judge("lunch|late|sky")
    _, lines, _ = grep(capsys, "-q", "-C", "1", "x", "a.txt", "b.md")
    assert lines == [
        "a.txt-1-The invoice was not settled.",
        "a.txt:2:We had lunch.",
        "a.txt-3-",
        "a.txt:4:The bill is late.",
        "a.txt-5-The end.",
        "--",
        "b.md:1:The sky is blue.",
        "b.md-2-The bill is paid.",
    ]
    _, lines, _ = grep(capsys, "-q", "-A", "1", "-m", "1", "x", "a.txt")
    assert lines == ["a.txt:2:We had lunch.", "a.txt-3-"]


def test_files_are_chosen_by_globs(files, judge, capsys):
    judge("bill")
    assert grep(capsys, "-q", "-g", "*.md", "-g", "*.py", "x", ".")[1] == [
        "b.md:2:The bill is paid.",
        "c.py:1:bill = 3",
    ]
    assert grep(capsys, "-q", "-g", "!*.txt", "-g", "!*.py", "x", ".")[1] == [
        "b.md:2:The bill is paid."
    ]


def test_json_is_an_object_a_line(files, judge, capsys):
    judge("late")
    _, lines, _ = grep(capsys, "--json", "-B", "2", "x", "a.txt")
    (found,) = map(json.loads, lines)
    assert found == {
        "path": "a.txt",
        "line": 4,
        "text": "The bill is late.",
        "start": FILES["a.txt"].index("The bill"),
        "before": ["We had lunch.", ""],
        "after": [],
    }


def test_of_many_lines_those_are_judged_that_a_search_ranks_first(files, judge, capsys):
    (files / "long.txt").write_text(
        "Nothing here.\n" * 500 + "It is owed.\n" + "Or there.\n" * 500 + "A blue sky.\n"
    )
    server = judge("owed|blue")
    code, lines, err = grep(capsys, "--judged", "60", "who owed it", "long.txt")
    assert (code, lines) == (0, ["long.txt:501:It is owed.", "long.txt:1002:A blue sky."])
    judged, left = map(int, re.findall(r"\d+", err))
    assert judged <= 60
    assert judged + left == 1002
    assert len(server.requests) <= 61
