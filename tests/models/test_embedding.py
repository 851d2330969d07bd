"""Any GGUF file embeds texts, and its tokenizer counts them."""

import math

import dspy
import pytest

from rlm_dspy import Context, Embedder, resolve_lm
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models.engine import close_engines, engine_for, loaded_engine
from rlm_dspy.models.tokens import tokens_in
from rlm_dspy.models.weights import available, find
from rlm_dspy.testing import ScriptedLM


@pytest.fixture
def engines():
    yield
    close_engines()


def test_weights_that_embed_do_not_answer_to_the_name_local(weights_file):
    path = weights_file("bge-small-en-v1.5")
    assert ("bge-small-en-v1.5", path) in available()
    assert find("bge-small-en-v1.5") == path
    try:
        assert find("local") != path
    except ConfigurationError:
        assert available() == [("bge-small-en-v1.5", path)]


def test_an_embedder_needs_its_file_and_is_told_by_it(weights_file):
    with pytest.raises(ConfigurationError, match="rlm models pull bge-small-en-v1.5"):
        Embedder("local/bge-small-en-v1.5")
    weights_file("bge-small-en-v1.5")
    plain, prefixed = Embedder("bge-small-en-v1.5"), Embedder("bge-small-en-v1.5", None, "doc: ")
    assert plain.key == Embedder("local/bge-small-en-v1.5", "asked: ").key != prefixed.key


def test_tokens_without_a_tokenizer_are_unknown(tmp_path):
    assert tokens_in(ScriptedLM(["a"]), "a b c") is None
    assert tokens_in(object(), "a b c") is None
    assert tokens_in(dspy.LM("anthropic/claude-sonnet-4-5"), "a b c") is None


@pytest.mark.slow
def test_an_embedded_model_counts_as_it_charges(smol, engines):
    lm = resolve_lm("local/smollm2-135m", cache=False, max_tokens=1)
    text = "Café: the Grey Heron left at six. <|im_end|>"
    counted = tokens_in(lm, text)
    engine = loaded_engine(smol)
    assert engine is not None
    before, after = ([{"role": "user", "content": said}] for said in ("x", f"x\n{text}"))
    assert counted == pytest.approx(engine.count(after) - engine.count(before), abs=4)


@pytest.mark.slow
def test_a_model_that_was_not_made_for_it_embeds_by_the_mean(smol, engines, tmp_path, monkeypatch):
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "cache"))
    embedder = Embedder("local/smollm2-135m")
    long = "A ship left the harbour. " * 300
    one, two, whole = embedder.passages(["A ship left.", "Rates rose.", long])
    assert len(one) == len(whole) == 576
    assert all(math.hypot(*vector) == pytest.approx(1, abs=1e-3) for vector in (one, two, whole))
    assert loaded_engine(smol) is None
    assert engine_for(smol, embeds=True).loaded
    assert embedder.query("A ship left.") == pytest.approx(one, abs=1e-3)
    texts = ["The feline rested.", "The vessel departed from the port.", "Interest rates rose."]
    context = Context.from_documents(texts).with_embedder(embedder)
    assert "vessel" in context.search("When did the ship leave?", k=1, by="dense")[0]
