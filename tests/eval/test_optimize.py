"""All four optimizers tune planner and sub-queries; the gate keeps what is better for sure."""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dspy
import pytest
from dspy.lm15 import AuthError, BillingError, ServerError
from prompted import LABEL, PLAN, prompted_lm

from eval.contenders import Contender
from eval.ledger import read_run
from eval.optimize import optimize
from eval.optimizers import OPTIMIZERS, TuningMetric
from eval.oracle import oracle_lm
from eval.purse import Bill, Prices
from eval.runs import Data, Means
from eval.splits import split
from eval.tuned import Plan, Search, Tuned
from eval.tuning_report import tuning_report
from rlm_dspy import ConfigurationError, ProviderError
from rlm_dspy.testing import ScriptedLM

DATA = Data("oolong_synth", 0, (1_024,), 1, generated=True)
SIZES = {"test": 7, "val": 4, "train": 4}
PARTS = split(DATA, SIZES)[1]
# Questions that all need labels, over contexts of their own.
COUNTING = replace(DATA, group="counting", seed=2)
COUNTED = [example for part in split(COUNTING, SIZES)[1].values() for example in part]
EXAMPLES = [example for part in PARTS.values() for example in part]
PRICES = Prices({"scripted": (10.0, 20.0), "simulated/oracle:0": (10.0, 20.0)})
# What the tuned examples of the test split say of themselves in every prompt.
HELD_OUT = {example.question for example in PARTS["test"]}


def tuned(tmp_path, optimizer, lm, *, data=DATA, dollars=None, planned=True, workers=2, **options):
    plan = Plan(optimizer, **{**SIZES, "rounds": 2, "demos": 2, **options})
    out = tmp_path / "tuned.json"
    result = optimize(
        data,
        Contender("aggregate", lm, planned=planned),
        plan,
        out,
        command="python -m eval optimize …",
        means=Means(dollars, PRICES, workers),
    )
    return result, out


def prompts(out):
    return {name: value for name, value in json.loads(out.read_text()).items() if "demos" in value}


def instructions(out):
    return {name: value["signature"]["instructions"] for name, value in prompts(out).items()}


@pytest.mark.parametrize("optimizer", ["gepa", "mipro"])
def test_instructions_of_both_are_rewritten(tmp_path, optimizer):
    lm = prompted_lm(EXAMPLES)
    result, out = tuned(tmp_path, optimizer, lm)
    assert result.saved
    assert result.gain.mean == 1.0
    found = instructions(out)
    assert PLAN in found["plan"]
    assert LABEL in found["sub_query"]


def test_bootstrap_finds_demos_for_both(tmp_path):
    """The teacher is the simulated planner, which does both right."""
    lm = prompted_lm(EXAMPLES)
    teacher = oracle_lm(PARTS["train"])
    result, out = tuned(tmp_path, "bootstrap", lm, teacher=teacher)
    assert result.saved
    assert result.gain.mean == 1.0
    demos = {name: value["demos"] for name, value in prompts(out).items()}
    assert len(demos["plan"]) == 2
    assert demos["sub_query"]
    assert all("SIMULATED plan" in demo["code"] for demo in demos["plan"])
    assert "labelled_context" not in out.read_text()


def test_bootstrap_without_a_teacher_learns_from_its_own_luck(tmp_path):
    lm = prompted_lm(EXAMPLES, needs=(PLAN,), sampled=True)
    _, out = tuned(tmp_path, "bootstrap", lm, workers=1, gate=False)
    assert prompts(out)["plan"]["demos"]


def test_optimizers_get_examples_without_their_labels():
    given = [dspy.Example(id="a", labelled_context="x"), dspy.Example(id="b")]
    lean = TuningMetric(given).lean(given)
    assert [dict(example.items()) for example in lean] == [{"id": "a"}, {"id": "b"}]


@pytest.mark.slow
def test_a_task_without_labels_is_tuned_as_well(tmp_path):
    data = Data("niah", 0, (2_048,), 1)
    examples = [example for part in split(data, SIZES)[1].values() for example in part]
    result = optimize(
        data,
        Contender("needle", "oracle:0.3", planned=True),
        Plan("bootstrap", **SIZES, teacher=oracle_lm(examples), gate=False),
        tmp_path / "tuned.json",
        command="python -m eval optimize …",
        means=Means(prices=PRICES, workers=2),
    )
    assert result.search.error == ""
    assert "plan after" in result.diff


@pytest.mark.parametrize("error", [AuthError("no key"), BillingError("no money")])
def test_a_teacher_that_every_request_fails_ends_the_tuning(tmp_path, error):
    teacher = ScriptedLM([error] * 99, num_retries=0)
    with pytest.raises(ProviderError, match="no key|no money"):
        tuned(tmp_path, "bootstrap", prompted_lm(EXAMPLES), teacher=teacher)


def test_one_request_that_was_refused_does_not_lose_a_winner(tmp_path):
    lm = prompted_lm(EXAMPLES)
    answered, refused = lm.script.script, PARTS["train"][0].question

    def refusing_one(asked):
        return AuthError("not this one") if refused in asked.text else answered(asked)

    lm.script.script = refusing_one
    result, _ = tuned(tmp_path, "gepa", lm)
    assert result.saved
    assert "not this one" in result.search.trouble


