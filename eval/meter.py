"""A model whose every call is counted, bounded and, after a kill, not paid again.

The twin of an LM is an LM of the same class, so that DSPy, its optimizers and `RLM` treat it as
that one; copies of it charge the same account.
"""

import asyncio
import functools
import time
from typing import Any

from eval.accounts import Account

# How often a call asks whether those under way have made room for it.
WAIT_SECONDS = 0.02


def metered(lm: Any, account: Account) -> Any:
    """An LM's twin that charges an account.

    Args:
        lm: A `dspy.LM` or `dspy.BaseLM`, or several that stand in for each other; nothing on it
            changes.
        account: What its calls are charged to.

    Raises:
        ConfigurationError: Dollars are limited and the LM's price is unknown.
    """
    if several := getattr(lm, "alternatives", None):  # a run asks them one by one
        chain = lm.copy()
        chain.alternatives = tuple(metered(each, account) for each in several)
        return chain
    account.purse.require_price(lm.model)
    twin = lm.copy()
    twin.__class__ = _metered_class(type(lm))
    twin._account = account
    return twin


@functools.cache
def _metered_class(cls: Any) -> type:
    def call(self: Any, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> list[Any]:
        one = self._account.begin(self, messages or prompt, kwargs)
        if one.outputs is None:
            while not self._account.admit(one):
                time.sleep(WAIT_SECONDS)
            with self._account.paying(one):
                one.outputs = cls.__call__(self, prompt, messages=messages, **one.kwargs)
        return one.outputs

    async def acall(
        self: Any, prompt: Any = None, *, messages: Any = None, **kwargs: Any
    ) -> list[Any]:
        one = self._account.begin(self, messages or prompt, kwargs)
        if one.outputs is None:
            while not self._account.admit(one):
                await asyncio.sleep(WAIT_SECONDS)
            with self._account.paying(one):
                one.outputs = await cls.acall(self, prompt, messages=messages, **one.kwargs)
        return one.outputs

    # Of the module of its class: that tells `RLM` whether the LM brings an `acall` of its own.
    named = {"__module__": cls.__module__, "__doc__": cls.__doc__}
    return type(cls.__name__, (cls,), {"__call__": call, "acall": acall, **named})
