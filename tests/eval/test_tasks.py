"""The registry: what every task's examples have, the same bytes anywhere, and the command."""

import doctest
import hashlib
import importlib
import json
import subprocess
import sys

import dspy
import pytest
from typer.testing import CliRunner

from eval import tasks
from eval.__main__ import app
from eval.metrics import METRICS
from rlm_dspy import ConfigurationError

FIELDS = {
    *("context", "question", "answer", "gold", "metric", "id"),
    *("context_id", "task", "group", "length", "seed"),
}
GENERATED = [
    ("niah", 1024),
    ("oolong_synth:wordnet", 2048),
    ("oolong_synth:spam_assassin", 2048),
    ("oolong_pairs", 1024),
]


@pytest.mark.parametrize(("name", "length"), GENERATED)
def test_every_example_has_what_a_runner_needs(name, length):
    examples = tasks.load(name, n=9, lengths=[length], generated=True, seed=5)
    task, _ = tasks.task_named(name)
    assert len(examples) == 9
    for example in examples:
        assert set(example.keys()) >= FIELDS
        assert example.inputs().keys() == ["context", "question"]
        assert (example.task, example.length, example.seed) == (task.name, length, 5)
        assert example.metric == task.metrics[0]
        assert set(task.metrics) <= set(METRICS)
        assert METRICS[example.metric](example, dspy.Prediction(answer=example.answer)) == 1.0
    assert len({example.id for example in examples}) == 9
    assert {example.group for example in examples} > {examples[0].group} or name == "oolong_pairs"


@pytest.mark.parametrize(("name", "length"), GENERATED)
def test_other_seeds_make_other_examples(name, length):
    one, two = (
        tasks.load(name, n=3, lengths=[length], generated=True, seed=seed) for seed in (1, 2)
    )
    assert {example.context for example in one}.isdisjoint({example.context for example in two})
    assert {example.id for example in one}.isdisjoint({example.id for example in two})


def digest(examples):
    text = json.dumps([example.toDict() for example in examples], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Scores are over these examples: what changes them makes another benchmark.
KNOWN = {
    "niah": "8b91020a965a8de7",
    "oolong_synth:wordnet": "c5a6746237e1df0b",
    "oolong_synth:spam_assassin": "3a4845fbfd2be418",
    "oolong_pairs": "6654ef3dc271924d",
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_examples_of_a_seed_stay_what_they_are(name):
    examples = tasks.load(name, n=8, lengths=[1536], generated=True, seed=1)
    shown = [(e.id, e.context, e.question, e.gold, e.answer) for e in examples]
    assert hashlib.sha256(repr(shown).encode()).hexdigest()[:16] == KNOWN[name]


def digests():
    return [
        digest(tasks.load(name, n=8, lengths=[length, 2 * length], generated=True))
        for name, length in GENERATED
    ]


def test_the_same_arguments_make_the_same_bytes_in_another_process():
    """Other processes, with other hashes of strings."""
    processes = [
        subprocess.Popen(
            [sys.executable, __file__],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
        )
        for seed in ("1", "2")
    ]
    said = [process.communicate(timeout=60)[0].split() for process in processes]
    assert said == [digests(), digests()]


def test_a_length_that_is_named_twice_is_taken_once():
    examples = tasks.load("niah", n=2, lengths=[1024, 512, 1024])
    assert [example.length for example in examples] == [1024, 1024, 512, 512]


def test_the_examples_of_a_context_share_its_name():
    examples = tasks.load("oolong_pairs", n=25, lengths=[1024], generated=True)
    assert len({example.context_id for example in examples}) == 2
    assert len({(example.context_id, example.context) for example in examples}) == 2


def test_the_groups_take_turns():
    examples = tasks.load("oolong_synth", n=6, lengths=[2048], generated=True)
    assert [example.group for example in examples] == ["counting", "user", "timeline"] * 2
    assert len({example.context_id for example in examples}) == 6


def test_parts_of_the_pairs():
    for part, numbers in (("both", range(1, 11)), ("roles", range(11, 21))):
        examples = tasks.load(f"oolong_pairs:{part}", n=10, lengths=[1024], generated=True)
        assert {example.group for example in examples} == {part}
        assert [example.id.rpartition("-q")[2] for example in examples] == list(map(str, numbers))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("niha", {}, "There is no task 'niha'; there are oolong_synth, oolong_pairs, niah, folder"),
        ("oolong_synth:trec", {}, "has no part 'trec'; it has trec_coarse, spam"),
        ("oolong_synth:imdb", {"generated": True}, "has no part 'imdb'; it has wordnet"),
        ("oolong_pairs:all", {}, "has no part 'all'; it has both, roles"),
        ("niah", {"n": 0}, "n=0 examples"),
        ("niah", {"lengths": []}, "at least one length"),
        ("niah", {"lengths": [4096, -1]}, "numbers above 0"),
    ],
)
def test_what_is_wrong_is_said(name, options, message):
    with pytest.raises(ConfigurationError, match=message):
        tasks.load(name, **options)


def test_the_command_lists_the_tasks():
    done = CliRunner().invoke(app, ["tasks"])
    assert done.exit_code == 0
    for task in tasks.TASKS.values():
        for told in (
            task.name,
            task.summary,
            task.needs,
            task.licence,
            *task.parts,
            *task.row_metrics,
        ):
            assert told in done.stdout
    assert "oolongbench/oolong-synth at f0d59eaf0feb" in done.stdout
    assert tasks.TASKS["folder"].row_metrics == tuple(METRICS)


def test_the_command_alone_says_what_there_is():
    assert "tasks" in CliRunner().invoke(app, []).output


@pytest.mark.parametrize(
    "module", ["tasks", "scorers.oolong", "scorers.matching", "scorers.graphs"]
)
def test_the_examples_in_docstrings_are_right(module):
    done = doctest.testmod(importlib.import_module(f"eval.{module}"))
    assert done.attempted > 0
    assert done.failed == 0


if __name__ == "__main__":
    print("\n".join(digests()))  # noqa: T201 - what the test above reads
