"""Several models as one LM, of which each stands in where the one before fails."""

import dspy
import pytest
from dspy.lm15 import AuthError, ServerError

from rlm_dspy import RLM, Budget, ConfigurationError, RLMOptions, resolve_lm
from rlm_dspy.events import Charged
from rlm_dspy.models.capabilities import prompt_limit
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 400


def broken(**kwargs):
    return ScriptedLM([AuthError("no key", status=401)], model="broken", **kwargs)


def test_a_planner_stands_in_and_every_attempt_is_its_models():
    first = ScriptedLM(
        [ServerError("down", status=500, retry_after=0.0)], model="first", num_retries=1
    )
    second = ScriptedLM([code("SUBMIT(answer=ask('q', 't'))"), "fine"], model="second")
    prices = {"first": (1.0, 1.0), "second": (2.0, 2.0)}
    with dspy.context(lm=resolve_lm([first, second])):
        result = RLM(budget=Budget(dollars=1.0), options=RLMOptions(prices=prices))(
            context=TEXT, query="q"
        )
    assert (result.answer, result.run.status) == ("fine", "completed")
    attempts = [event.model for event in result.run.events if isinstance(event, Charged)]
    assert attempts == ["first", "first", "second"] * 2
    assert 0 < result.run.spend.dollars <= 1.0


def test_each_needs_a_price_where_dollars_are_limited():
    priced, unpriced = ScriptedLM(["x"], model="priced"), ScriptedLM(["x"], model="unpriced")
    options = RLMOptions(prices={"priced": (1.0, 1.0)})
    rlm = RLM(budget=Budget(dollars=1.0), options=options)
    with (
        dspy.context(lm=resolve_lm([priced, unpriced])),
        pytest.raises(ConfigurationError, match="'unpriced'"),
    ):
        rlm(context=TEXT, query="q")
    assert priced.asked == []


async def test_it_is_an_lm_for_any_module():
    second = ScriptedLM(["[[ ## answer ## ]]\nfine"], model="second")
    lm = resolve_lm([broken(), second])
    ask = dspy.Predict("question -> answer")
    with dspy.context(lm=lm):
        assert ask(question="q").answer == "fine"
        assert (await ask.acall(question="q")).answer == "fine"
    with dspy.context(lm=lm.copy(temperature=0.5)):
        assert ask(question="q").answer == "fine"
    assert len(second.asked) == 3


def test_names_with_commas_and_saved_state():
    lm = resolve_lm("ollama/qwen3, ollama/llama3")
    assert [each.model for each in lm.alternatives] == ["ollama/qwen3", "ollama/llama3"]
    loaded = dspy.BaseLM.load_state(lm.dump_state(), allow_custom_lm_class=True)
    assert [each.model for each in loaded.alternatives] == ["ollama/qwen3", "ollama/llama3"]
    assert resolve_lm(["ollama/qwen3"]).model == "ollama/qwen3"


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ("ollama/qwen3,", {}, "comma"),
        ([], {}, "names no model"),
        ("ollama/qwen3,ollama/llama3", {"api_key": "k"}, "api_key would go to every one of 2"),
    ],
)
def test_what_is_wrong_is_said(given, options, said):
    with pytest.raises(ConfigurationError, match=said):
        resolve_lm(given, **options)


def test_a_call_reads_what_fits_the_smallest_window():
    assert prompt_limit("openai/gpt-4") == 8_192 < prompt_limit("openai/gpt-4o")
    subs = [ScriptedLM(["short"], model=name) for name in ("openai/gpt-4o", "openai/gpt-4")]
    planner = ScriptedLM([code("SUBMIT(answer=combine('q', ['word ' * 200] * 20))")])
    with dspy.context(lm=planner):
        assert RLM(sub_lm=resolve_lm(subs))(context=TEXT, query="q").answer == "short"
    assert max(len(asked.text) for asked in subs[0].asked) < 8_192
    assert len(subs[0].asked) > 2
