"""Which providers may read the files of a folder: `.rlm.toml` in it, or in a folder above it.

    providers = ["local", "ollama"]

"local" is every model on this machine. Every rule on the way up counts, so that a folder inside
cannot allow what one above it does not, and so do those over what a link leads to. Promised: a rule
that cannot be read allows nothing.
"""

import os
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models.places import elsewhere, provider_name
from rlm_dspy.models.several import each_lm

NAME = ".rlm.toml"


@dataclass(frozen=True)
class Rule:
    """What one file says.

    Args:
        file: The file.
        providers: The providers that may read what lies in its folder or below.
    """

    file: Path
    providers: tuple[str, ...]

    def allows(self, lm: Any) -> bool:
        """Whether a model may read it."""
        return provider_name(lm) in self.providers or (
            "local" in self.providers and not elsewhere(lm)
        )


def refuse_forbidden(paths: Iterable[str | Path], lms: Iterable[Any]) -> None:
    """Refuses models that may not read all of these files.

    Args:
        paths: The files; what is no path of a file that is there has no rule.
        lms: LMs, sub-models, or None for one that is not known yet.

    Raises:
        ConfigurationError: A rule does not allow a model's provider, or cannot be read.
    """
    asked = [each for given in lms for each in each_lm(given) if each is not None]
    known: dict[Path, Rule | None] = {}
    allowed: set[Path] = set()
    for path in paths:
        for rule in _rules_over(Path(path), known):
            if rule.file in allowed:
                continue
            for lm in asked:
                if not rule.allows(lm):
                    raise _forbidden(path, rule, lm)
            allowed.add(rule.file)


def _rules_over(path: Path, known: dict[Path, Rule | None]) -> Iterator[Rule]:
    places = dict.fromkeys((Path(os.path.abspath(path)), Path(os.path.realpath(path))))
    for folder in dict.fromkeys(above for place in places for above in place.parents):
        if folder not in known:
            known[folder] = _rule_in(folder)
        if (rule := known[folder]) is not None:
            yield rule


def _rule_in(folder: Path) -> Rule | None:
    file = folder / NAME
    if not os.path.lexists(file):
        return None
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _broken(file, f"cannot be read ({error})") from error
    if unknown := sorted(set(said) - {"providers"}):
        raise _broken(file, f"has the unknown keys {unknown}")
    providers = said.get("providers")
    if not isinstance(providers, list) or not all(isinstance(each, str) for each in providers):
        raise _broken(file, "has no list of names under providers")
    return Rule(file, tuple(providers))


def _broken(file: Path, what: str) -> ConfigurationError:
    return ConfigurationError(
        f'{file}: {what}, so nothing below it may be read: write providers = ["local", …].',
        path=str(file),
    )


def _forbidden(path: str | Path, rule: Rule, lm: Any) -> ConfigurationError:
    provider = provider_name(lm)
    return ConfigurationError(
        f"{path} may not be read by {lm.model!r}: its provider {provider!r} is not among "
        f"providers = {list(rule.providers)} of {rule.file}. Ask a model that is, or leave the "
        "file out.",
        path=str(path),
        provider=provider,
        rule=str(rule.file),
    )
