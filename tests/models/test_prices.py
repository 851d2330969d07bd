import pytest

from rlm_dspy.models import Price, count_tokens, price_of, prompt_limit

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
