"""The simulated planner: right plans for every question, errors as the caller sets them."""

import copy

import dspy
import pytest

from eval import tasks
from eval.metrics import METRICS
from eval.models import lm_named
from eval.oolong import SOURCES, make_window
from eval.oracle import SIMULATED, UNKNOWN, Oracle, oracle_lm
from eval.plans import HEAD, Reading, code_for, plan_for
from eval.tasks.oolong_synth import window_examples
from rlm_dspy import RLM, ConfigurationError


class Submitted(Exception):
    """What `SUBMIT` raises below."""


def steps_for(example):
    """The plan for an example."""
    names = sorted(example.get("label_names", []))
    return code_for(Reading(example.question, "context", "answer", names))


def carried_out(example, oracle):
    """The answer of the plan for an example: its code run here, its sub-queries asked directly."""

    def submit(answer):
        raise Submitted(answer)

    def ask_each(question, items, returns=str):
        turns = [f"{question}\n\n<text>\n{item}\n</text>" for item in items]
        return [oracle.reply("", [("user", turn)]) for turn in turns]

    names = {
        "context": example.context,
        "ask_each": ask_each,
        "SUBMIT": submit,
        "print": lambda *said: None,
    }
    try:
        for step in steps_for(example):
            exec(step, names)
    except Submitted as answer:
        return str(answer)
    raise AssertionError("the plan ended without an answer")


def scored(examples, **options):
    oracle = Oracle(examples, **options)
    return [METRICS[e.metric](e, dspy.Prediction(answer=carried_out(e, oracle))) for e in examples]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("labelled", [False, True])
def test_every_question_over_a_context_is_planned_right(source, labelled):
    for number in range(3):
        window = make_window(SOURCES[source], 3072, f"oracle-{number}")
        assert set(scored(window_examples(window, labelled=labelled))) == {1.0}


@pytest.mark.parametrize("name", ["niah", "oolong_pairs"])
def test_needles_and_pairs_are_planned_right(name):
    examples = tasks.load(name, n=40, lengths=[2048], generated=True)
    assert set(scored(examples)) == {1.0}


TREC = (
    "In the above data, which user has more instances with the label human being: User 10001 or "
    "User 10002? Give your final answer in the form 'User: [X]', where [X] is the user ID."
)


def test_labels_of_several_words_are_planned():
    lines = [("10001", "entity"), ("10002", "human being"), ("10001", "numeric value")]
    text = "".join(
        f"Date: Sep 06, 2023 || User: {user} || Instance: line {n} || Label: {label}\n"
        for n, (user, label) in enumerate(lines)
    )
    names = ["entity", "human being", "numeric value"]
    example = dspy.Example(
        context="\n".join(line.partition(" || Label: ")[0] for line in text.splitlines()),
        question=TREC,
        label_names=names,
        labelled_context=text,
        context_id="one",
    )
    assert carried_out(example, Oracle([example])) == "User: 10002"


def test_an_error_rate_is_met():
    window = make_window(SOURCES["wordnet"], 65_536, "rate")
    examples = window_examples(window)[:1]
    for rate in (0.0, 0.05, 0.5, 1.0):
        oracle = Oracle(examples, error_rate=rate, seed=3)
        wrong = sum(oracle.label(line.text) != line.label for line in window.lines)
        assert wrong / len(window.lines) == pytest.approx(rate, abs=0.03)
        assert all(oracle.label(line.text) in window.labels for line in window.lines)


def test_the_same_text_is_always_answered_alike():
    window = make_window(SOURCES["wordnet"], 4096, "alike")
    examples = window_examples(window)
    one, two = (Oracle(some, error_rate=0.5, seed=1) for some in (examples, examples[:1]))
    other = Oracle(examples, error_rate=0.5, seed=2)
    texts = [line.text for line in window.lines]
    assert [one.label(text) for text in texts] == [two.label(text) for text in reversed(texts)][
        ::-1
    ]
    assert [one.label(text) for text in texts] != [other.label(text) for text in texts]


def test_values_err_in_their_own_form():
    oracle = Oracle([], error_rate=1.0)
    value = oracle.value("key", "18a7d6b1-8de5")
    assert value != "18a7d6b1-8de5"
    assert [len(part) for part in value.split("-")] == [8, 4]
    assert oracle.value("key", "1234567").isdigit()


def test_errors_lower_the_score():
    window = make_window(SOURCES["wordnet"], 3072, "lower")
    examples = window_examples(window)
    few, many = (sum(scored(examples, error_rate=rate)) for rate in (0.05, 0.5))
    assert many < few < len(examples)


@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_a_rate_that_is_no_share_is_refused(rate):
    with pytest.raises(ConfigurationError, match="is not a share from 0 to 1"):
        Oracle([], error_rate=rate)


