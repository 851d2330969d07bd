"""Recorded runs as training data.

Promised: a prompt is what was sent, message by message, and a target is one reply, last in its row;
a reply that failed is no target unless it is asked for; the same row comes once. What the store
hides (keys) is hidden here; a run that was recorded without its texts gives no row and is counted.
"""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.exchange import digest
from rlm_dspy.runs.filters import RunFilter
from rlm_dspy.runs.row import Row
from rlm_dspy.runs.store import Store, open_store
from rlm_dspy.runs.stored import Stored
from rlm_dspy.runs.turns import Turn, turns_of
from rlm_dspy.settings import store_path

if TYPE_CHECKING:
    from datasets import Dataset

Kind = Literal["sft", "preference"]
Role = Literal["plan", "sub_query", "extract", "direct"]
ENDINGS = (".jsonl", ".parquet")

# Whose replies a run's rating says something of: the others are many, and few of them decide.
_DECISIVE = ("plan", "direct")


class _Candidate(NamedTuple):
    row: Row
    verdict: str
    score: float | None
    turns: list[Turn]


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The rows that recorded runs give, made anew at each iteration, the oldest run first.

    Args:
        kind: "sft": `{"messages": […]}`, the model's reply last. "preference": `{"prompt",
            "chosen", "rejected"}`, each a list of messages, from two runs of the same question of
            which one is better: the first reply in which they differ after the same prompt.
        roles: For "sft": whose replies, of "plan", "sub_query", "extract" and "direct".
        runs: Which runs. Where it does not say otherwise, "sft" takes completed ones that nobody
            rated bad, and "preference" all that are rated or scored.
        failed: Whether replies that failed are targets as well.
        about: Whether a row says which run, step and model it is of.
        store: The store, or its file; None: the one in use.

    Attributes:
        skipped: What the last iteration left out: how many, by reason.

    Raises:
        ConfigurationError: There is no such kind or role.

    Example:
        >>> data = TrainingData(roles=("plan", "sub_query"), runs=RunFilter(rating="good"))
        >>> data.save("turns.jsonl")
        1204
    """

    kind: Kind = "sft"
    roles: tuple[Role, ...] = ("plan",)
    runs: RunFilter = RunFilter()
    failed: bool = False
    about: bool = False
    store: Store | str | None = None
    skipped: Counter[str] = field(default_factory=Counter, init=False)

    def __post_init__(self):
        if self.kind not in ("sft", "preference"):
            raise ConfigurationError(
                f"There is no training data of the kind {self.kind!r}: 'sft' and 'preference' are.",
                kind=self.kind,
            )
        for role in self.roles:
            if role not in ("plan", "sub_query", "extract", "direct"):
                raise ConfigurationError(
                    f"There is no role {role!r}: plan, sub_query, extract and direct are.",
                    role=role,
                )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.skipped.clear()
        seen: set[str] = set()
        for row, about in self._sft() if self.kind == "sft" else self._preference():
            name = digest(json.dumps(row))
            if name in seen:
                self.skipped["duplicates"] += 1
                continue
            seen.add(name)
            yield {**row, **about} if self.about else row

    def save(self, path: str | Path) -> int:
        """Writes the rows.

        Args:
            path: The file: `.jsonl`, a JSON object a line, or `.parquet`, which takes the extra
                `eval`. Without rows there is none.

        Returns:
            How many rows there are.

        Raises:
            ConfigurationError: It ends otherwise, cannot be written, or the extra is missing.
            StoreError: A run cannot be read.
        """
        file = Path(path)
        if file.suffix not in ENDINGS:
            raise ConfigurationError(
                f"{file.name!r} is neither {' nor '.join(ENDINGS)}: name the format by the ending.",
                path=str(path),
            )
        rows = iter(self)
        first = next(rows, None)
        if first is None:
            return 0
        try:
            if file.suffix == ".parquet":
                return _write_parquet([first, *rows], file)
            with file.open("w", encoding="utf-8") as lines:
                count = 0
                for count, row in enumerate(itertools.chain([first], rows), 1):  # noqa: B007
                    lines.write(json.dumps(row, ensure_ascii=False) + "\n")
                return count
        except OSError as error:
            raise ConfigurationError(
                f"{str(path)!r} cannot be written: {error}", path=str(path)
            ) from error

    def as_dataset(self) -> "Dataset":
        """The rows as a `datasets.Dataset`.

        Raises:
            ConfigurationError: The extra `eval` is not installed.
            StoreError: A run cannot be read.
        """
        return _dataset(list(self))

    # Rows, each with what it is about.

    def _sft(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        for candidate in self._candidates():
            row = candidate.row
            for turn in candidate.turns:
                if not self._is_target(turn):
                    continue
                about = {
                    "run": row.id,
                    "role": turn.role,
                    "step": turn.step,
                    "model": turn.model,
                    "question": row.question,
                    "rating": candidate.verdict,
                }
                yield {"messages": [*turn.messages, _said(turn)]}, about

    def _preference(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        questions: dict[tuple[str, str], list[_Candidate]] = defaultdict(list)
        for candidate in self._candidates():
            if candidate.score is None:
                self.skipped["neither rated nor scored"] += 1
                continue
            row = candidate.row
            questions[row.question, row.signature].append(candidate)
        for group in questions.values():
            group.sort(key=lambda candidate: -(candidate.score or 0.0))
            for better, worse in itertools.combinations(group, 2):
                if better.score != worse.score:
                    yield from self._pair(better, worse)

    def _pair(
        self, better: _Candidate, worse: _Candidate
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        found = _difference(better.turns, worse.turns)
        if found is None:
            self.skipped["pairs that differ in no reply to the same prompt"] += 1
            return
        chosen, rejected = found
        if self.runs.model not in (None, rejected.model) or not self._is_target(chosen):
            return
        about = {
            "chosen_run": better.row.id,
            "rejected_run": worse.row.id,
            "step": chosen.step,
            "chosen_model": chosen.model,
            "rejected_model": rejected.model,
            "question": better.row.question,
            "chosen_score": better.score,
            "rejected_score": worse.score,
        }
        row = {
            "prompt": chosen.messages,
            "chosen": [_said(chosen)],
            "rejected": [_said(rejected)],
        }
        yield row, about

    def _is_target(self, turn: Turn) -> bool:
        if self.runs.model not in (None, turn.model):
            return False
        if not turn.is_good and not self.failed:
            self.skipped["replies that failed"] += 1
            return False
        return True

    # Runs.

    def _candidates(self) -> Iterator[_Candidate]:
        store = self.store
        if not isinstance(store, Store):
            store = open_store(store or store_path())
        ratings = store.ratings()
        for row in reversed(store.runs(self.runs.search)):
            verdict = ratings.get(row.id, {}).get("verdict", "")
            if not self.runs.takes(row, verdict) or self._is_unfit(row, verdict):
                continue
            if row.record != "full":
                self.skipped["runs recorded without texts"] += 1
                continue
            stored = Stored.of(store, row.id)
            score = self.runs.scored(stored, verdict)
            if self.runs.least is not None and (score is None or score < self.runs.least):
                continue
            turns, unlike = turns_of(stored.events, store.exchanges(row.id))
            if unlike:
                self.skipped["replies that are not one plain text"] += unlike
            roles = self.roles if self.kind == "sft" else _DECISIVE
            wanted = [turn for turn in turns if turn.role in roles]
            yield _Candidate(row, verdict, score, wanted)

    def _is_unfit(self, row: Row, verdict: str) -> bool:
        """Whether a run is no example to follow, where nobody asked for such."""
        if self.kind != "sft":
            return False
        ended = not self.runs.status and not self.failed and row.state != "completed"
        return ended or (self.runs.rating is None and verdict == "bad")


def _said(turn: Turn) -> dict[str, str]:
    return {"role": "assistant", "content": turn.reply}


def _difference(better: list[Turn], worse: list[Turn]) -> tuple[Turn, Turn] | None:
    """The first replies of two runs that differ, where the prompts before them do not."""
    ours, theirs = (
        [turn for turn in turns if turn.is_last and not turn.run] for turns in (better, worse)
    )
    for one, other in zip(ours, theirs, strict=False):
        if one.messages != other.messages:
            return None
        if one.reply != other.reply:
            return one, other
    return None


def _dataset(rows: list[dict[str, Any]]) -> "Dataset":
    try:
        from datasets import Dataset
    except ImportError as error:
        raise _without_extra("A `datasets.Dataset`") from error
    return Dataset.from_list(rows)


def _write_parquet(rows: list[dict[str, Any]], file: Path) -> int:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise _without_extra("A Parquet file") from error
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return len(rows)


def _without_extra(what: str) -> ConfigurationError:
    return ConfigurationError(f"{what} takes the extra `eval`: install it, or write a .jsonl file.")
