"""The scorers as metrics: of DSPy, and of GEPA with a written reason.

`METRICS[name]` is called as DSPy calls a metric, `METRICS[name].feedback` as GEPA does:

    dspy.Evaluate(devset=examples, metric=METRICS["ruler"])
    dspy.GEPA(metric=METRICS["ruler"].feedback, …)

All give 0 to 1, RULER's too. A prediction's `answer` is taken as a text; one without an answer is
scored as an empty one. While DSPy bootstraps (it passes a trace), only a full score counts as one.

"exact" is dspy's `EM`, which passes over case, punctuation, a, an and the. Where the gold holds a
digit, or nothing would be left of it or of the answer, it passes over case and white space alone,
and over a full stop at the answer's end unless the gold has one: "-5" is not "5".
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.evaluate.metrics import EM, normalize_text

from eval import scorers
from eval.feedback import golds, reason
from eval.oolong.asked import answer_text, golds_of
from eval.scorers import Unscored
from eval.scorers.unscored import RAISED, bare
from rlm_dspy import ConfigurationError, Run


@dataclass(frozen=True)
class Metric:
    """A scorer that reads examples and predictions.

    Args:
        name: Its name.
        score: Scores a text against an example, 0 to 1.
        field: The prediction's field that it reads.
        needs: What it reads of an example besides `gold`.
        right: An example's gold as a program would answer it, in the form that the score reads.
        lists: Whether `gold` is a list; in data that has only texts, one written as JSON.
        texts: Whether `gold` may be a text.
        full: Whether what is right has the full score.
    """

    name: str
    score: Callable[[dspy.Example, str], float]
    field: str = "answer"
    needs: tuple[str, ...] = ()
    right: Callable[[dspy.Example], str] = lambda example: golds(example)[0]
    lists: bool = False
    texts: bool = True
    full: bool = True

    def __call__(
        self, example: dspy.Example, pred: dspy.Prediction, trace: Any = None
    ) -> float | bool:
        """Scores a prediction.

        Args:
            example: What was asked; `gold` is what is right.
            pred: What was answered.
            trace: Given by DSPy's bootstrapping optimizers.

        Returns:
            The score, 0.0 to 1.0; with a trace, whether it is full.
        """
        score = self.score(example, said(pred, self.field))
        return score if trace is None else score >= 1.0

    def feedback(
        self,
        gold: dspy.Example,
        pred: dspy.Prediction,
        trace: Any = None,
        pred_name: str | None = None,
        pred_trace: Any = None,
    ) -> dspy.Prediction:
        """Scores a prediction for GEPA.

        Args:
            gold: What was asked.
            pred: What was answered.
            trace: The program's trace.
            pred_name: The predictor that GEPA is about to improve.
            pred_trace: The calls of that predictor: (predictor, inputs, outputs).

        Returns:
            `score`, the same as the metric's, and `feedback`, the reason for it.
        """
        text = said(pred, self.field)
        score = self.score(gold, text)
        why = reason(gold, text, self.name, score, run=run_of(pred), calls=pred_trace)
        return dspy.Prediction(score=score, feedback=why)

    def right_answer(self, example: dspy.Example) -> str:
        """What is right, as a program would answer it.

        Raises:
            ConfigurationError: The gold is nothing that this metric can score.
        """
        try:
            answer = self.right(example)
            if self.field != "answer":  # what is right is no text that the score reads
                return answer
            score = self.score(example, answer)
        except RAISED as error:
            answer, score = "", Unscored(f"{type(error).__name__}: {bare(error)}.")
        if self.full and not isinstance(score, Unscored) and score < 1:
            score = Unscored(f"It scores {score:g} itself, answered as {answer!r}.")
        if isinstance(score, Unscored):
            raise ConfigurationError(
                f"{example.gold!r} is no right answer for the metric {self.name!r}: {score.reason}",
                gold=example.gold,
            )
        return answer


def run_of(pred: Any) -> Run | None:
    """The run of an `RLM` that gave a prediction; None where none did."""
    run = getattr(pred, "run", None)
    return run if isinstance(run, Run) else None


def said(pred: Any, field: str = "answer") -> str:
    """What a prediction says, as a text; "" where it says nothing."""
    value = getattr(pred, field, None)
    if isinstance(value, dict) and field in value:
        value = value[field]
    return "" if value is None else str(value)


def metric_named(name: str) -> Metric:
    """The metric of a name.

    Raises:
        ConfigurationError: There is none.
    """
    if name not in METRICS:
        raise ConfigurationError(
            f"There is no metric {name!r}; there are {', '.join(METRICS)}.", metric=name
        )
    return METRICS[name]


def _ruler(example: dspy.Example, text: str, match: Any) -> float:
    if "" in golds(example):
        return Unscored("A right value is empty: it is in every answer.")
    score = scorers.ruler([scorers.ruler_postprocess(text)], [golds(example)], match)
    return score if isinstance(score, Unscored) else score / 100


def _walked(example: dspy.Example, text: str, variant: Any) -> float:
    if not isinstance(example.gold, (list, tuple)):
        return Unscored("The gold is no list of nodes.")
    return scorers.graphwalks(text, golds(example), variant)


def _chosen(example: dspy.Example, text: str) -> float:
    if example.gold not in ("A", "B", "C", "D"):
        return Unscored("The gold is none of A, B, C and D.")
    return scorers.longbench_v2(text, example.gold)


def _nodes(example: dspy.Example) -> str:
    return f"Final Answer: [{', '.join(golds(example))}]"


def _synth_answer(example: dspy.Example) -> str:
    kind = example.answer_type.removeprefix("ANSWER_TYPE.")
    return answer_text(golds_of(example.gold)[0], kind)


def _rlm_env_answer(example: dspy.Example) -> str:
    try:
        return _synth_answer(example)
    except RAISED:  # a gold that is no literal is taken as it is
        return str(example.gold)


def _judged(_: dspy.Example, text: str) -> float:
    verdict = scorers.browsecomp_judge(text)
    return Unscored("The judge gave no verdict.") if verdict is None else float(verdict)


def _exact(example: dspy.Example, text: str) -> float:
    if not golds(example):
        return Unscored("There is no right answer.")
    return float(any(_same(text, gold) for gold in golds(example)))


def _same(text: str, gold: str) -> bool:
    """Whether an answer is a gold one, by dspy's `EM` where that can tell."""
    if normalize_text(text) and normalize_text(gold) and not any(map(str.isdigit, gold)):
        return EM(text, [gold])
    answer, right = _plain(text), _plain(gold)
    return right in (answer, _plain(answer.removesuffix(".")))


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFD", text).lower().split())