EXAMPLES = (
    tasks.load("niah", n=8, lengths=[1024])
    + tasks.load("oolong_synth", n=6, lengths=[1536], generated=True)
    + tasks.load("oolong_pairs:roles", n=2, lengths=[1536], generated=True)
)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_an_rlm_answers_right_with_it(example):
    with dspy.context(lm=oracle_lm([example])):
        pred = RLM("context, question -> answer")(**example.inputs())
    assert METRICS[example.metric](example, pred) == 1.0
    assert (pred.run.status, len(pred.trajectory)) == ("completed", len(steps_for(example)))
    assert pred.run.spend.calls > 2 or example.task == "oolong_synth"


@pytest.mark.parametrize("example", EXAMPLES[8:], ids=lambda example: example.id)
def test_an_rlm_scores_as_computed_from_the_errors(example):
    """What the machinery gives is what the errors alone account for, packs or not."""
    with dspy.context(lm=oracle_lm([example], error_rate=0.3, seed=5)):
        pred = RLM("context, question -> answer")(**example.inputs())
    assert [METRICS[example.metric](example, pred)] == scored([example], error_rate=0.3, seed=5)


def test_everything_it_makes_is_headed_simulated():
    lm = oracle_lm(EXAMPLES, error_rate=0.05)
    with dspy.context(lm=lm):
        pred = RLM("context, question -> answer")(**EXAMPLES[0].inputs())
    assert lm.model == "simulated/oracle:0.05"
    assert SIMULATED.startswith("SIMULATED: ")
    assert all(step["reasoning"].startswith("SIMULATED plan") for step in pred.trajectory)
    assert all(step["code"].startswith("# SIMULATED plan") for step in pred.trajectory)
    assert pred.run.models["main"].startswith("simulated")


def test_a_question_that_it_was_not_told_of_is_not_planned():
    prompt = "SUBMIT(answer=…)\ncontext: Context: 9,000 characters\nquestion = 'Who am I?'"
    assert "SUBMIT()" in plan_for(prompt, 0, {})
    assert "SUBMIT()" in plan_for(prompt, 0, {"Who am I?": ()})
    assert HEAD in plan_for(prompt, 0, {})


def reply(turn, examples=EXAMPLES):
    return Oracle(examples).reply("", [("user", turn)])


def test_it_answers_many_numbered_items():
    example = next(e for e in EXAMPLES if e.task == "oolong_synth")
    lines = [x for x in example.labelled_context.splitlines() if " || Label: " in x][:2]
    (one, label), (two, other) = (x.split(" || Instance: ")[1].split(" || Label: ") for x in lines)
    packed = f"Which?\n\n<text>\n11: {one}\n15: {two}\n18: no line\n</text>"
    assert reply(packed) == f"11: {label}\n15: {other}\n18: {UNKNOWN}"
    whole = lines[0].partition(" || Label: ")[0]
    assert reply(f"Which?\n\n<text>\n{whole}\n</text>") == label


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (
            "What is the value for a-b?\n\n<text>\n… of the special magic numbers for a-b is: 7. "
            "One of the special magic numbers for c-d is: 8. And\n</text>",
            "7",
        ),
        (
            "What is the value for x-y?\n\n"
            "<text>\nOne of the special magic numbers for a-b is: 7.\n</text>",
            UNKNOWN,
        ),
        (f"Combine.\n\n<text>\n1. 7\n2. {UNKNOWN}\n3. 8\n4. 7\n</text>", "7, 8"),
        ("One of the special magic numbers for a-b is: 7. What is it for a-b?", "7"),
        ("What is love?", UNKNOWN),
    ],
)
def test_it_answers_questions_about_needles(turn, said):
    assert reply(turn) == said


def test_it_speaks_dspys_format_where_it_is_asked_to():
    example = EXAMPLES[0]
    with dspy.context(lm=oracle_lm([example]), adapter=dspy.ChatAdapter()):
        pred = dspy.ChainOfThought("context, question -> answer")(**example.inputs())
    assert pred.answer == example.answer
    assert pred.reasoning == "SIMULATED"


def test_a_copy_knows_the_same():
    oracle = Oracle(EXAMPLES)
    assert copy.deepcopy({"oracle": oracle})["oracle"] is oracle


def test_dspys_cache_does_not_answer_for_another_seed():
    example = next(e for e in EXAMPLES if e.task == "oolong_synth")
    line = next(x for x in example.context.splitlines() if " || Instance: " in x)
    turn = f"Which?\n\n<text>\n{line}\n</text>"
    for seed in range(6):
        lm = lm_named("oracle:0.5", [example], seed=seed, cache=True)
        right = Oracle([example], error_rate=0.5, seed=seed).reply("", [("user", turn)])
        assert lm(turn) == [right]
