"""What stands in place of an answer that could not be had."""

import pytest

from rlm_dspy import RestrictedInterpreter
from rlm_dspy.missing import Missing


def test_it_is_false_and_printable():
    missing = Missing("no answer")
    assert not missing
    assert str(missing) == repr(missing) == "Missing('no answer')"
    assert missing == Missing("no answer")
    with pytest.raises(AttributeError):
        missing.reason = "other"


def test_it_crosses_the_workers_border_as_itself():
    seen = []
    with RestrictedInterpreter() as repl:
        repl.tools["give"] = lambda: [1, Missing("why")]
        repl.tools["take"] = seen.append
        said = repl.execute(
            "xs = give()\n"
            "take(xs)\n"
            "print([x for x in xs if x], isinstance(xs[1], Missing), xs[1].reason, xs[1])\n"
            "take({'a': Missing('mine')})"
        )
    assert said.strip() == "[1] True why Missing('why')"
    assert seen == [[1, Missing("why")], {"a": Missing("mine")}]


def test_what_code_makes_of_it_harms_nobody():
    seen = []
    with RestrictedInterpreter() as repl:
        repl.tools["take"] = seen.append
        repl.execute("take(Missing(5))\ntake(Missing([Missing('a')]))")
        assert repl.execute("1 + 1").strip() == "2"
    assert seen == [{"reason": 5}, {"reason": [Missing("a")]}]
