"""Where sentences end.

A sentence ends behind its mark and what white space follows; a blank line ends one as well. A full
stop does not end one behind a known abbreviation, a single letter or where a small letter follows.
"""

import re

# A run of marks is looked at from its beginning only: from each of them, it takes quadratic time.
_END = re.compile(
    r"(?<![.!?…])[.!?…]+[\"')\]”’»]*(?=\s)\s*|[。！？]+[」』”’）]*\s*|\n[ \t\r]*\n\s*",
)
_TITLES = "mr mrs ms dr prof st sr jr gen col sgt capt lt rev hon"
_TERMS = "vs etc e.g i.e cf al no nos fig figs eq vol pp ed eds inc ltd co corp dept univ est"
_GERMAN = "ca bzw z.b d.h u.a usw nr str bd abs art"
_TIMES = "jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun a.m p.m"
_ABBREVIATIONS = frozenset(f"{_TITLES} {_TERMS} {_GERMAN} {_TIMES}".split())
_LONGEST_WORD = 20
_OPENING = "([{\"'“„‘«"


def sentence_ends(text: str) -> list[int]:
    """The offsets behind each sentence of a text; the last one may go on behind it."""
    return [found.end() for found in _END.finditer(text) if _is_end(text, found)]


def _is_end(text: str, found: "re.Match[str]") -> bool:
    mark = found.group()
    if mark.rstrip() != "." or "\n\n" in mark:
        return True
    if text[found.end() : found.end() + 1].islower():
        return False
    before = text[max(0, found.start() - _LONGEST_WORD) : found.start()].split()
    word = before[-1].lstrip(_OPENING) if before else ""
    return not (len(word) == 1 and word.isalpha()) and word.lower() not in _ABBREVIATIONS
