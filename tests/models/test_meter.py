"""Whatever LM the user brings is metered, and keeps its own state."""

import asyncio
from types import SimpleNamespace as Bag

import dspy
import pytest
from dspy.utils.dummies import DummyLM

from rlm_dspy import RLM, Budget, ProviderError
from rlm_dspy.models.meter import metered
from rlm_dspy.models.tally import Tally
from rlm_dspy.testing import ScriptedEngine, ScriptedLM, code

TEXT = "The grass grows. " * 400
SUBMIT = code("SUBMIT(answer='a')")
legacy = pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")


def response(text, usage=None):
    message = Bag(content=text, tool_calls=None, reasoning_content=None)
    return Bag(choices=[Bag(message=message, finish_reason="stop")], usage=usage or {}, model="m")


USAGE = {"prompt_tokens": 70, "completion_tokens": 7, "total_tokens": 77}


class OnlyForward(dspy.BaseLM):
    usage = USAGE

    def forward(self, prompt=None, messages=None, **kwargs):
        return response(SUBMIT, self.usage)


class WithAforward(OnlyForward):
    def forward(self, prompt=None, messages=None, **kwargs):
        raise AssertionError("the asynchronous side is there")

    async def aforward(self, prompt=None, messages=None, **kwargs):
        return response(SUBMIT, self.usage)


class Silent(OnlyForward):
    usage = None


class OwnAcall(dspy.LM):
    calls = 0

    async def acall(self, prompt=None, *, messages=None, **kwargs):
        OwnAcall.calls += 1
        return [SUBMIT]


class LoggingAcall(dspy.LM):
    seen = 0

    async def acall(self, prompt=None, *, messages=None, **kwargs):
        self.seen = self.seen + 1
        return await super().acall(prompt, messages=messages, **kwargs)


def logging_lm(cache=False):
    engines = ScriptedLM([SUBMIT])
    both = {"engine": engines.script, "async_engine": engines._async_engine_spec}
    return LoggingAcall("mine", cache=cache, **both)


def run(lm, **kwargs):
    with dspy.context(lm=lm):
        return RLM(**kwargs)(context=TEXT, query="q")


@legacy
@pytest.mark.parametrize("lm", [OnlyForward, WithAforward])
def test_legacy_lms_are_metered(lm):
    mine = lm("mine")
    result = run(mine, budget=Budget(calls=8, tokens=50_000))
    assert result.answer == "a"
    assert (result.run.spend.calls, result.run.spend.tokens) == (1, 77)
    assert len(mine.history) == 1
    assert mine.num_retries == 3


@legacy
def test_usage_that_was_not_reported_is_an_upper_bound():
    result = run(Silent("mine"), budget=Budget(tokens=50_000))
    assert result.run.spend.estimated_calls == 1
    assert result.run.spend.tokens > len(SUBMIT)
    assert result.run.spend.cache_hits == 0


def test_an_engine_without_an_asynchronous_side_runs_in_a_thread():
    engine = ScriptedEngine([SUBMIT])
    result = run(dspy.LM("mine", engine=engine, cache=False))
    assert (result.answer, result.run.spend.calls) == ("a", len(engine.asked))
    assert result.run.spend.tokens > 0


def test_such_engines_are_concurrent_too():
    engine = ScriptedEngine(["fine"], seconds=0.1)
    sub = dspy.LM("mine", engine=engine, cache=False)
    batch = code("SUBMIT(answer=str(llm_query_batched(['a'] * 40)))")
    run(ScriptedLM([batch]), sub_lm=sub, budget=Budget(concurrency=20))
    assert len(engine.asked) == 40
    assert 10 <= engine.most_in_flight <= 20  # a slow machine may not start all of them in time


def test_a_dummy_lm():
    lm = DummyLM([{"reasoning": "look", "code": "print(1)"}, {"code": "SUBMIT(answer='a')"}])
    result = run(lm, budget=Budget(calls=8))
    assert (result.answer, result.run.spend.calls) == ("a", 2)
    assert result.trajectory[0]["reasoning"] == "look"
    assert len(lm.history) == 2


def test_an_acall_of_the_class_that_reports_nothing_is_no_cache_hit():
    OwnAcall.calls = 0
    result = run(OwnAcall("own/model"), budget=Budget(calls=8))
    assert (result.answer, OwnAcall.calls) == ("a", 1)
    assert (result.run.spend.calls, result.run.spend.cache_hits) == (1, 0)
    assert result.run.spend.estimated_calls == 1


def test_an_acall_of_the_class_cannot_outrun_the_budget():
    OwnAcall.calls = 0
    source = "print(sum('ERROR' in x for x in llm_query_batched(['a'] * 20)))"
    lm = ScriptedLM([code(source), SUBMIT])
    run(lm, sub_lm=OwnAcall("own/model"), budget=Budget(calls=10))
    assert OwnAcall.calls == 10 - 1 - 2


def test_an_acall_set_on_the_lm_itself_is_metered():
    lm, calls = ScriptedLM(["never"]), []

    async def acall(prompt=None, *, messages=None, **kwargs):
        calls.append(messages)
        return [SUBMIT]

    lm.acall = acall
    result = run(lm, budget=Budget(calls=8))
    assert (result.answer, len(calls), result.run.spend.calls) == ("a", 1, 1)


