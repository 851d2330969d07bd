"""Runs told to OpenTelemetry: the spans, their parents, the metrics, and what is left out."""

import gc
import http.server
import logging
import subprocess
import sys
import threading

import dspy
import pytest
from dspy.utils.exceptions import LMServerError
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from rlm_dspy import RLM, Budget, ConfigurationError, ProviderError, RLMOptions
from rlm_dspy.events import Charged, Planned, RunEnded, RunResumed, RunStarted
from rlm_dspy.runs.telemetry import Telemetry, instrument, uninstrument
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The secret ship is the Grey Heron. " * 400
STEPS = [
    code("a = ask('Which ship?', context[:99])\nprint(a)", "Look."),
    code("1 / 0"),
    code("print(weigh(ship='Grey Heron'))\nSUBMIT(answer='Grey Heron')"),
]


def weigh(ship: str) -> int:
    """Weighs a ship."""
    return len(ship)


class Collector:
    """The SDK's in-memory exporters, with a run's spans by name."""

    def __init__(self):
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)

    @property
    def providers(self):
        return {"tracer_provider": self.tracers, "meter_provider": self.meters}

    @property
    def spans(self):
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time)

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def parent(self, span):
        known = {other.context.span_id: other for other in self.spans}
        return known[span.parent.span_id].name if span.parent else None

    def points(self):
        data = self.reader.get_metrics_data()
        metrics = data.resource_metrics[0].scope_metrics[0].metrics if data else []
        return {metric.name: list(metric.data.data_points) for metric in metrics}


@pytest.fixture
def collector():
    return Collector()


def run(collector, steps=STEPS, sub=("fine",), *, texts=False, query="Which ship?", **options):
    lm = ScriptedLM(list(steps), model="openai/planner", num_retries=0)
    sub_lm = ScriptedLM(list(sub), model="mistral/small", seconds=0.02)
    with dspy.context(lm=lm):
        rlm = RLM(sub_lm=sub_lm, tools=[weigh], **options)
        listener = Telemetry(texts=texts, **collector.providers)
        return rlm.start(listeners=(listener,), context=TEXT, query=query).result()


def test_a_run_is_a_tree_of_spans(collector):
    result = run(collector)
    assert result.answer == "Grey Heron"
    tree = [(span.name, collector.parent(span)) for span in collector.spans]
    assert sorted(tree, key=str) == [
        ("ask", "step 1"),
        ("chat planner", "step 1"),
        ("chat planner", "step 2"),
        ("chat planner", "step 3"),
        ("chat small", "ask"),
        ("execute_tool weigh", "step 3"),
        ("invoke_agent rlm_dspy", None),
        ("step 1", "invoke_agent rlm_dspy"),
        ("step 2", "invoke_agent rlm_dspy"),
        ("step 3", "invoke_agent rlm_dspy"),
    ]
    assert all(span.start_time <= span.end_time for span in collector.spans)
    assert len({span.context.trace_id for span in collector.spans}) == 1


def test_attempts_bear_the_conventions_names(collector):
    result = run(collector)
    small = collector.named("chat small")[0]
    given = dict(small.attributes)
    assert small.kind == SpanKind.CLIENT
    assert given["gen_ai.operation.name"] == "chat"
    assert given["gen_ai.provider.name"] == "mistral_ai"
    assert given["gen_ai.request.model"] == "small"
    assert given["gen_ai.response.model"] == "mistral/small"
    charged = [event for event in result.run.events if event.kind == "charged"]
    assert given["gen_ai.usage.input_tokens"] == charged[1].prompt_tokens > 0
    assert given["gen_ai.usage.output_tokens"] == charged[1].completion_tokens > 0
    agent = dict(collector.named("invoke_agent rlm_dspy")[0].attributes)
    assert agent["gen_ai.operation.name"] == "invoke_agent"
    assert agent["gen_ai.usage.input_tokens"] == result.run.spend.prompt_tokens
    assert agent["rlm.status"] == "completed"


def test_a_failed_step_and_nothing_else_is_an_error(collector):
    run(collector)
    failed = [span for span in collector.spans if span.status.status_code == StatusCode.ERROR]
    assert [span.name for span in failed] == ["step 2"]
    assert failed[0].attributes["error.type"] == "CodeFailed"


