"""Programs by name."""

import pytest

from programs import CHOOSING, PROGRAMS, build
from rlm_dspy import ConfigurationError


@pytest.mark.parametrize("name", CHOOSING)
@pytest.mark.parametrize("planned", [None, False, True])
def test_some_follow_a_recipe_or_plan(name, planned):
    assert (build(name, planned=planned).recipe is None) == bool(planned)


@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - set(CHOOSING)))
def test_the_others_have_no_such_choice(name):
    with pytest.raises(ConfigurationError, match="neither follows a recipe nor plans"):
        build(name, planned=True)


def test_an_unknown_name_is_told_with_those_there_are():
    with pytest.raises(ConfigurationError, match="no program 'needles'; there are needle, aggr"):
        build("needles")
