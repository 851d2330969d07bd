"""DSPy callbacks: what a user's own are told of a run, and under which call."""

from concurrent.futures import ThreadPoolExecutor

import dspy
import pytest
from dspy.utils.callback import ACTIVE_CALL_ID, BaseCallback
from dspy.utils.exceptions import LMAuthError

from rlm_dspy import RLM, ProviderError
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The ship is the Grey Heron. " * 300
STEPS = [
    code("a = ask_each('Which ship?', [context[:99], context[99:198]], pack=1)"),
    code("SUBMIT(answer=a[0])"),
]


class Heard(BaseCallback):
    """Each call by its id: what was called, the call around it, and how it ended."""

    def __init__(self):
        self.calls, self.ended = {}, {}

    def _start(self, call_id, instance, inputs):
        assert call_id not in self.calls
        around = ACTIVE_CALL_ID.get()
        self.calls[call_id] = (instance, None if around == call_id else around)

    def _end(self, call_id, outputs, exception=None):
        assert call_id not in self.ended
        self.ended[call_id] = (outputs, exception)

    on_module_start = on_lm_start = on_adapter_format_start = on_adapter_parse_start = _start
    on_module_end = on_lm_end = on_adapter_format_end = on_adapter_parse_end = _end
    on_interpreter_execute_start = on_interpreter_tool_call_start = _start
    on_interpreter_execute_end = on_interpreter_tool_call_end = _end

    def of(self, kind):
        return {call: made for call, made in self.calls.items() if isinstance(made[0], kind)}

    def outermost(self, call):
        """The call that all the others around one stand in."""
        around = self.calls[call][1]
        return call if around is None else self.outermost(around)


def run(heard):
    lm = ScriptedLM(STEPS)
    with dspy.context(lm=lm, callbacks=[heard]):
        rlm = RLM(sub_lm=ScriptedLM(["fine"]))
        return rlm, rlm(context=TEXT, query="Which ship?")


def test_the_run_its_predictors_and_models_are_nested():
    heard = Heard()
    rlm, result = run(heard)
    ((outer, (instance, around)),) = heard.of(RLM).items()
    assert (instance, around) == (rlm, None)
    assert heard.ended[outer] == (result, None)
    asked = heard.of(dspy.Predict)
    assert sorted(made[0] is rlm.plan for made in asked.values()) == [False, False, True, True]
    assert {made[0] for made in asked.values()} == {rlm.plan, rlm.sub_query}
    assert {made[1] for made in asked.values() if made[0] is rlm.plan} == {outer}
    assert {heard.outermost(call) for call in heard.calls} == {outer}
    models = heard.of(dspy.BaseLM)
    assert len(models) == 4
    assert {made[1] for made in models.values()} == set(asked)
    assert set(heard.ended) == set(heard.calls)


def test_runs_at_once_are_told_apart():
    heard = Heard()
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: run(heard), range(4)))
    outer = heard.of(RLM)
    assert len(outer) == 4
    for call, made in heard.of(dspy.Predict).items():
        rlm = outer[heard.outermost(call)][0]
        assert made[0] in (rlm.plan, rlm.sub_query)
        assert heard.ended[call][1] is None
    assert {id(heard.ended[call][0]) for call in outer} == {id(result) for _, result in done}


def test_what_fails_ends_with_its_error():
    heard = Heard()
    lm = ScriptedLM([LMAuthError("no")])
    with dspy.context(lm=lm, callbacks=[heard]), pytest.raises(ProviderError) as raised:
        RLM()(context=TEXT, query="q")
    ((outer, _),) = heard.of(RLM).items()
    assert heard.ended[outer][1] is raised.value
    ((asked, _),) = heard.of(dspy.Predict).items()
    assert heard.ended[asked][1] is not None


async def test_the_same_for_asynchronous_code():
    heard = Heard()
    with dspy.context(lm=ScriptedLM(STEPS), callbacks=[heard]):
        await RLM(sub_lm=ScriptedLM(["fine"])).acall(context=TEXT, query="q")
    ((outer, _),) = heard.of(RLM).items()
    assert {heard.outermost(call) for call in heard.calls} == {outer}
