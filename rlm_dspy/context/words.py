"""Words of a text, as a keyword search compares them.

Case and the ways to write a character do not matter, an underscore or an apostrophe separates, and
each Chinese or Japanese character is a word. English endings alone are known, and only the plural.
"""

import re
from unicodedata import normalize

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")


def words(text: str) -> list[str]:
    """The words of a text, in one case."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return _WORD.findall(normalize("NFKC", text).casefold())


def forms(word: str) -> set[str]:
    """A word with its singular and plural, as far as endings tell."""
    found = {word}
    if len(word) > 3 and word.isalpha():
        stems = {word}
        if word.endswith("ies"):
            stems.add(word[:-3] + "y")
        if word.endswith("es"):
            stems.add(word[:-2])
        if word.endswith("s") and not word.endswith("ss"):
            stems.add(word[:-1])
        for stem in stems:
            found |= {stem, stem + "s", stem + "es"}
            if stem.endswith("y"):
                found.add(stem[:-1] + "ies")
    return found


def placed_words(text: str) -> list[tuple[int, str]]:
    """The words of a text, in one case, each with its offset."""
    return [(found.start(), found.group().casefold()) for found in _WORD.finditer(text)]
