"""What a user writes as an option, and the models and prompts behind it."""

import dspy
import pytest

from eval import tasks
from eval.models import lm_named
from eval.options import dollars_of, lengths_of, prices_of, seconds_of
from eval.prompts import prompt_hashes, prompts_diff
from programs import Needle
from rlm_dspy import ConfigurationError
from rlm_dspy.testing import ScriptedLM


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        (None, None),
        ("8k,32k,128k", (8_192, 32_768, 131_072)),
        ("4096", (4_096,)),
        ("0.5k, 1M", (512, 1_048_576)),
        ("1k,2k,1024,1k", (1_024, 2_048)),
    ],
)
def test_lengths(text, lengths):
    assert lengths_of(text) == lengths


@pytest.mark.parametrize("text", ["", "8kb", "long", "8k,,"])
def test_what_is_no_length(text):
    with pytest.raises(ConfigurationError, match="is no length"):
        lengths_of(text)


def test_prices():
    prices = prices_of(["hosted_vllm/a=b/c=1,2.5"], "oracle:0.1", None, "hosted_vllm/a=b/c")
    assert prices.dollars("hosted_vllm/a=b/c", 1_000_000, 1_000_000) == 3.5
    bare = ("model", "model=1", "model=1,x", "=1,2,3", "=1,2")
    for wrong in (*bare, "model=nan,1", "model=1,inf", "model=-1,1"):
        with pytest.raises(ConfigurationError, match="write MODEL=IN,OUT"):
            prices_of([wrong], "oracle")


def test_a_price_of_a_model_that_is_not_used_is_refused():
    assert prices_of(["simulated/oracle:0.05=1,2"], "oracle:0.05").known("simulated/oracle:0.05")
    with pytest.raises(ConfigurationError, match="opena/x: .* no such model, but simulated/orac"):
        prices_of(["opena/x=1,1"], "oracle", None)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0])
def test_what_is_no_limit_is_refused(wrong):
    with pytest.raises(ConfigurationError, match=f"--budget-seconds {wrong}: write a number"):
        seconds_of(wrong)
    with pytest.raises(ConfigurationError, match=f"--budget-dollars {wrong}: write a number"):
        dollars_of(wrong)


def test_nothing_is_a_limit_of_dollars_and_none_of_seconds():
    assert (dollars_of(0.0), dollars_of(None), seconds_of(0.5)) == (0.0, None, 0.5)
    with pytest.raises(ConfigurationError, match="--tuning-seconds 0: write"):
        seconds_of(0, "--tuning-seconds")


def test_the_simulated_model_is_named_with_its_rate():
    examples = tasks.load("niah", n=1, lengths=[1_024])
    assert lm_named("oracle", examples, seed=1, cache=False).model == "simulated/oracle:0"
    assert lm_named("oracle:0.05", examples, seed=1, cache=False).model == "simulated/oracle:0.05"
    for wrong, told in (("oracle:x", "write oracle:0.05"), ("oracle:2", "is not a share")):
        with pytest.raises(ConfigurationError, match=told):
            lm_named(wrong, examples, seed=1, cache=False)


def test_a_model_of_ones_own_is_taken_as_it_is():
    lm = ScriptedLM([""])
    assert lm_named(lm, [], seed=1, cache=False) is lm


def test_prompts_are_told_apart():
    before, after = Needle(), Needle()
    assert prompt_hashes(before) == prompt_hashes(after)
    assert prompts_diff(before, after) == ""
    after.sub_query.signature = after.sub_query.signature.with_instructions("Say the value.")
    after.plan.demos = [dspy.Example(augmented=True, variables="x", code="print(1)")]
    hashes = prompt_hashes(before), prompt_hashes(after)
    assert {n for n in hashes[0] if hashes[0][n] != hashes[1][n]} == {"plan", "sub_query"}
    diff = prompts_diff(before, after)
    assert "+Say the value." in diff
    assert "+demo 1:" in diff
    assert "+++ extract after" not in diff
