"""A user's own data: JSONL, CSV, a data set of the hub."""

import csv
import json

import dspy
import pytest

from eval import tasks
from eval.ledger import examples_digest
from eval.metrics import METRICS
from eval.runs import Data
from rlm_dspy import ConfigurationError, ContextError

ROWS = [
    {"context": "The city is Ulm.\nIt rains.", "question": "Which city?", "answer": "Ulm"},
    {
        "context": "1: 7",
        "question": "Which values?",
        "answer": ["7", "8"],
        "metric": "ruler",
        "id": "needles",
        "group": "numbers",
    },
    {
        "context": "Two lines.",
        "question": "How many?",
        "answer": "[2]",
        "metric": "oolong_synth",
        "answer_type": "ANSWER_TYPE.NUMERIC",
    },
]


def written(tmp_path, *rows):
    """The task of rows in a file."""
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return f"folder:{path}"


@pytest.fixture
def jsonl(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text("\n\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    return path


def test_json_lines(jsonl):
    first, second, third = tasks.load(f"folder:{jsonl}")
    assert first.inputs().toDict() == {
        "context": "The city is Ulm.\nIt rains.",
        "question": "Which city?",
    }
    assert (first.metric, first.group, first.length) == ("exact", "all", 8)
    assert (second.metric, second.group, second.id) == ("ruler", "numbers", "needles")
    assert third.answer_type == "ANSWER_TYPE.NUMERIC"
    said = {first.id: "ulm", second.id: "It is 7.", third.id: "Answer: 3"}
    scores = [
        METRICS[e.metric](e, dspy.Prediction(answer=said[e.id])) for e in (first, second, third)
    ]
    assert scores == [1.0, 0.5, 0.75]


def test_csv_with_newlines_in_a_long_field(tmp_path):
    path = tmp_path / "own.csv"
    context = "A line, with a comma.\n" * 20_000
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["context", "question", "answer", "metric"])
        writer.writerow([context, "Which?", "A", "longbench_v2"])
    (example,) = tasks.load(f"folder:{path}")
    assert example.context == context
    assert example.metric == "longbench_v2"


def test_questions_over_the_same_context_share_its_name(tmp_path):
    path = tmp_path / "own.jsonl"
    rows = [{**ROWS[0], "question": f"{n}?"} for n in range(3)] + [ROWS[1]]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    examples = tasks.load(f"folder:{path}")
    assert len({example.context_id for example in examples}) == 2
    assert len({example.id for example in examples}) == 4


def test_more_rows_than_asked_for_are_drawn_by_seed(tmp_path):
    path = tmp_path / "own.jsonl"
    rows = [{**ROWS[0], "id": n} for n in range(50)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    def ids(seed):
        return [example.id for example in tasks.load(f"folder:{path}", n=10, seed=seed)]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)
    assert ids(1) == sorted(ids(1), key=int)


def test_the_same_data_by_another_path_are_the_same_examples(tmp_path):
    paths = [tmp_path / name for name in ("own.jsonl", "copies/own.JSONL")]
    paths[1].parent.mkdir()
    for path in paths:
        path.write_text("\n\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    one, two = (tasks.load(f"folder:{path}") for path in paths)
    assert [example.id for example in one] == ["row-1", "needles", "row-3"]
    assert examples_digest(one) == examples_digest(two)


def test_a_zero_is_no_missing_value(tmp_path):
    rows = [
        {**ROWS[0], "context": f"{n}", "id": n, "context_id": 0, "group": n % 2} for n in range(3)
    ]
    examples = tasks.load(written(tmp_path, *rows))
    assert [(e.id, e.group) for e in examples] == [("0", "0"), ("1", "1"), ("2", "0")]
    assert {e.context_id for e in examples} == {"0"}


def test_what_is_null_or_empty_is_missing(tmp_path):
    empty = {"metric": "", "id": "", "context_id": None, "group": "", "question_type": None}
    task = written(tmp_path, {**ROWS[0], **empty}, {**ROWS[0], "question_type": 3})
    first, second = Data(task).examples()
    assert (first.metric, first.group, first.context_id) == ("exact", "all", second.context_id)
    assert "question_type" not in first
    assert Data(task, group="all/3").examples() == [second]


def test_a_lone_surrogate_is_read(tmp_path):
    row = {**ROWS[0], "context": "Ulm \ud83d", "id": "\ud83d"}
    (example,) = tasks.load(written(tmp_path, row))
    (other,) = tasks.load(written(tmp_path, {**row, "context": "Ulm ?"}))
    assert example.context == "Ulm \ud83d"
    assert example.context_id != other.context_id
    assert examples_digest([example]) != examples_digest([other])


def test_a_data_set_of_the_hub(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets", reason="the extra `eval` is not installed")
    home = tmp_path / "me" / "questions"
    home.mkdir(parents=True)
    rows = [{k: str(v) for k, v in ROWS[0].items()}]
    datasets.Dataset.from_list(rows).to_parquet(str(home / "train.parquet"))
    monkeypatch.setenv("RLM_DATASETS_DIR", str(tmp_path))
    (example,) = tasks.load("folder:me/questions@main:train")
    assert example.answer == "Ulm"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", ContextError, "holds no rows"),
        ("{", ContextError, "Line 1 of .* is not JSON"),
        ("[1]", ContextError, "is not a JSON object"),
        ('{"context": "a", "question": "b"}', ConfigurationError, "Row 1 of .* has no answer"),
        (
            json.dumps({**ROWS[0], "metric": "best"}),
            ConfigurationError,
            "Row 1 of .*own.jsonl: There is no metric 'best'",
        ),
        (
            json.dumps({**ROWS[0], "context": ["one", "two"]}),
            ConfigurationError,
            "context of row 1 of .* is a list: write it as one text",
        ),
        (
            json.dumps({**ROWS[0], "question": {"a": 1}}),
            ConfigurationError,
            "question of row 1 of .* is a dict",
        ),
        (
            json.dumps({**ROWS[0], "metric": "longbench_v2", "answer": "(A)"}),
            ConfigurationError,
            r"'\(A\)' is no right answer .*: The gold is none of A, B, C and D",
        ),
        (
            json.dumps({**ROWS[0], "metric": "mrcr", "answer": "x", "prefix": "P"}),
            ConfigurationError,
            "'x' is no right answer .*: It scores 0 itself, answered as 'x'",
        ),
        (f'{{"answer": {"[" * 100_000}{"]" * 100_000}}}', ContextError, "Line 1 of .* is not JSON"),
        (
            json.dumps({**ROWS[0], "metric": "mrcr"}),
            ConfigurationError,
            "Row 1 of .* has no prefix: the metric 'mrcr' needs prefix",
        ),
        (
            json.dumps({**ROWS[2], "answer_type": ""}),
            ConfigurationError,
            "Row 1 of .* has no answer_type: the metric 'oolong_synth' needs answer_type",
        ),
        (
            "\n".join(json.dumps({**ROWS[0], "id": name}) for name in ("a", 1, "1")),
            ConfigurationError,
            "2 rows of .* have the id '1'",
        ),
        (
            json.dumps({**ROWS[2], "answer": "2"}),
            ConfigurationError,
            "Row 1 of .*: '2' is no right answer for the metric 'oolong_synth': TypeError",
        ),
        (
            json.dumps({**ROWS[0], "metric": "oolong_pairs", "answer": ["12"]}),
            ConfigurationError,
            r"\['12'\] is no right answer for the metric 'oolong_pairs'",
        ),
        (
            json.dumps({**ROWS[0], "metric": "graphwalks", "answer": "abc, def"}),
            ConfigurationError,
            "metric 'graphwalks': The gold is no list of nodes",
        ),
        (
            json.dumps({**ROWS[0], "metric": "ruler", "answer": ["7", ""]}),
            ConfigurationError,
            "A right value is empty",
        ),
        (
            json.dumps({**ROWS[0], "metric": "browsecomp_judge", "answer": []}),
            ConfigurationError,
            "metric 'browsecomp_judge': IndexError",
        ),
        (
            json.dumps({**ROWS[0], "answer": []}),
            ConfigurationError,
            r"\[\] is no right answer for the metric 'exact'",
        ),
        (f'{{"answer": {"9" * 5000}}}', ContextError, "Line 1 of .* is not JSON"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, error, message):
    path = tmp_path / "own.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=message):
        tasks.load(f"folder:{path}")


@pytest.mark.parametrize(
    ("metric", "answer", "said", "scored"),
    [
        ("exact", ["Ulm", "Bonn"], "Ulm", 1.0),
        ("oolong_synth", "['spam']", "Label: spam", 1.0),
        ("oolong_synth", "[datetime.date(2023, 1, 6)]", "Date: 01/06/2023", 1.0),
        ("oolong_synth_rlm_env", "[12]", "Answer: 12", 1.0),
        ("oolong_real", "84", r"\boxed{84}", 1.0),
        ("oolong_real", "a, b", r"\boxed{a, b}", 1.0),
        ("oolong_pairs", "[[1, 2], [4, 3]]", "(1, 2)\n(4, 3)", 1.0),
        ("oolong_pairs", [], "", 1.0),
        ("ruler", ["7", "8"], "7, 8", 1.0),
        ("ruler", "[1]", "[1]", 1.0),
        ("oolong_synth_rlm_env", "spam", "spam", 1.0),
        ("ruler", [7, 8], "7, 8", 1.0),
        ("ruler", "[7", "[7", 1.0),
        ("ruler_part", ["7", "8"], "7", 1.0),
        ("longbench_v2", "C", "The correct answer is (C)", 1.0),
        ("mrcr", "XYZ a b", "XYZ a b", 1.0),
        ("graphwalks_intended", '["a", "b"]', "Final Answer: [a, b]", 1.0),
        ("graphwalks_intended", [1, 2], "Final Answer: [1, 2]", 1.0),
        ("graphwalks", ["a", "b"], "Final Answer: [a, b]", 0.5),
    ],
)
def test_the_answer_is_what_a_program_would_say(tmp_path, metric, answer, said, scored):
    kind = "DATE" if "date" in answer else "LABEL" if "spam" in answer else "NUMERIC"
    more = {"answer_type": f"ANSWER_TYPE.{kind}", "prefix": "XYZ"}
    (example,) = tasks.load(
        written(tmp_path, {**ROWS[0], **more, "metric": metric, "answer": answer})
    )
    assert example.answer == said
    assert METRICS[metric](example, dspy.Prediction(answer=example.answer)) == scored


@pytest.mark.parametrize("metric", ["ruler", "graphwalks"])
def test_lists_are_written_as_json_where_there_are_only_texts(tmp_path, metric):
    path = tmp_path / "own.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [["context", "question", "answer", "metric"], ["c", "q", '["a", "b"]', metric]]
        )
    (example,) = tasks.load(f"folder:{path}")
    assert example.gold == ["a", "b"]


def test_a_row_with_more_fields_than_the_header_is_refused(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("context,question,answer\na,b,c\na,b,c,d\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="Row 2 of .* more fields than the header"):
        tasks.load(f"folder:{path}")


@pytest.mark.parametrize("n", [0, -1])
def test_no_examples_cannot_be_asked_for(jsonl, n):
    with pytest.raises(ConfigurationError, match=f"n={n} examples: write a number above 0"):
        tasks.load(f"folder:{jsonl}", n=n)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("folder", ConfigurationError, "needs data: write folder:questions.jsonl"),
        ("folder:nothing.jsonl", ContextError, "nothing.jsonl cannot be read"),
        ("folder:questions.xlsx", ConfigurationError, "a file that is neither .jsonl nor .csv"),
        ("folder:data/questions.tsv", ConfigurationError, "a file that is neither .jsonl nor"),
        ("folder:NOTHING.CSV", ContextError, "NOTHING.CSV cannot be read"),
        ("folder:../questions", ConfigurationError, "is neither a .jsonl nor a .csv file nor OWN"),
    ],
)
def test_what_is_not_there_is_said(name, error, message):
    with pytest.raises(error, match=message):
        tasks.load(name)
