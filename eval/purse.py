"""What calls of models cost, and a limit that they never exceed together.

A call is reserved at its worst case before it is made and settled at what was used; so however many
are in flight, the limit holds.
"""

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

from rlm_dspy import BudgetExceeded, ConfigurationError

# Models that cost nothing by the beginning of their names.
FREE = ("local/", "simulated/")
MILLION = 1_000_000


@dataclass(frozen=True)
class Bill:
    """What calls used.

    Args:
        calls: Calls that a model answered, or may have; not those that dspy's cache answered.
        prompt_tokens: Tokens of prompts.
        completion_tokens: Tokens of replies.
        cached_tokens: Prompt tokens that a provider's prompt cache answered.
        dollars: US dollars; 0 where no price is known.
        estimated_calls: Calls that reported no usage: their tokens are upper bounds.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    dollars: float = 0.0
    estimated_calls: int = 0

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Bill") -> "Bill":
        return Bill(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def as_dict(self) -> dict[str, Any]:
        """The numbers by name, dollars rounded to a billionth."""
        return {**asdict(self), "dollars": round(self.dollars, 9)}


class Prices:
    """The prices of models, from LiteLLM's list.

    Args:
        given: Prices by the model's name, in dollars a million tokens of prompts and of replies;
            they win over the list.
    """

    def __init__(self, given: Mapping[str, tuple[float, float]] | None = None) -> None:
        self._given = dict(given or {})

    def known(self, model: str) -> bool:
        """Whether a model has a price."""
        return self.dollars(model, 1, 1) is not None

    def dollars(self, model: str, prompt: int, completion: int, cached: int = 0) -> float | None:
        """What tokens of a model cost; None where no price is known.

        Args:
            model: Its LiteLLM name.
            prompt: Tokens of the prompt, cached ones included.
            completion: Tokens of the reply.
            cached: Tokens that the provider's prompt cache answered.
        """
        if model in self._given:
            read, write = self._given[model]
            return (prompt * read + completion * write) / MILLION
        if model.startswith(FREE):
            return 0.0
        import litellm

        litellm.suppress_debug_info = True  # it prints a list of providers where it knows no price
        try:
            return sum(
                litellm.cost_per_token(
                    model=model,
                    prompt_tokens=prompt,
                    completion_tokens=completion,
                    cache_read_input_tokens=cached,
                )
            )
        except Exception:  # noqa: BLE001 - LiteLLM raises plain exceptions for an unknown model
            return None


class Purse:
    """Dollars that many calls spend together.

    Args:
        dollars: The limit; None for none.
        prices: What models cost.
        spent: What was spent before.
    """

    def __init__(
        self, dollars: float | None = None, prices: Prices | None = None, spent: float = 0.0
    ) -> None:
        self.limit = dollars
        self.prices = prices or Prices()
        self._spent = spent
        self._reserved = 0.0
        self._held = 0.0
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Purse":
        return self

    @property
    def spent(self) -> float:
        """Dollars spent."""
        return self._spent

    @property
    def left(self) -> float:
        """Dollars that are not spent nor kept back; calls under way may still take some."""
        return float("inf") if self.limit is None else self.limit - self._spent - self._held

    def require_price(self, model: str) -> None:
        """Refuses a limit that cannot be kept.

        Raises:
            ConfigurationError: Dollars are limited and the model's price is unknown.
        """
        if self.limit is not None and not self.prices.known(model):
            raise ConfigurationError(
                f"The price of {model!r} is unknown, so a limit of {self.limit:g} dollars cannot "
                f"be kept: give it as --price {model}=IN,OUT in dollars a million tokens, or "
                "leave --budget-dollars out.",
                model=model,
            )

    @contextmanager
    def holding(self, dollars: float) -> Generator[None]:
        """Keeps dollars back from all calls in the block."""
        self._held += dollars
        try:
            yield
        finally:
            self._held -= dollars

    def reserve(self, dollars: float) -> bool:
        """Sets dollars aside for a call.

        Returns:
            Whether they were; not where calls under way stand in the way, most of which use far
            less than what was set aside for them: try again when one has ended.

        Raises:
            BudgetExceeded: So many are not left.
        """
        with self._lock:
            if dollars > self.left:
                raise BudgetExceeded(
                    f"The limit of {self.limit:g} dollars refuses a call that may cost "
                    f"{dollars:g}: {max(self.left, 0):g} are left.",
                    limit="dollars",
                    asked=dollars,
                    left=self.left,
                )
            if dollars > self.left - self._reserved:
                return False
            self._reserved += dollars
            return True

    def settle(self, reserved: float, paid: float) -> None:
        """Frees what was set aside for a call and pays what it cost."""
        with self._lock:
            self._reserved -= reserved
            self._spent += paid
