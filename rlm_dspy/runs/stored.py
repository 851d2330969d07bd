"""One recorded run, from the store or from a file of its own."""

import base64
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlm_dspy.budget import Spend
from rlm_dspy.errors import StoreError
from rlm_dspy.events import (
    Answered,
    Event,
    Executed,
    Extracted,
    LookedUp,
    Planned,
    RunEnded,
    RunStarted,
    Submitted,
    as_json,
    parsed,
)
from rlm_dspy.run import Run
from rlm_dspy.runs.record import Mode, Record
from rlm_dspy.runs.row import Row
from rlm_dspy.runs.store import Store

# The format of a run's own file.
FORMAT = 1


@dataclass(frozen=True)
class Stored:
    """A recorded run.

    Args:
        row: What the store says of it.
        about: How it was made.
        events: What happened, in order.
        outputs: What models said, as JSON, by the place of the event.
        text: Gives a text that `about` names.
    """

    row: Row
    about: dict[str, Any]
    events: tuple[Event, ...]
    outputs: dict[int, str | None]
    text: Callable[[str], bytes]

    @classmethod
    def of(cls, store: Store, run: str | None) -> "Stored":
        """A run of a store.

        Args:
            store: The store.
            run: Its id, or the beginning of it; None: the newest.

        Raises:
            StoreError: There is none, or what is written of it cannot be read.
        """
        row = store.find(run)
        try:
            events = tuple(parsed(data) for _, data in store.events(row.id))
        except ValueError as error:
            raise StoreError(f"The record of the run {row.id} cannot be read: {error}") from error
        return cls(row, store.about(row.id), events, store.outputs(row.id), store.text)

    @classmethod
    def from_file(cls, path: str | Path) -> "Stored":
        """A run that `save` wrote.

        Raises:
            StoreError: It cannot be read, or is none.
        """
        try:
            data = Path(path).read_bytes()
            data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
            said = json.loads(data)
            if said["format"] > FORMAT:
                raise StoreError(f"The run in {path} was written by a newer version.", path=path)
            texts = {name: base64.b64decode(text) for name, text in said["texts"].items()}
            return cls(
                Row(**said["row"]),
                said["about"],
                tuple(parsed(json.dumps(event)) for event in said["events"]),
                {int(number): output for number, output in said["outputs"].items()},
                texts.__getitem__,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} is not a recorded run: {error!r}", path=str(path)) from error

    def save(self, path: str | Path) -> None:
        """Writes the run to a file of its own, for replays elsewhere; compressed where it ends so.

        Args:
            path: The file: `.json`, or `.json.gz`.

        Raises:
            StoreError: It cannot be written.
        """
        said = {
            "format": FORMAT,
            "row": self.row._replace(pid=0, host="")._asdict(),
            "about": self.about,
            "events": [json.loads(as_json(event)) for event in self.events],
            "outputs": self.outputs,
            "texts": {
                name: base64.b64encode(self.text(name)).decode()
                for name in self.about.get("texts", ())
            },
        }
        data = json.dumps(said, indent=1).encode()
        try:
            packed = gzip.compress(data, mtime=0) if str(path).endswith(".gz") else data
            Path(path).write_bytes(packed)
        except OSError as error:
            raise StoreError(f"The run cannot be written to {path}: {error}") from error

    def record(self, mode: Mode, before: int | None = None) -> Record:
        """The run as a run reads it that runs again.

        Args:
            mode: How.
            before: See `Record`.

        Raises:
            StoreError: It was recorded without texts.
        """
        if self.row.record != "full":
            raise StoreError(
                f"The run {self.row.id} was recorded without its texts (record="
                f"{self.row.record!r}): it can be read and counted, but not run again.",
                run=self.row.id,
            )
        row = self.row
        return Record(row.id, self.events, self.outputs, mode, before, row.state)

    @property
    def run(self) -> Run:
        """The run as `result.run` was."""
        ended = [e for e in self.events if isinstance(e, RunEnded) and not e.run]
        started = [e for e in self.events if isinstance(e, RunStarted) and not e.run]
        return Run(
            id=self.row.id,
            status=ended[-1].status if ended else "failed",
            reason=ended[-1].reason if ended else "it has not ended",
            planned_by=started[0].planned_by if started else "model",
            spend=spend_of(ended[-1].spend if ended else {}, self.events),
            _events=self.events,
            _trajectory=trajectory_of(self.events),
            models={"main": self.row.model, "sub": self.row.sub_model},
        )

    @property
    def answer(self) -> dict[str, Any]:
        """The outputs, as the record has them; empty where it has none."""
        kinds = (Submitted, Extracted, Answered, LookedUp)
        for event in reversed(self.events):
            if isinstance(event, kinds) and not event.run and event.outputs is not None:
                return dict(event.outputs)
        return {}


def spend_of(said: Mapping[str, Any], events: Sequence[Event]) -> Spend:
    """What a run cost: as it said at its end, else as far as it came."""
    if said:
        return Spend.of(said)
    charged = [event for event in events if event.kind == "charged"]
    paid: list[Any] = [event for event in charged if not getattr(event, "cache_hit", False)]
    sums = {
        name: sum(getattr(event, name) for event in paid)
        for name in ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens")
    }
    sub = [e for e in paid if e.role == "sub_query"]
    sub_tokens = sum(e.prompt_tokens + e.completion_tokens for e in sub)
    return Spend(
        calls=len(paid),
        planner_tokens=sums["prompt_tokens"] + sums["completion_tokens"] - sub_tokens,
        sub_tokens=sub_tokens,
        dollars=sum(event.dollars for event in paid),
        seconds=events[-1].at if events else 0.0,
        steps=sum(isinstance(event, Planned) for event in events),
        cache_hits=len(charged) - len(paid),
        **sums,
    )


def trajectory_of(events: Sequence[Event]) -> tuple[dict[str, Any], ...]:
    """The steps of a run, each with reasoning, code and output."""
    own = [event for event in events if not event.run]
    planned = {e.step: e for e in own if isinstance(e, Planned)}
    outputs: dict[int, str] = {}
    for event in own:
        if isinstance(event, Executed):
            outputs[event.step] = event.output
        elif isinstance(event, Submitted):
            outputs[event.step] = f"FINAL: {event.outputs}" if event.accepted else event.error
    return tuple(
        {"reasoning": planned[step].reasoning, "code": planned[step].code, "output": output}
        for step, output in sorted(outputs.items())
        if step in planned
    )