def texts_of(spans):
    return " ".join(
        f"{span.name} {dict(span.attributes)} {span.status.description}" for span in spans
    )


@pytest.mark.parametrize("texts", [False, True])
def test_texts_are_left_out_unless_asked_for(collector, texts):
    run(collector, texts=texts)
    told = texts_of(collector.spans)
    for secret in ("Grey Heron", "Which ship?", "fine", "ZeroDivision"):
        assert (secret in told) is texts


def test_the_clients_metrics(collector):
    result = run(collector)
    points = collector.points()
    assert set(points) == {"gen_ai.client.token.usage", "gen_ai.client.operation.duration"}
    tokens = points["gen_ai.client.token.usage"]
    assert sum(point.sum for point in tokens) == result.run.spend.tokens
    assert {point.attributes["gen_ai.token.type"] for point in tokens} == {"input", "output"}
    seconds = points["gen_ai.client.operation.duration"]
    assert sum(point.count for point in seconds) == result.run.spend.calls == 4
    assert seconds[0].explicit_bounds[0] == 0.01
    small = next(p for p in seconds if p.attributes["gen_ai.request.model"] == "small")
    assert small.sum >= 0.02


def test_a_failed_attempt_is_an_error_of_its_own(collector):
    error = LMServerError("down")
    with pytest.raises(ProviderError):
        run(collector, steps=[error])
    chats = collector.named("chat planner")
    assert chats
    assert all(span.attributes["error.type"] == "LMServerError" for span in chats)
    agent = collector.named("invoke_agent rlm_dspy")[0]
    assert agent.status.status_code == StatusCode.ERROR
    assert agent.attributes["rlm.status"] == "failed"
    points = collector.points()["gen_ai.client.operation.duration"]
    assert points[0].attributes["error.type"] == "LMServerError"


def test_a_sub_query_that_fails(collector):
    step = code("try:\n    ask('q', context[:9], returns=int)\nexcept Exception: pass\nSUBMIT('a')")
    run(collector, steps=[step], sub=["no number"])
    asked = collector.named("ask")[0]
    assert asked.status.status_code == StatusCode.ERROR
    assert asked.status.description == "SubQueryError"
    assert len(collector.named("chat small")) == 2


def test_a_sub_run_stands_under_the_sub_query_that_it_answers(collector):
    steps = [
        code("x = rlm_query('q', context[:5_000])\nSUBMIT(answer=x)"),
        code("SUBMIT(answer='inner')"),
    ]
    run(collector, steps=steps, budget=Budget(depth=2))
    inner, outer = sorted(
        collector.named("invoke_agent rlm_dspy"), key=lambda span: span.parent is None
    )
    assert collector.parent(inner) == "rlm_query"
    assert inner.attributes["rlm.sub_run"] == "1"
    assert "gen_ai.usage.input_tokens" not in inner.attributes
    assert outer.attributes["gen_ai.usage.input_tokens"] > 0
    assert len(collector.named("step 1")) == 2


def test_a_direct_answer(collector):
    run(collector, steps=["[[ ## answer ## ]]\na"], options=RLMOptions(route="direct"))
    assert [(s.name, collector.parent(s)) for s in collector.spans] == [
        ("invoke_agent rlm_dspy", None),
        ("chat planner", "invoke_agent rlm_dspy"),
    ]


def test_a_cache_hit_is_a_span_and_no_call(collector):
    lm = ScriptedLM([code("SUBMIT(answer='a')")], model="openai/cached-here", cache=True)
    for _ in range(2):
        with dspy.context(lm=lm):
            listener = Telemetry(**collector.providers)
            RLM().start(listeners=(listener,), context=TEXT, query="hit?").result()
    hits = [span.attributes["rlm.cache_hit"] for span in collector.named("chat cached-here")]
    assert hits == [False, True]
    assert sum(p.count for p in collector.points()["gen_ai.client.operation.duration"]) == 1


