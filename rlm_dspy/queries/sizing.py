"""How big an attempt can be, and what it cost: in tokens, and in dollars where prices are known."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rlm_dspy.account import Account, SubAccount
from rlm_dspy.budget import Usage
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models.meter import Attempt, Reply
from rlm_dspy.models.prices import Price, count_tokens, model_entry, price_of
from rlm_dspy.options import CHARS_PER_TOKEN, RLMOptions

# What chat templates and role markers add to a message, as an upper bound in tokens.
MESSAGE_OVERHEAD = 16


@dataclass(frozen=True)
class Size:
    """What an attempt can use.

    Args:
        prompt: The most tokens of its prompt.
        wanted: The most tokens of one reply, as the user or the options have it.
        copies: How many replies are asked for.
        limit: The request's parameter that limits a reply.
        price: The price of a token; None where it is unknown, or nobody asks.
    """

    prompt: int
    wanted: int
    copies: int
    limit: str
    price: Price | None

    def worst(self, reply: int) -> Usage:
        """What the attempt uses at most, with replies of at most so many tokens."""
        replies = reply * self.copies
        dollars = self.price.most(self.prompt, replies) if self.price else 0.0
        return Usage(self.prompt, replies, dollars=dollars, estimated=True)


class Sizes:
    """Sizes and prices of one run's attempts.

    Args:
        account: Whose limits are asked.
        options: The longest reply, and prices that the user gives.
        in_batch: Whether the attempts go by a provider's batch, which is cheaper.
    """

    def __init__(
        self, account: Account | SubAccount, options: RLMOptions, *, in_batch: bool = False
    ):
        self._in_batch = in_batch
        self._account = account
        self._options = options
        self._prices: dict[str, Price | None] = {}

    @property
    def limited(self) -> bool:
        """Whether tokens or dollars are limited, so that sizes matter before an attempt."""
        return self._account.budget.tokens is not None or bool(self._account.dollar_limit)

    def of(self, attempt: Attempt) -> Size:
        """The size of an attempt.

        Raises:
            ConfigurationError: Dollars are limited and the model's price is unknown.
        """
        if self._account.dollar_limit:
            self.require_price(attempt.lm)
        counted = count_tokens(str(attempt.lm.model), attempt.messages)
        return self._size(attempt, counted or prompt_bound(attempt.messages))

    def worst(self, attempt: Attempt) -> Usage:
        """What an attempt that nobody reserved uses at most."""
        size = self._size(attempt, prompt_bound(attempt.messages))
        return size.worst(size.wanted)

    def _size(self, attempt: Attempt, prompt: int) -> Size:
        name, wanted = self.reply_limit(attempt)
        return Size(
            prompt=prompt,
            wanted=wanted,
            copies=int(attempt.parameter("n", "num_generations") or 1),
            limit=name,
            price=self.price(attempt.lm),
        )

    def reply_limit(self, attempt: Attempt) -> tuple[str, int]:
        """The request's parameter that limits a reply, and what it is to be, in tokens."""
        name = "max_completion_tokens"
        if name not in getattr(attempt.lm, "kwargs", {}):
            name = "max_tokens"
        return name, int(attempt.parameter(name, "max_tokens") or self._options.max_tokens)

    def affordable(self, role: str, size: Size) -> int:
        """How long a reply the limits allow, in tokens."""
        most = self._account.left("tokens", role) - size.prompt
        if size.price and self._account.dollar_limit:
            asked = size.price.most(size.prompt, 0)
            each = size.price.most(size.prompt, 1) - asked
            if each > 0:
                most = min(most, (self._account.left("dollars", role) - asked) / each)
        return int(min(most, 1 << 40)) // size.copies

    def rough(self, attempt: Attempt) -> int:
        """About what an attempt may use, in tokens, for limits a minute."""
        said = sum(len(str(message.get("content", ""))) for message in attempt.messages)
        return said // CHARS_PER_TOKEN + self.reply_limit(attempt)[1]

    def require_price(self, lm: Any) -> None:
        """Refuses a model without a known price.

        Raises:
            ConfigurationError: It has none.
        """
        if self.price(lm) is None:
            limit = self._account.dollar_limit
            raise ConfigurationError(
                f"The price of {lm.model!r} is unknown, so a limit of {limit} cannot be "
                "kept: use a model that LiteLLM prices, give its price by RLMOptions(prices="
                f"{{{str(lm.model)!r}: (PROMPT, REPLY)}}) in dollars a million tokens, or limit "
                "tokens or calls instead.",
                model=lm.model,
            )

    def price(self, lm: Any) -> Price | None:
        """The price, where it is limited or costs nothing to look up (LiteLLM's import is slow)."""
        model = str(lm.model)
        if model in self._prices:
            return self._prices[model]
        given = given_price(self._options.prices, model)
        if given is None and not self._account.dollar_limit and "litellm" not in sys.modules:
            return None
        price = price_of(model) if given is None else given
        if price is not None and self._in_batch:
            price = price.in_batch(model_entry(model) if given is None else {})
        self._prices[model] = price
        return price

    def used(self, attempt: Attempt, reply: Reply, usage: Usage | None) -> Usage:
        """What a successful attempt used; an upper bound where its model reported nothing."""
        return self.priced(attempt, usage or _upper_bound(attempt, reply))

    def priced(self, attempt: Attempt, usage: Usage) -> Usage:
        """A usage with what it cost."""
        price = self.price(attempt.lm)
        if price is None:
            return usage
        cost = price.cost(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
        return replace(usage, dollars=cost)


def given_price(prices: Mapping[str, tuple[float, float]], model: str) -> Price | None:
    """The user's own price of a model, from dollars a million tokens."""
    if model not in prices:
        return None
    prompt, reply = (dollars / 1e6 for dollars in prices[model])
    return Price(prompt, reply, cached=prompt, written=prompt)


def prompt_bound(messages: list[dict[str, Any]]) -> int:
    """An upper bound of a prompt's tokens: no tokenizer makes more tokens than UTF-8 bytes."""
    size = sum(len(str(m.get("content", "")).encode("utf-8", "replace")) for m in messages)
    return size + MESSAGE_OVERHEAD * len(messages)


def _upper_bound(attempt: Attempt, reply: Reply) -> Usage:
    said = [out if isinstance(out, str) else str(out) for out in reply.outputs]
    size = sum(len(text.encode("utf-8", "replace")) for text in said)
    return Usage(prompt_bound(attempt.messages), size, estimated=True)
