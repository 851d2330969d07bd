"""Recipes as TOML files, and the folder that keeps them by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy import ConfigurationError, Recipe
from rlm_dspy.runs import recipe_folder
from rlm_dspy.runs.recipe_files import from_toml, to_toml

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
codes = texts.filter(str.strip) | st.sampled_from(
    ["x = '''a'''", "a\r\nb", "r'\\w' ", "'", "\n\nx"]
)
values = st.recursive(
    texts | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(texts, st.lists(codes, min_size=1, max_size=3), st.dictionaries(texts, values, max_size=3))
def test_what_is_written_is_read_again(text, steps, parameters):
    about = {"name": text, "description": text, "steps": steps, "parameters": parameters}
    found = from_toml("r", to_toml(about))
    assert found["steps"] == steps
    assert found.get("parameters", {}) == parameters
    assert found.get("description", "") == text


def test_a_parameter_without_a_form_in_toml_is_refused(tmp_path):
    recipe = Recipe("r", ("x = 1",), parameters={"word": None})
    with pytest.raises(ConfigurationError, match="None cannot be written"):
        recipe.save(tmp_path / "r.toml")
    assert not (tmp_path / "r.toml").exists()


@pytest.mark.parametrize("name", ["r.py", "r", "no/such/r.toml"])
def test_where_a_recipe_cannot_be_saved(name, tmp_path):
    with pytest.raises(ConfigurationError, match="saved as NAME|cannot be written"):
        Recipe("r", ("x = 1",)).save(tmp_path / name)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"template": "Of {word}?"}, r"\['word'\] that are no parameters"),
        ({"choices": {"word": ["a"]}}, "not a table by its parameters"),
    ],
)
def test_a_template_without_its_parameters_is_refused(more, told):
    with pytest.raises(ConfigurationError, match=told):
        Recipe("r", ("x = 1",), **more)


def test_recipes_are_kept_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("RLM_RECIPES_DIR", str(tmp_path))
    assert recipe_folder.names() == []
    recipe = Recipe("ships", ("x = 1",), {"asked_1": "Roth"}, template="Who is {asked_1}?")
    recipe.save(recipe_folder.file_of("ships"))
    assert recipe_folder.names() == ["ships"]
    assert Recipe.of("ships") == recipe
    with pytest.raises(ConfigurationError, match="no recipe 'boats'"):
        Recipe.of("boats")
    for name in ("../ships", "a b", ""):
        with pytest.raises(ConfigurationError, match="no name of a recipe"):
            recipe_folder.file_of(name)


def test_the_folder_is_the_users(tmp_path, monkeypatch):
    monkeypatch.delenv("RLM_RECIPES_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert recipe_folder.file_of("ships") == tmp_path / "rlm-dspy" / "recipes" / "ships.toml"
