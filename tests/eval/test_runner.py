"""A wrong answer, a program's failure, a time-out and a breakdown are four different things."""

import time
import traceback

import dspy
import pytest
from dspy.lm15 import AuthError, BillingError, ContextLengthError, ServerError
from measured import PRICES, Echo, data, run, saying

from eval.journal import Journal
from eval.jsonl import read_lines
from eval.ledger import read_run
from eval.locking import run_folder
from eval.purse import Purse
from eval.report import run_report
from eval.runs import Data
from eval.trials import Subject, attempt
from programs.rlm import PlainRLM
from rlm_dspy import ConfigurationError, InterpreterError, ProviderError, RLMError
from rlm_dspy.testing import ScriptedLM, code


def outcomes(records):
    return {record.id: record.outcome for record in records}


def only(number, otherwise):
    """Right but for one question."""

    def reply(asked):
        return otherwise(asked) if f"Say {number}." in asked.last else saying(asked)

    return ScriptedLM(reply, num_retries=0)


def test_right_and_wrong_answers_are_scored(tmp_path):
    records = run(tmp_path, only(2, lambda asked: "something else"))
    assert set(outcomes(records).values()) == {"scored"}
    assert [record.score for record in records] == [1.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    assert [record.answer for record in records][:3] == ["0", "1", "something else"]
    assert all(record.bill.calls == 1 and record.bill.dollars > 0 for record in records)


def test_what_does_not_fit_the_model_is_the_programs_failure(tmp_path):
    records = run(tmp_path, only(2, lambda asked: ContextLengthError("too long")))
    assert outcomes(records)["q2"] == "failed"
    assert records[2].score == 0.0
    assert "too long" in records[2].error


class Broken(dspy.Module):
    def __init__(self, **_):
        super().__init__()

    def forward(self, context, question):
        raise self.error


class Planned(PlainRLM):
    """However short the input is."""

    def __init__(self, **given):
        super().__init__(**given)
        self.options = self.options.model_copy(update={"route": "rlm"})


class Mistaken(Broken):
    error = KeyError("no such thing")


class Unplugged(Broken):
    error = InterpreterError("the REPL broke")


def test_an_exception_of_the_program_is_its_failure(tmp_path):
    records = run(tmp_path, ScriptedLM([""]), program="test_runner:Mistaken")
    assert set(outcomes(records).values()) == {"failed"}
    assert records[0].error == "KeyError: 'no such thing'"


def test_a_repl_that_breaks_is_no_score(tmp_path):
    records = run(tmp_path, ScriptedLM([""]), program="test_runner:Unplugged")
    assert set(outcomes(records).values()) == {"infrastructure"}
    assert [record.attempts for record in records] == [3] * 6
    assert all(record.score is None and not record.scores for record in records)


def test_a_provider_that_breaks_is_tried_again(tmp_path):
    tries = []

    def unwilling(asked):
        tries.append(asked)
        return ServerError("overloaded") if len(tries) < 3 else saying(asked)

    records = run(tmp_path, only(2, unwilling))
    assert set(outcomes(records).values()) == {"scored"}
    assert [record.attempts for record in records] == [1, 1, 3, 1, 1, 1]
    assert records[2].score == 1.0


def test_a_provider_that_stays_broken_is_no_score_and_is_tried_again_when_resumed(tmp_path):
    lm = only(2, lambda asked: ServerError("overloaded"))
    records = run(tmp_path, lm)
    assert outcomes(records)["q2"] == "infrastructure"
    assert "overloaded" in records[2].error
    start, found = read_run(tmp_path / "run")
    assert "| all | 6 | 1.000 [1.000, 1.000] |" in run_report(start, found)
    healthy = ScriptedLM(saying)
    records = run(tmp_path, healthy)
    assert set(outcomes(records).values()) == {"scored"}
    assert len(healthy.asked) == 1


def test_a_sub_query_that_the_provider_fails_is_never_scored_as_wrong(tmp_path):
    """The run itself ends well, with `Missing` in place of what could not be had."""
    plan = code("said = ask_each('Say it.', ['0', '1'])\nSUBMIT(answer=str(said[0] or 'nothing'))")

    def reply(asked):
        if "Functions, already defined:" in asked.system:
            return plan
        return ServerError("overloaded") if "0" in asked.last else "1"

    records = run(tmp_path, ScriptedLM(reply, num_retries=0), program="test_runner:Planned")
    assert set(outcomes(records).values()) == {"infrastructure"}
    assert records[0].status == "completed"


def test_what_takes_too_long_is_a_time_out_and_no_score(tmp_path):
    def slow(asked):
        time.sleep(0.6)
        return saying(asked)

    records = run(tmp_path, only(2, slow), seconds=0.5)
    assert outcomes(records)["q2"] == "timeout"
    assert records[2].score is None
    assert records[2].seconds >= 0.5
    start, found = read_run(tmp_path / "run")
    report = run_report(start, found)
    assert "| all | 6 | 1.000 [1.000, 1.000] | 0.833 [0.500, 1.000] | 0 | 1 | 0 | 0 |" in report
    assert "| timeout |" in report


def test_what_does_not_end_at_all_is_left_behind_and_counted_at_its_worst(tmp_path):
    lm = ScriptedLM(saying, seconds=60, max_tokens=100)
    (example,) = data(tmp_path, 1).examples()
    subject = Subject(Echo, lm, seconds=0.2, grace=0.1)
    record = attempt(subject, example, Purse(None, PRICES), Journal(tmp_path / "calls.jsonl"))
    assert (record.outcome, record.score) == ("timeout", None)
    assert record.error == "TimeoutError: it did not end by itself at its limit"
    assert (record.bill.calls, record.bill.estimated_calls) == (1, 1)


def test_an_rlm_that_is_ended_by_its_limit_is_a_time_out_too(tmp_path):
    def reply(asked):
        if "Functions, already defined:" in asked.system:
            return code("import time\nwhile True:\n    pass")
        return "partial"

    lm, given = ScriptedLM(reply), data(tmp_path, 1)
    records = run(tmp_path, lm, program="test_runner:Planned", seconds=1.0, given=given)
    assert (records[0].outcome, records[0].score) == ("timeout", None)


def test_no_key_stops_the_run_at_once(tmp_path):
    lm = ScriptedLM([AuthError("no key")], num_retries=0)
    with pytest.raises(ProviderError, match="no key"):
        run(tmp_path, lm, workers=1)
    assert len(lm.asked) == 1
    assert [line["kind"] for line in read_lines(tmp_path / "run" / "results.jsonl")] == ["start"]


def test_the_money_of_the_whole_run_is_a_limit(tmp_path):
    lm = ScriptedLM(lambda asked: saying(asked) + " " * 400, max_tokens=128)
    records = run(tmp_path, lm, dollars=0.0105, workers=1)
    spent = sum(record.bill.dollars for record in records)
    assert spent <= 0.0105
    assert [record.outcome for record in records] == ["scored"] * 4 + ["budget"]
    more = run(tmp_path, lm, dollars=1.0, workers=1)
    assert set(outcomes(more).values()) == {"scored"}
    assert len(lm.asked) == 6
    assert [record.bill for record in more[:4]] == [record.bill for record in records[:4]]


def test_an_unknown_price_is_refused_before_anything_is_asked(tmp_path):
    lm = ScriptedLM(saying, model="unpriced/model")
    with pytest.raises(ConfigurationError, match="price of 'unpriced/model' is unknown"):
        run(tmp_path, lm, dollars=1.0)
    assert lm.asked == []


def test_a_price_that_nobody_knows_is_told_with_the_table(tmp_path):
    run(tmp_path, ScriptedLM(saying, model="unpriced/model"))
    told = "No price is known for unpriced/model: its calls count as 0 dollars."
    assert told in run_report(*read_run(tmp_path / "run"))


def test_the_sub_model_is_charged_as_well(tmp_path):
    lm, sub_lm = ScriptedLM(["wrong"]), ScriptedLM(saying)
    records = run(tmp_path, lm, sub_lm=sub_lm)
    assert [record.score for record in records] == [1.0] * 6
    assert (len(lm.asked), len(sub_lm.asked)) == (0, 6)
    assert all(record.bill.calls == 1 for record in records)


def test_what_has_ended_is_not_run_again(tmp_path):
    first = run(tmp_path, ScriptedLM(saying))
    lm = ScriptedLM(saying)
    assert run(tmp_path, lm) == first
    assert lm.asked == []


def test_a_torn_last_line_is_run_again(tmp_path):
    first = run(tmp_path, ScriptedLM(saying), workers=1)
    path = tmp_path / "run" / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    lm = ScriptedLM(saying)
    again = run(tmp_path, lm)
    assert outcomes(again) == outcomes(first)
    assert len(lm.asked) == 1


def test_another_run_is_not_gone_on_with(tmp_path):
    run(tmp_path, ScriptedLM(saying))
    with pytest.raises(ConfigurationError, match="holds another run: seconds was 120.0, not 60.0"):
        run(tmp_path, ScriptedLM(saying), seconds=60.0)
    with pytest.raises(ConfigurationError, match="lm was 'scripted', not 'other'"):
        run(tmp_path, ScriptedLM(saying, model="other"))


def test_a_run_by_another_metric_is_not_gone_on_with(tmp_path):
    run(tmp_path, ScriptedLM(saying))
    for columns in ({"metric": "ruler"}, {"prefix": "x"}, {"answer_type": "x"}):
        given = data(tmp_path, **columns)
        with pytest.raises(ConfigurationError, match="holds another run: examples_digest was"):
            run(tmp_path, ScriptedLM(saying), given=given)


def test_a_second_run_in_the_folder_is_refused_and_pays_nothing(tmp_path):
    lm = ScriptedLM(saying)
    with run_folder(tmp_path / "run"), pytest.raises(ConfigurationError, match="under way in"):
        run(tmp_path, lm)
    assert lm.asked == []
    assert not (tmp_path / "run" / "results.jsonl").exists()
    assert len(run(tmp_path, lm)) == 6


KEY = "sk-0123456789"


def test_the_keys_of_both_models_are_kept_out():
    lm, sub_lm = (dspy.LM("openai/x", api_key=f"{KEY}-{role}") for role in ("main", "sub"))
    subject = Subject(Echo, lm, sub_lm)
    assert subject.cleaned(f"{KEY}-main, {KEY}-sub, {KEY}") == f"[secret], [secret], {KEY}"


def test_a_key_is_in_no_record(tmp_path, monkeypatch):
    monkeypatch.setenv("PROVIDER_API_KEY", KEY)

    def telling(asked):
        broken = {"1": ServerError, "2": ContextLengthError}.get(saying(asked))
        return broken(f"refused: Bearer {KEY}") if broken else f"{KEY} {saying(asked)}"

    records = run(tmp_path, ScriptedLM(telling, num_retries=0))
    assert [record.outcome for record in records][:3] == ["scored", "infrastructure", "failed"]
    assert [record.answer for record in records][3] == "[secret] 3"
    assert all("refused: Bearer [secret]" in record.error for record in records[1:3])
    assert KEY not in (tmp_path / "run" / "results.jsonl").read_text()
    assert KEY not in run_report(*read_run(tmp_path / "run"))


class Misconfigured(Broken):
    error = ConfigurationError(f"Bearer {KEY} is wrong.")


@pytest.mark.parametrize("program", ["measured:Echo", "test_runner:Misconfigured"])
def test_a_key_is_in_no_error_that_ends_the_run(tmp_path, monkeypatch, program):
    monkeypatch.setenv("PROVIDER_API_KEY", KEY)
    lm = ScriptedLM([AuthError(f"Bearer {KEY} is wrong.")], num_retries=0)
    with pytest.raises(RLMError, match=r"Bearer \[secret\] is wrong") as raised:
        run(tmp_path, lm, program=program)
    assert KEY not in "".join(traceback.format_exception(raised.value))


def test_a_reply_with_a_lone_surrogate_is_recorded_and_paid_once(tmp_path):
    lm = ScriptedLM(lambda asked: f"{saying(asked)} \ud83d")
    records = run(tmp_path, lm)
    assert [record.answer for record in records][:2] == ["0 \\ud83d", "1 \\ud83d"]
    assert run(tmp_path, lm) == records
    assert len(lm.asked) == 6


def test_such_a_reply_is_given_again_after_a_kill(tmp_path):
    (example,) = data(tmp_path, 1).examples()
    subject = Subject(Echo, ScriptedLM(["0 \ud83d"]))
    path = tmp_path / "calls.jsonl"
    first, again = (attempt(subject, example, Purse(None, PRICES), Journal(path)) for _ in "ab")
    assert first.answer == again.answer
    assert len(subject.lm.asked) == 1


class Speechless(Broken):
    answer = dspy.Prediction(answer=None)

    def forward(self, context, question):
        return self.answer


class Mute(Speechless):
    answer = dspy.Prediction(other="5")


class Plain(Speechless):
    answer = "0"


class Running(Speechless):
    answer = dspy.Prediction(answer="0", run="mine")


def test_a_field_of_another_kind_named_run_is_no_run(tmp_path):
    records = run(tmp_path, ScriptedLM([""]), program="test_runner:Running")
    assert [record.outcome for record in records] == ["scored"] * 6


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("Speechless", "the prediction has no answer"),
        ("Mute", "the prediction has no answer"),
        ("Plain", "the program returned a str and no dspy.Prediction"),
    ],
)
def test_no_answer_is_a_failure(tmp_path, program, why):
    records = run(tmp_path, ScriptedLM([""]), program=f"test_runner:{program}")
    assert {(r.outcome, r.score, r.error) for r in records} == {("failed", 0.0, why)}


