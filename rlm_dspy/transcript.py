"""The planner's turns of one run, as they were sent, and what came of each."""

from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any


@dataclass
class Transcript:
    """The planner's turns so far: what was sent at each step, and what came of it."""

    turns: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)

    def findings(self, limit: int) -> str:
        """The steps as the last extraction reads them, the newest kept when they are too long."""
        parts: list[str] = []
        room = limit
        for step in reversed(self.steps):
            part = f"{step['code']}\nOutput:\n{step['output']}"
            if len(part) > room:
                parts.append(f"… {part[len(part) - room :]}" if room > 200 else "…")
                break
            parts.append(part)
            room -= len(part)
        return "\n\n".join(reversed(parts)) or "(nothing was run)"

    def repeats(self) -> int:
        """How often the newest step stands at the end, the same code with the same output."""
        newest = [(step["code"], step["output"]) for step in reversed(self.steps)]
        return len(list(takewhile(lambda step: step == newest[0], newest)))
