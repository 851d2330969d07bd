"""The made-up text of `bench.search` is as long as asked and tells each fact once."""

import pytest

from bench.corpus import write


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_corpus(tmp_path, ascii_only):
    corpus = write(tmp_path / "one", 300_000, 7, ascii_only=ascii_only, count=5)
    data = corpus.path.read_bytes()
    assert data.isascii() is ascii_only
    assert len(data) >= 300_000
    assert [data.count(fact.told.encode()) for fact in corpus.facts] == [1] * 5
    again = write(tmp_path / "two", 300_000, 7, ascii_only=ascii_only, count=5)
    assert again.path.read_bytes() == data
    assert again.facts == corpus.facts
