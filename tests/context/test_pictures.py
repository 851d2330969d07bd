"""Scanned pages and images: who reads them, what is kept, and what goes wrong."""

import made
import pytest

from rlm_dspy.context.context import Context
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.errors import BudgetExceeded, ContextError


class Describer:
    """Says how many images it has seen."""

    def __init__(self, key=None, fails=()):
        self.seen = []
        self.fails = fails
        if key is not None:
            self.cache_key = key

    def __call__(self, data, mime):
        self.seen.append((data, mime))
        if len(self.seen) in self.fails:
            raise BudgetExceeded("no more calls", limit="calls")
        return f" image {len(self.seen)}\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    made.picture("Heron").save(folder / "photo.png")
    made.pdf(folder / "report.pdf", ["Text.", "", ""])
    return folder


def test_images_are_read_by_who_is_given(scans):
    describe = Describer()
    context = Context.from_path(scans, ReadOptions(describe=describe))
    texts = {document.title: str(document) for document in context.documents}
    assert texts == {
        "photo.png": "image 1\n",
        "report.pdf#page=1": "Text.\n",
        "report.pdf#page=2": "image 2\n",
        "report.pdf#page=3": "image 3\n",
    }
    described = [document.metadata.get("described", False) for document in context.documents]
    assert described == [True, False, True, True]
    assert describe.seen[0] == ((scans / "photo.png").read_bytes(), "image/png")
    assert context.skipped == []


def test_what_was_read_is_kept_by_content_and_reader(scans):
    options = [ReadOptions(describe=Describer(key)) for key in ("a", "a", "b")]
    first, again, other = (str(Context.from_path(scans, each)) for each in options)
    assert first == again
    # The two scanned pages hold the same image.
    assert [len(each.describe.seen) for each in options] == [2, 0, 2]
    assert other == first
    (scans / "photo.png").unlink()
    made.picture("Other").save(scans / "photo.png")
    Context.from_path(scans, options[1])
    assert len(options[1].describe.seen) == 1


def test_who_has_no_key_is_asked_again(scans):
    describe = Describer()
    for _ in range(2):
        Context.from_path(scans, ReadOptions(describe=describe))
    assert len(describe.seen) == 6


def test_one_that_fails_is_named_and_the_others_are_read(scans):
    context = Context.from_path(scans, ReadOptions(describe=Describer(fails=[2])))
    assert len(context.documents) == 3
    reason = "its image could not be described: no more calls"
    assert context.skipped == [(f"{scans / 'report.pdf'}#page=2", reason)]
    with pytest.raises(ContextError, match="no more calls"):
        Context.from_path(scans, ReadOptions(describe=Describer(fails=[2]), strict=True))


def test_an_image_that_says_nothing(scans):
    with pytest.raises(ContextError, match="no text"):
        Context.from_path(scans / "photo.png", ReadOptions(describe=lambda data, mime: " "))


def test_pages_of_a_tiff_and_other_formats_become_png(tmp_path):
    pages = [made.picture(text, mode) for text, mode in (("a", "RGB"), ("b", "L"), ("c", "P"))]
    pages[0].save(tmp_path / "x.tiff", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "y.bmp")
    describe = Describer()
    context = Context.from_path(tmp_path, ReadOptions(describe=describe, exclude="cache/"))
    titles = [document.title for document in context.documents]
    assert titles == ["x.tiff#page=1", "x.tiff#page=2", "x.tiff#page=3", "y.bmp"]
    assert all(mime == "image/png" and data.startswith(b"\x89PNG") for data, mime in describe.seen)
    assert len({data for data, _ in describe.seen}) == 3  # the BMP is the first page again


def test_an_image_that_is_none_is_named(tmp_path):
    (tmp_path / "x.tiff").write_bytes(b"II*\0 and no more")
    with pytest.raises(ContextError, match="cannot be read as image"):
        Context.from_path(tmp_path / "x.tiff", ReadOptions(describe=Describer()))
