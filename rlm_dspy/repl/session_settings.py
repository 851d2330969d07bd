"""What a session is started with."""

from dataclasses import dataclass
from typing import Any

from rlm_dspy.repl.isolation import LAYERS


@dataclass(frozen=True)
class Settings:
    """What a session is started with.

    Args:
        step_seconds: How long the code of one step may run, tools apart; None: without limit.
        memory_mb: Private memory of the worker, MiB.
        max_output_chars: Where a step's output is cut, characters.
        require: Whether every layer of isolation must hold.
        snapshots: Whether to keep a copy to roll back to.
        layers: The isolation layers to apply.
    """

    step_seconds: float | None = 30.0
    memory_mb: int = 2048
    max_output_chars: int = 10_000
    require: bool = False
    snapshots: bool = True
    layers: tuple[str, ...] = LAYERS

    def start_message(self) -> dict[str, Any]:
        """The worker's share of it."""
        return {
            "layers": list(self.layers),
            "memory_mb": self.memory_mb,
            # A second line behind the host's clock, of all steps together: an hour at least.
            "cpu_seconds": max(3600, int((self.step_seconds or 0) * 100)),
            "max_output_chars": self.max_output_chars,
        }
