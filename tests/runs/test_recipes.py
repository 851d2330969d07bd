"""Plans written ahead: their files, their errors, and their runs."""

import dspy
import pytest

from rlm_dspy import RLM, Budget, ConfigurationError, Context, Recipe
from rlm_dspy.events import Planned
from rlm_dspy.testing import ScriptedLM

TEXT = "The grass grows. " * 300 + "The password of the vault is tulip. " + "The sky is up. " * 300

TOML = '''
name = "find"
description = "Finds a word."

[parameters]
word = "password"

[[steps]]
code = """
hits = context.grep(word)
print(len(hits))
"""

[[steps]]
code = "SUBMIT(answer=hits[0])"
'''

PYTHON = '''"""Finds a word."""

word = "password"
limit: int = 3

# %% look
hits = context.grep(word)
print(len(hits))

# %%
SUBMIT(answer=hits[0])
'''


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def run(recipe, replies=("never",), signature="context, query -> answer", inputs=None, **kwargs):
    lm = ScriptedLM(replies)
    with dspy.context(lm=lm):
        rlm = RLM(signature, recipe=recipe, **kwargs)
        return rlm(**(inputs or {"context": TEXT, "query": "What is the password?"})), lm


def test_toml(tmp_path):
    recipe = Recipe.from_file(write(tmp_path, "r.toml", TOML))
    assert (recipe.name, recipe.description) == ("find", "Finds a word.")
    assert recipe.parameters == {"word": "password"}
    assert len(recipe.steps) == 2


def test_toml_steps_may_be_plain_strings(tmp_path):
    recipe = Recipe.from_file(
        write(tmp_path, "short.toml", 'steps = ["x = 1", "SUBMIT(answer=x)"]')
    )
    assert (recipe.name, recipe.steps) == ("short", ("x = 1", "SUBMIT(answer=x)"))


def test_python(tmp_path):
    recipe = Recipe.from_file(write(tmp_path, "finder.py", PYTHON))
    assert (recipe.name, recipe.description) == ("finder", "Finds a word.")
    assert recipe.parameters == {"word": "password", "limit": 3}
    assert recipe.steps == (
        "hits = context.grep(word)\nprint(len(hits))",
        "SUBMIT(answer=hits[0])",
    )


@pytest.mark.parametrize(("name", "text"), [("r.toml", TOML), ("r.py", PYTHON)])
@pytest.mark.parametrize("given", [str, Recipe.from_file, lambda path: path])
def test_a_recipe_runs_without_the_planner(tmp_path, name, text, given):
    result, lm = run(given(write(tmp_path, name, text)))
    assert "The password of the vault is tulip." in result.answer
    assert (result.run.status, result.run.planned_by) == ("completed", "recipe")
    assert [step["output"].strip() for step in result.trajectory[:1]] == ["1"]
    assert [e.code for e in result.run.events if isinstance(e, Planned)] == [
        step["code"] for step in result.trajectory
    ]
    assert not lm.asked


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("r.toml", "not [ toml", "is not TOML"),
        ("r.toml", "name = 'x'", "no steps"),
        ("r.toml", "steps = []", "no steps"),
        ("r.toml", "steps = ['']", "no code"),
        ("r.toml", "steps = 'print(1)'", "no steps"),
        ("r.toml", "steps = 3", "no steps"),
        ("r.toml", "[[steps]]\nname = 'no code'", "no code"),
        ("r.toml", "steps = ['x']\nplan = 1", r"unknown keys \['plan'\]"),
        ("r.toml", "steps = ['x']\nparameters = [1]", "not a table"),
        ("r.toml", "steps = ['x']\n[parameters]\n'a b' = 1", "a b"),
        ("r.toml", "steps = ['x']\n[parameters]\nclass = 1", "class"),
        ("r.toml", "steps = ['x']\n[parameters]\nask = 1", "ask"),
        ("r.py", "# %%\nif x", "is not Python"),
        ("r.py", "x = 1\n", "no steps"),
        ("r.py", "x = open('f')\n# %%\ny = 1", "Line 1 .* literal"),
        ("r.py", "import os\n# %%\ny = 1", "Line 1 .* literal"),
        ("r.py", '"""Doc."""\na, b = 1, 2\n# %%\ny = 1', "Line 2 .* literal"),
        ("r.py", "llm_query = 1\n# %%\ny = 1", "llm_query"),
    ],
)
def test_wrong_files(tmp_path, name, text, told):
    with pytest.raises(ConfigurationError, match=told):
        Recipe.from_file(write(tmp_path, name, text))


def test_a_file_is_never_run_on_the_host(tmp_path):
    canary = tmp_path / "canary"
    text = f"x = 1\n# %%\nopen({str(canary)!r}, 'w').write('x')"
    run(write(tmp_path, "r.py", text))
    assert not canary.exists()


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ("missing.toml", "cannot be read"),
        ("no_such", "no recipe 'no_such'"),
        (5, "is not a recipe"),
    ],
)
def test_what_is_no_recipe(recipe, told):
    with pytest.raises(ConfigurationError, match=told):
        RLM(recipe=recipe)


