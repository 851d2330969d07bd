"""Contexts, views and spans answer every read-only operation as `str` does."""

import copy
import pickle
from operator import methodcaller
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import SHORT, TEXTS, texts_and_parts, tiny

from rlm_dspy.context.context import Context
from rlm_dspy.context.documents import Span
from rlm_dspy.context.view import View

INDEX = st.none() | st.integers(-70, 70)
KINDS = st.sampled_from(["context", "view", "span"])


def as_kind(text: str, kind: str):
    """The text as a whole context, or as a view or a span in the middle of a longer one."""
    if kind == "context":
        return tiny(text)
    longer = tiny(f"é\n{text}\r漢")
    made = {"view": View, "span": Span}[kind]
    return made(longer, 2, 2 + len(text))


@given(TEXTS, KINDS)
def test_the_whole_text(text, kind):
    piece = as_kind(text, kind)
    assert str(piece) == text == piece.__rlm_text__()
    assert type(str(piece)) is str
    assert piece == text
    assert text == piece
    assert not (piece != text)  # noqa: SIM202 - `!=` is what is asked
    assert piece != text + "x"
    assert hash(piece) == hash(text)
    assert len(piece) == len(text)
    assert list(piece) == list(text)
    assert bool(piece) == bool(text)
    assert f"{piece}|{piece:>70}" == f"{text}|{text:>70}"
    assert (piece + "x", "x" + piece, piece * 2, 2 * piece) == (
        text + "x",
        "x" + text,
        text * 2,
        text * 2,
    )
    assert "-".join([str(piece), text]) == "-".join([text, text])


@given(TEXTS, KINDS, INDEX, INDEX, st.sampled_from([None, 1, 2, -1, -3]))
def test_slices(text, kind, start, end, step):
    piece = as_kind(text, kind)[start:end:step]
    assert piece == text[start:end:step]
    assert isinstance(piece, Span) == (step in (None, 1))


@given(TEXTS, KINDS)
def test_indexes(text, kind):
    piece = as_kind(text, kind)
    assert [piece[at] for at in range(-len(text), len(text))] == list(text) * 2
    for beyond in (len(text), -len(text) - 1):
        with pytest.raises(IndexError):
            piece[beyond]


@given(texts_and_parts(), KINDS, INDEX, INDEX)
@pytest.mark.parametrize("name", ["find", "rfind", "count", "startswith", "endswith"])
def test_looking_for_something(name, pair, kind, start, end):
    text, sub = pair
    look = methodcaller(name, sub, start, end)
    assert look(as_kind(text, kind)) == look(text)
    assert (sub in as_kind(text, kind)) == (sub in text)


@given(texts_and_parts(), KINDS, INDEX)
@pytest.mark.parametrize("name", ["index", "rindex"])
def test_index_raises_where_str_does(name, pair, kind, start):
    text, sub = pair
    look = methodcaller(name, sub, start)
    try:
        expected = look(text)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)):
            look(as_kind(text, kind))
    else:
        assert look(as_kind(text, kind)) == expected


@given(TEXTS, KINDS, st.tuples(SHORT, SHORT))
def test_several_prefixes(text, kind, options):
    piece = as_kind(text, kind)
    assert piece.startswith(options) == text.startswith(options)
    assert piece.endswith(options) == text.endswith(options)


PLAIN_OPERATIONS = [
    methodcaller("split"),
    methodcaller("rsplit"),
    methodcaller("split", None, 2),
    methodcaller("rsplit", None, 2),
    methodcaller("splitlines"),
    methodcaller("splitlines", True),
    methodcaller("splitlines", keepends=True),
    methodcaller("strip"),
    methodcaller("lstrip"),
    methodcaller("rstrip"),
]
SPLITS = st.sampled_from(["split", "rsplit"])
PARTITIONS = st.sampled_from(["partition", "rpartition"])
TRIMS = st.sampled_from(["strip", "lstrip", "rstrip", "removeprefix", "removesuffix"])


