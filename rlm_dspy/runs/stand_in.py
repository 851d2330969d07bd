"""What stands in for an LM where a record answers: it has the LM's features and no model."""

from collections.abc import Mapping
from typing import Any

import dspy

from rlm_dspy.errors import ReplayMismatch


class StandIn(dspy.BaseLM):
    """An LM as it was recorded.

    Args:
        about: What `features` says of the LM.
    """

    def __init__(self, about: Mapping[str, Any]):
        super().__init__(about.get("model", ""), model_type=about.get("model_type") or "chat")
        self.kwargs = dict(about.get("kwargs") or {})
        self.cache = bool(about.get("cache"))
        self.num_retries = 0
        self.window: int | None = about.get("window")
        self.recorded_stop = bool(about.get("stop"))
        self.recorded_constraint = about.get("constraint")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Refuses: there is no model.

        Raises:
            ReplayMismatch: Always.
        """
        raise ReplayMismatch(
            f"{self.model} was asked for something that the record does not hold, and a replay has "
            "no model. Resume or fork the run instead."
        )

    async def aforward(self, *args: Any, **kwargs: Any) -> Any:
        """See `forward`."""
        return self.forward(*args, **kwargs)
