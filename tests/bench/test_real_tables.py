import click
import pytest
import typer

from bench.real_tables import TITLE, jobs, section, with_section
from eval.__main__ import app
from eval.ledger import Ledger
from eval.purse import Bill
from eval.records import Record
from programs import PROGRAMS

MADE = {
    "command": "python -m eval run …",
    "versions": "Python 3.11",
    "commit": "abc",
    "machine": "Linux, 2 cores, load 1.5 at the start",
    "unpriced": [],
}


@pytest.mark.parametrize("job", jobs(), ids=lambda job: "-".join(map(str, job)))
def test_every_run_is_a_command_that_there_is(tmp_path, job):
    setting, program = job
    command, *arguments = setting.command(program, tmp_path)
    run = typer.main.get_command(app).get_command(click.Context(click.Command("eval")), command)
    given = run.make_context(command, arguments).params
    assert (given["task"], given["program"], given["workers"]) == (setting.task, program, 1)
    assert program in PROGRAMS


def test_no_run_is_made_twice(tmp_path):
    folders = [setting.command(program, tmp_path)[-1] for setting, program in jobs()]
    assert len(set(folders)) == len(folders)


def ran(folder, scores):
    settings = {"lm": "local/a", "sub_lm": "local/a", "examples": 2, "seconds": 120.0}
    asked = dict.fromkeys(("task", "n", "lengths", "seed", "generated", "group"))
    ledger = Ledger(folder, {**asked, **settings, "examples_digest": "same"}, MADE)
    for number, score in enumerate(scores):
        name = f"q{number}"
        ledger.add(
            Record(name, name, "g", 4096, "d", "scored", {"ruler": score}, "a", 1.0, Bill(1, 10, 2))
        )


def test_the_section_compares_the_runs_that_are_complete(tmp_path):
    first, own = jobs()[0]
    for program, scores in ((own, [1.0, 1.0]), ("rlm", [1.0, 0.0])):
        ran(tmp_path / first.name / program, scores)
    ran(tmp_path / first.name / "retrieve", [1.0])
    other = jobs()[-1][0]
    ran(tmp_path / other.name / "rlm", [1.0, 1.0])
    text = section(tmp_path)
    assert text.startswith(TITLE)
    assert "Python 3.11; commit abc; Linux, 2 cores." in text
    assert "Load at the start of a run: 1.5 to 1.5. Where" in text
    assert f"| rlm − {own} | 2 | -0.500" in text
    assert "retrieve" not in text  # it is not complete
    assert other.model not in text  # one run alone is not compared
    assert text.count("Time-outs: ended by the limit of 120 s") == 1


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("# Page\n\n## One\n\na\n", "# Page\n\n## One\n\na\n\n## T\n\nnew\n"),
        ("# Page\n\n## T\n\nold\n\n## Two\n\nb\n", "# Page\n\n## T\n\nnew\n\n## Two\n\nb\n"),
        ("# Page\n\n## T\n\nold\n\n### Three\n\nb\n", "# Page\n\n## T\n\nnew\n"),
    ],
)
def test_a_section_takes_the_place_of_the_old_one(page, expected):
    assert with_section(page, "## T\n\nnew") == expected
    assert with_section(expected, "## T\n\nnew") == expected