def piece_operations(parts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Operations that give pieces, with something to split at or to strip off."""
    separators = parts.map(lambda part: part or "a")
    return st.one_of(
        st.sampled_from(PLAIN_OPERATIONS),
        st.builds(methodcaller, SPLITS, separators, st.integers(-1, 3)),
        st.builds(methodcaller, PARTITIONS, separators),
        st.builds(methodcaller, TRIMS, parts),
    )


@given(texts_and_parts(), KINDS, st.data())
def test_pieces_are_those_of_str_and_know_their_place(pair, kind, data):
    text, part = pair
    operation = data.draw(piece_operations(st.just(part)))
    piece = as_kind(text, kind)
    found, expected = operation(piece), operation(text)
    assert found == expected
    assert type(found) is Span or type(found) is type(expected)
    whole = str(piece.context)
    for part in [found] if isinstance(found, Span) else found:
        assert whole[part.start : part.end] == part


@given(TEXTS, st.lists(piece_operations(SHORT) | st.tuples(INDEX, INDEX), max_size=6), st.data())
def test_any_chain_of_operations_keeps_the_place(text, chain, data):
    context = tiny(text)
    piece = context
    for operation in chain:
        step = piece[slice(*operation)] if isinstance(operation, tuple) else operation(piece)
        if isinstance(step, (list, tuple)):
            if not step:
                break
            step = data.draw(st.sampled_from(step))
        piece = step
        assert text[piece.start : piece.end] == str(piece)
        assert piece.context is context


@pytest.mark.parametrize(
    "operation",
    [
        *map(
            methodcaller,
            ["lower", "upper", "casefold", "capitalize", "swapcase", "expandtabs", "encode"],
        ),
        *map(
            methodcaller,
            [f"is{kind}" for kind in ("alnum", "alpha", "ascii", "decimal", "digit", "identifier")],
        ),
        *map(
            methodcaller,
            [f"is{kind}" for kind in ("lower", "numeric", "printable", "space", "title", "upper")],
        ),
        methodcaller("replace", "a", "xyz"),
        methodcaller("replace", "a", "xyz", 1),
        methodcaller("translate", {97: "A"}),
        methodcaller("center", 80, "*"),
        methodcaller("ljust", 80),
        methodcaller("rjust", 80),
        methodcaller("zfill", 80),
        methodcaller("join", ["x", "y", "z"]),
        methodcaller("__lt__", "b"),
        methodcaller("__le__", "b"),
        methodcaller("__gt__", "b"),
        methodcaller("__ge__", "b"),
    ],
)
@given(TEXTS, KINDS)
def test_new_texts_are_plain(operation, text, kind):
    found = operation(as_kind(text, kind))
    assert found == operation(text)
    assert type(found) in (str, bytes, bool)


def test_a_piece_serves_as_an_argument():
    context = Context.from_text("one two one")
    one = context[:3]
    assert context.count(one) == 2
    assert one in context
    assert context.split(one) == ["", " two ", ""]
    assert context.find(Context.from_text("two")) == 4
    assert "|".join([one, context[4:7]]) == "one|two"
    assert {"one": 1}[one] == 1
    assert int(Context.from_text("x = 42").split()[-1]) == 42


@pytest.mark.parametrize(
    "wrong", [lambda c: 3 in c, lambda c: c.find(3), lambda c: c.startswith(3), lambda c: c + 3]
)
def test_other_types_are_refused_as_str_refuses_them(wrong):
    with pytest.raises(TypeError):
        wrong("abc")
    with pytest.raises(TypeError):
        wrong(Context.from_text("abc"))


def test_a_format_string_is_no_way_in():
    assert not hasattr(Context.from_text("{0.__class__}"), "format")


LONG = " \n" * 50_000 + "é" + "x漢\n" * 100_000 + "\t " * 50_000


@pytest.mark.parametrize("strip", ["strip", "lstrip", "rstrip"])
@pytest.mark.parametrize("text", [LONG, " " * 200_000])
def test_a_long_view_is_walked_in_runs(text, strip):
    context = Context.from_text("x" + text + "x")
    view = View(context, 1, len(text) + 1)
    assert getattr(view, strip)() == getattr(text, strip)()
    assert "".join(view) == text
    assert view == text
    assert view != text[:-1] + "x"
    assert view == View(Context.from_text("é" + text), 1, len(text) + 1)


def test_a_piece_too_long_to_copy_is_a_view():
    context = Context.from_text("0123456789" * 900_000)
    view = context[1:]
    assert type(view) is View
    assert view[5:8] == "678"
    assert view[5:8].start == 6
    assert type(context.documents[0].text) is View


@given(TEXTS.filter(lambda text: bool(text.strip())))
def test_copies_and_pickles(text):
    context = Context.from_text(text, "t")
    assert copy.deepcopy(context) is context
    assert copy.copy(context[1:]) == copy.deepcopy(context[1:]) == text[1:]
    again = pickle.loads(pickle.dumps(context))
    assert (again, again.documents[0].title) == (text, "t")
    piece = pickle.loads(pickle.dumps(context[1:3]))
    assert (piece, piece.start, piece.context) == (text[1:3], context[1:3].start, text)


def test_it_cannot_be_changed():
    context: Any = Context.from_text("abc")
    with pytest.raises(AttributeError):
        context.note = "x"
    with pytest.raises(TypeError):
        context[0] = "x"