def test_an_empty_answer_of_a_run_that_gave_up_is_a_failure(tmp_path):
    def reply(asked):
        return code("x = 1") if "Functions, already defined:" in asked.system else ""

    records = run(tmp_path, ScriptedLM(reply), program="test_runner:Planned")
    assert {record.outcome for record in records} == {"failed"}
    assert "the run ended partial: " in records[0].error
    assert run(tmp_path, ScriptedLM([""] * 9), "empty")[0].outcome == "scored"


def test_a_provider_without_money_ends_the_run(tmp_path):
    lm = ScriptedLM([BillingError("insufficient quota")] * 9, num_retries=0)
    with pytest.raises(ProviderError, match="insufficient quota"):
        run(tmp_path, lm, workers=1)
    assert len(lm.asked) == 1


class Judge(Echo):
    def forward(self, context, question):
        return dspy.Prediction(judgement=f"correct: {super().forward(context, question).answer}")


def test_what_no_program_of_ours_gives_is_not_scored_as_wrong(tmp_path):
    given, lm = data(tmp_path, 1, metric="browsecomp_judge"), ScriptedLM(["yes"])
    for program in ("direct", "rlm"):
        with pytest.raises(ConfigurationError, match="reads 'judgement': the program"):
            run(tmp_path, lm, given=given, program=program)
    assert lm.asked == []
    assert run(tmp_path, lm, given=given, program="test_runner:Judge")[0].score == 1.0


