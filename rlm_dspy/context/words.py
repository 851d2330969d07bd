"""Words of a text, as a keyword search compares them.

Case and the ways to write a character do not matter, an underscore or an apostrophe separates, and
each Chinese or Japanese character is a word. English endings alone are known, and only the plural.
"""

import re
from functools import cache
from unicodedata import category, normalize

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_IDEOGRAPH = re.compile(rf"[{_IDEOGRAPHS}]")
# Letters from Latin to Cyrillic, punctuation, currencies, Japanese and Chinese.
_USUAL = (range(0x530), range(0x2000, 0x2070), range(0x20A0, 0x20D0), range(0x3000, 0xA000))
_SHARP_S = "ß"  # its case is folded to "ss"
_SIGMA = "Σ"  # what it is in small letters depends on where in a word it stands


def words(text: str) -> list[str]:
    """The words of a text, in one case."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return _WORD.findall(normalize("NFKC", text).casefold())


def cut_alike(text: str) -> str:
    """A text whose words are what is left of it between all that is no letter and no digit.

    So cut by another program, which puts each character by itself into small letters, it has the
    words that `words` finds. Most texts are so already, but for spaces around ideographs.
    """
    if text.isascii():
        return text
    if _other().search(text):
        return " ".join(words(text))
    return _IDEOGRAPH.sub(r" \g<0> ", text).replace(_SHARP_S, "ss")


@cache
def _other() -> re.Pattern[str]:
    """A character that is not simply a letter, a digit or something between words."""
    usual = "".join(re.escape(each) for each in map(chr, _numbers()) if _is_simple(each))
    return re.compile(f"[^{usual}]")


def _numbers() -> list[int]:
    return [number for numbers in _USUAL for number in numbers]


def _is_simple(character: str) -> bool:
    plain = normalize("NFKC", character)
    if not character.isalnum():
        # Marks join what stands before them.
        return not category(character).startswith("M") and not _WORD.search(plain)
    if character in (_SHARP_S, _SIGMA):
        return character == _SHARP_S
    folded = plain.casefold()
    return plain == character and folded == character.lower() and len(folded) == 1


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
