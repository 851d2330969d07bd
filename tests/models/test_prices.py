import contextlib

import pytest

from rlm_dspy.models import Price, count_tokens, price_of, prompt_limit
from rlm_dspy.models.router import router

HELLO = [{"role": "user", "content": "hello world"}]
TIERED = Price(1.0, 10.0, 0.5, 1.5, above=Price(2.0, 20.0, 1.0, 3.0), threshold=100)


@pytest.mark.parametrize(
    "model",
    ["gpt-4o", "openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-pro"],
)
def test_a_listed_model_has_a_price(model):
    price = price_of(model)
    assert 0 < price.cached < price.prompt < price.completion
    assert price.most(1000, 10) >= price.cost(1000, 10) > price.cost(1000, 10, 900)


@pytest.mark.parametrize(
    "model", ["local", "local/smollm2-135m", "local/no-such", "ollama/x", "lm_studio/y"]
)
def test_the_own_machine_costs_nothing(model):
    assert price_of(model).most(10**6, 10**6) == 0


@pytest.mark.parametrize(
    "model",
    [
        "openai/no-such-model",
        "hosted_vllm/gpt-4o",
        "openrouter/no/such",
        "anthropic/gpt-4o",
        "no-such-model",
        "nowhere/gpt-4o",
        "",
    ],
)
def test_an_unlisted_model_has_none(model):
    assert price_of(model) is None


@pytest.mark.parametrize(
    ("prompt", "completion", "cached", "dollars"),
    [
        (100, 0, 0, 100.0),
        (100, 1, 40, 60 + 20 + 10.0),
        (101, 0, 0, 202.0),
        (200, 1, 200, 200 + 20.0),
        (0, 0, 0, 0.0),
    ],
)
def test_the_cost_of_a_call(prompt, completion, cached, dollars):
    assert TIERED.cost(prompt, completion, cached) == pytest.approx(dollars)
    assert TIERED.most(prompt, completion) >= TIERED.cost(prompt, completion, cached)


def test_a_batch_costs_what_the_list_says_else_half():
    listed = {"input_cost_per_token_batches": 0.7, "output_cost_per_token_batches": 4.0}
    assert TIERED.in_batch(listed).cost(100, 1) == pytest.approx(74.0)
    assert TIERED.in_batch({}).cost(100, 1, 100) == TIERED.in_batch({}).most(100, 1) == 55.0
    assert TIERED.in_batch({}).cost(200, 1) == 210.0


def test_a_tier_is_read_from_the_list():
    price = price_of("gemini/gemini-2.5-pro")
    assert price.threshold == 200_000
    assert price.above.prompt > price.prompt


BASE = {"input_cost_per_token": 1.0, "output_cost_per_token": 10.0}
RANGES = [
    {"range": [0, 100.0], "input_cost_per_token": 2.0, "output_cost_per_token": 20.0},
    {"range": [100.0, 1_000.0], "input_cost_per_token": 4.0, "cache_read_input_token_cost": 3.0},
]


@pytest.fixture
def listed(monkeypatch):
    """Has LiteLLM's list say something about a model, and gives that model's price."""

    def price(entry, provider="openai"):
        model, entry = f"{provider}/not-yet-made", {"litellm_provider": provider, **entry}
        monkeypatch.setitem(router().model_cost, model, entry)
        return price_of(model)

    return price


def test_every_tier_counts_in_whichever_order(listed):
    price = listed(
        BASE
        | {
            "input_cost_per_token_above_2k_tokens": 3.0,
            "input_cost_per_token_above_500_tokens": 2.0,
            "output_cost_per_token_above_500_tokens": 20.0,
            "cache_read_input_token_cost_above_2k_tokens": 1.5,
            "input_cost_per_token_above_2k_tokens_priority": 99.0,
        }
    )
    costs = {size: price.cost(size, 1) for size in (500, 501, 2_000, 2_001)}
    assert costs == {500: 510.0, 501: 1_022.0, 2_000: 4_020.0, 2_001: 6_023.0}
    assert price.cost(2_001, 1, 1) == 6_021.5
    assert price.most(10**6, 0) == 3e6


