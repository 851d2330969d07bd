"""Where a text can be cut without cutting what a reader sees as one character.

The rules of Unicode's extended grapheme clusters (Unicode Standard Annex 29, section 3.1.1), told
by what the standard library knows of characters: they never allow a cut that those forbid, and
forbid a few more.
"""

import unicodedata

_JOINER = "\u200d"
# Besides marks: what changes the character before it.
_EXTENDING = {_JOINER, "\u200c", "\u0e33", "\u0eb3", "\uff9e", "\uff9f"}
_EXTENDING |= set(map(chr, range(0x1F3FB, 0x1F400)))  # skin colours
_EXTENDING |= set(map(chr, range(0xE0020, 0xE0080)))  # tags, in the flags of regions
# What belongs to the character behind it: signs before Arabic numbers and the like.
_PREPENDED = set("\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd")
_PREPENDED |= set(map(chr, range(0x0600, 0x0606)))
_PREPENDED |= set("\U000111c2\U000111c3\U0001193f\U00011941\U00011a3a\U00011d46\U00011f02")
_PREPENDED |= set(map(chr, range(0x11A84, 0x11A8A)))
_VIRAMA = 9  # the combining class of what joins two consonants
# Hangul letters: leading consonants, and vowels and final consonants.
_LEADING = ("\u1100", "\u115f"), ("\ua960", "\ua97c")
_FOLLOWING = ("\u1160", "\u11ff"), ("\ud7b0", "\ud7fb")
_REGIONAL = ("\U0001f1e6", "\U0001f1ff")  # two of them are a flag


def can_cut(text: str, at: int) -> bool:
    """Whether a cut before a character leaves all of them whole.

    Args:
        text: The text; a cut is judged by the characters on either side, and by the flags before.
        at: The offset of the character, from 1; at the end of the text the answer is yes.
    """
    if at >= len(text):
        return True
    before, behind = text[at - 1], text[at]
    if before.isascii() and behind.isascii():
        return before != "\r" or behind != "\n"
    if behind in _EXTENDING or unicodedata.category(behind)[0] == "M":
        return before in "\r\n"
    if before == _JOINER or before in _PREPENDED or unicodedata.combining(before) == _VIRAMA:
        return False
    if _within(behind, _FOLLOWING) or _within(before, _LEADING):
        return False
    if _is_regional(before) and _is_regional(behind):
        first = at
        while first and _is_regional(text[first - 1]):
            first -= 1
        return (at - first) % 2 == 0
    return True


def last_cut(text: str, at: int, least: int) -> int:
    """The last place from `least` up to `at` where a text can be cut; `at` where there is none."""
    cut = at
    while cut >= least and not can_cut(text, cut):
        cut -= 1
    return cut if cut >= least else at


def _within(character: str, ranges: tuple[tuple[str, str], ...]) -> bool:
    return any(low <= character <= high for low, high in ranges)


def _is_regional(character: str) -> bool:
    return _REGIONAL[0] <= character <= _REGIONAL[1]
