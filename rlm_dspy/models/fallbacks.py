"""`Fallbacks`: several models as one LM, of which each stands in where the one before fails.

For whatever takes one LM, as `dspy.configure(lm=…)` does. Inside of an `RLM` run the scheduler asks
its `alternatives` one by one instead, so that each attempt is reserved, priced and recorded as that
of the model that it goes to. LiteLLM's own `fallbacks=` would hide them from the budget.
"""

import logging
from collections.abc import Sequence
from typing import Any

import dspy
from dspy.clients._deprecation import adapter_message_call
from dspy.clients.base_lm import LM_CLASS_STATE_KEY
from dspy.utils.exceptions import LMError

logger = logging.getLogger(__name__)


class Fallbacks(dspy.BaseLM):
    """Several models, in the order in which they are tried.

    Args:
        alternatives: The LMs, at least one. What is known of this LM (its name, parameters and
            cache) is known of the first.
    """

    def __init__(self, alternatives: Sequence[dspy.BaseLM]):
        first = alternatives[0]
        super().__init__(
            first.model,
            model_type=getattr(first, "model_type", "chat"),
            cache=getattr(first, "cache", True),
            num_retries=getattr(first, "num_retries", 0),
        )
        self.kwargs = dict(first.kwargs)
        self.alternatives = tuple(alternatives)

    def __call__(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """What the first model answers that does."""
        *instead, last = self.alternatives
        for lm in instead:
            try:
                with adapter_message_call(lm, messages):
                    return lm(prompt, messages=messages, **kwargs)
            except LMError as error:
                _note(lm, error)
        with adapter_message_call(last, messages):
            return last(prompt, messages=messages, **kwargs)

    async def acall(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """`__call__` for asynchronous code."""
        *instead, last = self.alternatives
        for lm in instead:
            try:
                with adapter_message_call(lm, messages):
                    return await lm.acall(prompt, messages=messages, **kwargs)
            except LMError as error:
                _note(lm, error)
        with adapter_message_call(last, messages):
            return await last.acall(prompt, messages=messages, **kwargs)

    def copy(self, **kwargs: Any) -> "Fallbacks":
        """Copies of all of them, with these parameters."""
        return Fallbacks([lm.copy(**kwargs) for lm in self.alternatives])

    def dump_state(self) -> dict[str, Any]:
        """What a saved program keeps: no keys."""
        return {
            LM_CLASS_STATE_KEY: super().dump_state()[LM_CLASS_STATE_KEY],
            "model": self.model,
            "alternatives": [lm.dump_state() for lm in self.alternatives],
        }

    @classmethod
    def load_state(
        cls, state: dict[str, Any], *, allow_custom_lm_class: bool = False
    ) -> "Fallbacks":
        """The LM of a saved program."""
        allow = allow_custom_lm_class
        return cls(
            [
                dspy.BaseLM.load_state(each, allow_custom_lm_class=allow)
                for each in state["alternatives"]
            ]
        )

    @property
    def supports_function_calling(self) -> bool:
        """Whether all of them do; so for what follows."""
        return all(lm.supports_function_calling for lm in self.alternatives)

    @property
    def supports_reasoning(self) -> bool:
        """Whether all of them do."""
        return all(lm.supports_reasoning for lm in self.alternatives)

    @property
    def supports_response_schema(self) -> bool:
        """Whether all of them do."""
        return all(lm.supports_response_schema for lm in self.alternatives)

    @property
    def supported_params(self) -> set[str]:
        """What all of them take."""
        return set.intersection(*(set(lm.supported_params) for lm in self.alternatives))


def _note(lm: dspy.BaseLM, error: LMError) -> None:
    logger.info("%s does not answer, another model is asked: %s", lm.model, error)
