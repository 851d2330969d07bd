"""A run as an MLflow trace; needs the extra `mlflow`.

Promised: one trace a run, in the active experiment, with the tokens of its attempts where MLflow
looks for them; where a trace is active at the start, the run is a part of it.
"""

from collections.abc import Mapping
from typing import Any

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.events import Charged
from rlm_dspy.runs.tracing import Close, Kind

# MLflow's own types of spans, as its pages draw them.
SPAN_TYPES: dict[Kind, str] = {
    "run": "AGENT",
    "step": "CHAIN",
    "sub_query": "TASK",
    "attempt": "CHAT_MODEL",
    "tool": "TOOL",
}
_INPUTS = ("question", "code", "reasoning")
_USAGE = {
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
}


class MLflowTracer:
    """Makes MLflow spans of one run.

    Raises:
        ConfigurationError: The extra `mlflow` is not installed.
    """

    def __init__(self):
        try:
            import mlflow
        except ImportError as error:
            raise ConfigurationError(
                "MLflow is not installed: pip install 'rlm-dspy-runtime[mlflow]'."
            ) from error
        self._mlflow = mlflow
        self._outer = mlflow.get_current_active_span()

    def open(
        self, kind: Kind, name: str, parent: Any, attributes: Mapping[str, Any], at: int
    ) -> Any:
        """Starts a span."""
        more: dict[str, Any] = {}
        if kind == "attempt":
            usage = {ours: attributes[theirs] for theirs, ours in _USAGE.items()}
            more["mlflow.chat.tokenUsage"] = {**usage, "total_tokens": sum(usage.values())}
            more["mlflow.llm.model"] = attributes["gen_ai.request.model"]
            more["mlflow.llm.provider"] = attributes["gen_ai.provider.name"]
        return self._mlflow.start_span_no_context(
            name,
            span_type=SPAN_TYPES[kind],
            parent_span=parent or self._outer,
            attributes={**attributes, **more},
            start_time_ns=at,
        )

    def close(self, span: Any, end: Close) -> None:
        """Ends a span."""
        from mlflow.entities import SpanStatus, SpanStatusCode

        if inputs := {what: end.texts[what] for what in _INPUTS if what in end.texts}:
            span.set_inputs(inputs)
        if outputs := {what: text for what, text in end.texts.items() if what not in _INPUTS}:
            span.set_outputs(outputs)
        status = SpanStatus(SpanStatusCode.OK)
        if end.error:
            said = f"{end.error}: {end.reason}" if end.reason else end.error
            status = SpanStatus(SpanStatusCode.ERROR, said)
        more = {"error.type": end.error} if end.error else {}
        span.end(attributes={**end.attributes, **more}, status=status, end_time_ns=end.at)

    def charge(self, attributes: Mapping[str, Any], event: Charged) -> None:
        """Nothing: MLflow adds up the tokens of the spans."""
