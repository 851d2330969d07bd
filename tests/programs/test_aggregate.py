"""`Aggregate`: the generator, the program and the scorer agree on every question."""

from concurrent.futures import ThreadPoolExecutor

import dspy
import pytest

from eval.metrics import METRICS
from eval.oolong import SOURCES, make_window, parsed_lines
from eval.oracle import Oracle, oracle_lm
from eval.tasks.oolong_synth import window_examples
from programs import Aggregate
from rlm_dspy.testing import ScriptedLM

PLAIN = "The beech is a tree.\nThe adder is a snake.\nThe oak is a tree.\nThe yew is a tree.\n" * 40
HOW_MANY = "In the above data, how many data points should be classified as label '{}'?"


def answered(example, lm, **options):
    with dspy.context(lm=lm):
        return Aggregate(**options)(context=example.context, question=example.question)


def scores(examples, lm, **options):
    def score(example):
        return METRICS["oolong_synth"](example, answered(example, lm, **options))

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(score, examples))


def untied(source, length, seed, labelled=False):
    window = make_window(SOURCES[source], length, seed)
    return [e for e in window_examples(window, labelled=labelled) if not e.tied]


@pytest.mark.parametrize(
    ("source", "planned"), [("wordnet", False), ("spam_assassin", False), ("spam_assassin", True)]
)
def test_every_question_without_ties_is_answered_right(source, planned):
    examples = untied(source, 1_536, "agree")
    examples = examples[:: max(1, len(examples) // 15)]
    assert {example.group for example in examples} == {"counting", "user", "timeline"}
    assert set(scores(examples, oracle_lm(examples), planned=planned)) == {1.0}


def test_labels_that_the_lines_show_need_no_model():
    examples = untied("wordnet", 1_536, "shown", labelled=True)[::9]
    nobody = ScriptedLM([AssertionError("a model was asked")])
    assert set(scores(examples, nobody)) == {1.0}
    assert nobody.asked == []


# 200 contexts: 60 of definitions, with about 85 questions each, and 140 of mails, with about 29.
CHUNKS = [("wordnet", 1_024, n) for n in range(0, 60, 10)]
CHUNKS += [("spam_assassin", 3_072, n) for n in range(0, 140, 35)]


@pytest.mark.slow
@pytest.mark.parametrize(("source", "length", "first"), CHUNKS)
def test_every_question_over_200_contexts(source, length, first):
    """Planned by the simulated planner; by the recipe for every fifth context."""
    many = 10 if source == "wordnet" else 35
    wrong = []
    for number in range(first, first + many):
        examples = untied(source, length, f"all-{number}")
        for planned in (True, False) if number % 5 == 0 else (True,):
            found = scores(examples, oracle_lm(examples), planned=planned)
            wrong += [e.id for e, score in zip(examples, found, strict=True) if score != 1.0]
    assert wrong == []


def misread(example, oracle):
    """The example with the labels that an erring sub-model gives, shown."""
    lines = {line.text: oracle.label(line.text) for line in parsed_lines(example.labelled_context)}
    shown = [
        f"{line} || Label: {lines[line.partition(' || Instance: ')[2]]}"
        if " || Instance: " in line
        else line
        for line in example.context.splitlines()
    ]
    return example.copy(context="\n".join(shown))


@pytest.mark.parametrize("planned", [False, True])
def test_errors_of_sub_queries_cost_exactly_what_they_account_for(planned):
    """With 5 % of the labels wrong, every answer is the one that these labels give."""
    examples = untied("wordnet", 2_048, "errors")[::9]
    oracle = Oracle(examples, error_rate=0.05, seed=4)
    erring = oracle_lm(examples, error_rate=0.05, seed=4)
    nobody = ScriptedLM([AssertionError("a model was asked")])
    got = [answered(e, erring, planned=planned).answer for e in examples]
    due = [answered(misread(e, oracle), nobody).answer for e in examples]
    assert got == due
    metric = METRICS["oolong_synth"]
    score = [metric(e, dspy.Prediction(answer=a)) for e, a in zip(examples, got, strict=True)]
    assert 0.5 < sum(score) / len(score) < 1


def kinds_lm(asked):
    """Labels the texts of `PLAIN`, alone or many to a call."""
    items = asked.last.partition("<text>\n")[2].partition("\n</text>")[0].splitlines()
    said = []
    for item in items:
        number = item.partition(": ")[0] if item[0].isdigit() else ""
        label = "snake" if "snake" in item else "tree"
        said.append(f"{number}: {label}" if number else label)
    return "\n".join(said)


def test_lines_of_any_form_with_labels_of_ones_own():
    lm = ScriptedLM(kinds_lm)
    with dspy.context(lm=lm):
        result = Aggregate(labels=["tree", "snake"])(
            context=PLAIN, question=HOW_MANY.format("tree")
        )
    assert (result.answer, result.run.planned_by) == ("Answer: 120", "recipe")
    assert "tree, snake" in lm.asked[0].last


def test_the_same_text_is_asked_about_once():
    lm = ScriptedLM(kinds_lm)
    with dspy.context(lm=lm):
        Aggregate(labels=["tree", "snake"])(context=PLAIN, question=HOW_MANY.format("tree"))
    assert len(lm.asked) == 4


def test_a_question_in_other_words_is_answered_from_exact_counts():
    def reply(asked):
        return "three to one" if "lines by label" in asked.last else kinds_lm(asked)

    lm = ScriptedLM(reply)
    with dspy.context(lm=lm):
        result = Aggregate(labels=["tree", "snake"])(context=PLAIN, question="How do they compare?")
    assert result.answer == "three to one"
    assert "  tree: 120\n  snake: 40" in lm.asked[-1].last


def test_labels_that_nobody_tells_are_an_error_that_says_so():
    with dspy.context(lm=ScriptedLM(["nothing"])):
        result = Aggregate()(context=PLAIN, question="How do they compare?")
    assert result.run.status == "partial"
    assert "give them by the parameter `labels`" in result.run.reason


def test_a_line_that_could_not_be_labelled_counts_for_no_label():
    def reply(asked):
        return "no idea" if "oak" in asked.last else kinds_lm(asked)

    with dspy.context(lm=ScriptedLM(reply)):
        result = Aggregate(labels=["tree", "snake"], pack=1)(
            context=PLAIN, question=HOW_MANY.format("tree")
        )
    assert result.answer == "Answer: 80"
    assert "1 of 4 texts could not be labelled" in result.trajectory[1]["output"]
