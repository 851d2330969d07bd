"""A made-up text of any length with facts hidden in it, and the questions that they answer.

Promised: the same seed makes the same text, facts and questions; every fact stands once, at a place
drawn over the whole text, in one of several wordings, and is told of a subject whose name also
stands elsewhere, where it says nothing; every text, name and wording is made here. Not promised: a
text that makes sense, or questions that need more than one place to be answered.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

# Of the text made here, by the tokenizers of SmolLM2 and of Qwen 2.5.
CHARS_PER_TOKEN = 4.6
LONGEST_ANSWER = 200


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


_WHO = _phrases(
    "the ferryman|a baker|the night porter|an old gardener|the schoolteacher|a glazier|"
    "the postman|two cousins|the miller|a bookbinder|the harbour pilot|a seamstress|"
    "the beekeeper|some pupils|the clockmaker|a carpenter|the choir|an apprentice|"
    "the librarian|a potter|the shepherd"
)
_DID = _phrases(
    "carried|mended|described|borrowed|painted|measured|forgot|admired|repaired|wrapped|"
    "inspected|polished|returned|sketched|searched for|argued about|waited for|looked after|"
    "asked about"
)
_WHAT = _phrases(
    "a copper kettle|the wooden ladder|three baskets of pears|an old map|the torn sail|"
    "a box of nails|the church bell|a bundle of letters|the garden wall|a sack of flour|"
    "the broken oar|some candles|the visitors' book|a pair of boots|the winter coats|"
    "an empty crate|the spare key|a jar of honey|the long bench|a folded tent|"
    "the choir books|a cartload of hay|the stone steps|a tin of paint"
)
_WHERE = _phrases(
    "behind the market hall|on the lower bridge|near the orchard|at the edge of the marsh|"
    "under the chestnut trees|beside the old quarry|in the back room|along the canal|"
    "by the well|outside the town gate|on the third floor|in the boathouse|"
    "at the foot of the hill|across the square|next to the smithy|in the reading room|"
    "above the stables|on the north pier"
)
_WHEN = _phrases(
    "before breakfast|after the rain|late in the evening|during the harvest|"
    "on a quiet Tuesday|once the fog had lifted|in the first week of May|"
    "while the kettle boiled|shortly before noon|as the lamps were lit|"
    "when the tide went out|in the middle of the night|all afternoon"
)
_REMARKS = _phrases(
    "Nobody thought much of it at the time.|It was spoken of for weeks.|"
    "The weather held until dusk.|There was enough bread for everyone.|"
    "The rest of the day passed slowly.|Few people noticed.|"
    "Somebody laughed in the next room.|The dogs slept through all of it.|It cost nothing.|"
    "By then the road was dry again.|The old stove gave hardly any heat.|"
    "That settled the matter."
)
_PATTERNS = (
    "{When}, {who} {did} {what} {where}.",
    "{Who} {did} {what} {where}, and {who2} {did2} {what2}.",
    "{Where}, {who} {did} {what} {when}.",
    "{Who} {did} {what} {when}.",
    "{When}, {who} {did} {what}, though {who2} had already {did2} {what2}.",
    "{Who} {did} {what} that {who2} {did2} {where}.",
)
# What is told of a subject elsewhere: its name, and nothing that is asked.
_MENTIONS = (
    "For a while the talk was of {subject} and of little else.",
    "A letter about {subject} lay on the table {where}.",
    "{Who} claimed to know all there is to know about {subject}.",
)

_ONSETS = "Bran Tol Mar Ves Quil Har Ost Pell Dru Kes Lin Fen Gar Wol Sab Ner Thur Ild Cor Zan"
_CODAS = "noc vey low wick dane more ter sby ley gar hurst combe stad rup ven dell mund krin"
_FIRST = "Ilka Edmund Rosa Anton Brida Casper Dora Emil Frieda Gustav Hanne Ivo Jette Klaus Lene"
_SHIPS = "Grey Silver Northern Patient Crimson Quiet Golden Restless Velvet Amber"
_BIRDS = "Heron Curlew Petrel Gannet Sparrow Falcon Plover Cormorant Swallow Osprey"
_CITIES = "Lisbon Graz Turku Ghent Porto Bergen Leeds Tartu Malmo Basel Nantes Cork Gdansk Verona"
_COLOURS = "turquoise scarlet violet orange indigo crimson lilac beige maroon emerald"
_DOGS = "Biscuit Pepper Waffle Pretzel Nutmeg Marble Comet Pickle Truffle Domino Acorn Tadpole"


@dataclass(frozen=True)
class Kind:
    """One kind of fact.

    Args:
        name: What it is about, in a word.
        subject: Whose it is, with "{name}" for a made-up name and "{first}" for a first name.
        values: What it may be: words to choose from, or "" for a number of five digits.
        wordings: The ways in which a text tells it.
        question: How it is asked.
    """

    name: str
    subject: str
    values: str
    wordings: tuple[str, ...]
    question: str


KINDS = (
    Kind(
        "locker",
        "{first} {name}",
        "",
        (
            "The code of {subject}'s locker is {value}.",
            "{subject} opens the locker with {value} and has told nobody else.",
            "Whoever wants to get into the locker of {subject} has to dial {value}.",
        ),
        "What is the code of {subject}'s locker?",
    ),
    Kind(
        "ship",
        "Captain {name}",
        "ships",
        (
            "{subject} commands a ship called the {value}.",
            "The {value} is the ship that sails under {subject}.",
            "On the stern of the ship of {subject} one reads its name, the {value}.",
        ),
        "What is the name of the ship that {subject} commands?",
    ),
    Kind(
        "company",
        "{name} & Sons",
        _CITIES,
        (
            "{subject} moved its head office to {value} in the spring.",
            "Since the spring the head office of {subject} has been in {value}.",
            "After long talks {subject} chose {value} as the city for its head office.",
        ),
        "To which city did {subject} move its head office?",
    ),
    Kind(
        "meter",
        "{name} Mill",
        "",
        (
            "The water meter at {subject} stood at {value} on the last visit.",
            "At {subject} the inspector read {value} off the water meter.",
            "The reading of {value} was taken from the water meter of {subject}.",
        ),
        "What did the water meter at {subject} read?",
    ),
    Kind(
        "door",
        "{name} House",
        _COLOURS,
        (
            "The front door of {subject} is painted {value}.",
            "Somebody has given the front door of {subject} a coat of {value} paint.",
            "Visitors know {subject} by its front door, which is {value}.",
        ),
        "What colour is the front door of {subject}?",
    ),
    Kind(
        "dog",
        "{first} {name}",
        _DOGS,
        (
            "{subject} has a dog called {value}.",
            "The dog of {subject} answers to the name {value}.",
            "{value} is what {subject} calls the dog.",
        ),
        "What is the name of {subject}'s dog?",
    ),
)
MOST_QUESTIONS = 4 * len(KINDS)


@dataclass(frozen=True)
class Fact:
    """Something that stands in the text once.

    Args:
        kind: The name of its kind.
        question: The question that it answers.
        value: The right answer.
        sentence: How the text tells it.
        position: Where the sentence begins, in characters.
    """

    kind: str
    question: str
    value: str
    sentence: str
    position: int


@dataclass(frozen=True)
class Haystack:
    """A text with facts in it.

    Args:
        text: The text.
        facts: All facts in it, in the order of the text.
        asked: Those that are asked about.
    """

    text: str
    facts: tuple[Fact, ...]
    asked: tuple[Fact, ...]


def haystack(seed: int, tokens: int, questions: int) -> Haystack:
    """Makes a text with facts.

    Args:
        seed: Which one.
        tokens: How long the text is, in tokens, about.
        questions: How many facts are asked about, at most `MOST_QUESTIONS`.

    Returns:
        The text, its facts, and the ones to ask about: of different kinds as far as they go.
    """
    draw = random.Random(seed)
    # No more facts of a kind than are asked about: others of the kind would be mere traps.
    planted = list(_planted(draw, -(-questions // len(KINDS))))
    left = tokens * CHARS_PER_TOKEN - sum(len(sentence) + 1 for sentence, *_ in planted)
    sentences: list[str] = []
    while left > 0:
        sentences.append(_sentence(draw))
        left -= len(sentences[-1]) + 1
    text, positions = _woven(draw, sentences, [sentence for sentence, *_ in planted])
    facts = [Fact(*told, sentence, positions[sentence]) for sentence, *told in planted if told]
    draw.shuffle(facts)
    # The first of each kind, then the second of each, and so on.
    seen: Counter[str] = Counter()
    rounds = [(seen.update([fact.kind]) or seen[fact.kind], fact) for fact in facts]
    asked = [fact for _, fact in sorted(rounds, key=lambda pair: pair[0])]
    by_place = sorted(facts, key=lambda fact: fact.position)
    return Haystack(text, tuple(by_place), tuple(asked[:questions]))


def right(answer: object, value: str) -> bool:
    """Whether an answer says a value: as a whole word, in any case, and not in a long text.

    Args:
        answer: What was answered; digits may be grouped, as in "48,213".
        value: The right answer.
    """
    text = re.sub(r"(?<=\d)[,\u2009](?=\d)", "", str(answer))
    if answer is None or len(text) > LONGEST_ANSWER:
        return False
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE) is not None


def _planted(draw: random.Random, per_kind: int) -> Iterator[tuple[str, ...]]:
    """Sentences with names: (sentence, kind, question, value) for a fact, else (sentence,)."""
    names = draw.sample([a + b for a in _ONSETS.split() for b in _CODAS.split()], MOST_QUESTIONS)
    ships = [f"{a} {b}" for a in _SHIPS.split() for b in _BIRDS.split()]
    numbers = [str(number) for number in range(10_000, 100_000)]
    for kind in KINDS:
        choices = ships if kind.values == "ships" else kind.values.split() or numbers
        for value in draw.sample(choices, per_kind):
            subject = kind.subject.format(name=names.pop(), first=draw.choice(_FIRST.split()))
            told = draw.choice(kind.wordings).format(subject=subject, value=value)
            yield told, kind.name, kind.question.format(subject=subject), value
            places = {"Who": _capital(draw.choice(_WHO)), "where": draw.choice(_WHERE)}
            yield (draw.choice(_MENTIONS).format(subject=subject, **places),)


def _sentence(draw: random.Random) -> str:
    if draw.random() < 0.12:
        return draw.choice(_REMARKS)
    words = {
        "who": draw.choice(_WHO),
        "did": draw.choice(_DID),
        "what": draw.choice(_WHAT),
        "where": draw.choice(_WHERE),
        "when": draw.choice(_WHEN),
        "who2": draw.choice(_WHO),
        "did2": draw.choice(_DID),
        "what2": draw.choice(_WHAT),
    }
    capitals = {name.capitalize(): _capital(words[name]) for name in ("who", "where", "when")}
    return draw.choice(_PATTERNS).format(**words, **capitals)


def _woven(
    draw: random.Random, sentences: list[str], planted: list[str]
) -> tuple[str, dict[str, int]]:
    """All sentences as paragraphs, the planted ones anywhere, and where each of those begins."""
    before: dict[int, list[str]] = {}
    for sentence in planted:
        before.setdefault(draw.randint(0, len(sentences)), []).append(sentence)
    parts: list[str] = []
    positions: dict[str, int] = {}
    at = 0
    for number, usual in enumerate([*sentences, ""]):
        for sentence in before.get(number, []):
            positions[sentence] = at
            parts.append(f"{sentence} ")
            at += len(parts[-1])
        parts.append(f"{usual}\n\n" if draw.random() < 0.1 else f"{usual} ")
        at += len(parts[-1])
    return "".join(parts).rstrip() + "\n", positions


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
