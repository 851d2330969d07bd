"""A command is shown as it can be typed again."""

import shlex
import sys

from bench.header import command_line


def test_arguments_are_quoted_where_they_must_be(monkeypatch):
    given = ["run", "folder:my q.jsonl", "--price", "it's=1,2", "--out", "runs/a"]
    monkeypatch.setattr(sys, "argv", ["eval", *given])
    line = command_line("eval")
    assert shlex.split(line) == ["uv", "run", "--all-extras", "python", "-m", "eval", *given]
    assert line.endswith(" --out runs/a")


def test_a_command_without_arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x"])
    assert command_line("bench.repl") == "uv run --all-extras python -m bench.repl"
