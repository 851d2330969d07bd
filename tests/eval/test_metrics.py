"""The scorers as metrics of DSPy and of GEPA, and the reasons that they write."""

import inspect
from types import SimpleNamespace

import dspy
import pytest

from eval import tasks
from eval.metrics import METRICS, metric_named, said
from eval.oracle import oracle_lm
from eval.scorers import Unscored
from rlm_dspy import RLM, Budget, ConfigurationError
from rlm_dspy.testing import ScriptedLM, code


def example(**fields):
    return dspy.Example(answer="", **fields)


ASKED = {
    "oolong_synth": example(gold="[12]", answer_type="ANSWER_TYPE.NUMERIC"),
    "oolong_synth_rlm_env": example(gold="['spam']", answer_type="ANSWER_TYPE.LABEL"),
    "oolong_real": example(gold="84"),
    "oolong_pairs": example(gold=[(1, 2), (3, 4)]),
    "ruler": example(gold=["7", "8"]),
    "ruler_part": example(gold=["7", "8"]),
    "longbench_v2": example(gold="B"),
    "mrcr": example(gold="XYZab", prefix="XYZ"),
    "graphwalks": example(gold=["a", "b"]),
    "graphwalks_intended": example(gold=["a", "b"]),
    "browsecomp_judge": example(gold=None),
    "exact": example(gold="The Ulm."),
}


@pytest.mark.parametrize(
    ("name", "answer", "expected"),
    [
        ("oolong_synth", "Answer: 13", 0.75),
        ("oolong_synth_rlm_env", "it is not spam", 1.0),
        ("oolong_real", r"\boxed{85}", 0.75),
        ("oolong_pairs", "(2, 1)", 2 / 3),
        ("ruler", "\t7", 0.5),
        ("ruler_part", "7", 1.0),
        ("longbench_v2", "The correct answer is (B)", 1.0),
        ("mrcr", "XYZab", 1.0),
        ("graphwalks", "Final Answer: [a, b]", 0.5),
        ("graphwalks_intended", "Final Answer: [a, b]", 1.0),
        ("exact", "ulm", 1.0),
    ],
)
def test_every_metric(name, answer, expected):
    metric, asked = METRICS[name], ASKED[name]
    pred = dspy.Prediction(answer=answer)
    assert metric(asked, pred) == expected
    assert metric(asked, pred, trace=[]) is (expected == 1.0)
    assert metric.feedback(asked, pred).score == expected


def test_all_metrics_are_tried_above():
    assert set(ASKED) == set(METRICS)


@pytest.mark.parametrize(
    ("gold", "answer", "score"),
    [
        ("The Ulm!", "  ulm", 1.0),
        ("3.5", "35", 0.0),
        ("3.5", " 3.5. ", 1.0),
        ("-5", "5", 0.0),
        ("10 %", "10  %.", 1.0),
        ("Version 2 B", "version 2 b", 1.0),
        ("the 2nd", "2nd", 0.0),
        ("2.", "2", 0.0),
        ("2.", "2.", 1.0),
        ("A", "", 0.0),
        ("A", "the", 0.0),
        ("A", "a.", 1.0),
        ("<", "", 0.0),
        ("Ulm", "?", 0.0),
        (["A", "Ulm"], "ulm", 1.0),
        (7, "7", 1.0),
        (True, "true", 1.0),
        ("Caf\u00e9 1", "cafe\u0301 1", 1.0),
    ],
)
def test_exact_passes_over_nothing_that_was_asked_for(gold, answer, score):
    metric = METRICS["exact"]
    assert metric(example(gold=gold), dspy.Prediction(answer=answer)) == score


def test_without_a_right_answer_there_is_no_exact_score():
    score = METRICS["exact"](example(gold=[]), dspy.Prediction(answer=""))
    assert isinstance(score, Unscored)


