"""No cut falls where Unicode's rules, as the `regex` library knows them, allow none."""

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy.context.graphemes import can_cut, last_cut

MARKS = [
    chr(code)
    for code in range(0x110000)
    if unicodedata.category(chr(code)) in ("Mn", "Mc", "Me", "Cf", "Sk")
]
HANGUL = [chr(code) for code in (*range(0x1100, 0x1200), 0xAC00, 0xAC01, 0xA960, 0xD7B0, 0xD7CB)]
OTHERS = [*"ab \r\n\t", *"👨❤👍🏽\ufe0f\u200d🏴\U000e0067\U000e007f", *"🇩🇪🇫", *"कषकी", "\u0600"]
TEXTS = st.text(alphabet=st.sampled_from(MARKS) | st.sampled_from([*HANGUL, *OTHERS]), max_size=9)


@given(TEXTS | st.text())
def test_a_cut_is_between_graphemes(text):
    # Characters newer than this Python's Unicode are unknown to it.
    text = "".join(char for char in text if unicodedata.category(char) != "Cn")
    ends = {found.end() for found in regex.finditer(r"\X", text)}
    assert {at for at in range(1, len(text)) if can_cut(text, at)} <= ends


@pytest.mark.parametrize(
    ("text", "cuts"),
    [
        ("ab", [1]),
        ("a\r\nb", [1, 3]),
        ("e\u0301x", [2]),
        ("👨\u200d👩x", [3]),
        ("🇩🇪🇫🇷", [2]),
        ("👍🏽👍", [2]),
        ("각각", [1]),
        ("漢字。", [1, 2]),
        ("\n\u0301", [1]),
    ],
)
def test_other_places_can_be_cut(text, cuts):
    assert [at for at in range(1, len(text)) if can_cut(text, at)] == cuts
    assert can_cut(text, len(text))


def test_the_last_cut_is_the_nearest_before():
    assert last_cut("abe\u0301x", 3, 1) == 2
    assert last_cut("abe\u0301x", 3, 3) == 3
    assert last_cut("e\u0301\u0301", 2, 1) == 2
