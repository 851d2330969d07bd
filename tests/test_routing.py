"""Which inputs are short enough for one direct call."""

from types import SimpleNamespace

import dspy
import pytest

from rlm_dspy import Context, RLMOptions
from rlm_dspy.routing import fits_directly


def fits(text, most, model="unknown/model"):
    lm = SimpleNamespace(model=model, kwargs={})
    options = RLMOptions(direct_below_tokens=most)
    outer = dspy.Signature("context, query -> answer")
    task = SimpleNamespace(options=options, outer=outer, lm_of=lambda role: lm)
    return fits_directly(task, {"context": text, "query": "q"})


@pytest.mark.parametrize(
    ("text", "most", "fit"),
    [
        ("a" * 98, 100, True),  # as many bytes as tokens at most
        ("é" * 298, 100, True),  # estimated by characters
        ("a" * 299, 100, False),
        ("a" * 5_000, 100, False),
        (Context.from_text("a" * 299), 100, False),
    ],
)
def test_without_a_tokenizer_tokens_are_estimated(text, most, fit):
    assert fits(text, most) is fit


def test_a_tokenizer_decides_where_there_is_one():
    words = "harbour " * 90  # 720 characters, about 90 tokens
    assert not fits(words, 100)
    assert fits(words, 100, "openai/gpt-4o")
    assert not fits("0x7f3a;" * 90, 100, "openai/gpt-4o")
