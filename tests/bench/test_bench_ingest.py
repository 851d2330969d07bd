"""What the measurement of reading says besides times, over 100 MB."""

import time

import pytest

from bench.corpus import write_folder
from bench.ingest import _SETTLES, LITERAL, Bench, rows


@pytest.mark.slow
def test_what_does_not_depend_on_the_machine(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("RLM_CACHE_DIR", str(cache))
    corpus = write_folder(tmp_path / "texts", 100_000_000, 1, count=20)
    time.sleep(_SETTLES)
    bench = Bench(corpus, cache, rounds=1)
    assert bench.size == pytest.approx(100_000_000, rel=0.01)
    ingested = bench.ingest()
    first, second = ingested["first"], ingested["second"]
    counted = int(ingested["wc"]["printed"].split()[-2])
    # Between the documents stand their titles.
    assert 0 < first["chars"] - counted < 80 * len(bench.files)
    assert first["documents"] == len(bench.files) == 2_191
    assert first["told"] > len(bench.files)
    assert (second["chars"], second["documents"]) == (first["chars"], first["documents"])
    # But for the small files, only counts are kept.
    kept = sum(path.stat().st_size for path in (cache / "texts").rglob("*") if path.is_file())
    assert 16_000_000 < kept < 20_000_000
    found = bench.grep()
    assert found["ours"]["count"] == 0
    assert set(found["grep"]["printed"].split()) == {f"{file}:0" for file in bench.files}
    searched = bench.search()
    assert searched["made"]["right"] == searched["opened"]["right"] == 20
    printed = bench.step()["printed"].splitlines()
    assert printed[:2] == [f"{first['chars']} 9 True", "101 0"]
    measured = [first, second, bench.look(), found["ours"], *searched.values()]
    assert max(each["anonymous"] for each in measured) < 500_000_000
    assert max(each["shared"] for each in measured) < 100_000_000


@pytest.mark.slow
def test_a_row_says_what_was_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))
    corpus = write_folder(tmp_path / "texts", 20_000_000, 1, count=2)
    bench = Bench(corpus, tmp_path / "cache", rounds=1)
    found = {row[0]: row for row in rows(bench, search=False)}
    assert set(found) > {"`wc -m`", "read, second time", f"`grep -c {LITERAL}`"}
    assert all(len(row) == 8 and row[1].endswith("s") for row in found.values())