_TYPED = ("answer_type",)
METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "oolong_synth",
            lambda e, text: scorers.oolong_synth(text, e.gold, e.answer_type),
            needs=_TYPED,
            right=_synth_answer,
        ),
        Metric(
            "oolong_synth_rlm_env",
            lambda e, text: scorers.oolong_synth(text, e.gold, e.answer_type, "rlm_env"),
            needs=_TYPED,
            right=_rlm_env_answer,
        ),
        Metric(
            "oolong_real",
            lambda e, text: scorers.oolong_real(text, e.gold),
            right=lambda e: rf"\boxed{{{e.gold}}}",
        ),
        Metric(
            "oolong_pairs",
            lambda e, text: scorers.oolong_pairs(text, e.gold),
            right=lambda e: "\n".join(f"({a}, {b})" for a, b in e.gold),
            lists=True,
            texts=False,
        ),
        Metric(
            "ruler",
            lambda e, text: _ruler(e, text, "all"),
            right=lambda e: ", ".join(golds(e)),
            lists=True,
        ),
        Metric("ruler_part", lambda e, text: _ruler(e, text, "part"), lists=True),
        Metric(
            "longbench_v2",
            _chosen,
            right=lambda e: f"The correct answer is ({e.gold})",
        ),
        Metric("mrcr", lambda e, text: scorers.mrcr(text, e.gold, e.prefix), needs=("prefix",)),
        Metric(
            "graphwalks",
            lambda e, text: _walked(e, text, "card"),
            right=_nodes,
            lists=True,
            texts=False,
            full=False,
        ),
        Metric(
            "graphwalks_intended",
            lambda e, text: _walked(e, text, "intended"),
            right=_nodes,
            lists=True,
            texts=False,
        ),
        Metric("browsecomp_judge", _judged, field="judgement"),
        Metric("exact", _exact),
    )
}
