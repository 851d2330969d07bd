"""A program's prompts: what an optimizer changes, told apart and shown side by side."""

import difflib
import hashlib
import json
from typing import Any

import dspy


def prompts_of(program: dspy.Module) -> dict[str, dict[str, Any]]:
    """The prompts of a program's predictors by name: `instructions`, and `demos` as plain data."""
    return {
        name: {
            "instructions": predictor.signature.instructions,
            "demos": predictor.dump_state()["demos"],
        }
        for name, predictor in program.named_predictors()
    }


def prompt_hashes(program: dspy.Module) -> dict[str, str]:
    """Twelve hexadecimal digits for each predictor's prompt, by the predictor's name."""
    return {
        name: hashlib.sha256(_text(prompt).encode("utf-8", "surrogatepass")).hexdigest()[:12]
        for name, prompt in prompts_of(program).items()
    }


def prompts_diff(before: dspy.Module, after: dspy.Module) -> str:
    """What differs between the prompts of two programs of one kind, as a unified diff.

    Returns:
        A diff a predictor that differs; "" where none does.
    """
    old, new = prompts_of(before), prompts_of(after)
    parts = []
    for name in old:
        lines = difflib.unified_diff(
            _text(old[name]).splitlines(),
            _text(new[name]).splitlines(),
            f"{name} before",
            f"{name} after",
            lineterm="",
        )
        if text := "\n".join(lines):
            parts.append(text)
    return "\n\n".join(parts)


def _text(prompt: dict[str, Any]) -> str:
    demos = [
        f"demo {number}:\n"
        + "\n".join(f"  {key}: {_shown(value)}" for key, value in sorted(demo.items()))
        for number, demo in enumerate(prompt["demos"], 1)
    ]
    return "\n".join([prompt["instructions"], *demos])


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=repr, sort_keys=True)
    return text.replace("\n", "\n    ")
