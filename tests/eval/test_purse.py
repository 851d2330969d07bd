"""Dollars: what calls cost, and a limit that holds however many are under way."""

import random
import threading

import pytest

from eval.purse import Bill, Prices, Purse
from rlm_dspy import BudgetExceeded, ConfigurationError


def test_many_threads_never_spend_more_than_the_limit():
    purse = Purse(1.0)
    over, refused = [], []

    def spend(seed):
        draw = random.Random(seed)
        for _ in range(300):
            worst = draw.uniform(0, 0.02)
            try:
                if not purse.reserve(worst):
                    continue
            except BudgetExceeded as error:
                refused.append(error.left)
                continue
            purse.settle(worst, draw.uniform(0, worst))
            over.append(purse.spent > 1.0)

    threads = [threading.Thread(target=spend, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(over)
    assert 0.9 < purse.spent <= 1.0
    assert refused


def test_a_call_waits_for_those_under_way_and_is_refused_only_where_that_cannot_help():
    purse = Purse(1.0)
    assert purse.reserve(0.7)
    assert not purse.reserve(0.7)  # most calls use far less than their worst case
    purse.settle(0.7, 0.1)
    assert purse.reserve(0.7)
    purse.settle(0.7, 0.7)
    with pytest.raises(BudgetExceeded, match="may cost 0.7") as refused:
        purse.reserve(0.7)
    assert refused.value.limit == "dollars"
    assert refused.value.left == pytest.approx(0.2)


def test_what_is_held_back_is_there_afterwards():
    purse = Purse(1.0)
    with purse.holding(0.6), pytest.raises(BudgetExceeded):
        purse.reserve(0.5)
    assert purse.reserve(0.5)


def test_no_limit_refuses_nothing():
    purse = Purse()
    assert purse.reserve(10**9)
    purse.require_price("nobody/knows")


def test_prices_that_are_given_win():
    prices = Prices({"openai/gpt-4o-mini": (1.0, 2.0), "mine": (10.0, 20.0)})
    assert prices.dollars("openai/gpt-4o-mini", 1_000_000, 1_000_000) == 3.0
    assert prices.dollars("mine", 1_000, 100, cached=500) == pytest.approx(0.012)
    assert prices.dollars("local/any", 10**9, 10**9) == 0.0
    assert prices.dollars("simulated/oracle:0", 10**9, 10**9) == 0.0


@pytest.mark.filterwarnings("ignore:.*using the .ReadOnly. qualifier:UserWarning")
def test_litellms_list_tells_the_others():
    prices = Prices()
    full, cached = (prices.dollars("openai/gpt-4o-mini", 1_000, 0, n) for n in (0, 1_000))
    assert full == pytest.approx(0.00015)
    assert cached == pytest.approx(0.000075)
    assert prices.dollars("openai/nobody-knows", 1, 1) is None
    with pytest.raises(ConfigurationError, match="--price openai/nobody-knows=IN,OUT"):
        Purse(1.0).require_price("openai/nobody-knows")


def test_bills_add_up():
    total = sum([Bill(1, 10, 5, 2, 0.5, 1), Bill(2, 20, 5, 0, 0.25)], Bill())
    assert total == Bill(3, 30, 10, 2, 0.75, 1)
    assert total.tokens == 40
    assert Bill(**total.as_dict()) == total
