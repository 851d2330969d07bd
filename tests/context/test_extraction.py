"""What follows a marker."""

from typing import Any

import pytest

from rlm_dspy.context.context import Context
from rlm_dspy.errors import ContextError

TEXT = "Name:  Ada Lovelace \r\nBorn: 1815; London\nname: second\nEmpty:\nLast: é漢😀"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("Name:",), "Ada Lovelace"),
        (("BORN:",), "1815; London"),
        (("Born:", ";"), "1815"),
        (("Born:", None), "1815; London\nname: second\nEmpty:\nLast: é漢😀"),
        (("Born:", "\n", 4), "181"),
        (("Empty:",), ""),
        (("Last:",), "é漢😀"),
        (("Nowhere:",), None),
    ],
)
def test_the_text_after_a_marker(arguments, found):
    assert Context.from_text(TEXT).extract_after(*arguments) == found


def test_the_text_after_every_marker():
    context = Context.from_text(TEXT)
    assert context.extract_all_after("ame:") == ["Ada Lovelace", "second"]
    assert context.extract_all_after("Name:") == ["Ada Lovelace"]
    assert context.extract_all_after("NAME:") == ["Ada Lovelace", "second"]
    assert context.extract_all_after("Nowhere:") == []


def test_what_was_extracted_knows_its_place():
    context = Context.from_documents([("a", "x"), ("b", "\nKey: value")])
    found: Any = context.extract_after("Key:")
    assert (found.title, found.line, found.context[found.start : found.end]) == ("b", 2, "value")


@pytest.mark.parametrize("marker", ["", None, 3])
def test_an_empty_marker_is_refused(marker):
    with pytest.raises(ContextError, match="marker="):
        Context.from_text(TEXT).extract_after(marker)
