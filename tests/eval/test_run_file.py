"""The file of a run: what it is not is refused, and the same data by another path is the same."""

import json
import shutil
from dataclasses import replace

import pytest
from measured import data, run, saying

from eval.ledger import Ledger, read_run
from eval.runs import Data
from rlm_dspy import ConfigurationError, ContextError
from rlm_dspy.testing import ScriptedLM


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """The lines of a run of one example."""
    folder = tmp_path_factory.mktemp("ledger")
    run(folder, ScriptedLM(saying), given=data(folder, 1))
    text = (folder / "run" / "results.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def without(line, name):
    return {key: value for key, value in line.items() if key != name}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda start, record: [{"foo": 1}, start, record], "Line 1 of .* it is no start line"),
        (lambda start, record: [record], "Line 1 of .* it is no start line"),
        (lambda start, record: [start, {"foo": 1}], "Line 2 of .* it is no record"),
        (
            lambda start, record: [without(start, "made_with"), record],
            "Line 1 of .* its 'made_with' has no command, unpriced",
        ),
        (
            lambda start, record: [start, without(record, "bill")],
            "Line 2 of .* its 'bill' is wrong: Field required",
        ),
        (
            lambda start, record: [start, {**record, "more": 1}],
            "Line 2 of .* its 'more' is wrong",
        ),
        (
            lambda start, record: [start, {**record, "outcome": "won"}],
            "Line 2 of .* its 'outcome' is wrong: Input should be 'scored'",
        ),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, lines, change, told):
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in change(*lines)))
    for read in (read_run, lambda folder: Ledger(folder, lines[0]["settings"], {})):
        with pytest.raises(ContextError, match=f"{told}.* Restore the file, or take another fold"):
            read(tmp_path)


def test_the_same_data_by_another_path_goes_on_and_is_taken(tmp_path):
    given = data(tmp_path, 3)
    (tmp_path / "moved").mkdir()
    moved = shutil.copy(tmp_path / "questions.jsonl", tmp_path / "moved" / "other.jsonl")
    there = replace(given, task=f"folder:{moved}")
    first = run(tmp_path, ScriptedLM(saying), given=given)
    lm = ScriptedLM(saying)
    assert run(tmp_path, lm, given=there) == first
    assert lm.asked == []
    same = run(tmp_path, lm, "same", given=there, same_as=tmp_path / "run")
    assert [record.digest for record in same] == [record.digest for record in first]


def test_other_data_are_told_by_their_path_too(tmp_path):
    run(tmp_path, ScriptedLM(saying), given=data(tmp_path, 2))
    with pytest.raises(ConfigurationError, match="examples_digest was .* task was 'folder:.*niah'"):
        run(tmp_path, ScriptedLM(saying), given=Data("niah", 2, (1_024,)))
