"""What the README and the pages in docs/ show: it runs, prints what they say, and is there."""

import contextlib
import contextvars
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib

import dspy
import pytest
import typer
from pages import PAGES, ROOT, Block, blocks, joined

from rlm_dspy.cli import app
from rlm_dspy.events import Event
from rlm_dspy.models import KNOWN, available
from rlm_dspy.outcome import ExitCode
from rlm_dspy.repl.isolation import LAYERS
from rlm_dspy.runs.recipes import Recipe
from rlm_dspy.testing import ScriptedLM, code

pytestmark = pytest.mark.filterwarnings("ignore:.*using the .ReadOnly. qualifier:UserWarning")

README = ROOT / "README.md"
QUICKSTART, *PYTHON = blocks("python")
SHELL = blocks("sh")
SET_UP = [
    "pip install -q uv && uv run --extra local rlm demo",
    "pip install -q uv && uv run --all-extras pytest",
]
PAGE = "The clerk noted the weather and went home.\n\n"
TEXT = PAGE * 100 + "Captain Branwick commands a ship called the Grey Heron.\n\n" + PAGE * 100

# What a planner says to the blocks that ask one, by words of the block; the first that fits.
SUBMITS = {
    "FindShips": "SUBMIT(ships=[{'captain': 'Branwick', 'name': 'Grey Heron'}], certain='yes')"
    " if harbour_of(ship='Grey Heron') == 'Lisbon' else None",
    "n: int, max_iters": "SUBMIT(answer='Grey Heron', n=1)",
    "max_iters": "SUBMIT(answer='Grey Heron', n=1)",
    "class Table": "SUBMIT(heaviest=max(ships, key=lambda row: int(row['tons']))['ship'])",
    "list[Citation]": "hit = context.grep('left')[0]\n"
    "SUBMIT(answer='At six.', citations=[hit, 'the mate is Ottilie Roth'])",
    "from_run": "hit = context.grep('Captain Branwick')[0]\n"
    "SUBMIT(answer=hit.split('called the ')[1].rstrip('.'))",
    "interpreter_factory=": "SUBMIT(answer=context.split('called the ')[1].split('.')[0])",
    "": "SUBMIT(answer=context.extract_after('called the', until='.') or 'Sales fell.')",
}


def marked(source: str) -> str:
    """A planner's reply as dspy's own modules read it."""
    return f"[[ ## reasoning ## ]]\n\n[[ ## code ## ]]\n{source}\n\n[[ ## completed ## ]]"


def ran(block: Block) -> tuple[str, dict]:
    """Runs a block on a scripted model; gives what it printed, and its names."""
    submit = next(said for words, said in SUBMITS.items() if words in block.source)
    names = {"__name__": "block", "text": TEXT}
    reply = marked if " = dspy.RLM(" in block.source else code

    def run() -> None:
        dspy.configure(lm=ScriptedLM([reply("print(len(context))"), reply(submit)]))
        try:
            exec(compile(block.source, str(block), "exec"), names)
        finally:
            dspy.configure(lm=None)

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        contextvars.Context().run(run)  # outside the test's own dspy.context
    return printed.getvalue(), names


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "unused")


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_every_python_block_runs(block):
    printed, names = ran(block)
    if block.output is not None:
        assert printed == block.output
    result = names.get("result")
    if result is not None:
        assert result.run.status == "completed", result.trajectory
        assert printed.strip() or "print" not in block.source


@pytest.mark.parametrize("block", [QUICKSTART, *PYTHON], ids=str)
def test_python_blocks_parse_on_the_oldest_python(block):
    compile(block.source, str(block), "exec")
    assert max(map(len, block.source.splitlines())) <= 132


def test_the_quickstart_is_short_and_comes_first():
    assert QUICKSTART.page == "README.md"
    assert QUICKSTART.output is not None
    assert QUICKSTART.last_line < 40
    assert len([line for line in QUICKSTART.source.splitlines() if line.strip()]) <= 12
    assert QUICKSTART.source in (ROOT / "examples" / "minimal.py").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_quickstart_prints_what_it_says():
    if "smollm2-135m" not in dict(available()):
        pytest.skip("the extra `local` is not installed")
    example = [sys.executable, str(ROOT / "examples" / "minimal.py")]
    done = subprocess.run(example, capture_output=True, text=True, env={**os.environ}, timeout=300)
    assert done.stdout == QUICKSTART.output, done.stderr


def test_the_two_set_up_commands():
    first = joined(SHELL[0].source)
    assert first == SET_UP
    assert SET_UP[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def commands() -> list[tuple[Block, str]]:
    return [(block, line) for block in SHELL for line in joined(block.source)]


@pytest.mark.parametrize(("block", "line"), commands(), ids=lambda value: str(value)[:60])
def test_every_shell_line_is_a_command_of_this_project(block, line):
    for part in re.split(r" && | \| ", line):
        words = shlex.split(part)
        if words[:2] == ["uv", "run"]:
            words = words[2:]
            while words[0].startswith("--"):
                option, *words = words
                words = words[1:] if option == "--extra" else words
        if words[0] == "rlm":
            parsed(words[1:])
        elif words[0] == "export":
            known = r"(RLM_(SUB_)?MODEL|LLM_BASE_URL|OPENAI_API_KEY)=\S+"
            assert all(re.fullmatch(known, word) for word in words[1:])
        else:
            assert words[:2] == ["pip", "install"] or words[0] in ("pytest", "cat")


def parsed(arguments: list[str]) -> None:
    """Parses a command line of `rlm`, down to its subcommand; nothing is run."""
    command = typer.main.get_command(app)
    context = command.make_context("rlm", list(arguments))
    rest = list(arguments)
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, list(rest), parent=context)
    if (recipe := context.params.get("recipe")) is not None:
        Recipe.of(str(ROOT / recipe))


def test_a_wrong_command_line_would_be_seen():
    with pytest.raises(typer.TyperException):
        parsed(["ask", "q", "--budget-pounds", "1"])
    with pytest.raises(typer.TyperException):
        parsed(["models", "fetch"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_measuring_commands_exist():
    modules = re.findall(r"python -m ([\w.]+)", README.read_text(encoding="utf-8"))
    assert modules
    assert all(importlib.util.find_spec(module) for module in modules)


def test_tables_say_what_the_code_says():
    text = README.read_text(encoding="utf-8")
    rows = {int(row) for row in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert rows == set(ExitCode)
    assert {11: "eleven"}[len(LAYERS)] in text

    events = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    kinds = {kind.model_fields["kind"].default for kind in Event.__subclasses__()}
    assert set(re.findall(r"^\| `(\w+)` \| \w", events, re.MULTILINE)) - {"kind"} == kinds

    models = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    for weights in KNOWN:
        assert f"| `local/{weights.name}` | {weights.size / 1e6:,.0f} MB |" in models


def test_the_project_shows_this_readme_and_ships_the_package_alone():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["readme"] == README.name
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["rlm_dspy"]
