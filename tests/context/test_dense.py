"""A search by meaning finds what the vectors say, keeps them, and is asked of the host."""

import math
import pickle
from itertools import pairwise

import pytest

from rlm_dspy import RestrictedInterpreter
from rlm_dspy.context import dense
from rlm_dspy.context.context import Context
from rlm_dspy.context.dense import Hybrid
from rlm_dspy.context.search import Found
from rlm_dspy.errors import ContextError
from rlm_dspy.settings import cache_dir

TOPICS = ("ship vessel harbour boat", "cat feline rug", "bank rates interest money")
VESSEL = "The vessel left."
PIECES = [VESSEL, "A feline slept on it.", "Rates rose. Interest is up."]


class Topics:
    """A vector for each topic: how many of its words a text has."""

    key = "topics"

    def __init__(self):
        self.embedded = []

    def query(self, text):
        return self._vector(text)

    def passages(self, texts):
        self.embedded += texts
        return [self._vector(text) for text in texts]

    def _vector(self, text):
        said = text.lower().replace(".", "").split()
        counts = [0.01 + sum(word in topic.split() for word in said) for topic in TOPICS]
        length = math.hypot(*counts)
        return [count / length for count in counts]


def padded(text):
    return text + " Nothing else is told here, and nobody asks." * 20


def made(embedder=None):
    context = Context.from_documents([(f"d{n}", padded(text)) for n, text in enumerate(PIECES)])
    return context.with_embedder(embedder or Topics())


@pytest.mark.parametrize(
    ("asked", "there"), [("boat", "d0"), ("cat", "d1"), ("money", "d2"), ("harbour ship", "d0")]
)
def test_it_finds_what_shares_no_word(asked, there):
    context = made()
    for by in ("dense", "hybrid", None):
        best = context.search(asked, k=2, by=by)[0]
        assert best.title == there
        assert PIECES[int(there[1:])] in best.excerpt
    assert asked not in str(context.search(asked, by="keywords"))


def test_passages_stay_in_their_documents_and_in_the_piece_that_is_searched():
    context = made()
    for document in context.documents:
        for by in ("dense", "hybrid"):
            for found in document.search("boat", k=9, size=700, by=by):
                assert document.start <= found.start < found.end <= document.end
    assert context[:0].search("boat", by="dense") == []
    found = sorted(context.search("boat", k=9, by="dense"), key=lambda each: each.start)
    assert all(one.end <= two.start for one, two in pairwise(found))


def test_each_unit_is_embedded_once():
    first, second, other = Topics(), Topics(), Topics()
    found = made(first).search("cat", by="dense")
    assert first.embedded
    assert [str(each) for each in made(second).search("cat", by="dense")] == [*map(str, found)]
    assert second.embedded == []
    other.key = "others"
    made(other).search("cat", by="dense")
    assert other.embedded == first.embedded


def test_what_was_broken_off_is_taken_up(monkeypatch):
    class Failing(Topics):
        def passages(self, texts):
            if self.embedded:
                raise RuntimeError("broken off")
            return super().passages(texts)

    monkeypatch.setattr(dense, "_EMBEDDED", 2)
    failing, rest, whole = Failing(), Topics(), Topics()
    whole.key = "whole"
    with pytest.raises(RuntimeError, match="broken off"):
        made(failing).search("cat", by="dense")
    (path,) = (cache_dir() / "dense").iterdir()
    with path.open("ab") as file:
        file.write(b"\x01")
    found = made(rest).search("money", by="dense")
    assert found == made(whole).search("money", by="dense")
    assert [*failing.embedded, *rest.embedded] == whole.embedded


def test_in_the_repl_the_host_searches():
    code = "print([h.title for h in context.search('boat', k=1)], len(context.search('left')))\n"
    code += "print(context.documents[1].search('boat', k=1, by='dense')[0].title)\n"
    code += "print(context.search('vessel', by='keywords')[0].title)"
    with RestrictedInterpreter() as repl:
        assert repl.execute(code, {"context": made()}).split("\n")[:3] == ["['d0'] 3", "d1", "d0"]


def test_what_is_refused(monkeypatch):
    plain = Context.from_text("a")
    with pytest.raises(ContextError, match=r"by='dense' needs an embedding model.*with_embedder"):
        plain.search("a", by="dense")
    with pytest.raises(ContextError, match=r"by='nearest' must be one of keywords, dense, hybrid"):
        made().search("a", by="nearest")
    monkeypatch.setattr(dense, "MOST_BYTES", 10)
    with pytest.raises(ContextError, match="too many to embed"):
        made().search("a", by="dense")
    assert made().search("vessel", by="keywords")


def test_a_copy_keeps_its_embedder():
    copied = pickle.loads(pickle.dumps(made()))
    assert copied.search("boat", k=1)[0].title == "d0"


class Fixed:
    """A searcher that finds what it is told."""

    def __init__(self, *starts):
        self._starts = starts

    def found(self, query, *, count, size, start, end):
        return [Found(at, at + 10, 1.0, (at, at + 10)) for at in self._starts[:count]]


def test_the_fusion_is_by_ranks():
    keywords, meaning = Fixed(100, 200, 300), Fixed(300, 104, 400)
    found = Hybrid(keywords, meaning).found("q", count=4, size=10, start=0, end=999)
    # 104 is mostly 100.
    assert [each.start for each in found] == [104, 300, 200, 400]
    scores = [1 / 62 + 1 / 61, 1 / 61 + 1 / 63, 1 / 62, 1 / 63]
    assert [each.score for each in found] == pytest.approx(scores)
