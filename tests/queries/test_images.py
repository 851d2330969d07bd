"""Scanned pages read by a vision model, within a budget."""

import base64
import io

import pytest
from PIL import Image

from rlm_dspy import RLM, Budget, BudgetExceeded, Context, ProviderError
from rlm_dspy.context import ReadOptions
from rlm_dspy.queries.images import ImageReader
from rlm_dspy.testing import ScriptedLM, code


def png(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def scans(tmp_path, monkeypatch):
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("red", "green", "blue"):
        (folder / f"{name}.png").write_bytes(png(name))
    return folder


@pytest.mark.parametrize(
    "reply", ["The ship is called Heron.", "[[ ## text ## ]]\nThe ship is called Heron.\n"]
)
def test_an_image_goes_to_the_model_and_its_text_comes_back(reply):
    lm = ScriptedLM(lambda asked: reply)
    reader = ImageReader(lm)
    assert reader(png("red"), "image/png").strip() == "The ship is called Heron."
    (content,) = [m["content"] for m in lm.history[0]["messages"] if m["role"] == "user"]
    (url,) = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    assert url == "data:image/png;base64," + base64.b64encode(png("red")).decode()
    assert reader.spend.calls == 1


def test_images_beyond_the_budget_are_named(scans):
    reader = ImageReader(ScriptedLM(lambda asked: "text"), Budget(calls=3))
    context = Context.from_path(scans, ReadOptions(describe=reader))
    # One call of three is held back for a last answer, which reading does not have.
    assert len(context.documents) == 2
    assert [name for name, _ in context.skipped] == [str(scans / "red.png")]
    assert "limit of 3 calls" in context.skipped[0][1]
    with pytest.raises(BudgetExceeded):
        reader(png("white"), "image/png")


def test_a_model_that_does_not_answer_leaves_the_images_out(scans):
    def broken(asked):
        raise ProviderError("no such model")

    context = Context.from_paths(
        [scans, __file__], ReadOptions(describe=ImageReader(ScriptedLM(broken)))
    )
    assert len(context.documents) == 1
    assert len(context.skipped) == 3


def test_another_model_reads_again_and_the_same_one_does_not(scans):
    first, again = (ImageReader(ScriptedLM(lambda asked: "A", model="a")) for _ in range(2))
    other = ImageReader(ScriptedLM(lambda asked: "B", model="b"))
    for reader in (first, again, other):
        Context.from_path(scans, ReadOptions(describe=reader))
    assert [reader.spend.calls for reader in (first, again, other)] == [3, 0, 3]


def test_a_run_answers_from_a_scanned_page(scans):
    vision = ScriptedLM(lambda asked: "The mate is called Ottilie.")
    context = Context.from_path(scans / "red.png", ReadOptions(describe=ImageReader(vision)))
    planner = ScriptedLM([code("SUBMIT(answer=context.extract_after('called ', until='.'))")])
    rlm = RLM("context, query -> answer")
    import dspy

    with dspy.context(lm=planner):
        assert rlm(context=context, query="Who is the mate?").answer == "Ottilie"
