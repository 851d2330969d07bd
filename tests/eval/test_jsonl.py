"""Lines survive a kill at any byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.jsonl import Appender, read_lines
from rlm_dspy import ContextError

TEXTS = st.lists(st.text(), min_size=1, max_size=5)


@given(TEXTS, st.data())
def test_what_is_left_of_a_killed_file_is_read_and_gone_on_with(tmp_path_factory, texts, data):
    path = tmp_path_factory.mktemp("jsonl") / "lines.jsonl"
    lines = [{"text": text} for text in texts]
    for line in lines:
        Appender(path).append(line)
    whole = path.read_bytes()
    kept = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:kept])
    complete = whole[:kept].count(b"\n")
    assert read_lines(path) == lines[:complete]
    file = Appender(path, durable=False)
    file.append({"more": 1})
    file.append({"more": 2})
    assert read_lines(path) == [*lines[:complete], {"more": 1}, {"more": 2}]


def test_a_file_that_is_not_there_has_no_lines(tmp_path):
    assert read_lines(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize(
    ("line", "what"),
    [("{", "not JSON"), ("[" * 100_000, "not JSON"), ("[1]", "no|not a JSON object")],
)
def test_a_broken_line_before_the_last_is_an_error(tmp_path, line, what):
    path = tmp_path / "lines.jsonl"
    path.write_text(f'{{"a": 1}}\n{line}\n{{"b": 1}}\n')
    with pytest.raises(ContextError, match=f"Line 2 of .*{what}"):
        read_lines(path)


def test_a_lone_surrogate_is_written_and_read(tmp_path):
    path = tmp_path / "lines.jsonl"
    line = {"text": "5 \ud83d €", "\udcff": ["\\ud83d", "\U0001f600"]}
    Appender(path).append(line)
    assert read_lines(path) == [line]
    assert "€".encode() in path.read_bytes()


def test_what_is_not_json_is_not_written(tmp_path):
    path = tmp_path / "lines.jsonl"
    file = Appender(path)
    file.append({"a": 1})
    with pytest.raises(TypeError):
        file.append({"a": object()})
    with pytest.raises(ValueError, match="JSON"):
        file.append({"a": float("nan")})
    assert path.read_text() == json.dumps({"a": 1}) + "\n"
