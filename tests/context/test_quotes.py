"""Finding quotes: as they stand, loosely, and what is nearest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy import Context
from rlm_dspy.context import quotes
from rlm_dspy.context.quotes import found_quote

TEXT = """The harbour opens at six.
The mayor’s name
  is Eva Roth – since 2019.
On 3 May the brig carried 1,204 tons of tar from Lisbon to Ulm, says the clerk.
"""
CONTEXT = Context.from_documents([("log", TEXT), ("other", "Nothing of that. " * 30)])


@pytest.mark.parametrize(
    ("quote", "how", "said"),
    [
        ("opens at six", "exact", "opens at six"),
        ("the mayor's NAME is eva roth - since", "normalised", None),
        ("“The harbour opens…", "normalised", "The harbour opens"),
        (
            "On 3 May the brig carried some 1,204 tons of tar from Lisbon to Ulm",
            "fuzzy",
            "On 3 May the brig carried 1,204 tons of tar from Lisbon to Ulm",
        ),
        ("On 3 May the brig carried 1,304 tons of tar from Lisbon to Ulm", "unverified", None),
        ("On 3 May the brig carried tons of tar from Lisbon to Ulm", "unverified", None),
    ],
)
def test_each_kind(quote, how, said):
    place = found_quote(CONTEXT, quote)
    assert place is not None
    assert place.how == how
    if said is not None:
        assert CONTEXT[place.start : place.end] == said
    assert (place.ratio == 1) == (how in ("exact", "normalised"))


@pytest.mark.parametrize("quote", ["", "  \n", "…", "Zwiebelfische quaken unverzagt"])
def test_what_is_nowhere(quote):
    assert found_quote(CONTEXT, quote) is None


@pytest.fixture(params=["whole", "in parts"])
def limit(request, monkeypatch):
    if request.param == "in parts":
        monkeypatch.setattr(quotes, "WHOLE_CHARS", 10)


@pytest.mark.usefixtures("limit")
def test_a_loose_quote_in_a_longer_text():
    lines = [f"Ship {n} of the line carried {n * 7} tons." for n in range(2_000)]
    context = Context.from_text("\n".join(lines))
    place = found_quote(context, "ship 1234 OF the line\ncarried 8638 tons")
    assert place is not None
    assert (place.how, context[place.start : place.end].line) == ("normalised", 1235)
    fuzzy = found_quote(context, "The ship 1234 of the line has carried 8638 tons.")
    assert fuzzy is not None
    assert (fuzzy.how, context[fuzzy.start : fuzzy.end].line) == ("fuzzy", 1235)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


@given(texts, st.data())
def test_what_is_cut_from_a_text_is_found_exactly(text, data):
    if not text.strip():
        return
    context = Context.from_text(text)
    start = data.draw(st.integers(0, len(text) - 1))
    quote = text[start : data.draw(st.integers(start + 1, len(text)))]
    place = found_quote(context, quote)
    if place is not None:
        assert place.how == "exact"
        assert context[place.start : place.end] == quote
    else:
        assert not quote.strip(' \t\r\n"“”„«»…').split()


@given(texts, texts)
def test_a_place_is_never_more_than_it_says(text, quote):
    if not text.strip():
        return
    place = found_quote(Context.from_text(text), quote)
    if place is not None and place.how != "unverified":
        there = text[place.start : place.end]
        assert 0 <= place.start < place.end <= len(text)
        assert place.how != "exact" or there == quote
        assert place.ratio >= quotes.LEAST_RATIO


SAID = ["Eva", "tar", "12", "ships", "Ulm", "é", "漢字", "is’t"]
words = st.lists(st.sampled_from(SAID), min_size=1, max_size=8)
gaps = st.sampled_from([" ", "\n", "  ", "\r\n", "\t"])


@given(words, st.data())
def test_white_space_and_case_do_not_matter(said, data):
    text = "".join(word + data.draw(gaps) for word in said)
    quote = "".join(word.upper() + data.draw(gaps) for word in said).replace("’", "'")
    place = found_quote(Context.from_text(f"before {text} after"), quote)
    assert place is not None
    assert place.how in ("exact", "normalised")
