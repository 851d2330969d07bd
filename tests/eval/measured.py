"""Small data and programs to measure."""

import json
from pathlib import Path
from typing import Any

import dspy

from eval.contenders import Contender
from eval.purse import Prices
from eval.records import Record
from eval.runs import Data, Means, measure

PRICES = Prices({"scripted": (10.0, 20.0)})


class Echo(dspy.Module):
    """Asks the model the question; its answer is the reply as it is."""

    def __init__(self, *, sub_lm: Any = None, budget: Any = None) -> None:
        super().__init__()
        self.sub_lm = sub_lm
        self.unused = dspy.Predict("question -> answer")

    def forward(self, context: str, question: str) -> dspy.Prediction:
        lm = self.sub_lm or dspy.settings.lm
        return dspy.Prediction(answer=lm(f"{context}\n{question}")[0])


def data(tmp_path: Path, n: int = 6, contexts: int | None = None, **columns: Any) -> Data:
    """A task of questions "Say 0." to "Say {n-1}.", in a file; with further columns."""
    rows = [
        {
            "id": f"q{number}",
            "context": f"Text {number % (contexts or n)}.",
            "question": f"Say {number}.",
            "answer": str(number),
            **columns,
        }
        for number in range(n)
    ]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Data(f"folder:{path}", n)


def saying(asked: Any) -> str:
    """The right reply to a question of `data`."""
    return asked.last.rpartition("Say ")[2].rstrip(".")


def run(
    tmp_path: Path, lm: Any, name: str = "run", given: Data | None = None, **options: Any
) -> list[Record]:
    """Measures `Echo`, or another contender, over `data`."""
    contender, means = (
        {key: options.pop(key) for key in keys if key in options}
        for keys in (("sub_lm", "seconds", "cache", "program"), ("dollars", "workers"))
    )
    _, records = measure(
        given or data(tmp_path),
        Contender(**{"program": "measured:Echo", "lm": lm, **contender}),
        tmp_path / name,
        command="python -m eval run …",
        means=Means(**{"prices": PRICES, "pauses": (0.0, 0.0), **means}),
        **options,
    )
    return records
