"""A made-up text of any size with facts in it, for `bench.search`.

Words have Zipf's frequencies, sentences of them are drawn again and again, and each fact is told
once, at a seeded random place.
"""

import random
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

# Different words, and the bytes of a text for each of them while it is short.
_VOCABULARY, _BYTES_A_WORD = 400_000, 100
_LETTERS = "etaoinshrdlucmfwypvbgkqjxz"
_OTHER_LETTERS = "éüñøßжя漢字"
# Sentences are drawn from this many bytes of different ones.
_POOL_BYTES = 64 << 20
_DRAWN = 100_000


@dataclass(frozen=True)
class Fact:
    """What is told once in a text, and the question for it."""

    told: str
    question: str


@dataclass(frozen=True)
class Corpus:
    """A text in a file, and what is told in it."""

    path: Path
    facts: list[Fact]


def facts(count: int, seed: int) -> list[Fact]:
    """Facts about made-up names."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        name = "".join(draw.choices(_LETTERS, k=9)).capitalize() + str(number)
        code = draw.randrange(10**6)
        told = f"The access code that belongs to {name} is {code}."
        made.append(Fact(told, f"What is {name}'s code?"))
    return made


def write(path: Path, size: int, seed: int, *, ascii_only: bool = True, count: int = 100) -> Corpus:
    """Write a text.

    Args:
        path: The file to write.
        size: How many bytes, about; at least 10,000.
        seed: Of the words.
        ascii_only: Whether every character is ASCII; else a seventh of the words has another.
        count: How many facts are told.
    """
    draw = random.Random(seed)
    pool = _sentences(draw, min(size, _POOL_BYTES), ascii_only=ascii_only)
    told = facts(count, seed)
    places = sorted(draw.randrange(size * 99 // 100) for _ in told)
    waiting = list(zip(places, told, strict=True))[::-1]
    written = 0
    with path.open("wb") as file:
        while written < size:
            written += file.write(b"".join(draw.choices(pool, k=_DRAWN)))
            while waiting and waiting[-1][0] < written:
                written += file.write(waiting.pop()[1].told.encode() + b"\n")
    return Corpus(path, told)


def _sentences(draw: random.Random, size: int, *, ascii_only: bool) -> list[bytes]:
    count = min(_VOCABULARY, size // _BYTES_A_WORD)
    words = [_word(draw, rank, ascii_only=ascii_only) for rank in range(count)]
    weights = list(accumulate(1 / (rank + 3) for rank in range(count)))
    made, length = [], 0
    while length < size:
        drawn = iter(draw.choices(words, cum_weights=weights, k=_DRAWN))
        while some := [word for _, word in zip(range(draw.randint(6, 18)), drawn, strict=False)]:
            end = draw.choice((". ", ". ", ".\n", ".\n", ".\n\n"))
            made.append((" ".join(some).capitalize() + end).encode())
            length += len(made[-1])
    return made


def _word(draw: random.Random, rank: int, *, ascii_only: bool) -> str:
    length = 1 + rank % 4 if rank < 100 else 2 + min(10, int(draw.expovariate(0.22)))
    word = "".join(draw.choices(_LETTERS, k=length))
    if ascii_only or rank % 7:
        return word
    return word[:1] + draw.choice(_OTHER_LETTERS) + word[1:]