def test_a_teacher_that_breaks_is_told(tmp_path):
    teacher = ScriptedLM([ServerError("out of order")] * 99, num_retries=0)
    result, out = tuned(tmp_path, "bootstrap", prompted_lm(EXAMPLES), teacher=teacher)
    assert result.search.troubles > 0
    report = tuning_report(result, out)
    assert "No model answered" in report
    assert "out of order" in report


@pytest.mark.slow
def test_simba_adds_advice_or_demos_to_both(tmp_path):
    lm = prompted_lm(COUNTED, needs=(PLAN,), sampled=True)
    result, out = tuned(tmp_path, "simba", lm, data=COUNTING, workers=1, gate=False)
    assert result.search.error == ""
    for name, hint in (("plan", PLAN), ("sub_query", LABEL)):
        prompt = prompts(out)[name]
        assert hint in prompt["signature"]["instructions"] or prompt["demos"]


def test_a_planted_overfit_is_refused(tmp_path):
    """What is learned helps on every example but those of the test split."""
    lm = prompted_lm(EXAMPLES, good_for=lambda text: not any(q in text for q in HELD_OUT))
    result, out = tuned(tmp_path, "gepa", lm)
    assert not result.saved
    assert not out.exists()
    assert result.gain.mean <= 0
    assert PLAN in result.diff
    assert "The gate refuses the gain: its interval does not lie" in tuning_report(result, out)


@pytest.mark.slow
def test_without_the_gate_it_is_saved_and_said_so(tmp_path):
    lm = prompted_lm(EXAMPLES, good_for=lambda text: not any(q in text for q in HELD_OUT))
    result, out = tuned(tmp_path, "gepa", lm, gate=False)
    assert result.saved
    assert PLAN in instructions(out)["plan"]
    assert f"Saved to {out}, without the gate." in tuning_report(result, out)


@pytest.mark.slow
def test_a_test_split_that_is_too_small_shows_nothing(tmp_path):
    result, out = tuned(tmp_path, "gepa", prompted_lm(EXAMPLES), test=3)
    assert (result.gain.mean, result.saved) == (1.0, False)
    assert "over 3 contexts (fewer than 6) none can be shown" in tuning_report(result, out)


@pytest.mark.slow
def test_a_program_that_is_right_already_is_left_alone(tmp_path):
    result, out = tuned(tmp_path, "gepa", oracle_lm(EXAMPLES))
    assert (result.saved, result.diff, result.after, result.gain) == (False, "", [], None)
    assert "The optimizer changed nothing" in tuning_report(result, out)


def test_the_test_split_is_never_seen_by_the_optimizer(tmp_path):
    lm = prompted_lm(EXAMPLES)
    result, _ = tuned(tmp_path, "mipro", lm)
    asked = [asked for asked in lm.asked if any(q in asked.text for q in HELD_OUT)]
    measured = sum(record.bill.calls for record in [*result.before, *result.after])
    assert 0 < len(asked) <= measured
    assert not any("proposed_instruction" in asked.text for asked in asked)


