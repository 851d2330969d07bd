"""What a session is started with."""

from dataclasses import dataclass
from typing import Any

from rlm_dspy.errors import ConfigurationError
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
        seed: What everything random in it follows from; None: the system's randomness.

    Raises:
        ConfigurationError: One of them is out of its range.
    """

    step_seconds: float | None = 30.0
    memory_mb: int = 2048
    max_output_chars: int = 10_000
    require: bool = False
    snapshots: bool = True
    layers: tuple[str, ...] = LAYERS
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.step_seconds is not None and not self.step_seconds > 0:
            raise ConfigurationError(f"step_seconds={self.step_seconds!r} must be above 0, or None")
        if self.memory_mb < 16:
            raise ConfigurationError(f"memory_mb={self.memory_mb!r} must be at least 16")
        if self.max_output_chars < 1:
            got = f"max_output_chars={self.max_output_chars!r}"
            raise ConfigurationError(f"{got} must be at least 1")
        if not (self.seed is None or type(self.seed) is int):
            raise ConfigurationError(f"seed={self.seed!r} must be an int, or None")

    def start_message(self) -> dict[str, Any]:
        """The worker's share of it."""
        return {
            "layers": list(self.layers),
            "memory_mb": self.memory_mb,
            # A second line behind the host's clock, of all steps together: an hour at least.
            "cpu_seconds": max(3600, int((self.step_seconds or 0) * 100)),
            "max_output_chars": self.max_output_chars,
            "seed": self.seed,
        }
