"""A server of the user's own, reached through LiteLLM."""

import asyncio

import dspy
import pytest

from rlm_dspy.models import resolve_lm

KEY = "sk-main-0123456789"


@pytest.fixture
def named(monkeypatch, openai_server):
    monkeypatch.setenv("RLM_MODEL", "openai/some/model")
    monkeypatch.setenv("LLM_BASE_URL", openai_server.url)


def test_a_predictor_asks_the_server(named, openai_server, monkeypatch):
    monkeypatch.setenv("LLM_API_KEY", KEY)
    with dspy.context(lm=resolve_lm(cache=False)):
        answer = dspy.Predict("question -> answer")(question="Capital of France?").answer
    assert answer == "Paris"
    seen = openai_server.seen[-1]
    assert seen["path"] == "/v1/chat/completions"
    assert seen["body"]["model"] == "some/model"
    assert seen["headers"]["authorization"] == f"Bearer {KEY}"


async def test_and_without_blocking(named, openai_server):
    lm = resolve_lm(cache=False)
    outputs = await asyncio.gather(*[lm.acall(f"question {i}") for i in range(4)])
    assert len(openai_server.requests) == len(outputs) == 4


def test_a_private_server_gets_a_placeholder_for_a_key(named, openai_server):
    resolve_lm(cache=False)("hello")
    assert openai_server.seen[-1]["headers"]["authorization"] == "Bearer no-key-needed"


def test_another_providers_server_does_not_see_the_key(named, openai_server, monkeypatch):
    monkeypatch.setenv("LLM_API_KEY", KEY)
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", openai_server.url)
    resolve_lm("hosted_vllm/other", cache=False)("hello")
    seen = openai_server.seen[-1]
    assert seen["body"]["model"] == "other"
    assert KEY not in str(seen["headers"])


@pytest.mark.parametrize(
    "options",
    [
        {"stop": ["\n\n"]},
        {"response_format": {"type": "json_object"}},
        {"extra_body": {"grammar": 'root ::= "a"'}},
    ],
)
def test_what_constrains_a_reply_reaches_the_server(named, openai_server, options):
    resolve_lm(cache=False)("hello", **options)
    body = openai_server.seen[-1]["body"]
    for name, value in options.get("extra_body", options).items():
        assert body[name] == value


def test_a_failing_server_is_dspys_error(named, openai_server, capsys):
    openai_server.status = 400
    with pytest.raises(dspy.LMError):
        resolve_lm(cache=False, num_retries=0)("hello")
    assert capsys.readouterr() == ("", "")
