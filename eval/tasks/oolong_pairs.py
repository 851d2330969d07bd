"""OOLONG-Pairs: which pairs of users satisfy a condition on the labels and dates of their lines.

Contexts: the trec_coarse windows of the published OOLONG-synth rows (see
`eval.tasks.oolong_synth`), or generated ones over WordNet's definitions, whose six classes stand
for the six labels in a fixed order and give the queries their own words. Queries: the twenty of
appendix D.1 of the RLM paper (arXiv 2512.24601v3).

Score: `eval.scorers.oolong_pairs`, the F1 over the set of pairs; there is no official scorer.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dspy

from eval import hub
from eval.oolong import make_window, parsed_lines
from eval.oolong.pairs import QUERIES, TREC_LABELS, Query
from eval.oolong.sources import WORDNET
from eval.tasks.oolong_synth import REPOSITORY, REVISION, published_rows
from eval.tasks.task import Task, checked, one_of
from rlm_dspy import ContextError

PARTS = {
    "both": "queries 1 to 10: a condition on both users",
    "roles": "queries 11 to 20: a role for each user",
}
_LAST_BOTH = 10


def load(
    n: int = 20,
    *,
    lengths: Sequence[int] = (32768,),
    seed: int = 1,
    generated: bool = False,
    part: str | None = None,
) -> list[dspy.Example]:
    """Loads or makes examples; see `eval.tasks`.

    The queries take turns; the next context begins when all were asked of one.

    Args:
        n: How many of each length.
        lengths: Lengths in tokens; the published ones are powers of two from 1024.
        seed: Which contexts.
        generated: Whether to make the contexts instead of loading them.
        part: "both" or "roles"; None for all queries.

    Returns:
        The examples; `gold` is the list of right pairs.

    Raises:
        ConfigurationError: There is no such part, or a length is too short.
        ContextError: The hub cannot be reached, or it has too few such contexts.
    """
    checked(n, tuple(lengths))
    queries = QUERIES
    if part:
        low = one_of(part, tuple(PARTS), "oolong_pairs") == "both"
        queries = tuple(query for query in QUERIES if (query.number <= _LAST_BOTH) == low)
    windows = -(-n // len(queries))
    bodies = (_generated if generated else _published)(tuple(lengths), windows, seed)
    names = (WORDNET.labels, WORDNET.one) if generated else (TREC_LABELS, "question")
    return [
        example
        for length in lengths
        for example in itertools.islice(
            (x for body in bodies[length] for x in _examples(queries, body, seed, *names)), n
        )
    ]


@dataclass(frozen=True)
class _Body:
    """A context, in both forms."""

    id: str
    text: str
    labelled: str
    length: int


def _generated(lengths: tuple[int, ...], windows: int, seed: int) -> dict[int, list[_Body]]:
    made = {
        length: [make_window(WORDNET, length, f"s{seed}-{number}") for number in range(windows)]
        for length in lengths
    }
    return {
        length: [_Body(w.id, w.text(), w.text(labelled=True), length) for w in found]
        for length, found in made.items()
    }


def _published(lengths: tuple[int, ...], windows: int, seed: int) -> dict[int, list[_Body]]:
    name = "trec_coarse-{context_len}-{context_window_id}".format_map
    rows = published_rows("trec_coarse", lengths)
    found = hub.sampled(rows, windows, seed, identity=name, stratum=lambda row: row["context_len"])
    for length in lengths:
        there = len(found.get(length, []))
        if there < windows:
            raise ContextError(
                f"{REPOSITORY} has {there} contexts of 'trec_coarse' with context_len={length}, "
                f"and {windows} are needed: take another length or fewer examples, or generate "
                "contexts.",
                length=length,
            )
    text, labelled = "context_window_text", "context_window_text_with_labels"
    return {
        length: [_Body(name(row), row[text], row[labelled], length) for row in some]
        for length, some in found.items()
    }


def _examples(
    queries: Sequence[Query], body: _Body, seed: int, labels: Sequence[str], one: str
) -> Iterator[dspy.Example]:
    lines = parsed_lines(body.labelled)
    for query in queries:
        gold = query.pairs(lines, labels)
        yield dspy.Example(
            context=body.text,
            question=query.text(labels, one),
            answer="\n".join(f"({a}, {b})" for a, b in gold),
            gold=gold,
            label_names=list(labels),
            labelled_context=body.labelled,
            id=f"oolong_pairs-{body.id}-q{query.number}",
            context_id=f"oolong_pairs-{body.id}",
            task="oolong_pairs",
            group="both" if query.roles is None else "roles",
            metric="oolong_pairs",
            length=body.length,
            seed=seed,
        ).with_inputs("context", "question")


TASK = Task(
    name="oolong_pairs",
    summary="OOLONG-Pairs: all pairs of users that satisfy a condition on their lines' labels",
    needs=f"the hub ({REPOSITORY} at {REVISION[:12]}) and `datasets`; --generated: nothing",
    licence="the data sets' own; generated: WordNet's",
    metrics=("oolong_pairs",),
    parts=PARTS,
    load=load,
    groups=tuple(PARTS),
)
