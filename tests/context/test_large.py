"""A search over an index on disk finds what a search in memory finds."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from test_search import FACTS, haystack

from rlm_dspy import RestrictedInterpreter
from rlm_dspy.context import engine
from rlm_dspy.context.context import Context
from rlm_dspy.context.large import large_index
from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.search import SearchIndex
from rlm_dspy.context.searching import SHORT_BYTES, answering, in_memory
from rlm_dspy.errors import ContextError
from rlm_dspy.settings import cache_dir
from rlm_dspy.shared import PinnedFile

NAMES = ["Quillfeather", "Zapfington", "Yorowitz", "Bixantha", "Vexugby", "Müller", "魔法"]
ASKED = [
    (fact.format(name), question.format(name))
    for name, (fact, question) in zip(NAMES, (FACTS * 2)[: len(NAMES)], strict=True)
]


def context_of(characters: int = 300_000) -> Context:
    """Several documents, the facts among them."""
    text = haystack(characters, [fact for fact, _ in ASKED])
    parts = [0, 20, 5_000, 5_400, 90_000, len(text)]
    return Context.from_documents(
        [(f"Report {low}", text[low:high]) for low, high in pairwise(parts)]
    )


def index_of(context: Context):
    """Its index on disk."""
    return large_index(context._buffer, context._sections(), threads=1)


@pytest.fixture
def made(caplog):
    """How many indexes were made."""
    caplog.set_level(logging.INFO, logger="rlm_dspy.context.large")
    return lambda: sum("Indexed" in record.message for record in caplog.records)


@pytest.mark.parametrize("most_units", [5_000_000, 300])
def test_it_finds_what_a_search_in_memory_finds(monkeypatch, most_units):
    monkeypatch.setattr(engine, "_MOST_UNITS", most_units)
    context = context_of()
    large, short = index_of(context), SearchIndex.of(context._buffer, context._sections())
    for fact, question in ASKED:
        for size in (400, 1000, 3000):
            options = {"count": 3, "size": size, "start": 0, "end": len(context)}
            there = large.found(question, **options)
            here = short.found(question, **options)
            assert [(each.start, each.end, each.part) for each in there] == [
                (each.start, each.end, each.part) for each in here
            ]
            assert any(fact in context[each.start : each.end] for each in there)


def test_a_piece_is_searched_by_itself():
    context = context_of()
    large = index_of(context)
    for document in context.documents:
        for _, question in ASKED:
            found = large.found(
                question, count=9, size=1000, start=document.start, end=document.end
            )
            assert all(document.start <= each.start < each.end <= document.end for each in found)
    start = context.find("Yorowitz") + 3
    found = large.found("Yorowitz", count=9, size=1000, start=start, end=len(context))
    assert all("Yorowitz" not in context[each.start : each.end] for each in found)
    assert large.found("yorowitz", count=1, size=1000, start=5, end=5) == []


@pytest.mark.parametrize("query", ["", "...", "nowhereatall"])
def test_nothing_to_find(query):
    context = context_of(20_000)
    assert index_of(context).found(query, count=5, size=1000, start=0, end=len(context)) == []


def test_an_index_is_made_once(made):
    index_of(context_of(20_000))
    index_of(context_of(20_000))
    assert made() == 1
    index_of(context_of(20_100))
    assert made() == 2


def test_two_that_make_the_same_index_at_once():
    context = context_of(20_000)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: index_of(context), range(4)))
    asked = {"count": 1, "size": 1000, "start": 0, "end": len(context)}
    assert len({repr(index.found("Yorowitz", **asked)) for index in found}) == 1


def test_a_file_in_place_is_known_by_its_time(tmp_path, made):
    path = tmp_path / "long.txt"
    size = path.write_text(haystack(20_000, []))

    def index() -> None:
        large_index(TextBuffer(PinnedFile.open(path)), [(0, size)], threads=1)

    index()
    index()
    assert made() == 1
    os.utime(path, ns=(1, 1))
    index()
    assert made() == 2


def test_a_broken_index_is_made_again(made):
    context = context_of(20_000)
    index_of(context)
    (folder,) = (cache_dir() / "search").iterdir()
    (folder / "part-0" / "meta.json").write_text("{")
    assert index_of(context).found("Bixantha", count=1, size=1000, start=0, end=len(context))
    assert made() == 2


def test_what_nothing_uses_any_more_is_deleted():
    index_of(context_of(20_000))
    (folder,) = (cache_dir() / "search").iterdir()
    os.utime(folder, (1, 1))
    index_of(context_of(20_100))
    (left,) = (cache_dir() / "search").iterdir()
    assert left.name != folder.name


def test_an_index_that_cannot_be_kept_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(ContextError, match="cannot be kept in .*RLM_CACHE_DIR"):
        index_of(context_of(20_000))


def test_a_long_text_is_searched_from_the_repl(made):
    fact, question = ASKED[0]
    context = Context.from_text(haystack(SHORT_BYTES + 1000, [fact]))
    (best,) = context.search(question, k=1)
    assert fact in best
    with RestrictedInterpreter() as repl:
        code = f"(p,) = c.search({question!r}, k=1)\n(p.start, p.end, p.score, p.excerpt)"
        printed = repl.execute(code, {"c": context})
        assert printed.strip() == str((best.start, best.end, best.score, str(best.excerpt)))
        refused = "try:\n    c.search('x', k='y')\nexcept ValueError as error:\n    print(error)"
        assert "k and size whole numbers" in repl.execute(refused, {"c": context})
    assert made() == 1


@pytest.mark.parametrize(
    "call",
    [
        (3, 1, 1000, 0, 9, None),
        ("a", 1.5, 1000, 0, 9, None),
        ("a", 1, None, 0, 9, None),
        ("a", 1, 1000, True, 9, None),
        ("a " * 10_001, 1, 1000, 0, 9, None),
        ("a", 1, 1000, 0, 9, "dense"),
        ("a", 1, 1000, 0, 9, ["dense"]),
    ],
)
def test_what_a_worker_asks_is_checked(call):
    context = Context.from_text("a b c d e")
    search = answering(context._searcher, len(context))
    assert search("b", 1, 1000, -5, 99, None)["found"] == [[0, 9, pytest.approx(0.47, abs=1), 0, 9]]
    assert "search: " in search(*call)["error"]


def test_without_an_index_a_text_can_be_too_long():
    buffer = TextBuffer(b"x " * (33 << 20))
    with pytest.raises(ContextError, match=r"too many to search.*rlm-dspy-runtime\[search\]"):
        in_memory(buffer, [(0, buffer.chars)])
