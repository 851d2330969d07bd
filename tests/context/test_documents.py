"""Documents of a context, and making contexts from values."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import TEXTS

from rlm_dspy.context.context import Context
from rlm_dspy.errors import ContextError

SOME_TEXT = TEXTS.filter(lambda text: bool(text.strip()))


@given(st.lists(st.tuples(st.none() | st.text(max_size=9), SOME_TEXT), min_size=1, max_size=5))
def test_documents_are_where_they_say(pairs):
    context = Context.from_documents(pairs)
    whole = str(context)
    assert len(context) == len(whole)
    assert [str(document) for document in context.documents] == [text for _, text in pairs]
    for document, (title, text) in zip(context.documents, pairs, strict=True):
        assert whole[document.start : document.end] == text == document.text
        assert document.text.document is document
        assert document[1:3].title == document.title
        if title and title.split():
            assert document.title == " ".join(title.split())
            assert len(pairs) == 1 or document.title in context


@dataclass
class Loaded:
    page_content: str
    metadata: dict = field(default_factory=dict)


@pytest.mark.parametrize(
    ("value", "title", "text", "metadata"),
    [
        ("plain", "document 2", "plain", {}),
        (("T", "x"), "T", "x", {}),
        ({"text": "x", "title": "T", "year": 3}, "T", "x", {"year": 3}),
        ({"content": "x", "name": "T", "tags": ("a", 1)}, "T", "x", {"tags": ["a", 1]}),
        (
            Loaded("x", {"title": "T", "when": Path("p")}),
            "document 2",
            "x",
            {"title": "T", "when": "p"},
        ),
    ],
)
def test_a_document_has_many_forms(value, title, text, metadata):
    document = Context.from_documents(["first", value]).documents[1]
    assert (document.title, document.text, document.metadata) == (title, text, metadata)
    assert (document.id, document.path, len(document)) == (1, None, len(text))
    assert document[0] in document


@pytest.mark.parametrize("one", ["abc", {"text": "abc"}, Context.from_text("abc")])
def test_one_document_need_not_be_in_a_list(one):
    assert list(map(str, Context.from_documents(one).documents)) == ["abc"]


def test_identifiers_and_paths_are_kept():
    (document,) = Context.from_documents([{"text": "x", "id": "q7", "source": "a/b.txt"}]).documents
    assert (document.id, document.path, document.metadata) == ("q7", "a/b.txt", {})


def test_documents_with_the_same_text_are_two():
    first, second = Context.from_documents(["same", "same"]).documents
    assert first != second
    assert first == second.text == "same"
    assert len({first, second}) == 2


def test_an_empty_document_keeps_its_place():
    context = Context.from_documents(["a", "", "c"])
    assert [str(document) for document in context.documents] == ["a", "", "c"]
    assert [document.id for document in context.documents] == [0, 1, 2]


def test_untitled_documents_add_no_words():
    assert str(Context.from_documents(["a", "b"])) == "a\n\nb"
    assert str(Context.from_documents([("A", "a"), "b"])) == "===== A =====\na\n\nb"
    assert str(Context.from_text("a", "A")) == "a"


def test_lone_surrogates_are_replaced_one_by_one():
    context = Context.from_text("a\ud83db")
    assert (str(context), len(context)) == ("a\ufffdb", 3)
    given = {
        "title": "t\ud83d",
        "path": "p\udcff",
        "text": "a",
        "id": "\ud800",
        "k\ud800": ["\ud800"],
    }
    (document, _) = Context.from_documents([given, "b"]).documents
    assert (document.title, document.path, document.id) == ("t\ufffd", "p\ufffd", "\ufffd")
    assert document.metadata == {"k\ufffd": ["\ufffd"]}


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("some/path.txt", ["some/path.txt"]),
        (["a", "b"], ["a", "b"]),
        ({"text": "a"}, ["a"]),
        ([{"text": "a"}, ("T", "b")], ["a", "b"]),
        ((text for text in "ab"), ["a", "b"]),
        (Context.from_text("xyz")[1:], ["yz"]),
    ],
)
def test_a_value_becomes_a_context(value, texts):
    assert [str(document) for document in Context.coerce(value).documents] == texts


def test_a_context_stays_itself_and_a_path_is_read(tmp_path):
    context = Context.from_text("a")
    assert Context.coerce(context) is context
    (tmp_path / "a.txt").write_text("A")
    (tmp_path / "b.txt").write_text("B")
    assert Context.coerce(tmp_path / "a.txt") == "A"
    found = Context.coerce([tmp_path / "b.txt", tmp_path / "a.txt"])
    assert [document.title for document in found.documents] == ["b.txt", "a.txt"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "held none"),
        (" \n", "held none"),
        ([], "held none"),
        (["", " "], "held none"),
        (3, "cannot be made from int"),
        (None, "cannot be made from NoneType"),
        (b"abc", "cannot be made from bytes"),
        ([3], "type int has no text"),
        ([{"title": "x"}], r"keys \['title'\] has no text"),
        ([("a", None)], r"has no text"),
        ({"text": 3}, r"has no text"),
    ],
)
def test_a_value_that_is_no_context_is_named(value, message):
    with pytest.raises(ContextError, match=message):
        Context.coerce(value)


def test_the_metadata_is_short():
    one = Context.from_text("x" * 5000)
    assert repr(one) == "<Context, 5,000 characters, 1 document>"
    assert one.describe() == "Context: 5,000 characters, 1 document."
    many = Context.from_documents([(f"t{n}", "x" * (n + 1)) for n in range(8)])
    assert many.describe(2).endswith(
        "8 documents: 't0' (1 character), 't1' (2 characters) and 6 more."
    )
    assert repr(many.documents[1]) == "<Document 't1', 2 characters>"


def test_the_preview_shows_both_ends():
    context = Context.from_text("a" * 50 + "b" * 900 + "c" * 50)
    assert context.preview(10, 5) == "a" * 10 + "\n… [985 characters more] …\n" + "c" * 5
    assert context.preview(10, 0) == "a" * 10 + "\n… [990 characters more] …\n"
    assert context.preview(500, 500) == str(context)
