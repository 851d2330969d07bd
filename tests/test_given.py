"""What a question at a terminal is about, by its options."""

import io
import json

import pytest
from chat_server import ChatServer
from PIL import Image

from rlm_dspy.budget import Budget
from rlm_dspy.cli import run
from rlm_dspy.context import ReadProgress
from rlm_dspy.errors import ContextError
from rlm_dspy.given import Told, context_of, paths_again, piped_paths, read_notes
from rlm_dspy.outcome import UsageError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.py", "b.log", "docs/c.md", ".env"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    return tmp_path


def piped(monkeypatch, data):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def about(paths, **reading):
    context = context_of(list(map(str, paths)), reading, None, Budget(), print)
    return [document.title for document in context.documents]


@pytest.mark.parametrize(
    ("reading", "titles"),
    [
        ({}, ["a.py", "b.log", "docs/c.md"]),
        ({"include": ["*.md", "*.py"], "exclude": ["a.*"]}, ["docs/c.md"]),
        ({"types": ["log", "py"]}, ["a.py", "b.log"]),
        ({"hidden": True, "exclude": ["docs/"]}, [".env", "a.py", "b.log"]),
    ],
)
def test_options_choose_files(folder, reading, titles):
    assert about([folder], **reading) == titles


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\0"])
def test_paths_come_from_standard_input(folder, monkeypatch, ending):
    data = b"".join(bytes(folder / name) + ending for name in ("b.log", "docs/c.md"))
    piped(monkeypatch, data)
    assert about(piped_paths()) == ["b.log", "c.md"]


def test_what_was_read_is_found_again_from_elsewhere(folder, monkeypatch):
    given = ["b.log", "./docs", "-", "https://example.org/a", str(folder / "a.py")]
    monkeypatch.chdir(folder)
    notes = json.loads(json.dumps(read_notes(given, {"hidden": True})))
    assert notes["reading"] == {"hidden": True}
    assert paths_again(notes) == given
    monkeypatch.chdir(folder / "docs")
    elsewhere = paths_again(notes)
    assert elsewhere[2:] == given[2:]
    assert about(elsewhere[:2]) == ["b.log", "c.md"]
    assert paths_again({"paths": given}) == given  # older records do not say where they began
    assert paths_again({}) == []
    assert paths_again(read_notes([], {})) == ["-"]


@pytest.mark.parametrize(("quick", "said"), [(True, []), (False, [2, 4, 8, 10])])
def test_how_far_reading_is_is_told_where_it_takes_long(quick, said):
    notes, seconds = [], iter([0.0, *(0.05 if quick else n for n in range(1, 11))])
    told = Told(notes.append, lambda: next(seconds))
    for number in range(1, 11):
        told(ReadProgress(number, 10, number * 2_000_000, 20_000_000, "a.txt"))
    assert notes == [f"Read {n} of 10 files, {2 * n} of 20 MB" for n in said]


def test_no_paths_on_standard_input(monkeypatch):
    piped(monkeypatch, b"\n")
    with pytest.raises(UsageError, match="found no paths"):
        piped_paths()


def test_a_url_needs_leave(folder):
    with pytest.raises(ContextError, match="--urls"):
        about(["http://127.0.0.1:9/"])
    with pytest.raises(ContextError, match="not on the public internet"):
        about(["http://127.0.0.1:9/"], urls=True)


def test_the_command_line_takes_all_of_it(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))
    Image.new("RGB", (8, 8), "red").save(folder / "scan.png")

    def reply(body):
        if "vision" in body["model"]:
            return "[[ ## text ## ]]\nThe ship is red.\n[[ ## completed ## ]]"
        return "```python\nSUBMIT(answer=str([d.title for d in context.documents]))\n```"

    server = ChatServer(reply)
    monkeypatch.setenv("LLM_BASE_URL", server.url)
    monkeypatch.setenv("RLM_MODEL", "openai/planner")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    piped(monkeypatch, bytes(folder))
    arguments = ["ask", "Which?", "--json", "--paths-from-stdin", "--hidden", "--route", "rlm"]
    arguments += ["--include", "*.py", "--include", "*.png", "--include", ".env", "--exclude", "a*"]
    arguments += ["--type", "image", "--type", "text", "--vision-model", "openai/vision"]
    try:
        assert run(arguments) == 0
    finally:
        server.close()
    out, err = capsys.readouterr()
    assert json.loads(out)["answer"] == "['.env', 'scan.png']"
    assert "Images: 1 call," in err
