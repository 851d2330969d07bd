"""Published rows through `datasets`, on local Parquet files of the documented columns."""

import re
import subprocess
import sys

import dspy
import pytest

from eval import data, hub, tasks
from eval.metrics import METRICS
from eval.oolong import SOURCES, Source, make_window, parsed_lines, questions_of
from eval.oolong.pairs import QUERIES, TREC_LABELS
from rlm_dspy import ContextError

datasets = pytest.importorskip("datasets", reason="the extra `eval` is not installed")

REPOSITORY = "oolongbench/oolong-synth"


def row(dataset, number, window, question, length):
    """A row as the published data has it; every value of the type that it has there."""
    return {
        "id": 100_000_000 + number,
        "context_len": length,
        "dataset": dataset,
        "context_window_text": window.text(),
        "context_window_text_with_labels": window.text(labelled=True),
        "question": question.text,
        "task_group": question.group,
        "task": f"TASK_TYPE.{question.task}",
        "answer": repr(list(question.gold)),
        "answer_type": f"ANSWER_TYPE.{question.answer_type}",
        "input_subset": str(question.subset),
        "num_labels": len(window.labels),
        "context_window_id": int(window.id.rpartition("-")[2]),
    }


# Published contexts have TREC's labels; which texts bear them is of no account here.
TREC = Source(
    name="trec_coarse",
    description="general-knowledge questions, one per line. {k} categories: {labels}.",
    one="question",
    labels=TREC_LABELS,
    texts=lambda: dict(zip(TREC_LABELS, data.glosses().values(), strict=True)),
    prompt_tokens=168,
    example_tokens=39,
)


def published(dataset, length, windows, source=TREC):
    made = [make_window(source, 1536, str(number)) for number in range(windows)]
    return [
        row(dataset, 10_000 * length + 1000 * w + q, window, question, length)
        for w, window in enumerate(made)
        for q, question in enumerate(questions_of(window))
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    home = folder / REPOSITORY / "data"
    home.mkdir(parents=True)
    validation = published("trec_coarse", 1024, 3) + published("trec_coarse", 2048, 1)
    validation += published("spam", 1024, 1, SOURCES["spam_assassin"])
    for split, rows in (("validation", validation), ("test", published("imdb", 1024, 1))):
        table = datasets.Dataset.from_list(rows)
        table.to_parquet(str(home / f"{split}-00000-of-00001.parquet"))
    return folder


@pytest.fixture(autouse=True)
def _copies(folder, monkeypatch):
    monkeypatch.setenv("RLM_DATASETS_DIR", str(folder))


def test_rows_become_examples():
    examples = tasks.load("oolong_synth", n=6, lengths=[1024], seed=3)
    assert [example.group for example in examples] == ["counting", "user", "timeline"] * 2
    for example in examples:
        assert example.context.startswith("The following lines contain ")
        assert " || Label: " not in example.context
        assert example.labelled_context.count(" || Label: ") == example.context.count(" || User: ")
        assert example.inputs().keys() == ["context", "question"]
        assert re.fullmatch(r"\['?.+'?\]", example.gold)
        assert example.answer_type.startswith("ANSWER_TYPE.")
        assert example.length == 1024
        assert example.id.startswith("oolong_synth-trec_coarse-11")
        assert example.context_id.startswith("oolong_synth-trec_coarse-1024-")
        assert set(example.label_names) <= set(TREC_LABELS)
        assert isinstance(example.subset, bool)


def test_a_labelled_context_is_the_datasets_own():
    examples = tasks.load("oolong_synth:trec_coarse", n=1, lengths=[1024], labelled=True)
    assert examples[0].context == examples[0].labelled_context


def test_the_draw_is_seeded_and_by_length():
    def ids(seed):
        found = tasks.load("oolong_synth", n=9, lengths=[1024, 2048], seed=seed)
        return [example.id for example in found]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)
    assert len(set(ids(1))) == 18


@pytest.mark.parametrize("part", ["spam", "imdb"])
def test_data_sets_of_both_splits(part):
    examples = tasks.load(f"oolong_synth:{part}", n=2, lengths=[1024])
    assert all(f"oolong_synth-{part}-" in example.context_id for example in examples)


def test_pairs_are_asked_of_trec_windows_in_trecs_words():
    examples = tasks.load("oolong_pairs", n=25, lengths=[1024])
    assert [example.group for example in examples[:20]] == ["both"] * 10 + ["roles"] * 10
    assert len({example.context_id for example in examples}) == 2
    for example, query in zip(examples, QUERIES, strict=False):
        assert example.question == query.text(TREC_LABELS, "question")
        assert example.gold == query.pairs(parsed_lines(example.labelled_context), TREC_LABELS)
        assert METRICS["oolong_pairs"](example, dspy.Prediction(answer=example.answer)) == 1.0
    assert {row["context_window_text"] for row in published("trec_coarse", 1024, 3)} >= {
        example.context for example in examples
    }


def test_contexts_that_are_too_few_are_counted():
    with pytest.raises(ContextError, match="has 3 contexts of 'trec_coarse' .* 4 are needed"):
        tasks.load("oolong_pairs", n=80, lengths=[1024])


def test_lengths_that_are_not_there_are_named():
    with pytest.raises(ContextError, match="no rows of 'imdb' with context_len=3000"):
        tasks.load("oolong_synth:imdb", n=1, lengths=[3000])


def test_a_split_that_is_not_there_is_named():
    with pytest.raises(ContextError, match="does not hold the split 'train'"):
        list(hub.rows(REPOSITORY, None, "train"))


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_says_what_to_do(tmp_path):
    """A process of its own: the library reads its variables while it is imported."""
    source = "from eval import tasks; tasks.load('oolong_synth', n=1)"
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        timeout=120,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("rlm_dspy.errors.ContextError: oolongbench/oolong-synth (validation)")
    assert "hf download oolongbench/oolong-synth --repo-type dataset --revision f0d59eaf" in error
    assert "then set RLM_DATASETS_DIR=DIR" in error
    assert "generated" in error


def test_a_draw_does_not_depend_on_the_order_of_the_stream():
    rows = [{"id": number, "group": number % 2} for number in range(100)]

    def drawn(stream):
        return hub.sampled(
            stream, 5, 7, identity=lambda r: str(r["id"]), stratum=lambda r: r["group"]
        )

    assert drawn(rows) == drawn(rows[::-1])
    assert [len(found) for found in drawn(rows).values()] == [5, 5]
    assert drawn(rows[:4]) == drawn(rows[:4] * 3)
