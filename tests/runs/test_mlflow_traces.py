"""Runs told to MLflow: one trace a run in a file store."""

import dspy
import pytest

from rlm_dspy import RLM, instrument, uninstrument
from rlm_dspy.testing import ScriptedLM, code

pytestmark = [
    pytest.mark.slow,
    # MLflow says of its own file store that it will go, and uses what others have deprecated.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning"),
]


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    mlflow.set_experiment("runs")
    yield mlflow
    uninstrument("mlflow")
    mlflow.set_tracking_uri(before)


def run(texts=False):
    instrument("mlflow", texts=texts)
    steps = [code("a = ask('Which ship?', context[:99])"), code("SUBMIT(answer=a)")]
    sub = ScriptedLM(["the Heron"], model="mistral/small")
    with dspy.context(lm=ScriptedLM(steps, model="openai/planner")):
        rlm = RLM(sub_lm=sub)
        return rlm(context="The ship is the Heron. " * 300, query="Which?")


def traces_of(mlflow):
    mlflow.flush_trace_async_logging()
    return mlflow.search_traces(return_type="list")


@pytest.mark.parametrize("texts", [False, True])
def test_a_run_is_a_trace(mlflow, texts):
    result = run(texts)
    (trace,) = traces_of(mlflow)
    spans = {span.span_id: span for span in trace.data.spans}
    tree = sorted(
        (span.name, spans[span.parent_id].name if span.parent_id else "", span.span_type)
        for span in spans.values()
    )
    assert tree == [
        ("ask", "step 1", "TASK"),
        ("chat planner", "step 1", "CHAT_MODEL"),
        ("chat planner", "step 2", "CHAT_MODEL"),
        ("chat small", "ask", "CHAT_MODEL"),
        ("invoke_agent rlm_dspy", "", "AGENT"),
        ("step 1", "invoke_agent rlm_dspy", "CHAIN"),
        ("step 2", "invoke_agent rlm_dspy", "CHAIN"),
    ]
    assert trace.info.token_usage["total_tokens"] == result.run.spend.tokens
    assert trace.info.state == "OK"
    ask = next(span for span in spans.values() if span.name == "ask")
    assert ask.inputs == ({"question": "Which ship?"} if texts else None)
    assert ask.outputs == ({"answer": "the Heron"} if texts else None)
    assert ("Heron" in trace.to_json()) is texts


def test_a_run_within_a_trace_is_a_part_of_it(mlflow):
    with mlflow.start_span("mine"):
        run()
    (trace,) = traces_of(mlflow)
    mine, agent = sorted(trace.data.spans, key=lambda span: span.start_time_ns)[:2]
    assert (mine.name, agent.name) == ("mine", "invoke_agent rlm_dspy")
    assert agent.parent_id == mine.span_id
