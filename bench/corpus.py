"""A made-up text of any size with facts in it, in a file or a folder of files.

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
# Of a folder: the share of its largest file, how many others there are, and the small ones.
_LARGEST, _OTHERS, _SMALL, _SMALL_BYTES = 0.7, 190, 2_000, 8_000


@dataclass(frozen=True)
class Fact:
    """What is told once in a text, and the question for it."""

    told: str
    question: str


@dataclass(frozen=True)
class Corpus:
    """A text in a file or a folder, and what is told in it."""

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
    _fill(path, size, draw, pool, list(zip(places, told, strict=True)))
    return Corpus(path, told)


def write_folder(folder: Path, size: int, seed: int, count: int = 100) -> Corpus:
    """Write a folder of texts: one that is large, some that are not, and very many small ones.

    A seventh of the words has a character beyond ASCII.

    Args:
        folder: Where; it is not there yet.
        size: How many bytes all have together, about; at least 20,000,000.
        seed: Of the words.
        count: How many facts are told.
    """
    draw = random.Random(seed)
    pool = _sentences(draw, min(size, _POOL_BYTES), ascii_only=False)
    largest = int(size * _LARGEST)
    other = (size - largest - _SMALL * _SMALL_BYTES) // _OTHERS
    sizes = {"all.log": largest}
    sizes |= {f"reports/{number:03}.txt": other for number in range(_OTHERS)}
    sizes |= {f"notes/{n // 100:02}/{n % 100:02}.md": _SMALL_BYTES for n in range(_SMALL)}
    told = facts(count, seed)
    chosen = draw.choices(list(sizes), list(sizes.values()), k=count)
    for name, length in sizes.items():
        here = [fact for fact, file in zip(told, chosen, strict=True) if file == name]
        places = sorted(draw.randrange(length * 9 // 10) for _ in here)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _fill(path, length, draw, pool, list(zip(places, here, strict=True)))
    return Corpus(folder, told)


def _fill(
    path: Path, size: int, draw: random.Random, pool: list[bytes], told: list[tuple[int, Fact]]
) -> None:
    """Write sentences of a pool, and facts each behind a place."""
    waiting, written = told[::-1], 0
    mean = sum(map(len, pool[:1000])) / len(pool[:1000])
    with path.open("wb") as file:
        while written < size:
            ahead = (waiting[-1][0] if waiting else size) - written
            wanted = min(_DRAWN, int(ahead / mean) + 1)
            written += file.write(b"".join(draw.choices(pool, k=wanted)))
            while waiting and waiting[-1][0] < written:
                written += file.write(waiting.pop()[1].told.encode() + b"\n")


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