def test_an_acall_that_passes_on_is_metered_by_what_dspy_reports():
    lm = logging_lm()
    result = run(lm)
    assert lm.seen == 1
    assert result.run.spend.estimated_calls == 0
    assert result.run.spend.tokens > 0


@pytest.fixture
def fresh_cache(tmp_path):
    before = dspy.cache
    dspy.configure_cache(disk_cache_dir=str(tmp_path / "dspy"), enable_disk_cache=False)
    yield
    dspy.cache = before


@pytest.mark.usefixtures("fresh_cache")
@pytest.mark.parametrize("kind", [dspy.LM, LoggingAcall])
def test_cache_hits_are_free(kind):
    def made():
        engines = ScriptedLM([SUBMIT])
        both = {"engine": engines.script, "async_engine": engines._async_engine_spec}
        return kind("cached", cache=True, **both), engines.script

    (first, _), (second, engine) = made(), made()
    budget = Budget(calls=3, tokens=50_000)
    assert run(first, budget=budget).run.spend.calls == 1
    result = run(second, budget=budget)
    assert not engine.asked
    assert result.answer == "a"
    spend = result.run.spend
    assert (spend.calls, spend.tokens, spend.dollars, spend.cache_hits) == (0, 0, 0, 1)


def test_the_users_lm_is_not_changed():
    lm = ScriptedLM([SUBMIT], num_retries=7, max_tokens=500)
    before = {name: value for name, value in vars(lm).items() if name != "history"}
    run(lm, budget=Budget(tokens=50_000))
    assert {name: value for name, value in vars(lm).items() if name != "history"} == before
    assert lm.num_retries == 7
    assert len(lm.history) == 1


def test_counters_of_the_users_lm_are_shared():
    lm = logging_lm()
    run(lm)
    run(lm)
    assert lm.seen == len(lm.history) == 2


def test_the_twin_is_an_instance_of_the_lms_class():
    lm = ScriptedLM([SUBMIT])

    async def gate(attempt):
        return await attempt.perform({}, Tally())

    twin = metered(lm, "plan", gate)
    assert isinstance(twin, ScriptedLM)
    assert twin.model == lm.model
    assert twin.num_retries == 0
    assert twin.copy(temperature=0.5).kwargs["temperature"] == 0.5
    assert "temperature" not in lm.kwargs or lm.kwargs["temperature"] is None


async def test_the_gate_sees_each_attempt_and_may_add_to_it():
    lm, seen = ScriptedLM(["fine"], temperature=0.3), []

    async def gate(attempt):
        seen.append(attempt)
        tally = Tally()
        reply = await attempt.perform({"max_tokens": 9}, tally)
        assert tally.usage.tokens > 0
        assert not reply.cache_hit
        return reply

    outputs = await metered(lm, "plan", gate).acall("hello", top_p=0.5)
    assert outputs == ["fine"]
    (attempt,) = seen
    assert attempt.lm is lm
    assert attempt.messages == [{"role": "user", "content": "hello"}]
    assert attempt.parameter("top_p") == 0.5
    assert attempt.parameter("missing", "temperature") == 0.3
    assert lm.history[0]["kwargs"] == {"top_p": 0.5, "max_tokens": 9}


def test_usage_rolls_up_to_dspys_tracker():
    sub = ScriptedLM(["fine"], model="sub")
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer=ask('q', 't'))")]), track_usage=True):
        result = RLM(sub_lm=sub)(context=TEXT, query="q")
    usage, spend = result.get_lm_usage(), result.run.spend
    for name, tokens in (("scripted", spend.planner_tokens), ("sub", spend.sub_tokens)):
        assert usage[name]["prompt_tokens"] + usage[name]["completion_tokens"] == tokens > 0


def test_callbacks_see_the_calls():
    started = []

    class Watch(dspy.utils.callback.BaseCallback):
        def on_lm_start(self, call_id, instance, inputs):
            started.append(instance.model)

    with dspy.context(callbacks=[Watch()]):
        run(ScriptedLM([SUBMIT]))
    assert started == ["scripted"]


class RunsOut(OnlyForward):
    def forward(self, prompt=None, messages=None, **kwargs):
        return next(iter([]))


@legacy
async def test_one_whose_replies_run_out_is_an_error_and_no_hang():
    with dspy.context(lm=RunsOut("custom")), pytest.raises(RuntimeError, match="no next item"):
        await asyncio.wait_for(RLM().acall(context=TEXT, query="q"), 30)


class Empty(OnlyForward):
    """Answers without a choice, as a provider does that is out of order, once or for ever."""

    left = 1

    def forward(self, prompt=None, messages=None, **kwargs):
        answered = super().forward()
        if self.left:
            self.left -= 1
            answered.choices = []
        return answered


@legacy
def test_an_answer_without_a_choice_is_an_error_that_is_tried_again():
    lm = Empty("m", num_retries=1)
    with dspy.context(lm=lm):
        result = RLM()(context=TEXT, query="q")
    assert (result.answer, result.run.spend.calls) == ("a", 2)
    lm = Empty("m", num_retries=1)
    lm.left = 9
    with dspy.context(lm=lm), pytest.raises(ProviderError, match="m answered without a choice"):
        RLM()(context=TEXT, query="q")
