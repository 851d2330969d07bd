"""The data that comes with this package: texts with labels, a book, and words for keys.

| file | what | from | licence |
|---|---|---|---|
| `glosses.tsv.xz` | 16,000 definitions of nouns, in six classes | WordNet 3.1 | WordNet's |
| `words.txt` | common adjectives and nouns | WordNet 3.1 | WordNet's |
| `mails.tsv.xz` | 1,400 beginnings of mails, spam and ham | SpamAssassin's corpus | PDDL, CC0 |
| `moby_dick.txt.xz` | Herman Melville, Moby-Dick (1851) | Project Gutenberg | public domain |

All are samples small enough to be in the repository, so that nothing here needs a network;
`eval/data/build.py` says from which npm packages they were made, and makes them again.
`LICENSES.md` has the licences' texts.
"""

import lzma
from functools import cache
from importlib import resources

_HERE = resources.files("eval.data")


@cache
def glosses() -> dict[str, tuple[str, ...]]:
    """Noun definitions of WordNet by lexicographer class; no definition is in two classes."""
    return _by_label("glosses.tsv.xz")


@cache
def mails() -> dict[str, tuple[str, ...]]:
    """Beginnings of mails (subject and text) by "ham" and "spam"."""
    return _by_label("mails.tsv.xz")


@cache
def book() -> str:
    """Moby-Dick, one paragraph a line."""
    return _text("moby_dick.txt.xz")


@cache
def key_words() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Adjectives and nouns, each a single common word."""
    adjectives, nouns = (_HERE / "words.txt").read_text(encoding="utf-8").splitlines()
    return tuple(adjectives.split()), tuple(nouns.split())


def _by_label(name: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line in _text(name).splitlines():
        label, _, text = line.partition("\t")
        found.setdefault(label, []).append(text)
    return {label: tuple(texts) for label, texts in found.items()}


def _text(name: str) -> str:
    return lzma.decompress((_HERE / name).read_bytes()).decode("utf-8")
