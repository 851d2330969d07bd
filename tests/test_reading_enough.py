"""What a run says of what was read, `min_coverage`, and answers that there is none."""

import dspy
import pytest

from rlm_dspy import RLM, Budget, Context, RLMOptions
from rlm_dspy.events import Submitted
from rlm_dspy.outcome import ExitCode, Outcome
from rlm_dspy.testing import ScriptedLM, code
from rlm_dspy.view.html import covered_by, render

LINES = [f"{at} is squared {at * at}" for at in range(400)]
TEXT = "\n".join(LINES)
HALF = len(TEXT) // 2
UNSURE = "context, query -> answer: str | None"
READ_ALL = "ask_each('is it?', context.chunks(1000))"


def run(steps, *, signature="context, query -> answer", context=TEXT, sub=None, **options):
    with dspy.context(lm=ScriptedLM([code(step) for step in steps])):
        rlm = RLM(
            signature,
            max_iters=len(steps),
            sub_lm=sub or ScriptedLM(["yes"]),
            budget=Budget(depth=2),
            options=RLMOptions(preview_chars=0, **options),
        )
        return rlm(context=context, query="q")


def submissions(result):
    return [event for event in result.run.events if isinstance(event, Submitted)]


def test_what_a_run_has_read():
    result = run(
        [
            "context.grep('^7 is')[0]",
            "ask('which?', context[:200])\nprint('x', context[300:330])",
            "ask('which?', context.documents[0][190:300])\nSUBMIT(answer='a')",
        ]
    )
    found = result.run.coverage.ranges(0)
    start = TEXT.index("7 is")
    assert found["sent"] == [(0, 300)]
    assert found["printed"] == [(start, start + len("7 is squared 49"))]
    assert result.run.coverage.matched == 0


def test_what_is_only_matched():
    result = run(["n = context.grep('squared 1')", "SUBMIT(answer='a')"])
    coverage = result.run.coverage
    assert (coverage.read, coverage.matched) == (
        0,
        sum(len(line) for line in LINES if "squared 1" in line),
    )


def test_a_passage_that_is_shown_was_printed():
    story = "It rained all day. " * 80 + "The vault opens with a tulip. " + "Ships left. " * 80
    result = run(["context.search('vault', k=1)", "SUBMIT(answer='a')"], context=story)
    ((start, end),) = result.run.coverage.ranges(0)["printed"]
    assert "The vault opens with a tulip." in story[start:end]


def test_the_preview_was_printed():
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer='a')")])):
        result = RLM(options=RLMOptions(preview_chars=300))(context=TEXT, query="q")
    assert result.run.coverage.ranges(0)["printed"] == [(0, 200), (len(TEXT) - 100, len(TEXT))]


def test_what_was_answered_directly_was_read():
    with dspy.context(lm=ScriptedLM(["fine"])):
        result = RLM(options=RLMOptions(route="direct"))(context=TEXT, query="q")
    assert result.run.coverage.share == 1


def test_a_failed_sub_query_read_nothing():
    failing = ScriptedLM([ValueError("no")], model="sub")
    result = run(["try:\n    ask('q', context[:99])\nexcept Exception: pass", "1"], sub=failing)
    assert result.run.coverage.read == 0


def test_what_a_recipe_prints_nobody_reads():
    from rlm_dspy import Recipe

    recipe = Recipe(name="r", steps=["print(context[:99])", "SUBMIT(answer='a')"])
    with dspy.context(lm=ScriptedLM(["fine"])):
        result = RLM(recipe=recipe)(context=TEXT, query="q")
    assert result.run.coverage.read == 0


def test_a_run_within_it_reads_its_parents_text():
    inner = [code(f"ask('q', context[:{HALF // 2}])"), code("SUBMIT(answer='in')")]
    outer = [code(f"rlm_query('q', context[:{HALF}])"), code("SUBMIT(answer='out')")]
    with dspy.context(lm=ScriptedLM([outer[0], *inner, outer[1]])):
        rlm = RLM(
            sub_lm=ScriptedLM(["yes"]), budget=Budget(depth=2), options=RLMOptions(preview_chars=0)
        )
        result = rlm(context=TEXT, query="q")
    assert result.answer == "out"
    ((start, end),) = result.run.coverage.ranges(0)["sent"]
    assert start == 0
    assert HALF // 2 - len(LINES[-1]) <= end <= HALF // 2