def test_a_run_takes_the_examples_of_another(tmp_path):
    given = data(tmp_path, 8)
    run(tmp_path, ScriptedLM(saying), "first", given=given)
    lm = ScriptedLM(saying)
    records = run(tmp_path, lm, "second", given=given, same_as=tmp_path / "first")
    assert [record.id for record in records] == [f"q{number}" for number in range(8)]
    with pytest.raises(ConfigurationError, match="is a run of"):
        run(tmp_path, lm, "third", given=Data("niah", 2), same_as=tmp_path / "first")
    asked = len(lm.asked)
    data(tmp_path, 8, contexts=3)
    with pytest.raises(ConfigurationError, match="5 of the 8 .* have changed since: q3"):
        run(tmp_path, lm, "fourth", given=given, same_as=tmp_path / "first")
    assert len(lm.asked) == asked


def test_many_are_under_way_at_once(tmp_path):
    lm = ScriptedLM(saying, seconds=0.2)
    run(tmp_path, lm, workers=6)
    assert lm.script.most_in_flight == 6


def test_the_start_line_says_how_to_make_the_same_run(tmp_path):
    run(tmp_path, ScriptedLM(saying))
    start, _ = read_run(tmp_path / "run")
    made = start["made_with"]
    assert {"data", "command", "versions", "commit", "machine", "unpriced"} == set(made)
    assert made["unpriced"] == []
    assert made["data"].startswith(f"{tmp_path}/questions.jsonl: ")
    assert "dspy" in made["versions"]
    settings = start["settings"]
    assert (settings["seed"], settings["examples"], settings["lm"]) == (1, 6, "scripted")
    assert len(settings["prompts"]["unused"]) == 12
