"""RULER's needles in a haystack: made-up sentences hidden in a text of any length.

Source: NVIDIA/RULER `scripts/data/synthetic/niah.py` and `scripts/synthetic.yaml` (Apache-2.0),
commit c3f5e3b; nothing is downloaded. All eight kinds, with its templates, depths and counts. What
differs: the essays are Moby-Dick (public domain) in place of Paul Graham's, begun at a drawn
sentence; the words of keys are WordNet's; keys and values are all different, so that a question has
one answer; lengths are counted by `approximate_tokens` in place of a model's tokenizer. A length
holds the prompt and 128 tokens for the reply, as RULER counts it.

Score: the share of the right values that the answer contains, in any case; `eval.scorers.ruler`
gives RULER's own number, 0 to 100, over a batch.
"""

import random
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import dspy

from eval import data
from eval.tasks.task import Task, checked, one_of
from eval.tokens import approximate_tokens
from rlm_dspy import ConfigurationError

NEEDLE = "One of the special magic {what} for {key} is: {value}."
NOISE = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."
_MANY = (
    "Some special magic {what} are hidden within the following text. Make sure to memorize it. I "
    "will quiz you about the {what} afterwards.",
    "What are all the special magic {what} for {query} mentioned in the provided text?",
)
_ONE = (
    "A special magic {what} is hidden within the following text. Make sure to memorize it. I will "
    "quiz you about the {what} afterwards.",
    "What is the special magic {what} for {query} mentioned in the provided text?",
)
REPLY_TOKENS = 128
# What `approximate_tokens` counts too few, at most.
MARGIN = 1.03
# Where needles may stand in an essay, percent: 40 places from its beginning to its end.
DEPTHS = [round(place * 100 / 39) for place in range(40)]


@dataclass(frozen=True)
class Kind:
    """One kind of needle task.

    Args:
        haystack: "noise", "essay" or "needle".
        key: What keys are: "words" or "uuids".
        value: What values are: "numbers" or "uuids".
        keys: How many keys have needles.
        values: How many values each key has.
        queries: How many keys are asked for.
    """

    haystack: str
    key: str
    value: str
    keys: int = 1
    values: int = 1
    queries: int = 1

    def __str__(self) -> str:
        among = {"noise": "noise", "essay": "an essay", "needle": "other needles"}[self.haystack]
        return (
            f"in {among}: keys are {self.key}, values {self.value}; "
            f"{self.keys} x {self.values} needles, {self.queries} of the keys asked for"
        )


KINDS = {
    "single_1": Kind("noise", "words", "numbers"),
    "single_2": Kind("essay", "words", "numbers"),
    "single_3": Kind("essay", "words", "uuids"),
    "multikey_1": Kind("essay", "words", "numbers", keys=4),
    "multikey_2": Kind("needle", "words", "numbers"),
    "multikey_3": Kind("needle", "uuids", "uuids"),
    "multivalue": Kind("essay", "words", "numbers", values=4),
    "multiquery": Kind("essay", "words", "numbers", keys=4, queries=4),
}


def load(
    n: int = 50,
    *,
    lengths: Sequence[int] = (8192,),
    seed: int = 42,
    generated: bool = True,
    part: str | None = None,
) -> list[dspy.Example]:
    """Makes examples; see `eval.tasks`.

    Args:
        n: How many of each length.
        lengths: Lengths in tokens, the reply's 128 included.
        seed: Which ones.
        generated: Ignored: they are always made.
        part: One kind of `KINDS`; None takes them in turn.

    Returns:
        The examples; `gold` is the list of right values.

    Raises:
        ConfigurationError: There is no such kind, or a length is too short for its needles.
    """
    checked(n, tuple(lengths))
    names = [one_of(part, tuple(KINDS), "niah")] if part else list(KINDS)
    return [
        _example(names[number % len(names)], length, f"s{seed}-{number}", seed)
        for length in lengths
        for number in range(n)
    ]