@pytest.mark.parametrize(
    "optimizer", ["gepa", "mipro", pytest.param("simba", marks=pytest.mark.slow), "bootstrap"]
)
@pytest.mark.parametrize("dollars", [0.06, 0.25])
def test_the_money_is_never_exceeded(tmp_path, optimizer, dollars):
    """Measurements, search and the model that rewrites prompts: all together."""
    lm = prompted_lm(EXAMPLES, sampled=True)
    lm.kwargs["max_tokens"] = 400
    result, _ = tuned(tmp_path, optimizer, lm, dollars=dollars)
    measured = sum(record.bill.dollars for record in [*result.before, *result.after])
    paid = (
        sum((len(a.text) // 4 + 1) * 10 + 20 for a in lm.asked) / 1e6
    )  # a reply: one token or more
    assert paid <= measured + result.search.bill.dollars + 1e-9 <= dollars + 2e-9


@pytest.mark.slow
def test_a_winner_that_the_money_does_not_suffice_to_measure_is_not_saved(tmp_path):
    lm = prompted_lm(EXAMPLES)
    lm.kwargs["max_tokens"] = 400
    whole, _ = tuned(tmp_path / "whole", "mipro", lm)
    needed = whole.search.bill.dollars + sum(r.bill.dollars for r in [*whole.before, *whole.after])
    result, out = tuned(tmp_path / "less", "mipro", lm, dollars=needed * 0.9, held=0.2)
    assert not result.saved
    if result.after:
        assert "examples have a score before and after" in tuning_report(result, out)


def test_the_search_ends_with_its_time(tmp_path):
    lm = prompted_lm(EXAMPLES)
    result, out = tuned(tmp_path, "mipro", lm, seconds=0.0)
    assert (result.search.refused, result.search.bill.calls) == ("seconds", 0)
    assert "It ended at its limit of seconds." in tuning_report(result, out)


@pytest.mark.slow
def test_sub_queries_alone_are_tuned_where_a_recipe_plans(tmp_path):
    lm = prompted_lm(COUNTED, needs=(LABEL,))
    result, out = tuned(tmp_path, "gepa", lm, data=COUNTING, planned=False)
    assert result.saved
    assert LABEL in instructions(out)["sub_query"]
    report = tuning_report(result, out)
    shares = re.findall(r"(before|after): .* the mean share of an example is (\d\.\d+)", report)
    assert [name for name, _ in shares] == ["before", "after"]
    assert float(shares[0][1]) < 0.6
    assert float(shares[1][1]) == 1.0
    assert "The paired gain of an example's share over " in report


def test_the_command_that_measures_again_can_be_typed():
    settings = {"task": "folder:my q.jsonl", "program": "rlm", "planned": None, "seconds": 60}
    models = {"lm": "openai/a", "sub_lm": "simulated/oracle:0"}
    start = {"settings": {**settings, **models}}
    search = Search(Bill(), 1.0, "", "")
    plan = Plan("gepa", 1, 1, 1)
    made = {"command": "python -m eval optimize …", "unpriced": []}
    result = Tuned(plan, {**start, "made_with": made}, [], [], None, search, "+x", saved=True)
    report = tuning_report(result, Path("my tuned.json"))
    assert shlex.split(report.partition("python -m eval run ")[2].partition("\n")[0]) == [
        *("folder:my q.jsonl", "--program", "rlm", "--lm", "openai/a"),
        *("--sub-lm", "oracle:0", "--load", "my tuned.json", "--same-as", "my tuned/after"),
        *("--budget-seconds", "60", "--out", "FOLDER"),
    ]


def test_a_key_is_in_no_report(tmp_path, monkeypatch):
    def failing(student, tuning):
        raise ValueError("refused: Bearer sk-0123456789")

    monkeypatch.setitem(OPTIMIZERS, "gepa", failing)
    monkeypatch.setenv("PROVIDER_API_KEY", "sk-0123456789")
    result, out = tuned(tmp_path, "gepa", prompted_lm(EXAMPLES))
    told = "The optimizer stopped with ValueError: refused: Bearer [secret]."
    assert told in tuning_report(result, out)


def test_a_report_says_how_to_measure_the_same_again(tmp_path):
    result, out = tuned(tmp_path, "gepa", prompted_lm(EXAMPLES))
    report = tuning_report(result, out)
    assert (
        f"--program aggregate --plan --lm {prompted_lm(EXAMPLES).model} --load {out} "
        f"--same-as {tmp_path / 'tuned' / 'after'} --budget-seconds 120.0 --out FOLDER" in report
    )
    assert "-You solve a task by writing Python in a REPL." in report
    assert f"+You write Python in a REPL. {PLAN}" in report
    assert "4 examples to learn from, 4 to choose by, 7 to judge by" in report


AGAIN = """
import sys
from pathlib import Path
from prompted import prompted_lm
from test_optimize import DATA, EXAMPLES, PRICES
from eval.contenders import Contender
from eval.runs import Means, measure
folder = Path(sys.argv[1])
contender = Contender("aggregate", prompted_lm(EXAMPLES), planned=True, load=folder / "tuned.json")
measure(DATA, contender, folder / "again", command="", same_as=folder / "tuned" / "after",
        means=Means(prices=PRICES))
"""


@pytest.mark.slow
def test_a_saved_program_scores_the_same_in_another_process(tmp_path):
    tuned(tmp_path, "bootstrap", prompted_lm(EXAMPLES), teacher=oracle_lm(PARTS["train"]))
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", AGAIN, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    after, again = (
        {record.id: (record.scores, record.answer, record.bill) for record in read_run(folder)[1]}
        for folder in (tmp_path / "tuned" / "after", tmp_path / "again")
    )
    assert after == again
    assert len(after) == 7


def test_what_is_asked_for_wrongly_is_said_before_anything_is_asked(tmp_path):
    lm = prompted_lm(EXAMPLES)
    with pytest.raises(ConfigurationError, match="no optimizer 'copro'; there are bootstrap"):
        tuned(tmp_path, "copro", lm)
    (tmp_path / "tuned.json").touch()
    with pytest.raises(ConfigurationError, match="that is not there yet"):
        tuned(tmp_path, "gepa", lm)
    (tmp_path / "tuned.json").unlink()
    with pytest.raises(ConfigurationError, match=r"--out \.: give a \.json file"):
        optimize(DATA, Contender("aggregate", lm), Plan("gepa", **SIZES), Path(), command="")
    (tmp_path / "tuned.md").write_text("My notes.")
    with pytest.raises(ConfigurationError, match=r"tuned\.md exists"):
        tuned(tmp_path, "gepa", lm)
    assert lm.asked == []


def test_gepa_takes_no_teacher(tmp_path):
    lm = prompted_lm(EXAMPLES)
    with pytest.raises(ConfigurationError, match="GEPA takes no teacher"):
        tuned(tmp_path, "gepa", lm, teacher=oracle_lm(EXAMPLES))
    assert lm.asked == []
