"""`rlm recipe`: from a recorded run to an answer over another file, without a planner."""

import json

import dspy
import pytest

from rlm_dspy import RLM
from rlm_dspy.cli import run
from rlm_dspy.testing import ScriptedLM, code

QUERY = "Which ship does Captain Branwick command?"
OTHER = "Which ship does Captain Marvey command?"
FIND = "hit = context.grep('Captain Branwick')[0]\nprint(hit)"
END = "SUBMIT(answer=hit.split('the ')[1].rstrip('.'))"


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A store with one run; its id."""
    for name, value in {
        "RLM_STORE": str(tmp_path / "runs.sqlite"),
        "RLM_RECORD": "full",
        "RLM_RECIPES_DIR": str(tmp_path / "recipes"),
        "RLM_MODEL": "openai/never-asked",
        "OPENAI_API_KEY": "none",
    }.items():
        monkeypatch.setenv(name, value)
    with dspy.context(lm=ScriptedLM([code("x = 1"), code(FIND), code(END)])):
        text = "Captain Branwick commands the Grey Heron.\n" + "Rain fell.\n" * 500
        return RLM("context, query -> answer: str")(context=text, query=QUERY).run.id


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("Captain Marvey commands the Blue Tern.\n" + "Rain fell.\n" * 500)
    return str(path)


def test_a_run_becomes_a_recipe_that_answers_over_other_files(recorded, file, capsys):
    assert run(["recipe", "save", recorded[:8], "ships"]) == 0
    assert "Which ship does {asked_1} command?" in capsys.readouterr().err
    assert run(["recipe", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == ["general", "ships"]
    assert run(["recipe", "show", "ships"]) == 0
    shown = capsys.readouterr().out
    assert "asked_1" in shown
    assert "x = 1" not in shown
    assert run(["recipe", "run", "ships", OTHER, file, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["answer"], found["planned_by"], found["spend"]["calls"]) == (
        "Blue Tern", "recipe", 0,
    )  # fmt: skip
    assert run(["ask", "--recipe", "ships", "--quiet", OTHER, file]) == 0
    assert capsys.readouterr().out == "Blue Tern\n"


def test_what_cannot_be_done_is_said_in_one_line(recorded, file, capsys):
    assert run(["recipe", "save", recorded, "ships"]) == 0
    capsys.readouterr()
    for arguments, told in {
        ("run", "ships", "Who is Marvey?", file): "does not fit the recipe",
        ("run", "boats", OTHER, file): "no recipe 'boats'",
        ("show", "../ships"): "no name of a recipe",
        ("save", recorded, "ships"): "--force",
        ("save", recorded, "general"): "built in",
        ("save", "no-such-run", "boats"): "no run 'no-such-run'",
    }.items():
        assert run(["recipe", *arguments]) != 0
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("rlm: error: ")
        assert told in line
    assert run(["recipe", "save", recorded, "ships", "--force"]) == 0
