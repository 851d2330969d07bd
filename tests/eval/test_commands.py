"""`python -m eval run`, `compare` and `optimize` as typed, and what docs/eval.md shows of them."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import programs
from eval.__main__ import app
from eval.metrics import METRICS
from eval.oracle import SIMULATED
from eval.runs import Data
from eval.tasks import task_named
from rlm_dspy import ConfigurationError

PAGE = Path(__file__).parents[2] / "docs" / "eval.md"
COMMANDS = [
    line.strip().partition("python -m eval ")[2]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("    uv run --all-extras python -m eval ")
]
ORACLE = ("niah", "--lm", "oracle", "--out", "x")
SIZES = ("--train", "1", "--val", "1", "--test", "1")
SYNTH = ("oolong_synth", "--generated", "--program", "aggregate", "--lengths", "1k")


def evaluated(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.mark.slow
def test_run_and_compare(tmp_path):
    for name, model in (("a", "oracle:0"), ("b", "oracle:0.4")):
        out = tmp_path / name
        text = evaluated("run", *SYNTH, "--lm", model, "--n", 6, "--workers", 2, "--out", out)
        assert text.startswith(SIMULATED)
        assert "| all | 6 |" in text
        assert "Labels by sub-queries: " in text
        lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
        assert [line["kind"] for line in lines] == ["start"] + ["example"] * 6
        assert all(line["planned_by"] == "recipe" for line in lines[1:])
        assert all(
            set(line["scores"]) == {"oolong_synth", "oolong_synth_rlm_env"} for line in lines[1:]
        )
    text = evaluated("compare", tmp_path / "a", tmp_path / "b")
    assert text.startswith(SIMULATED)
    assert "| b − a | 6 | -" in text
    assert (tmp_path / "a" / "compared.png").is_file()


def test_run_again_prints_the_same_table(tmp_path):
    command = ("run", *SYNTH, "--plan", "--lm", "oracle:0.2", "--n", 3, "--out", tmp_path / "a")
    table = re.compile(r"^\| all .*$", re.MULTILINE)
    first, again = (table.findall(evaluated(*command)) for _ in range(2))
    assert first == again


def test_run_with_all_that_can_be_chosen(tmp_path):
    options = ("--seed", 3, "--group", "user", "--budget-seconds", 60, "--budget-dollars", 1)
    more = ("--sub-lm", "oracle:0.1", "--cache", "--recipe", "--price", "simulated/oracle:0=1,2")
    out = tmp_path / "a"
    evaluated("run", *SYNTH, "--lm", "oracle:0", "--n", 6, *options, *more, "--out", out)
    start = json.loads((out / "results.jsonl").read_text().splitlines()[0])["settings"]
    assert (start["examples"], start["group"], start["planned"]) == (2, "user", False)
    assert (start["lm"], start["sub_lm"]) == ("simulated/oracle:0", "simulated/oracle:0.1")


def test_a_kind_of_question_can_be_chosen():
    kind = Data("oolong_synth", 24, (1024,), generated=True, group="counting/NUMERIC_ONE_CLASS")
    found = kind.examples()
    assert found
    assert all("how many data points" in example.question for example in found)
    assert len(found) < len(replace(kind, group="counting").examples())
    with pytest.raises(ConfigurationError, match="counting/LEAST_FREQ"):
        replace(kind, group="counting/NONE").examples()
    more = "no examples of the group 'timeline' among the 2 that n=2 .* which has also: timeline"
    with pytest.raises(ConfigurationError, match=more):
        replace(kind, n=2, group="timeline").examples()
    with pytest.raises(ConfigurationError, match="but of: single_1. Take .* or a larger n\\.$"):
        Data("niah:single_1", 1, (1024,), group="single_2").examples()


def test_optimize(tmp_path):
    out = tmp_path / "tuned.json"
    sizes = ("--train", 3, "--val", 2, "--test", 2)
    options = ("--lm", "oracle:0.3", "--optimizer", "bootstrap", "--recipe", *sizes)
    text = evaluated("optimize", *SYNTH, *options, "--demos", 1, "--no-gate", "--out", out)
    assert text.startswith(SIMULATED)
    assert out.with_suffix(".md").read_text() == text.rstrip("\n") + "\n"
    again = tmp_path / "again"
    [printed] = re.findall(
        r"^    uv run .* python -m eval (run .*) --out FOLDER$", text, re.MULTILINE
    )
    evaluated(*shlex.split(printed), "--out", again)
    after, same = (
        [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
        for folder in (tmp_path / "tuned" / "after", again)
    )
    assert len(same) == len(after) == 3
    scores = [{line["id"]: line["scores"] for line in lines[1:]} for lines in (after, same)]
    assert scores[0] == scores[1]
    assert after[0]["settings"]["prompts"] == same[0]["settings"]["prompts"]


def test_a_refused_gain_is_exit_code_1(tmp_path):
    sizes = ("--train", 2, "--val", 1, "--test", 2)
    options = ("--lm", "oracle:0.3", "--recipe", *sizes)
    text = evaluated("optimize", *SYNTH, *options, "--out", tmp_path / "tuned.json", code=1)
    assert "Nothing is saved" in text or "nothing is saved" in text
    assert not (tmp_path / "tuned.json").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "oolong", "--out", "x"), "no task 'oolong'"),
        (("run", "niah", "--program", "needles", "--lm", "oracle", "--out", "x"), "no program"),
        (("run", "niah", "--program", "rlm", "--plan", "--lm", "oracle", "--out", "x"), "neither"),
        (("run", "niah", "--program", "a:B", "--lm", "oracle", "--out", "x"), "no program 'a:B'"),
        (("run", "niah", "--lengths", "8kb", "--lm", "oracle", "--out", "x"), "no length"),
        (("run", *SYNTH, "--group", "x", "--lm", "oracle", "--out", "x"), "no examples of the gr"),
        (("run", "niah", "--lm", "oracle", "--load", "no.json", "--out", "x"), "cannot be loaded"),
        (("compare", "x"), "two runs or more"),
        (("run", *ORACLE, "--budget-seconds", "nan"), "--budget-seconds nan: write"),
        (("run", *ORACLE, "--budget-dollars", "nan"), "--budget-dollars nan: write"),
        (("run", *ORACLE, "--price", "opena/x=1,1"), "no such model, but simulated/oracle:0"),
        (("optimize", *ORACLE, *SIZES, "--budget-seconds", "0"), "--budget-seconds 0.0: write"),
        (("optimize", *ORACLE, *SIZES, "--budget-dollars", "-1"), "--budget-dollars -1.0: write"),
        (("optimize", *ORACLE, *SIZES, "--tuning-seconds", "inf"), "--tuning-seconds inf: write"),
    ],
)
def test_what_is_asked_for_wrongly_is_said(arguments, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=told):
        evaluated(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder_for_a_run(tmp_path):
    (tmp_path / "file").touch()
    evaluated("run", "niah", "--lm", "oracle", "--out", tmp_path / "file", code=2)


def parsed(line):
    """The values of a command line by option; nothing is run."""
    name, *rest = shlex.split(line)
    command = typer.main.get_command(app).commands[name]
    return name, command.make_context(name, rest).params


def test_the_page_shows_every_command():
    assert {parsed(line)[0] for line in COMMANDS} == {"tasks", "run", "compare", "optimize"}


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_page_can_be_typed(line):
    _, given = parsed(line)
    if "task" in given:
        task_named(given["task"])
        programs.build(given["program"], planned=given["planned"])


def test_the_page_lists_every_metric():
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in METRICS if f"`{name}`" not in text] == []


def test_the_page_lists_every_program():
    table = re.findall(r"^\| `(\w+)` \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert table == list(programs.PROGRAMS)
