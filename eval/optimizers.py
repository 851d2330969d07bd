"""DSPy's optimizers on programs with an `RLM` inside.

All predictors of a program are tuned together: the planner's prompt and the sub-queries'. What
differs from DSPy's defaults keeps whole contexts out of prompts: no labelled demos (they copy an
example's inputs), no summary of the data, no source code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from eval.metrics import METRICS

MINIBATCH = 3
# Of MIPROv2 and SIMBA: sets of demos and instructions to choose from; programs a step.
CANDIDATES = 4


class TuningMetric:
    """The examples' own metrics, for optimizers.

    The optimizers get examples without `labelled_context`, which some of them would copy into
    prompts; the metric knows the whole ones.

    Args:
        examples: The whole examples.
    """

    def __init__(self, examples: Sequence[dspy.Example]) -> None:
        self._whole = {example.id: example for example in examples}

    def lean(self, examples: Sequence[dspy.Example]) -> list[dspy.Example]:
        """The examples as an optimizer gets them."""
        whole = "labelled_context"
        return [e.without(whole) if whole in e else e for e in examples]

    def __call__(self, example: dspy.Example, pred: Any, trace: Any = None) -> float | bool:
        """Scores a prediction; with a trace, whether the score is full."""
        whole = self._whole[example.id]
        return METRICS[whole.metric](whole, pred, trace)

    def feedback(
        self,
        gold: dspy.Example,
        pred: Any,
        trace: Any = None,
        pred_name: str | None = None,
        pred_trace: Any = None,
    ) -> dspy.Prediction:
        """Scores a prediction and says why, for GEPA."""
        whole = self._whole[gold.id]
        return METRICS[whole.metric].feedback(whole, pred, trace, pred_name, pred_trace)


@dataclass(frozen=True)
class Tuning:
    """What an optimizer is given.

    Args:
        train: The examples to learn from.
        val: The examples to choose by.
        metric: The metric.
        reflection_lm: Rewrites instructions.
        teacher: Makes the demos, where not the program itself does.
        teacher_lm: The teacher's model.
        demos: The most demos a predictor gets.
        rounds: How many steps of search.
        workers: How many examples are under way at once.
        seed: Of the search.
    """

    train: Sequence[dspy.Example]
    val: Sequence[dspy.Example]
    metric: TuningMetric
    reflection_lm: Any
    teacher: dspy.Module | None = None
    teacher_lm: Any = None
    demos: int = 4
    rounds: int = 6
    workers: int = 8
    seed: int = 1

    @property
    def teaching(self) -> dict[str, Any]:
        """DSPy's settings for the teacher."""
        return {} if self.teacher_lm is None else {"lm": self.teacher_lm}


def bootstrap(student: dspy.Module, tuning: Tuning) -> dspy.Module:
    """`BootstrapFewShot`: demos from runs that scored in full. Does not look at `val`."""
    optimizer = dspy.BootstrapFewShot(
        metric=tuning.metric,
        teacher_settings=tuning.teaching,
        max_bootstrapped_demos=tuning.demos,
        max_labeled_demos=0,
        max_errors=len(tuning.train) + 1,
    )
    return optimizer.compile(
        student, teacher=tuning.teacher, trainset=tuning.metric.lean(tuning.train)
    )


def gepa(student: dspy.Module, tuning: Tuning) -> dspy.Module:
    """`GEPA`: instructions rewritten by reflection on what went wrong."""
    from dspy.teleprompt.gepa.instruction_proposal import InstructionProposer

    optimizer = dspy.GEPA(
        metric=tuning.metric.feedback,
        max_metric_calls=len(tuning.val) + tuning.rounds * (2 * MINIBATCH + len(tuning.val)),
        reflection_minibatch_size=min(MINIBATCH, len(tuning.train)),
        reflection_lm=tuning.reflection_lm,
        instruction_proposer=InstructionProposer(truncate_history_outputs=True),
        component_selector=_with_traces,
        num_threads=tuning.workers,
        warn_on_score_mismatch=False,
        seed=tuning.seed,
    )
    return optimizer.compile(
        student,
        trainset=tuning.metric.lean(tuning.train),
        valset=tuning.metric.lean(tuning.val),
    )


def mipro(student: dspy.Module, tuning: Tuning) -> dspy.Module:
    """`MIPROv2`: demos from full scores and proposed instructions, chosen together on `val`."""
    optimizer = dspy.MIPROv2(
        metric=tuning.metric,
        prompt_model=tuning.reflection_lm,
        task_model=dspy.settings.lm,
        teacher_settings=tuning.teaching,
        max_bootstrapped_demos=tuning.demos,
        max_labeled_demos=0,
        auto=None,
        num_candidates=CANDIDATES,
        num_threads=tuning.workers,
        max_errors=len(tuning.train) + len(tuning.val) + 1,
        seed=tuning.seed,
    )
    return optimizer.compile(
        student,
        trainset=tuning.metric.lean(tuning.train),
        valset=tuning.metric.lean(tuning.val),
        teacher=tuning.teacher,
        num_trials=tuning.rounds,
        minibatch=False,
        program_aware_proposer=False,
        data_aware_proposer=False,
    )


def simba(student: dspy.Module, tuning: Tuning) -> dspy.Module:
    """`SIMBA`: demos and advice from examples whose scores vary; learns from `train` and `val`."""
    examples = [*tuning.train, *tuning.val]
    optimizer = dspy.SIMBA(
        metric=tuning.metric,
        bsize=min(len(examples), 2 * CANDIDATES),
        num_candidates=CANDIDATES,
        max_steps=tuning.rounds,
        max_demos=tuning.demos,
        prompt_model=tuning.reflection_lm,
        teacher_settings=tuning.teaching or None,
        num_threads=tuning.workers,
    )
    return optimizer.compile(student, trainset=tuning.metric.lean(examples), seed=tuning.seed)


OPTIMIZERS: dict[str, Callable[[dspy.Module, Tuning], dspy.Module]] = {
    "bootstrap": bootstrap,
    "gepa": gepa,
    "mipro": mipro,
    "simba": simba,
}


def _with_traces(
    state: Any,
    trajectories: Any,
    subsample_scores: list[float],
    candidate_idx: int,
    candidate: dict[str, str],
) -> list[str]:
    """GEPA's choice of what to rewrite: every predictor that was called, all at once."""
    called = {
        step[0].signature.instructions for found in trajectories or () for step in found["trace"]
    }
    return [name for name, instructions in candidate.items() if instructions in called]
