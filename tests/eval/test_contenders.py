"""What a user names as a program, and the file of its prompts."""

import pytest

from eval.contenders import Contender
from rlm_dspy import ConfigurationError


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (":", "names no module or no class"),
        (".x:Y", "names no module or no class"),
        ("measured:", "names no module or no class"),
        ("measured:Neither", "There is no program 'measured:Neither'"),
        ("measured:saying", "does not take sub_lm=, budget=: saying"),
        ("measured:PRICES", "'Prices' object is not callable"),
        ("builtins:dict", "it makes a dict. Write MODULE:CLASS, a dspy.Module that takes sub_lm="),
    ],
)
def test_what_is_no_program_is_refused(program, told):
    with pytest.raises(ConfigurationError, match=told) as raised:
        Contender(program).made()
    assert str(raised.value).count(repr(program)) == 1


def test_a_choice_that_a_program_of_ones_own_lacks_is_refused():
    assert Contender("measured:Echo").made().sub_lm is None
    with pytest.raises(ConfigurationError, match="does not take sub_lm=, budget=, planned="):
        Contender("measured:Echo", planned=True).made()


@pytest.mark.parametrize("text", ["[1, 2]", "{}", "x", "null"])
def test_what_holds_no_prompts_is_refused(tmp_path, text):
    path = tmp_path / "prompts.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="prompts.json cannot be loaded as the prompts of"):
        Contender("needle", load=path).made()
