"""OOLONG-synth: counting, users and dates over lines whose labels have to be judged.

Published rows: `oolongbench/oolong-synth` on the HuggingFace hub, revision
f0d59eaf0febf130664cfceb710436c8e3216b2b, whose texts come from ten data sets with licences of their
own; validation has trec_coarse and spam, test the other eight. They are streamed, never kept here.

Generated: the same lines, intro, recall and questions (abertsch72/oolong, MIT) at any length, over
texts that come with this package: WordNet's definitions by lexicographer class, and SpamAssassin's
mails (`eval/data/LICENSES.md`). The published rows cannot be made again, since their generator was
not seeded: scores on generated contexts are not scores on the published ones.

Score: `eval.scorers.oolong_synth`, official; a number that is off by n scores 0.75 to the power of
n, everything else is right or wrong. Its `rlm_env` variant is reported beside it.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

import dspy

from eval import hub
from eval.oolong import SOURCES, Window, make_window, questions_of
from eval.oolong.asked import answer_text, golds_of
from eval.oolong.lines import labels_of, parsed_lines
from eval.oolong.questions import GROUPS
from eval.oolong.sources import WORDNET
from eval.tasks.task import Task, checked, one_of
from rlm_dspy import ContextError

REPOSITORY = "oolongbench/oolong-synth"
REVISION = "f0d59eaf0febf130664cfceb710436c8e3216b2b"
SPLITS = {
    **dict.fromkeys(("trec_coarse", "spam"), "validation"),
    **dict.fromkeys(("imdb", "agnews", "negation", "yahoo"), "test"),
    **dict.fromkeys(("formality", "multinli", "metaphors", "app_reviews"), "test"),
}


def load(
    n: int = 50,
    *,
    lengths: Sequence[int] = (8192,),
    seed: int = 1,
    generated: bool = False,
    part: str | None = None,
    labelled: bool = False,
) -> list[dspy.Example]:
    """Loads or makes examples; see `eval.tasks`.

    The task groups take turns. Generated examples are one question over each of n contexts.

    Args:
        n: How many of each length.
        lengths: Lengths in tokens; the published ones are powers of two from 1024.
        seed: Which ones.
        generated: Whether to make them instead of loading them.
        part: A published data set (by default "trec_coarse"), or a source to generate from (by
            default "wordnet").
        labelled: Whether the context shows the labels.

    Returns:
        The examples; `gold` is the dataset's `answer`, `answer_type` is the scorer's.

    Raises:
        ConfigurationError: There is no such part, or a length is too short.
        ContextError: The hub cannot be reached, or it has no such rows.
    """
    checked(n, tuple(lengths))
    if generated or part in SOURCES:
        source = SOURCES[one_of(part or WORDNET.name, tuple(SOURCES), "generated oolong_synth")]
        windows = (
            make_window(source, length, f"s{seed}-{number}")
            for length in lengths
            for number in range(n)
        )
        groups = itertools.cycle(GROUPS)
        return [_one_of(window, next(groups), seed, labelled) for window in windows]
    name = one_of(part or "trec_coarse", tuple(SPLITS), "oolong_synth")
    return _published(name, n, tuple(lengths), seed, labelled)


def window_examples(window: Window, seed: int = 1, labelled: bool = False) -> list[dspy.Example]:
    """Every question over a generated context, as examples that share its text.

    Args:
        window: The context.
        seed: What the examples say of their seed.
        labelled: Whether the context shows the labels.
    """
    text, with_labels = window.text(), window.text(labelled=True)
    return [
        dspy.Example(
            context=with_labels if labelled else text,
            question=question.text,
            answer=question.answer,
            gold=repr(list(question.gold)),
            answer_type=f"ANSWER_TYPE.{question.answer_type}",
            question_type=f"TASK_TYPE.{question.task}",
            tied=len(question.gold) > 1,
            subset=question.subset,
            label_names=list(window.labels),
            labelled_context=with_labels,
            id=f"oolong_synth-{window.id}-{number}",
            context_id=f"oolong_synth-{window.id}",
            task="oolong_synth",
            group=question.group,
            metric="oolong_synth",
            length=window.length,
            seed=seed,
        ).with_inputs("context", "question")
        for number, question in enumerate(questions_of(window))
    ]


def _one_of(window: Window, group: str, seed: int, labelled: bool) -> dspy.Example:
    """One question of a group; the kinds of question are equally likely, however many there are."""
    draw = random.Random(f"{window.id}/one")
    kinds: dict[tuple[Any, ...], list[dspy.Example]] = {}
    for example in window_examples(window, seed, labelled):
        if example.group == group:
            kind = (example.question_type, example.answer_type, example.subset)
            kinds.setdefault(kind, []).append(example)
    return draw.choice(kinds[draw.choice(list(kinds))])


def _published(
    name: str, n: int, lengths: tuple[int, ...], seed: int, labelled: bool
) -> list[dspy.Example]:
    found = hub.sampled(
        published_rows(name, lengths),
        n,
        seed,
        identity="{id}/{context_window_id}/{question}".format_map,
        stratum=lambda row: (row["context_len"], row["task_group"]),
    )
    examples = []
    for length in lengths:
        groups = [found.get((length, group), []) for group in GROUPS]
        turns = [row for turn in itertools.zip_longest(*groups) for row in turn if row]
        if not turns:
            raise ContextError(
                f"{REPOSITORY} has no rows of {name!r} with context_len={length}: take a power of "
                "two from 1024, or generate contexts of any length.",
                length=length,
            )
        examples += [_from_row(row, seed, labelled) for row in turns[:n]]
    return examples


def published_rows(name: str, lengths: tuple[int, ...]) -> Iterator[hub.Row]:
    """The published rows of a data set and of some lengths."""
    for row in hub.rows(REPOSITORY, REVISION, SPLITS[name]):
        if row["dataset"] == name and row["context_len"] in lengths:
            yield row


def _from_row(row: hub.Row, seed: int, labelled: bool) -> dspy.Example:
    with_labels = row["context_window_text_with_labels"]
    golds = golds_of(row["answer"])
    return dspy.Example(
        context=with_labels if labelled else row["context_window_text"],
        question=row["question"],
        answer=answer_text(golds[0], row["answer_type"].removeprefix("ANSWER_TYPE.")),
        gold=row["answer"],
        answer_type=row["answer_type"],
        question_type=row["task"],
        tied=len(golds) > 1,
        subset=str(row["input_subset"]) == "True",
        label_names=labels_of(parsed_lines(with_labels)),
        labelled_context=with_labels,
        id="oolong_synth-{dataset}-{id}-{context_window_id}".format_map(row),
        context_id="oolong_synth-{dataset}-{context_len}-{context_window_id}".format_map(row),
        task="oolong_synth",
        group=row["task_group"],
        metric="oolong_synth",
        length=row["context_len"],
        seed=seed,
    ).with_inputs("context", "question")


TASK = Task(
    name="oolong_synth",
    summary="OOLONG-synth: labels, users and dates counted over lines that have to be judged",
    needs=f"the hub ({REPOSITORY} at {REVISION[:12]}) and `datasets`; --generated: nothing",
    licence="the data sets' own; generated: WordNet's, PDDL/CC0",
    metrics=("oolong_synth", "oolong_synth_rlm_env"),
    parts={
        **{name: f"published, {split}" for name, split in SPLITS.items()},
        **{name: f"generated: {source.one}s" for name, source in SOURCES.items()},
    },
    load=load,
    groups=GROUPS,
)