def test_a_judges_verdict_is_a_metric():
    metric = METRICS["browsecomp_judge"]
    assert metric(ASKED["browsecomp_judge"], dspy.Prediction(judgement="correct: yes")) == 1.0
    score = metric(ASKED["browsecomp_judge"], dspy.Prediction(judgement="well"))
    assert isinstance(score, Unscored)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("a", "a"),
        (12, "12"),
        (None, ""),
        ({"answer": "a"}, "a"),
        ([(1, 2)], "[(1, 2)]"),
    ],
)
def test_answers_of_other_types_are_taken_as_texts(answer, text):
    assert said(dspy.Prediction(answer=answer)) == text


@pytest.mark.parametrize("name", METRICS)
def test_a_prediction_without_an_answer_has_a_score(name):
    score = METRICS[name](ASKED[name], dspy.Prediction(other="a"))
    assert score == (1.0 if name == "graphwalks" else 0.0)  # the card's code, taken literally
    assert isinstance(METRICS[name].feedback(ASKED[name], dspy.Prediction()).feedback, str)


def test_an_unknown_metric_is_refused():
    with pytest.raises(ConfigurationError, match="no metric 'best'; there are oolong_synth"):
        metric_named("best")


@pytest.mark.parametrize("name", METRICS)
def test_gepa_takes_the_feedback(name):
    inspect.signature(METRICS[name].feedback).bind(None, None, None, None, None)


def feedback(name, said, **fields):
    asked = ASKED[name].copy(**fields)
    return METRICS[name].feedback(asked, dspy.Prediction(answer=said)).feedback


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (feedback("oolong_synth", "Answer: 12"), "Score 1.00 (oolong_synth). The answer"),
        (
            feedback("oolong_synth", "Answer: 12. Sure: yes", answer="Answer: 12"),
            "The right value is in the answer, but it is not what is read",
        ),
        (
            feedback("oolong_synth", "The answer is 12", answer="Answer: 12"),
            "it is not what is read",
        ),
        (feedback("oolong_synth", "Sure: 12: yes", answer="[12]"), "not what is read"),
        (feedback("ruler", "x", gold="7"), "Missing: 7."),
        (feedback("ruler", "x", gold=[7, 8]), "Missing: 7; 8."),
        (feedback("graphwalks", "none"), "The answer 'none' has the full score."),
        (feedback("oolong_pairs", f"({'1' * 4301}, 2)"), "The official code raises ValueError"),
        (feedback("oolong_pairs", "(1, 2)", gold="[[1, 2]]"), "the gold is no list of pairs"),
        (feedback("oolong_synth", "", answer="Answer: 12"), "no answer; right is 'Answer: 12'"),
        (feedback("oolong_synth", " " * 20), "The official code raises IndexError: "),
        (feedback("ruler", "7"), "Missing: 8."),
        (feedback("oolong_pairs", "(1, 2) (5, 6)"), "Missing: (3, 4). Wrong: (5, 6)."),
        (feedback("exact", "x" * 500), "x…"),
    ],
)
def test_the_reason_says_what_is_wrong_with_an_answer(text, told):
    assert told in text


@pytest.mark.parametrize(
    ("name", "said", "fields"),
    [
        ("oolong_synth", "Answer: 112", {}),
        ("oolong_synth", "Answer: 5", {}),
        ("oolong_synth", "Label: not spam", {"gold": "['spam']"}),
    ],
)
def test_no_reason_names_a_right_value_that_is_not_there(name, said, fields):
    assert "not what is read" not in feedback(name, said, answer="12", **fields)


def test_a_judgement_is_not_called_the_answer():
    said = dspy.Prediction(answer="Paris", judgement="correct: no")
    text = METRICS["browsecomp_judge"].feedback(ASKED["browsecomp_judge"], said).feedback
    assert "The judgement was 'correct: no'" in text
    text = METRICS["browsecomp_judge"].feedback(ASKED["browsecomp_judge"], dspy.Prediction())
    assert "There was no judgement" in text.feedback


def test_an_example_without_an_answer_has_a_reason():
    asked = dspy.Example(gold=["7"])
    assert "right is \"['7']\"" in METRICS["ruler"].feedback(asked, dspy.Prediction()).feedback


@pytest.fixture(scope="module")
def asked():
    return tasks.load("oolong_synth", n=1, lengths=[1536], generated=True)[0]


