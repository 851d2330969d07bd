"""A HuggingFace dataset as documents; `datasets` itself is not imported."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rlm_dspy.context.sources import TEXT_NAMES, Source, source_of
from rlm_dspy.errors import ContextError


def documents_of(dataset: Iterable[Any], text: str | None) -> list[Source]:
    """The rows of a dataset as documents, or as one where they have no text.

    Args:
        dataset: One split of a dataset, or any iterable of dicts.
        text: The column with the text; None: one that texts usually go by.

    Raises:
        ContextError: It has no rows, or not that column; or it holds several splits.
    """
    if isinstance(dataset, Mapping):
        raise ContextError(
            f"The dataset has the splits {', '.join(map(str, dataset))}: give one of them, such as "
            f"dataset[{next(iter(dataset), 'train')!r}].",
        )
    rows = list(dataset)
    columns = list(rows[0]) if rows and isinstance(rows[0], Mapping) else []
    if not columns:
        raise ContextError("The dataset has no rows: give a split that has some.")
    if text is not None and text not in columns:
        raise ContextError(
            f"The dataset has no column {text!r}, but {', '.join(map(repr, columns))}.", text=text
        )
    name = text or next((name for name in TEXT_NAMES if isinstance(rows[0].get(name), str)), None)
    if name is None:
        lines = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        return [Source("".join(lines).encode("utf-8", "replace"), metadata={"kind": "jsonl"})]
    return [
        source_of({**row, "text": "" if row[name] is None else row[name], **_named(name)})
        for row in rows
    ]


def _named(column: str) -> dict[str, None]:
    """The text's own column, which is no metadata."""
    return {column: None} if column != "text" else {}
