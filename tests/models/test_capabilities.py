import dspy
import pytest
from dspy.utils.dummies import DummyLM

from rlm_dspy.models import constraint_for, resolve_lm, supports_stop


class Broken(dspy.BaseLM):
    @property
    def supported_params(self):
        raise RuntimeError("asked the network")

    supports_response_schema = supported_params


@pytest.mark.parametrize(
    ("name", "stop", "constraint"),
    [
        ("openai/gpt-4o", True, "json_schema"),
        ("openai/gpt-5-mini", False, "json_schema"),
        ("openai/gpt-5", False, "json_schema"),
        ("openai/o3", False, "json_schema"),
        ("openai/o4-mini", False, "json_schema"),
        ("openai/gpt-5-chat-latest", True, "json_schema"),
        ("anthropic/claude-sonnet-4-5", True, "json_schema"),
        ("openai/no-such-model", True, None),
        ("ollama/x", True, None),
        ("hosted_vllm/x", True, None),
    ],
)
@pytest.mark.parametrize("engine", ["litellm", "auto"])
def test_what_a_providers_model_takes(name, stop, constraint, engine):
    lm = dspy.LM(name, engine=engine, api_key="x")
    if engine == "litellm":
        assert constraint_for(lm) == constraint
    assert supports_stop(lm) is stop


def test_an_embedded_model_takes_both(weights_file):
    weights_file("qwen2.5-coder-0.5b")
    lm = resolve_lm("local/qwen2.5-coder-0.5b")
    assert supports_stop(lm) is True
    assert constraint_for(lm) == "grammar"


@pytest.mark.parametrize(
    "lm", [DummyLM([{"answer": "x"}]), Broken("mine")], ids=["dummy", "broken"]
)
def test_unknown_is_no(lm):
    assert supports_stop(lm) is False
    assert constraint_for(lm) is None
