"""`Recipe.from_run`: what of a run is a recipe, and what such a recipe answers elsewhere."""

import dspy
import pytest

from rlm_dspy import RLM, ConfigurationError, Recipe, Run, Spend
from rlm_dspy.events import Executed, Planned, RunStarted, Submitted
from rlm_dspy.testing import ScriptedLM, code

QUERY = "Which ship does Captain Branwick command?"
SHIPS = {"Branwick": "Grey Heron", "Marvey": "Blue Tern"}
TEXT = "".join(f"Captain {name} commands the {ship}.\n" for name, ship in SHIPS.items())
TEXT += "Rain fell.\n" * 500


def run_of(*steps, status="completed"):
    """A run of steps, each the code and, where it did not go well, what was printed and how."""
    inputs = {"context": "Context", "query": "str"}
    models = {"model": "m", "sub_model": "m", "planned_by": "model"}
    events = [RunStarted(signature="context, query -> answer", inputs=inputs, **models)]
    for number, step in enumerate(steps, 1):
        source, output, outcome = (step, "", "ok") if isinstance(step, str) else step
        events.append(Planned(step=number, reasoning="", code=source))
        outcome = "submit" if number == len(steps) else outcome
        events.append(Executed(step=number, output=output, outcome=outcome))
        if outcome == "submit":
            events.append(Submitted(step=number, accepted=number == len(steps), outputs={}))
    return Run("r1", status, "", "model", Spend(), tuple(events), ())


def steps_of(*steps, query=""):
    return list(Recipe.from_run(run_of(*steps), query).steps)


FIND = "hits = context.grep('Captain')"
END = "SUBMIT(answer=hits[0])"


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ([FIND, END], [0, 1]),
        (["print(context[:300])", FIND, "print(hits[:2])", END], [1, 3]),
        (["hits = context.grep('sea')", FIND, END], [1, 2]),
        (["n = len(context)\nprint(n)", FIND, "total = n + 1", END], [1, 3]),
        ([FIND, "hits.reverse()", END], [0, 1, 2]),
        ([FIND, "first = hits[0]\nhits.sort(key=len)", END], [0, 1, 2]),
        ([FIND, "other = hits", "other.append('x')", END], [0, 1, 2, 3]),
        ([FIND, "for hit in hits:\n    print(hit.lower())", END], [0, 2]),
        ([FIND, "def f(xs):\n    return xs[::-1]", "hits = f(hits)", END], [0, 1, 2, 3]),
        ([FIND, "def f(xs):\n    xs.clear()", "f(hits)", END], [0, 1, 2, 3]),
        ([FIND, "n = {}", "n['a'] = 1", END], [0, 3]),
        ([FIND, "n = {}", "n['a'] = hits", "SUBMIT(answer=n['a'][0])"], [0, 1, 2, 3]),
        (["import re", FIND, "SUBMIT(answer=re.sub('a', 'b', hits[0]))"], [0, 1, 2]),
        ([FIND, "hits += context.grep('x')", END], [0, 1, 2]),
        ([FIND, "if len(hits) > 9:\n    hits = hits[:9]", END], [0, 1, 2]),
        ([FIND, "names = [hit for hit in hits]", END], [0, 2]),
    ],
)  # fmt: skip
def test_the_steps_that_the_answer_depends_on_are_kept(steps, kept):
    assert steps_of(*steps) == [steps[number] for number in kept]


ERROR = "[Error] NameError: name 'nope' is not defined\nline {}: nope()"


@pytest.mark.parametrize(
    ("failed", "kept"),
    [
        ((f"{FIND}\nnope()", ERROR.format(2), "error"), [FIND]),
        (("x = 1\nnope()", ERROR.format(2), "error"), []),
        ((f"nope()\n{FIND}", ERROR.format(1), "error"), []),
        (("hits = (", "[Error] SyntaxError: '(' was never closed\nline 1: hits = (", "error"), []),
        ((f"{FIND}\nSUBMIT(answer=7)", "", "submit"), [FIND]),
        (("hits = nope()", ERROR.format(1), "error"), []),
    ],
)
def test_of_a_step_that_failed_what_ran_before_is_kept(failed, kept):
    again = [] if kept else [FIND]
    assert steps_of(failed, *again, END) == [*kept, *again, END]


