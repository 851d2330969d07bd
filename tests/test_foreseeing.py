"""What a large job may cost at worst."""

import dspy
import pytest

from rlm_dspy import Budget, Context, RLMOptions, resolve_lm
from rlm_dspy.choosing import Models
from rlm_dspy.foreseeing import foreseen, threshold
from rlm_dspy.models import price_of
from rlm_dspy.options import CHARS_PER_TOKEN
from rlm_dspy.runs.monthly import monthly_cap

LARGE = Context.from_text("The clerk went home. " * 5_000)
SMALL = Context.from_text("The clerk went home.")
MINI, DEAR = "openai/gpt-4o-mini", "openai/gpt-4o"
WINDOW = 128_000  # of both
REPLY = RLMOptions().max_tokens


def lm(model, **kwargs):
    return dspy.LM(model, api_key="unused", **kwargs)


def test_calls_bound_it_at_the_price_of_a_full_window():
    job = foreseen(LARGE, Models(lm(MINI)), Budget(calls=1_000))
    assert job.dollars == pytest.approx(1_000 * price_of(MINI).most(WINDOW, REPLY))
    assert job.tokens == len(LARGE) // CHARS_PER_TOKEN
    assert str(job).startswith("1 file, about 35,000 tokens: at most $")
    assert "(1,000 calls of at most $" in str(job)


def test_the_dearer_of_two_models_counts():
    both = foreseen(LARGE, Models(lm(MINI), lm(DEAR)), Budget(calls=10))
    alone = foreseen(LARGE, Models(lm(DEAR)), Budget(calls=10))
    assert both.dollars == alone.dollars


def test_a_longest_reply_of_the_model_counts():
    job = foreseen(LARGE, Models(lm(MINI, max_tokens=10)), Budget(calls=1))
    assert job.dollars == pytest.approx(price_of(MINI).most(WINDOW, 10))


@pytest.mark.parametrize(
    ("limits", "dollars", "bound"),
    [
        ({"dollars": 0.25}, 0.25, "--budget-dollars"),
        ({"tokens": 10_000}, 10_000 * price_of(MINI).completion, "10,000 tokens"),
        ({"dollars": 1e6}, 1_000 * price_of(MINI).most(WINDOW, REPLY), "1,000 calls"),
    ],
)
def test_the_tightest_limit_counts(limits, dollars, bound):
    job = foreseen(LARGE, Models(lm(MINI)), Budget(calls=1_000, **limits))
    assert job.dollars == pytest.approx(dollars)
    assert bound in job.bound


@pytest.mark.parametrize(
    ("spent", "limit", "dollars", "bound"),
    [
        (0.5, None, 1.5, "what is left of 2 dollars a month (RLM_MONTHLY_DOLLARS)"),
        (0.5, 0.25, 0.25, "the limit of --budget-dollars"),
        (3.0, 0.25, 0.0, "what is left of 2 dollars a month (RLM_MONTHLY_DOLLARS)"),
    ],
)
def test_what_is_left_of_the_month_counts(monkeypatch, tmp_path, spent, limit, dollars, bound):
    monkeypatch.setenv("RLM_STORE", str(tmp_path / "runs.sqlite"))
    monkeypatch.setenv("RLM_MONTHLY_DOLLARS", "10")
    monthly_cap("another run").reserve(spent, held=0)
    monkeypatch.setenv("RLM_MONTHLY_DOLLARS", "2")
    job = foreseen(LARGE, Models(lm(MINI)), Budget(calls=1_000, dollars=limit))
    assert (job.dollars, job.bound) == (dollars, bound)


@pytest.mark.parametrize(
    ("context", "models"),
    [
        (SMALL, Models(lm(MINI))),
        (LARGE, Models(lm("openai/somebody-elses-model"))),
        (LARGE, Models(resolve_lm("ollama/qwen3"))),
    ],
)
def test_a_small_job_or_one_without_a_price_is_not_foreseen(context, models):
    assert foreseen(context, models, Budget(calls=1_000)) is None


def test_the_threshold_is_a_setting(monkeypatch):
    assert threshold() == 1.0
    monkeypatch.setenv("RLM_CONFIRM_DOLLARS", "2.5")
    assert threshold() == 2.5
