"""A user's own questions: a JSONL or CSV file, or a data set of the HuggingFace hub.

Each row has `context`, `question` and `answer`, and may have `metric` (a name of
`eval.metrics.METRICS`), `id`, `context_id` and `group`. `answer` is what the metric takes as right,
the scorer's gold: a text; for "ruler" a text or a list of texts, for "oolong_pairs" a list of pairs
of ints, for "graphwalks" a list of texts (where a column has only texts, the list as JSON). Without
a `metric` it is compared by "exact" (see `eval.metrics`), which takes any of a list. All other
columns become attributes of the example; "oolong_synth" needs `answer_type`, "mrcr" `prefix`. Ids
are unique, a row's number where it gives none; what is null is as if it were not there.

    python -m eval run folder:questions.jsonl
    python -m eval run folder:OWNER/NAME@REVISION:SPLIT

Source and licence: the user's.
"""

import contextlib
import csv
import io
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dspy

from eval import hub
from eval.hashing import hashed
from eval.jsonl import json_object
from eval.metrics import METRICS, Metric, metric_named
from eval.tasks.task import Task
from eval.tokens import approximate_tokens
from rlm_dspy import ConfigurationError, ContextError

COLUMNS = ("context", "question", "answer")
DEFAULT_METRIC = "exact"
_HUB = re.compile(
    r"(?P<repo>\w[\w.-]*/[\w.-]+?)(?:@(?P<revision>[\w./-]+))?(?::(?P<split>[\w-]+))?"
)
_FILES = (".jsonl", ".csv")
# The ending of a file: letters and digits, unlike those of "data-1.0" and of "data.v2:train".
_ENDING = re.compile(r"\.[a-z]\w*", re.IGNORECASE)


def load(
    n: int = 50,
    *,
    lengths: Sequence[int] = (),
    seed: int = 1,
    generated: bool = False,
    part: str | None = None,
) -> list[dspy.Example]:
    """Loads examples; see `eval.tasks`.

    Args:
        n: How many, at most, 1 or more; a seeded draw where there are more.
        lengths: Ignored: contexts are as long as they are.
        seed: Which ones.
        generated: Ignored.
        part: A `.jsonl` or `.csv` file, or "OWNER/NAME@REVISION:SPLIT" of the hub (the split is
            "test" where none is named).

    Returns:
        The examples, in the order of the data.

    Raises:
        ConfigurationError: No data is named, or a file of another kind; a row lacks a column or has
            an unknown metric, an answer that its metric cannot score or a context or a question
            that is no text; two rows have one id; or `n` is below 1.
        ContextError: The data cannot be read, or holds no row.
    """
    if not part:
        raise ConfigurationError("The task 'folder' needs data: write folder:questions.jsonl.")
    if n < 1:
        raise ConfigurationError(f"n={n} examples: write a number above 0.", n=n)
    examples = [_example(row, number, part, seed) for number, row in enumerate(_rows(part), 1)]
    _require_unique(examples, part)
    if not examples:
        raise ContextError(f"{part} holds no rows.")
    if len(examples) <= n:
        return examples
    drawn = random.Random(f"folder-{seed}").sample(range(len(examples)), n)
    return [examples[number] for number in sorted(drawn)]


def _rows(part: str) -> Iterator[dict[str, Any]]:
    path = Path(part)
    ending = path.suffix.lower()
    if ending in _FILES:
        try:
            text = path.read_text(encoding="utf-8-sig")
            yield from _jsonl(path, text) if ending == ".jsonl" else _csv(text)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ContextError(f"{path} cannot be read: {error}.") from error
    elif path.is_file() or ("@" not in part and _ENDING.fullmatch(ending)):
        raise ConfigurationError(
            f"{part!r} is the name of a file that is neither {' nor '.join(_FILES)}: write its "
            "rows as one of them. A data set of the hub with such a name needs its split: "
            "OWNER/NAME:SPLIT."
        )
    elif match := _HUB.fullmatch(part):
        yield from hub.rows(match["repo"], match["revision"], match["split"] or "test")
    else:
        raise ConfigurationError(
            f"{part!r} is neither a {' nor a '.join(_FILES)} file nor OWNER/NAME@REVISION:SPLIT."
        )


