"""Data sets of the HuggingFace hub, streamed at a pinned revision.

`RLM_DATASETS_DIR` names a folder with copies: where `DIR/OWNER/NAME` is there, it is read instead
of the hub, as it stands.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from rlm_dspy import ConfigurationError, ContextError

Row = dict[str, Any]
VARIABLE = "RLM_DATASETS_DIR"


def rows(repository: str, revision: str | None, split: str) -> Iterator[Row]:
    """Streams the rows of a split.

    Args:
        repository: "OWNER/NAME".
        revision: The commit, tag or branch; None for the newest.
        split: The split's name.

    Yields:
        One dictionary a row.

    Raises:
        ConfigurationError: The library `datasets` is not installed.
        ContextError: The hub cannot be reached, or it has no such data.
    """
    try:
        import datasets
        from datasets.exceptions import DatasetsError
    except ImportError as error:
        raise ConfigurationError(
            "Data sets are read by the library `datasets`, which is not installed: "
            "`uv sync --extra eval` installs it."
        ) from error
    copy = _copy(repository)
    try:
        yield from datasets.load_dataset(
            str(copy or repository),
            split=split,
            revision=None if copy else revision,
            streaming=True,
        )
    except (OSError, ValueError, DatasetsError) as error:
        raise ContextError(_advice(repository, revision, split, copy, error)) from error


def _copy(repository: str) -> Path | None:
    folder = os.environ.get(VARIABLE)
    path = Path(folder, repository) if folder else None
    return path if path and path.is_dir() else None


def _advice(
    repository: str, revision: str | None, split: str, copy: Path | None, error: Exception
) -> str:
    said = f"{type(error).__name__}: {error}"
    if copy:
        return f"{copy} does not hold the split {split!r} of {repository}: {said}"
    at = f" --revision {revision}" if revision else ""
    return (
        f"{repository} ({split}) cannot be read from the HuggingFace hub: {said}. Where a machine "
        f"reaches it, `hf download {repository} --repo-type dataset{at} --local-dir "
        f"DIR/{repository}` copies it; then set {VARIABLE}=DIR. Or run the task with generated "
        "data, where it has any: it needs no network."
    )


def sampled(
    found: Iterable[Row],
    count: int,
    seed: int,
    *,
    identity: Callable[[Row], str],
    stratum: Callable[[Row], Any],
) -> dict[Any, list[Row]]:
    """Draws rows of a stream in one pass, whatever its order, holding few at a time.

    Args:
        found: The rows.
        count: How many to draw of each stratum.
        seed: Which ones.
        identity: What tells a row from others; of equal ones the first is kept.
        stratum: What a row belongs to.

    Returns:
        The drawn rows by stratum, in the order of the draw; fewer where there are fewer.
    """
    kept: dict[Any, dict[str, tuple[bytes, Row]]] = {}
    for row in found:
        name = identity(row)
        rank = hashlib.sha256(f"{seed}/{name}".encode()).digest()
        held = kept.setdefault(stratum(row), {})
        held.setdefault(name, (rank, row))
        if len(held) > count:
            del held[max(held, key=lambda other: held[other][0])]
    return {
        which: [row for _, row in sorted(held.values(), key=lambda pair: pair[0])]
        for which, held in kept.items()
    }