def run(asked, script, **options):
    with dspy.context(lm=ScriptedLM(script)):
        return RLM("context, question -> answer", **options)(**asked.inputs())


def reason(asked, pred, **given):
    return METRICS["oolong_synth"].feedback(asked, pred, **given).feedback


def test_a_plan_that_asks_nothing_is_told_so(asked):
    script = [code("1 / 0"), code("SUBMIT(answer='Label: none')")]
    told = reason(asked, run(asked, script))
    assert "The run ended completed after 2 steps (planned by: model)." in told
    assert "Code failed in 1 steps: ZeroDivisionError" in told
    assert "No sub-query was asked. The lines show no labels" in told


def test_a_labelled_context_needs_no_sub_query():
    shown = tasks.load("oolong_synth:wordnet", n=1, lengths=[1536], labelled=True)[0]
    told = reason(shown, run(shown, [code("SUBMIT(answer='Label: none')")]))
    assert "No sub-query was asked." in told
    assert "show no labels" not in told


def test_a_run_that_was_cut_short_says_by_what(asked):
    told = reason(asked, run(asked, [code("1"), "none"], budget=Budget(steps=1)))
    assert "The run ended partial" in told
    assert "steps" in told


def test_what_the_sub_queries_said_is_counted(asked):
    with dspy.context(lm=oracle_lm([asked], error_rate=1.0)):
        pred = RLM("context, question -> answer")(**asked.inputs())
    told = reason(asked, pred)
    lines = asked.labelled_context.count(" || Label: ")
    assert f"Sub-queries asked: ask_each for {lines} items." in told
    assert "They gave the labels " in told
    assert f"all {lines} lines together have " in told


def lines_of(asked, count):
    found = [line for line in asked.labelled_context.splitlines() if " || Label: " in line]
    pairs = [line.split(" || Instance: ")[1].split(" || Label: ") for line in found]
    return pairs[:count]


def test_a_sub_query_is_told_the_right_label(asked):
    ((text, label),) = lines_of(asked, 1)
    inputs = {"question": "Which?", "text": text}
    for answer, told in ((label, "1 of 1 labels right."), ("blue", f"is {label}, not blue.")):
        call = (None, inputs, dspy.Prediction(response=answer))
        assert told in reason(asked, dspy.Prediction(answer=""), pred_trace=[call])


def test_a_sub_query_about_many_lines_is_told_each(asked):
    (one, label), (two, other) = lines_of(asked, 2)
    inputs = {"question": "Which?", "text": f"11: {one}\n15: {two}"}
    call = (None, inputs, dspy.Prediction(response=f"11: {label}\n15: blue"))
    told = reason(asked, dspy.Prediction(answer=""), pred_trace=[call])
    assert "Sub-query: 1 of 2 labels right." in told
    assert f"is {other}, not blue." in told


def test_calls_about_other_texts_are_passed_over(asked):
    calls = [
        (None, {"question": "Which?", "text": "something else"}, {"response": "a"}),
        (None, {"rules": None}, SimpleNamespace(get=lambda name: None)),
    ]
    assert "Sub-query" not in reason(asked, dspy.Prediction(answer=""), pred_trace=calls)


def test_gepa_compiles_with_the_feedback(asked):
    pytest.importorskip("gepa", reason="the extra `optimize` is not installed")
    seen = []

    def reflect(prompt):
        seen.append(prompt.text)
        return "[[ ## new_instruction ## ]]\nBe exact.\n\n[[ ## completed ## ]]"

    examples = tasks.load("oolong_synth", n=4, lengths=[1536], generated=True)
    gepa = dspy.GEPA(
        metric=METRICS["oolong_synth"].feedback,
        max_metric_calls=12,
        reflection_lm=ScriptedLM(reflect),
        num_threads=1,
    )
    with dspy.context(lm=oracle_lm(examples, error_rate=0.9)):
        program = gepa.compile(
            RLM("context, question -> answer"), trainset=examples[:2], valset=examples[2:]
        )
    assert isinstance(program, RLM)
    assert any("oolong_synth)." in prompt and "The run ended" in prompt for prompt in seen)