def test_a_binary_file_is_refused(tmp_path):
    path = tmp_path / "r.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Recipe.from_file(path)


@pytest.mark.parametrize("steps", ["print(1)", (), ("",), (1,), None])
def test_wrong_steps(steps):
    with pytest.raises(ConfigurationError, match="no steps"):
        Recipe("r", steps)


def test_parameters():
    recipe = Recipe("r", ("SUBMIT(answer=str(n))",), {"n": 1})
    assert run(recipe)[0].answer == "1"
    assert run(recipe.with_parameters(n=2))[0].answer == "2"
    assert recipe.parameters == {"n": 1}
    with pytest.raises(ConfigurationError, match=r"no parameters \['m'\]"):
        recipe.with_parameters(m=2)


@pytest.mark.parametrize(
    ("signature", "inputs"),
    [
        ("context, query -> answer", {"context": TEXT, "query": "which?"}),
        ("document, question -> answer", {"document": TEXT, "question": "which?"}),
        (
            "question, document, note -> answer",
            {"document": TEXT, "question": "which?", "note": "n"},
        ),
    ],
)
def test_context_and_query_whatever_the_inputs_are_called(signature, inputs):
    recipe = Recipe("r", ("SUBMIT(answer=f'{len(context)} {query} {len(P)}')",))
    answer = run(recipe, signature=signature, inputs=inputs)[0].answer
    assert answer.startswith(f"{len(TEXT)} ")
    assert answer.endswith(f" {len(TEXT)}")
    assert "which?" in answer


def test_outputs_are_typed_and_checked():
    recipe = Recipe("r", ("SUBMIT(n='7', tags=['a'])",))
    result, _ = run(recipe, signature="context, query -> n: int, tags: list[str]")
    assert (result.n, result.tags) == (7, ["a"])
    result, _ = run(
        Recipe("r", ("SUBMIT(n='many', tags=[])",)),
        ['{"n": 3, "tags": []}'],
        signature="context, query -> n: int, tags: list[str]",
    )
    assert (result.n, result.run.status) == (3, "partial")


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (("print('found tulip')", "1 / 0", "SUBMIT(answer='never')"), "ZeroDivisionError"),
        (("print('found tulip')", "import os"), "failed"),
        (("print('found tulip')",), "submitted nothing"),
    ],
)
def test_a_recipe_that_does_not_submit_is_a_partial_answer(steps, reason):
    def script(asked):
        return "tulip" if "found tulip" in asked.last else "nothing"

    result, _ = run(Recipe("r", steps), script)
    assert (result.answer, result.run.status) == ("tulip", "partial")
    assert reason in result.run.reason


def test_a_recipe_keeps_to_the_budget():
    recipe = Recipe("r", ("xs = ask_each('q', ['a'] * 50)",) * 3)
    result, lm = run(recipe, ["fine"], budget=Budget(calls=20))
    assert result.run.status == "partial"
    assert len(lm.asked) <= 20
    result, _ = run(Recipe("r", ("x = 1",) * 5), ["guess"], max_iters=2)
    assert (result.run.status, result.run.reason) == ("partial", "steps")


def answering(asked):
    return "tulip" if "tulip" in asked.last else "not found"


@pytest.mark.parametrize("context", [TEXT, "The password of the vault is tulip."])
def test_the_general_recipe(context):
    inputs = {"context": context, "query": "What is the password of the vault?"}
    result, lm = run("general", answering, inputs=inputs)
    assert "tulip" in result.answer
    assert (result.run.status, result.run.planned_by) == ("completed", "recipe")
    assert any("password of the vault is tulip" in asked.last for asked in lm.asked)


def test_the_general_recipe_makes_nothing_up():
    inputs = {"context": "The sky is blue.", "query": "zebra quagga?"}
    result, lm = run("general", ["made up"], inputs=inputs)
    assert result.run.status != "completed" or result.run.reason == "not_found"
    assert not any("<text>\n\n</text>" in asked.last for asked in lm.asked)


def test_the_general_recipe_with_typed_outputs():
    def script(asked):
        return "7" if "whole number" in asked.last else answering(asked)

    result, _ = run("general", script, signature="context, query -> answer: str, n: int")
    assert (result.answer, result.n) == ("tulip", 7)


def test_the_general_recipe_quotes_sentences_and_no_title_line():
    pages = [
        {
            "title": "how many tons.pdf#page=1",
            "path": "tons.pdf",
            "text": "Harbour.\nIt has 120 tons.",
        },
        ("other", "Nothing is here."),
    ]
    inputs = {"context": Context.from_documents(pages), "query": "How many tons?"}
    signature = "context, query -> answer: str, sources: list[Citation], first: Citation"
    result, lm = run("general", ["not said anywhere"], inputs=inputs, signature=signature)
    assert result.answer == "It has 120 tons."
    assert [str(c) for c in result.sources] == ['tons.pdf#page=1 "It has 120 tons."']
    assert result.first == result.sources[0]
    assert not any("=====" in asked.last for asked in lm.asked)
