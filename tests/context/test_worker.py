"""The same context in another process: over the same bytes, and without a way out."""

import subprocess
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import TEXTS

from rlm_dspy.context import Context, Document, Span
from rlm_dspy.context.worker import load
from rlm_dspy.errors import ContextError
from rlm_dspy.wire import WORKER_MODULES, Travels


def sent(context: Context) -> Context:
    """A context as the worker has it."""
    parcel = context.__to_worker__()
    return load(parcel.buffers, parcel.meta)


SAMPLE = Context.from_documents(
    [
        ("Ä", "one\ntwo é\n\nthree"),
        {"text": "four 漢😀 zebras\nfive", "id": "q", "year": 1999},
        "six",
    ]
)


@given(st.lists(st.tuples(st.none() | st.text(max_size=5), TEXTS), min_size=1, max_size=4))
def test_a_context_is_the_same_there(pairs):
    if not any(text.strip() for _, text in pairs):
        pairs = [*pairs, (None, "x")]
    context = Context.from_documents(pairs)
    there = sent(context)
    assert there == context
    assert hash(there) == hash(context)
    assert len(there) == len(context)
    for one, other in zip(there.documents, context.documents, strict=True):
        assert one._entry == other._entry
        assert str(one) == str(other)


def test_all_that_is_found_is_the_same_there():
    there = sent(SAMPLE)
    assert isinstance(there, Context)
    assert there.documents[1].metadata == {"year": 1999}
    assert list(map(str, there.grep("o"))) == list(map(str, SAMPLE.grep("o")))
    (one,), (other,) = there.search("zebra"), SAMPLE.search("zebra")
    assert (one, one.score, one.start) == (other, other.score, other.start)
    assert there.lines(2, 4) == SAMPLE.lines(2, 4)
    assert there.extract_after("two") == "é"
    assert (there.describe(), repr(there)) == (SAMPLE.describe(), repr(SAMPLE))


def test_the_parcel_is_plain_data_and_names_a_worker_module():
    assert isinstance(SAMPLE, Travels)
    parcel = SAMPLE.__to_worker__()
    assert parcel.loader.split(":")[0] in WORKER_MODULES
    assert parcel.buffers[0].read(0, 1000) == str(SAMPLE).encode()

    def is_plain(value: object) -> bool:
        if isinstance(value, list):
            return all(map(is_plain, value))
        if isinstance(value, dict):
            return all(type(key) is str and is_plain(item) for key, item in value.items())
        return value is None or type(value) in (bool, int, float, str)

    assert is_plain(parcel.meta)
    assert type(parcel.meta) is dict


def test_the_text_is_not_copied_there():
    data = bytearray(b"first line\nsecond")
    meta = Context.from_text("first line\nsecond").__to_worker__().meta
    there = load([data], meta)
    data[0:5] = b"FIRST"
    assert there[:10] == "FIRST line"


@pytest.mark.parametrize(
    "call",
    [
        lambda kind: kind.from_path("/etc/passwd"),
        lambda kind: kind.from_paths(["/etc/passwd"]),
        lambda kind: kind.from_stdin(),
        lambda kind: kind.coerce(Path("/etc/passwd")),
        lambda kind: kind.coerce([Path("/etc/passwd")]),
    ],
)
def test_no_file_is_opened_there(call):
    with pytest.raises(ContextError, match="inside the REPL"):
        call(sent(SAMPLE))


def test_a_new_context_is_made_of_text_there():
    there = sent(SAMPLE)
    assert there.from_text("abc").grep("b")[0].line == 1
    assert there.from_documents(["a", SAMPLE[0:3]]).documents[1] == "==="
    with pytest.raises(ContextError, match="inside the REPL"):
        there.from_text("abc").from_path("/etc/passwd")


HANDED_OUT = (str, int, float, bool, list, tuple, dict, type(None), types.MethodType)
HANDED_OUT += (types.BuiltinMethodType, Context, Document, type(SAMPLE.lines()))


@pytest.mark.parametrize(
    "piece",
    [
        lambda c: c,
        lambda c: c[2:9],
        lambda c: c.documents[1],
        lambda c: c.grep("two")[0],
        lambda c: c.search("zebra")[0],
        lambda c: c.lines(),
    ],
)
def test_public_names_hand_out_only_data_and_methods(piece):
    held = piece(sent(SAMPLE))
    names = [name for name in dir(held) if not name.startswith("_")]
    assert names
    values = {name: getattr(held, name) for name in names if hasattr(held, name)}
    assert {name for name, value in values.items() if not isinstance(value, HANDED_OUT)} == set()
    for name in ("format", "format_map"):
        assert name not in values
    assert not isinstance(iter(held), types.GeneratorType)
    with pytest.raises(AttributeError):
        held.note = 1


@pytest.mark.parametrize("piece", [lambda c: c, lambda c: c[:5], lambda c: c.documents[0]])
def test_facades_get_plain_text(piece):
    held = piece(SAMPLE)
    assert type(held.__rlm_text__()) is str
    assert held.__rlm_text__() == held
    assert SAMPLE.grep("five")[0].__rlm_text__() == "five"


def test_the_worker_loads_the_standard_library_alone():
    code = """
import sys
before = set(sys.modules)
import rlm_dspy.context.worker
from rlm_dspy.context.worker import load
meta = {"documents": [[0, None, None, 0, 0, 9, {}]], "skipped": [], "layout": [], "ascii": True}
c = load([b"one zebra"], {**meta, "search": None, "embedded": False, "number": 0, "indexed": False})
c.search("zebras"), c.grep("z"), c.chunks(3), c.lines(), c.extract_after("one")
new = {name.partition(".")[0] for name in set(sys.modules) - before}
extras = {name for name in new if name == "re2" or name.startswith("tree_sitter")}
print(sorted(new - sys.stdlib_module_names - {"rlm_dspy", *extras}))
print(sorted(n for n in sys.modules if n.startswith("rlm_dspy.") and "context" not in n))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = ("cuts", "errors", "notebook", "settings", "shared", "wire")
    others = [f"rlm_dspy.{name}" for name in names]
    assert run.stdout.split("\n")[:2] == ["[]", str(others)]


def test_the_room_names_what_it_offers():
    import rlm_dspy.context as room

    offered = {"Context", "Document", "ReadLimits", "ReadOptions", "ReadProgress", "Span"}
    assert set(room.__all__) == offered == set(dir(room))
    assert isinstance(SAMPLE[1:2], Span)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = room.nothing