def test_what_a_failure_left_half_done_is_refused():
    half = "for hit in context.grep('x'):\n    hits.append(hit)\n    nope()"
    with pytest.raises(ConfigurationError, match=r"Step 2 failed half way.*'hits'"):
        steps_of("hits = []", (half, ERROR.format(3), "error"), END)


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (run_of(FIND, END, status="partial"), "is partial"),
        (run_of((FIND, "", "ok"), "print(1)", status="failed"), "is failed"),
        (run_of("print(context[:9])", "SUBMIT(answer='tulip')"), "'tulip'.*typed into the code"),
        (run_of("n = 3", "answer = 'tulip'\nSUBMIT(answer=answer)"), "typed into the code"),
        (
            run_of(("print(context[:90])", "The vault of Ostmore opens with", "ok"),
                   "SUBMIT(answer=ask('The vault of Ostmore opens with', context[:9]))"),
            "The vault of Ostmore.*printed before",
        ),
        (
            run_of(("print(context.find('x'))", "13944", "ok"),
                   "SUBMIT(answer=ask(query, context[13944:14000]))"),
            "13944.*printed before",
        ),
    ],
)  # fmt: skip
def test_a_run_that_would_not_answer_elsewhere_is_refused(run, told):
    with pytest.raises(ConfigurationError, match=told):
        Recipe.from_run(run, "What opens it?")


def planned(*steps):
    with dspy.context(lm=ScriptedLM([code(step) for step in steps])):
        result = RLM(sub_lm=ScriptedLM(["never"]))(context=TEXT, query=QUERY)
    assert result.answer == "Grey Heron"
    return Recipe.from_run(result.run, QUERY)


def reader(asked):
    """A model that reads the one ship that it is shown."""
    found = [ship for ship in SHIPS.values() if ship in asked.last]
    return found[0] if len(found) == 1 else "unknown"


@pytest.mark.parametrize(
    ("steps", "calls"),
    [
        (["print(len(context))",
          "hit = context.grep('Captain Branwick')[0]\nprint(hit)",
          "SUBMIT(answer=hit.split('the ')[1].rstrip('.'))"], 0),
        (["for hit in context.grep('Captain Branwick'):\n    print(hit)",
          "SUBMIT(answer='Grey Heron')"], 1),
        (["context.grep('Captain Branwick')",
          "answer = 'Grey Heron'\nSUBMIT(answer=answer)"], 1),
    ],
    ids=["worked out", "printed and read off", "echoed and read off"],
)  # fmt: skip
def test_a_recipe_answers_another_query_without_a_planner(steps, calls, tmp_path):
    recipe = planned(*steps)
    assert recipe.parameters == {"asked_1": "Captain Branwick"}
    assert recipe.template == "Which ship does {asked_1} command?"
    recipe.save(tmp_path / "ships.toml")
    assert Recipe.of(tmp_path / "ships.toml") == recipe
    with dspy.context(lm=ScriptedLM(reader)):
        asked = RLM(recipe=recipe)
        result = asked(context=TEXT, query="Which ship does Captain Marvey command?")
        assert (result.answer, result.run.planned_by) == ("Blue Tern", "recipe")
        assert result.run.spend.calls == calls
        with pytest.raises(ConfigurationError, match="does not fit the recipe"):
            asked(context=TEXT, query="Who commands the Blue Tern?")


def test_code_that_asks_the_query_itself_takes_any():
    steps = [
        ("print(context.search(query, k=1))", "the Grey Heron", "ok"),
        "SUBMIT(answer='Heron')",
    ]
    assert Recipe.from_run(run_of(*steps), QUERY).template == ""
    steps[0] = ("print(context.grep('ship')[0])", "the Grey Heron", "ok")
    assert Recipe.from_run(run_of(*steps), QUERY).template == "Which ship does {} command?"


def test_where_nothing_is_found_nothing_is_asked():
    recipe = planned("context.grep('Captain Branwick')", "SUBMIT(answer='Grey Heron')")
    lm = ScriptedLM(["not found"])
    with dspy.context(lm=lm):
        result = RLM(recipe=recipe)(context=TEXT, query="Which ship does Captain Roth command?")
    assert result.run.status == "partial"
    assert "submitted nothing" in result.run.reason
    assert result.run.spend.by_role.keys() == {"extract"}