def _example(name: str, length: int, which: str, seed: int) -> dspy.Example:
    kind = KINDS[name]
    draw = random.Random(f"niah-{name}-{length}-{which}")
    fresh = _fresh(draw)
    keys = [fresh(kind.key) for _ in range(kind.keys)]
    values = {key: [fresh(kind.value) for _ in range(kind.values)] for key in keys}
    queries = draw.sample(keys, kind.queries)
    gold = [value for key in queries for value in values[key]]
    query = queries[0] if len(queries) == 1 else f"{', '.join(queries[:-1])}, and {queries[-1]}"
    intro, question = _ONE if len(gold) == 1 else _MANY
    what = kind.value[:-1] if len(gold) == 1 else kind.value
    intro, question = intro.format(what=what), question.format(what=what, query=query)
    needles = [_needle(kind, key, value) for key in keys for value in values[key]]
    draw.shuffle(needles)
    framed = approximate_tokens(f"{intro} {question} {' '.join(needles)}")
    room = (length - REPLY_TOKENS) / MARGIN - framed
    text = _hidden(kind, needles, room, draw, fresh)
    if text is None:
        raise ConfigurationError(
            f"length={length} tokens is too short for {name!r}: its {len(needles)} needles, the "
            f"question and {REPLY_TOKENS} tokens of reply leave no room for a haystack.",
            length=length,
        )
    return dspy.Example(
        context=f"{intro}\n{text}",
        question=question,
        answer=", ".join(gold),
        gold=gold,
        id=f"niah-{name}-{length}-{which}",
        context_id=f"niah-{name}-{length}-{which}",
        task="niah",
        group=name,
        metric="ruler",
        length=length,
        seed=seed,
    ).with_inputs("context", "question")


def _hidden(
    kind: Kind,
    needles: list[str],
    room: float,
    draw: random.Random,
    fresh: Callable[[str], str],
) -> str | None:
    """The needles in a haystack of so many tokens; None where it has too few sentences."""
    if kind.haystack == "essay":
        sentences = _until(room, _sentences_from(draw.randrange(len(_sentences()))))
        if len(sentences) < len(needles):
            return None
        places = sorted(int(len(sentences) * d / 100) for d in draw.sample(DEPTHS, len(needles)))
        for place, needle in reversed(list(zip(places, needles, strict=True))):
            sentences.insert(place, needle)
        return " ".join(sentences)
    straw = _straw(kind, fresh) if kind.haystack == "needle" else _noise()
    sentences = _until(room, straw)
    if len(sentences) < len(needles):
        return None
    places = sorted(draw.sample(range(len(sentences)), len(needles)), reverse=True)
    for place, needle in zip(places, needles, strict=True):
        sentences.insert(place, needle)
    return "\n".join(sentences)


def _until(room: float, sentences: Iterator[tuple[str, int]]) -> list[str]:
    """As many sentences as fit."""
    taken: list[str] = []
    for sentence, tokens in sentences:
        room -= tokens
        if room < 0:
            break
        taken.append(sentence)
    return taken


def _noise() -> Iterator[tuple[str, int]]:
    tokens = approximate_tokens(NOISE)
    while True:
        yield NOISE, tokens


def _straw(kind: Kind, fresh: Callable[[str], str]) -> Iterator[tuple[str, int]]:
    while True:
        sentence = _needle(kind, fresh(kind.key), fresh(kind.value))
        yield sentence, approximate_tokens(sentence)


def _sentences_from(start: int) -> Iterator[tuple[str, int]]:
    """The book's sentences from one on, over and over."""
    sentences = _sentences()
    while True:
        yield from sentences[start:]
        start = 0


@cache
def _sentences() -> list[tuple[str, int]]:
    """The book's sentences with their tokens."""
    text = " ".join(data.book().split())
    found = re.split(r"(?<=[.!?])\s+(?=[A-Z\"“‘])", text)
    return [(sentence, approximate_tokens(sentence)) for sentence in found]


def _needle(kind: Kind, key: str, value: str) -> str:
    return NEEDLE.format(what=kind.value, key=key, value=value)


def _fresh(draw: random.Random) -> Callable[[str], str]:
    """Draws keys and values, none of them twice."""
    adjectives, nouns = data.key_words()
    drawn: set[str] = set()

    def one(what: str) -> str:
        if what == "words":
            return f"{draw.choice(adjectives)}-{draw.choice(nouns)}"
        if what == "numbers":
            return str(draw.randint(1_000_000, 9_999_999))
        return str(uuid.UUID(int=draw.getrandbits(128), version=4))

    def fresh(what: str) -> str:
        found = one(what)
        while found in drawn:
            found = one(what)
        drawn.add(found)
        return found

    return fresh


TASK = Task(
    name="niah",
    summary="RULER's needles: values that a long text gives for made-up keys",
    needs="nothing: made here at any length",
    licence="Apache-2.0 (templates), public domain and WordNet (texts)",
    metrics=("ruler",),
    parts={name: str(kind) for name, kind in KINDS.items()},
    load=load,
    groups=tuple(KINDS),
)