def test_a_foreign_interpreter():
    from rlm_dspy import RestrictedInterpreter

    class Foreign:
        def __init__(self):
            self.tools, self.output_fields = {}, None
            self.inner = RestrictedInterpreter()

        def start(self):
            self.inner.start()

        def execute(self, source, variables=None):
            self.inner.tools, self.inner.output_fields = self.tools, self.output_fields
            return self.inner.execute(source, variables)

        def shutdown(self):
            self.inner.shutdown()

    steps = ["llm_query('\\n'.join(context.splitlines()[3:6]))", "SUBMIT(answer='a')"]
    with dspy.context(lm=ScriptedLM([code(step) for step in steps])):
        rlm = RLM(sub_lm=ScriptedLM(["yes"]), options=RLMOptions(preview_chars=0))
        result = rlm(context=TEXT, query="q", interpreter_factory=Foreign)
    ((start, end),) = result.run.coverage.ranges(0)["sent"]
    assert TEXT[start:end] == "\n".join(LINES[3:6])


def test_an_answer_that_comes_too_soon():
    result = run(["SUBMIT(answer='guess')", READ_ALL, "SUBMIT(answer='known')"], min_coverage=0.9)
    first, last = submissions(result)
    assert not first.accepted
    assert first.unread
    assert "Only 0% of the text was read and 90% must be before SUBMIT." in first.error
    assert f"Unread: context[0:{len(TEXT)}]" in first.error
    assert last.accepted
    assert (result.answer, result.run.status, result.run.reason) == ("known", "completed", "")
    assert result.run.coverage.share == 1


def test_at_the_last_step_it_is_taken_and_said():
    result = run(["SUBMIT(answer='a')", "SUBMIT(answer='b')"], min_coverage=0.5)
    assert [event.accepted for event in submissions(result)] == [False, True]
    assert (result.answer, result.run.status, result.run.reason) == ("b", "partial", "coverage")


def test_an_answer_that_was_refused_is_not_lost():
    result = run(["SUBMIT(answer='a')", "pass"], min_coverage=0.5)
    assert (result.answer, result.run.status, result.run.reason) == ("a", "partial", "steps")
    assert not [event for event in result.run.events if event.kind == "extracted"]


def test_what_was_only_matched_is_not_enough():
    result = run(["n = context.grep('is')", "SUBMIT(answer='a')", "pass"], min_coverage=0.1)
    assert submissions(result)[0].unread


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_that_is_none(share):
    with pytest.raises(ValueError, match="min_coverage"):
        RLMOptions(min_coverage=share)


def test_not_found_is_an_answer():
    result = run([READ_ALL, "SUBMIT(answer=None)"], signature=UNSURE)
    assert (result.answer, result.run.status, result.run.reason) == (None, "completed", "not_found")
    assert result.run.coverage.share == 1


def test_where_the_signature_wants_an_answer_none_is_none():
    result = run(["SUBMIT(answer=None)", "SUBMIT(answer='a')"])
    assert [event.accepted for event in submissions(result)] == [False, True]
    assert result.run.reason == ""


def test_one_answer_of_two_is_found():
    result = run(
        ["SUBMIT(answer=None, n=2)"],
        signature="context, query -> answer: str | None, n: int | None",
    )
    assert result.run.reason == ""


def outcome(signature=UNSURE):
    result = run([READ_ALL, "SUBMIT(answer=None)"], signature=signature)
    return Outcome(result.run, {"answer": result.answer})


def test_the_command_line_says_it():
    found = outcome()
    assert found.exit_code == ExitCode.NO_ANSWER
    assert found.coverage_line().startswith(f"read 100.0% of {len(TEXT):,} characters:")
    assert f'"sent": {len(TEXT)}' in found.as_json()


def test_the_page_shows_it():
    result = run(["ask('q', context[:100])", "SUBMIT(answer='a')"], context=Context.from_text(TEXT))
    (covered,) = covered_by(result.run)
    assert (covered["characters"], covered["sent"]) == (len(TEXT), [(0, 100)])
    assert '"sent":[[0,100]]' in render(result.run)
