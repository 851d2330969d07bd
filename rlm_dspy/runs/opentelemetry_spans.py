"""A run as OpenTelemetry spans and metrics; needs the extra `otel`.

Promised: the run's span is a child of the span that is current where the run was started; attempts
at models are client spans, and make the two client metrics of the conventions.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.events import Charged
from rlm_dspy.runs.tracing import Close, Kind, as_text

SCOPE = "rlm_dspy"
# The buckets that the conventions ask for: tokens, and seconds.
TOKEN_BUCKETS = [4**power for power in range(14)]
SECOND_BUCKETS = [0.01 * 2**power for power in range(14)]


class OpenTelemetryTracer:
    """Makes OpenTelemetry spans and metrics of one run.

    Args:
        tracer_provider: Makes the spans; None: the global one.
        meter_provider: Makes the metrics; None: the global one.

    Raises:
        ConfigurationError: The extra `otel` is not installed.
    """

    def __init__(self, tracer_provider: Any = None, meter_provider: Any = None):
        try:
            from opentelemetry import context, metrics, trace
        except ImportError as error:
            raise ConfigurationError(
                "OpenTelemetry is not installed: pip install 'rlm-dspy-runtime[otel]'."
            ) from error
        self._trace = trace
        self._tracer = (tracer_provider or trace.get_tracer_provider()).get_tracer(SCOPE)
        provider = meter_provider or metrics.get_meter_provider()
        self._tokens, self._seconds = _instruments(provider)
        self._context = context.get_current()

    def open(
        self, kind: Kind, name: str, parent: Any, attributes: Mapping[str, Any], at: int
    ) -> Any:
        """Starts a span."""
        spans = self._trace.SpanKind
        above = self._trace.set_span_in_context(parent, self._context) if parent else self._context
        return self._tracer.start_span(
            name,
            context=above,
            kind=spans.CLIENT if kind == "attempt" else spans.INTERNAL,
            attributes=attributes,
            start_time=at,
        )

    def close(self, span: Any, end: Close) -> None:
        """Ends a span."""
        span.set_attributes(end.attributes)
        span.set_attributes({f"rlm.{what}": as_text(text) for what, text in end.texts.items()})
        if end.error:
            span.set_attribute("error.type", end.error)
            said = f"{end.error}: {end.reason}" if end.reason else end.error
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, said))
        span.end(end_time=end.at)

    def charge(self, attributes: Mapping[str, Any], event: Charged) -> None:
        """Measures an attempt."""
        failed = {"error.type": event.error} if event.error else {}
        self._seconds.record(event.seconds, {**attributes, **failed})
        for kind, count in (("input", event.prompt_tokens), ("output", event.completion_tokens)):
            if count and not event.estimated:
                self._tokens.record(count, {**attributes, "gen_ai.token.type": kind})


@lru_cache(maxsize=8)
def _instruments(provider: Any) -> tuple[Any, Any]:
    """The two histograms of a meter provider, which takes each once."""
    meter = provider.get_meter(SCOPE)
    tokens = meter.create_histogram(
        "gen_ai.client.token.usage",
        unit="{token}",
        description="Number of input and output tokens used.",
        explicit_bucket_boundaries_advisory=TOKEN_BUCKETS,
    )
    seconds = meter.create_histogram(
        "gen_ai.client.operation.duration",
        unit="s",
        description="GenAI operation duration.",
        explicit_bucket_boundaries_advisory=SECOND_BUCKETS,
    )
    return tokens, seconds
