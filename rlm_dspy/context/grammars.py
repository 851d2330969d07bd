"""The programming languages that tree-sitter can read here (the extra `code`)."""

import importlib
from functools import cache
from typing import Any

# The ending of a file: the module with its grammar, and the function there that gives it.
_GRAMMARS = {
    "py": ("python", "language"),
    "pyi": ("python", "language"),
    "js": ("javascript", "language"),
    "jsx": ("javascript", "language"),
    "mjs": ("javascript", "language"),
    "cjs": ("javascript", "language"),
    "ts": ("typescript", "language_typescript"),
    "tsx": ("typescript", "language_tsx"),
    "go": ("go", "language"),
    "rs": ("rust", "language"),
    "java": ("java", "language"),
    "c": ("c", "language"),
    "h": ("c", "language"),
    "cc": ("cpp", "language"),
    "cpp": ("cpp", "language"),
    "cxx": ("cpp", "language"),
    "hpp": ("cpp", "language"),
    "cs": ("c_sharp", "language"),
    "rb": ("ruby", "language"),
    "php": ("php", "language_php"),
}


@cache
def languages() -> dict[str, Any]:
    """The languages by the endings of their files; a process to be locked down asks before."""
    try:
        from tree_sitter import Language
    except ImportError:
        return {}
    found: dict[str, Any] = {}
    for ending, (module, function) in _GRAMMARS.items():
        try:
            grammar = importlib.import_module(f"tree_sitter_{module}")
        except ImportError:
            continue
        found[ending] = Language(getattr(grammar, function)())  # ty: ignore[deprecated]
    return found
