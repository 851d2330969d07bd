"""The one way to a model: every call of every predictor passes here, and its attempts behind it."""

import asyncio
import copy
import itertools
import logging
from typing import Any

import dspy
from dspy.adapters.chat_adapter import ChatAdapter
from dspy.clients.base_lm import BaseLM
from dspy.dsp.utils.settings import main_thread_config
from dspy.utils.exceptions import AdapterParseError, LMError

from rlm_dspy.account import EXTRACT, SUB_QUERY, Account, SubAccount
from rlm_dspy.adapters import ReplAdapter, Wire
from rlm_dspy.bridges import Bridge
from rlm_dspy.dspy_errors import ProviderError
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import Event
from rlm_dspy.models.capabilities import constraint_for, supports_stop
from rlm_dspy.models.meter import metered
from rlm_dspy.models.several import each_lm, own_lm
from rlm_dspy.options import RLMOptions
from rlm_dspy.queries.attempts import Attempts
from rlm_dspy.queries.blocking import by_call, in_thread, is_blocking

logger = logging.getLogger(__name__)


class Scheduler:
    """Asks models on behalf of one run.

    Args:
        account: Where attempts are reserved and charged.
        log: Where each attempt's event goes.
        options: The run's options.
    """

    def __init__(self, account: Account | SubAccount, log: EventLog, options: RLMOptions):
        self.account = account
        self.log = log
        self.options = options
        self._attempts = Attempts(account, log, options)
        self._wire = wire_of if options.constrain == "auto" else _no_constraint
        self._adapter = ReplAdapter(self._wire)

    def child(self, account: SubAccount, log: EventLog) -> "Scheduler":
        """The same for a sub-run: it shares what may be in flight, and takes turns with this."""
        child = copy.copy(self)
        child.account, child.log = account, log
        child._attempts = self._attempts.child(account, log)
        return child

    def again(self, events: list[Event]) -> None:
        """Has recorded events happen again, without asking anybody."""
        self._attempts.again(events)

    def require_prices(self, *lms: Any) -> None:
        """Refuses a dollar limit that cannot be kept, before anything is spent.

        Args:
            *lms: The LMs or sub-models that a run will ask; None for one that is not known yet.

        Raises:
            ConfigurationError: Dollars are limited and an LM's price is unknown.
        """
        if self.account.dollar_limit:
            for lm in itertools.chain.from_iterable(map(each_lm, lms)):
                if isinstance(lm, BaseLM):
                    self._attempts.sizes.require_price(lm)

    async def call(
        self, predictor: Any, role: str, lm: Any = None, /, **inputs: Any
    ) -> dspy.Prediction:
        """Asks a predictor.

        Args:
            predictor: A `dspy.Predict`, or anything that is called like one.
            role: "plan", "sub_query", "extract" or "direct".
            lm: The LM; None for the predictor's own, else dspy's configured one. Of several, each
                is asked where the one before does not answer.
            **inputs: The predictor's inputs, and `signature=` or `config=` as dspy takes them.

        Returns:
            The prediction.

        Raises:
            BudgetExceeded: A limit refuses the call, or time ran out in it.
            ProviderError: The model does not answer.
            AdapterParseError: The reply is not what the signature says.
            ConfigurationError: There is no LM, a dollar limit without a known price, or an adapter
                with an LM of its own.
        """
        *instead, last = each_lm(lm if isinstance(lm, tuple) else self.lm_of(predictor, lm))
        for one in instead:
            try:
                return await self._call(predictor, role, one, inputs)
            except ProviderError as error:
                logger.info("%s does not answer, another model is asked: %s", one.model, error)
        return await self._call(predictor, role, last, inputs)

    async def _call(
        self, predictor: Any, role: str, lm: BaseLM | None, inputs: dict[str, Any]
    ) -> dspy.Prediction:
        lm = self.lm_of(predictor, lm)
        bridge = Bridge()
        with dspy.context(**self._overrides(role)):
            if not hasattr(predictor, "acall"):
                return await asyncio.to_thread(predictor, **inputs)
            self._check(lm)
            twin = self._metered(lm, role, bridge) if isinstance(lm, BaseLM) else lm
            try:
                if is_blocking(predictor):
                    return await in_thread(predictor, twin, bridge, inputs)
                return await predictor.acall(lm=twin, **inputs)
            except (AdapterParseError, ProviderError):
                raise
            except LMError as error:
                raise ProviderError(
                    str(error), model=getattr(lm, "model", None), status=error.status
                ) from error
            finally:
                bridge.close()

    def lm_of(self, predictor: Any, lm: BaseLM | None) -> Any:
        """The LM that a predictor is asked on."""
        return lm or own_lm(predictor) or dspy.settings.lm

    def longest_reply(self, lm: Any) -> int:
        """How long a reply of an LM may be, in tokens, as the user or the options have it."""
        given = getattr(lm, "kwargs", None) or {}
        most = given.get("max_tokens") or given.get("max_completion_tokens")
        return int(most or self.options.max_tokens)

    def room_for_findings(self, lm: Any) -> int:
        """How many characters the last extraction can afford to read.

        Args:
            lm: The LM that it is asked on.
        """
        left = self.account.left("tokens", EXTRACT)
        if self.account.dollar_limit and isinstance(lm, BaseLM):
            price = self._attempts.sizes.price(lm)
            each = price.most(1_000, 0) / 1_000 if price else 0.0
            if each > 0:
                left = min(left, self.account.left("dollars", EXTRACT) / each)
        return int(min(max(left * 0.6 - 200, 0), 1 << 40))

    def takes_grammar(self, lm: Any) -> bool:
        """Whether a request may carry a grammar for the whole reply."""
        return dspy.settings.adapter is None and self._wire(lm).constraint == "grammar"

    def _overrides(self, role: str) -> dict[str, Any]:
        adapter = dspy.settings.adapter or self._adapter
        _refuse_own_lm(adapter)
        overrides: dict[str, Any] = {}
        salvaged = role in ("plan", SUB_QUERY)
        if salvaged and isinstance(adapter, ChatAdapter) and adapter.use_json_adapter_fallback:
            # A plain text is an answer, and a bare block of code a step: no second call in another
            # format.
            adapter = copy.copy(adapter)
            adapter.use_json_adapter_fallback = False
        if role == SUB_QUERY and dspy.settings.trace is main_thread_config.trace:
            overrides["trace"] = None  # nobody reads the global list: 85 MB after 2,000 calls
        return {"adapter": by_call(adapter), **overrides}

    def _metered(self, lm: BaseLM, role: str, bridge: Bridge) -> BaseLM:
        tree = self._attempts.tree
        tree.sub_queries += role == SUB_QUERY
        remembered = role != SUB_QUERY or tree.sub_queries <= self.options.inherit_history
        return metered(lm, role, self._attempts.gate, remembered=remembered, bridge=bridge)

    def _check(self, lm: Any) -> None:
        if lm is None:
            raise ConfigurationError(
                "No LM is loaded. Call dspy.configure(lm=dspy.LM('openai/gpt-5')) first, "
                "or dspy.configure(lm=resolve_lm()) for the model that RLM_MODEL names."
            )
        if isinstance(lm, str):
            raise ConfigurationError(
                f"LM must be an instance of dspy.BaseLM, not the string {lm!r}: "
                f"write dspy.LM({lm!r}).",
                value=lm,
            )


def _refuse_own_lm(adapter: Any) -> None:
    """Refuses an adapter that asks an LM itself, which neither the budget nor privacy would see.

    Raises:
        ConfigurationError: It has one.
    """
    for name, lm in getattr(adapter, "__dict__", {}).items():
        if isinstance(lm, BaseLM):
            raise ConfigurationError(
                f"{type(adapter).__name__} asks an LM of its own ({name}: {lm.model!r}), which no "
                "budget and no rule about who may read the inputs would hold: take "
                "dspy.ChatAdapter() or dspy.JSONAdapter(), or call the module under "
                "dspy.context(adapter=None), which needs no second model to read a reply.",
                adapter=type(adapter).__name__,
                model=lm.model,
            )


def wire_of(lm: Any) -> Wire:
    """What an LM's server takes."""
    return Wire(stop=supports_stop(lm), constraint=constraint_for(lm))


def _no_constraint(lm: Any) -> Wire:
    return Wire(stop=supports_stop(lm))
