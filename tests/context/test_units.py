"""Units cover a text, and end where a reader would pause."""

from hypothesis import given
from hypothesis import strategies as st
from texts import TEXTS, tiny

from rlm_dspy.context.units import UNIT_CHARS, units


@given(TEXTS.map(lambda text: text * 40), st.data())
def test_units_cover_a_range(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    found = list(units(tiny(text)._buffer, start, end))
    assert "".join(unit for _, _, unit in found) == text[start:end]
    assert all(text[low:high] == unit for low, high, unit in found)
    assert all(UNIT_CHARS // 2 <= len(unit) <= UNIT_CHARS for _, _, unit in found[:-1])


def test_a_unit_ends_at_the_best_place():
    for best in ("\n\n", "\n", ". ", "。", " "):
        text = "x" * 300 + best + "y" * 100 + (" " if best != " " else "z") + "z" * 400
        (_, end, _), *_ = units(tiny(text)._buffer, 0, len(text))
        assert end == 300 + len(best)