def _jsonl(path: Path, text: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield json_object(line, f"Line {number} of {path}")


def _csv(text: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(sys.maxsize)  # a context is one field
    yield from csv.DictReader(io.StringIO(text, newline=""))


def _example(row: dict[str, Any], number: int, part: str, seed: int) -> dspy.Example:
    if None in row:  # what csv calls the fields behind the header's last
        raise ConfigurationError(
            f"Row {number} of {part} has more fields than the header has names: quote a field that "
            "holds a comma.",
            row=number,
        )
    row = {name: value for name, value in row.items() if value is not None}
    _require(COLUMNS, row, number, part, "every row")
    for name in ("context", "question"):
        if isinstance(row[name], (list, dict)):
            raise ConfigurationError(
                f"The {name} of row {number} of {part} is a {type(row[name]).__name__}: write it "
                "as one text.",
                row=number,
            )
    try:
        metric = metric_named(_given(row, "metric", DEFAULT_METRIC))
    except ConfigurationError as error:
        raise ConfigurationError(f"Row {number} of {part}: {error}", row=number) from error
    filled = {name: value for name, value in row.items() if value != ""}
    _require(metric.needs, filled, number, part, f"the metric {metric.name!r}")
    context, question = str(row["context"]), str(row["question"])
    example = dspy.Example(
        {
            **row,
            "context": context,
            "question": question,
            "gold": _gold(row["answer"]) if _is_written(metric, part) else row["answer"],
            "id": _given(row, "id", f"row-{number}"),  # no path: the same data by another
            "context_id": _given(row, "context_id", hashed(context)),
            "task": "folder",
            "group": _given(row, "group", "all"),
            "metric": metric.name,
            "length": approximate_tokens(context),
            "seed": seed,
        }
    ).with_inputs("context", "question")
    try:
        return example.copy(answer=metric.right_answer(example))
    except ConfigurationError as error:
        raise ConfigurationError(f"Row {number} of {part}: {error}", row=number) from error


def _is_written(metric: Metric, part: str) -> bool:
    """Whether a text may be a list as JSON: not where both can be told apart, as in JSONL."""
    return metric.lists and not (metric.texts and Path(part).suffix.lower() == ".jsonl")


def _gold(answer: Any) -> Any:
    """A list, also one that is written as JSON; a text that is none as it is."""
    if isinstance(answer, str):
        with contextlib.suppress(ValueError, RecursionError):
            written = json.loads(answer)
            return written if isinstance(written, list) else answer
    return answer


def _require(names: Sequence[str], row: dict[str, Any], number: int, part: str, who: str) -> None:
    missing = [name for name in names if name not in row]
    if missing:
        raise ConfigurationError(
            f"Row {number} of {part} has no {', '.join(missing)}: {who} needs {', '.join(names)}.",
            row=number,
        )


def _require_unique(examples: Sequence[dspy.Example], part: str) -> None:
    counts = Counter(example.id for example in examples)
    for name, count in counts.items():
        if count > 1:
            raise ConfigurationError(
                f"{count} rows of {part} have the id {name!r}: give every row an id of its own, or "
                "leave the column out.",
                id=name,
            )


def _given(row: dict[str, Any], name: str, default: str) -> str:
    """A column's value as a text, 0 too; the default where it is not there or empty."""
    value = str(row.get(name, ""))
    return default if value == "" else value


TASK = Task(
    name="folder",
    summary="your own questions, with the metric that each row names",
    needs="a .jsonl or .csv file, or OWNER/NAME@REVISION:SPLIT of the hub",
    licence="yours",
    metrics=(DEFAULT_METRIC,),
    parts={"PATH": "a .jsonl or .csv file", "OWNER/NAME@REVISION:SPLIT": "a data set of the hub"},
    load=load,
    row_metrics=tuple(METRICS),
)