def test_a_provider_may_count_the_threshold_itself_as_above(listed):
    tiered = BASE | {"input_cost_per_token_above_2k_tokens": 3.0}
    assert listed(tiered, "xai").cost(2_000, 0) == 6_000
    assert listed(tiered).cost(2_000, 0) == 2_000


@pytest.mark.parametrize("base", [{}, BASE])
def test_ranges_are_read_and_go_before_a_price_for_all(listed, base):
    ranges = [RANGES[1] | {"output_cost_per_token": 40.0}, RANGES[0]]
    price = listed(base | {"tiered_pricing": ranges})
    costs = {size: price.cost(size, 1) for size in (100, 101, 5_000)}
    assert costs == {100: 220.0, 101: 444.0, 5_000: 20_040.0}
    assert price.cost(101, 1, 1) == 443.0
    assert price.most(101, 1) == 444.0


def test_a_range_without_a_price_of_replies_has_that_for_all(listed):
    entry = {"input_cost_per_token": 1.0, "output_cost_per_token": 30.0, "tiered_pricing": RANGES}
    assert listed(entry).cost(101, 1) == 434.0


@pytest.mark.parametrize(
    "odd",
    [
        {"tiered_pricing": [{"range": [0, 9], "input_cost_per_query": 1.0}]},
        {"tiered_pricing": RANGES[1:]},
        {"tiered_pricing": [{key: RANGES[0][key] for key in RANGES[0] if key != "range"}]},
        {"tiered_pricing": [RANGES[0] | {"range": "0 to 100"}]},
        {"tiered_pricing": {"above": 100}},
        {"tiered_pricing": [RANGES[0], RANGES[1] | {"input_cost_per_token": 1.0}]},
        {"input_cost_per_token_above_2k_tokens": "dear"},
        {"input_cost_per_token_above_2k_tokens": 0.5},
        {"input_cost_per_token": -1},
    ],
)
def test_a_form_that_is_not_known_is_no_price(listed, odd):
    assert listed(BASE) is not None
    assert listed(BASE | odd) is None


def shapes():
    """One listed model of each provider and each set of tiers."""
    found = {}
    for model, entry in router().model_cost.items():
        above = frozenset(key for key in entry if "_above_" in key and key.endswith("_tokens"))
        ends = tuple(str(tier.get("range")) for tier in entry.get("tiered_pricing", ()))
        provider = entry.get("litellm_provider")
        # LiteLLM asks GitHub for a key before it says what a call costs.
        if entry.get("mode") in ("chat", "responses") and provider != "github_copilot":
            found.setdefault((provider, above, ends), model)
    return found.values()


def test_no_call_costs_less_than_litellm_says():
    checked, too_low = 0, []
    for model in shapes():
        price, window = price_of(model), router().model_cost[model].get("max_input_tokens")
        sizes = {
            min(size, window or size) for size in (1_000, 150_000, 200_000, 300_000, 1_100_000)
        }
        for size in sizes if price is not None else ():
            with contextlib.suppress(Exception):  # not every listed model is one for LiteLLM
                dollars = sum(router().cost_per_token(model, size, 1_000))
                checked += 1
                if min(price.cost(size, 1_000), price.most(size, 1_000)) < dollars - 1e-9:
                    too_low.append((model, size))
    assert checked > 300
    assert not too_low


@pytest.mark.parametrize("model", ["gpt-4o", "openai/gpt-5-mini", "openai/gpt-4"])
def test_tokens_are_counted_where_the_tokenizer_is_known(model):
    few, many = count_tokens(model, HELLO), count_tokens(model, HELLO * 3)
    assert 2 < few < many < 60


@pytest.mark.parametrize(
    "model",
    ["anthropic/claude-sonnet-4-5", "openai/no-such-model", "azure/gpt-4o", "ollama/x", "gemini/x"],
)
def test_and_not_guessed_where_it_is_not(model):
    assert count_tokens(model, HELLO) is None


def test_the_window_of_a_listed_model():
    assert prompt_limit("openai/gpt-4o") == 128_000
    assert prompt_limit("openai/no-such-model") is None


def test_the_window_of_a_local_model_before_it_is_loaded(weights_file):
    weights_file("qwen2.5-coder-0.5b")
    assert prompt_limit("local/qwen2.5-coder-0.5b") == 8192
    assert count_tokens("local/qwen2.5-coder-0.5b", HELLO) is None
