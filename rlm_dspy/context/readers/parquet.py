"""Parquet: one document a file, a JSON object a line, since its columns may nest."""

from collections.abc import Iterator
from typing import Any

from rlm_dspy.context.readers.base import Blob, Part, needed
from rlm_dspy.context.readers.tables import json_lines

_ROWS = 256


def read(blob: Blob, kind: str) -> Iterator[Part]:
    """The rows.

    Args:
        blob: The file.
        kind: "parquet".
    """
    parquet = needed("pyarrow.parquet", "pyarrow")
    with blob.open() as stream, parquet.ParquetFile(stream) as file:
        about = {"rows": file.metadata.num_rows, "columns": file.schema_arrow.names}
        yield blob.part(json_lines(_rows(blob, file)), kind=kind, **about)


def _rows(blob: Blob, file: Any) -> Iterator[dict[str, Any]]:
    for batch in file.iter_batches(batch_size=_ROWS):
        blob.allowance.take_cells(batch.num_rows * batch.num_columns)
        yield from batch.to_pylist()