def test_the_current_span_is_the_parent(collector):
    tracer = collector.tracers.get_tracer("mine")
    with tracer.start_as_current_span("mine"):
        run(collector, steps=[code("SUBMIT(answer='a')")])
    assert collector.parent(collector.named("invoke_agent rlm_dspy")[0]) == "mine"


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_one_switch_for_every_run(collector, way):
    instrument(**collector.providers)
    tracer = collector.tracers.get_tracer("mine")
    lm = ScriptedLM([code("SUBMIT(answer='a')")])
    try:
        with dspy.context(lm=lm), tracer.start_as_current_span("mine"):
            if way == "sync":
                RLM()(context=TEXT, query="q")
            else:
                await RLM().acall(context=TEXT, query="q")
    finally:
        uninstrument()
    with dspy.context(lm=lm):
        await RLM().acall(context=TEXT, query="q")
    agents = collector.named("invoke_agent rlm_dspy")
    assert [collector.parent(span) for span in agents] == ["mine"]


def test_what_fails_in_telemetry_ends_no_run(collector, caplog):
    class Broken(InMemorySpanExporter):
        def on_start(self, *args, **kwargs):
            raise RuntimeError("the tracer is broken")

        on_end = on_start

    collector.tracers.add_span_processor(Broken())
    with caplog.at_level(logging.WARNING, logger="rlm_dspy"):
        assert run(collector).answer == "Grey Heron"
    assert [r.message for r in caplog.records if "Telemetry" in r.message]


def test_the_spans_of_an_abandoned_run_are_ended(collector):
    listener = Telemetry(**collector.providers)
    listener(
        RunStarted(signature="a -> b", inputs={}, model="m", sub_model="m", planned_by="model")
    )
    listener(Planned(step=1, reasoning="", code="x"))
    del listener
    gc.collect()
    assert [span.name for span in collector.exporter.get_finished_spans()] == [
        "step 1",
        "invoke_agent rlm_dspy",
    ]
    assert collector.spans[0].status.description == "CancelledError"


def test_what_was_asked_before_a_run_was_resumed_is_not_told_again(collector):
    listener = Telemetry(**collector.providers)
    models = {"model": "m", "sub_model": "m"}
    listener(RunResumed(at=9.0))
    listener(RunStarted(signature="a -> b", inputs={}, planned_by="model", **models))
    listener(Charged(at=1.0, step=1, role="plan", model="m", prompt_tokens=5))
    listener(Charged(at=9.5, step=2, role="plan", model="m", prompt_tokens=7))
    listener(RunEnded(at=9.6, status="completed", reason="", spend={}))
    assert [span.attributes["gen_ai.usage.input_tokens"] for span in collector.named("chat m")] == [
        7
    ]
    assert [point.sum for point in collector.points()["gen_ai.client.token.usage"]] == [7]


class _Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


def test_a_collector_gets_them_by_otlp(collector):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.received = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{url}/traces")))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{url}/metrics"))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    collector.tracers, collector.meters = tracers, meters
    try:
        run(collector)
        tracers.shutdown()
        meters.shutdown()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    spans, metrics = [], []
    for path, body in server.received:
        if path.endswith("traces"):
            request = ExportTraceServiceRequest.FromString(body)
            spans += [
                s.name for r in request.resource_spans for c in r.scope_spans for s in c.spans
            ]
        else:
            told = ExportMetricsServiceRequest.FromString(body)
            metrics += [
                m.name for r in told.resource_metrics for c in r.scope_metrics for m in c.metrics
            ]
    assert "invoke_agent rlm_dspy" in spans
    assert "chat small" in spans
    assert {"gen_ai.client.token.usage", "gen_ai.client.operation.duration"} <= set(metrics)


def test_without_the_extra_it_says_what_to_install():
    source = (
        "import sys; sys.modules['opentelemetry'] = None; sys.modules['mlflow'] = None\n"
        "from rlm_dspy.runs.telemetry import instrument\n"
        "for to in ('otel', 'mlflow'):\n"
        "    try: instrument(to)\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert "ConfigurationError OpenTelemetry is not installed" in done.stdout, done.stderr
    assert "rlm-dspy-runtime[mlflow]" in done.stdout


def test_an_unknown_setting_is_refused_at_once():
    with pytest.raises(TypeError):
        instrument(colour="red")
    with pytest.raises(ConfigurationError, match="otel"):
        instrument("zipkin")
