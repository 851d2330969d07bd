"""Runs told to OpenTelemetry and to MLflow: for one run, or for each that starts from now on.

Telemetry reads a run's events as any listener does. Promised: what goes wrong in it is logged once
a run and never ends one; importing this loads neither of the two.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any, Literal

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.events import Event
from rlm_dspy.runs.mlflow_spans import MLflowTracer
from rlm_dspy.runs.opentelemetry_spans import OpenTelemetryTracer
from rlm_dspy.runs.span_tree import SpanTree
from rlm_dspy.runs.tracing import Tracer

logger = logging.getLogger(__name__)

Listener = Callable[[Event], None]
Target = Literal["otel", "mlflow"]


class Telemetry:
    """A listener that tells one run to OpenTelemetry or MLflow.

    A run needs one of its own, made where the run is started: the span that is current there is
    the parent of the run's.

    Args:
        to: "otel" (the extra `otel`) or "mlflow" (the extra `mlflow`).
        texts: Whether questions, answers, code and output are in the spans.
        tracer_provider: OpenTelemetry's, for the spans; None: the global one.
        meter_provider: OpenTelemetry's, for the metrics; None: the global one.

    Raises:
        ConfigurationError: The extra is not installed, or `to` is neither.

    Example:
        >>> rlm.start(listeners=(Telemetry(),), context=text, query="Which ship?").result()
    """

    def __init__(
        self,
        to: Target = "otel",
        *,
        texts: bool = False,
        tracer_provider: Any = None,
        meter_provider: Any = None,
    ):
        if to == "mlflow":
            tracer: Tracer = MLflowTracer()
        elif to == "otel":
            tracer = OpenTelemetryTracer(tracer_provider, meter_provider)
        else:
            raise ConfigurationError(f"Telemetry goes to 'otel' or 'mlflow', not to {to!r}.", to=to)
        self._tree: SpanTree | None = SpanTree(tracer, texts=texts)

    def __call__(self, event: Event) -> None:
        """Takes the next event of the run."""
        if self._tree is None:
            return
        try:
            self._tree(event)
        except Exception:  # a run does not end for what watches it
            logger.warning("Telemetry of a run failed and is off for the rest of it", exc_info=True)
            self._tree = None


_lock = threading.Lock()
_switched_on: dict[Target, dict[str, Any]] = {}


def instrument(to: Target = "otel", **settings: Any) -> None:
    """Tells every run that starts from now on in this process to OpenTelemetry or MLflow.

    Args:
        to: "otel" or "mlflow"; both may be on.
        **settings: As for `Telemetry`.

    Raises:
        ConfigurationError: The extra is not installed.
    """
    Telemetry(to, **settings)  # so that what is wrong is said here
    with _lock:
        _switched_on[to] = settings


def uninstrument(to: Target | None = None) -> None:
    """Ends what `instrument` began, for the runs that start from now on.

    Args:
        to: "otel" or "mlflow"; None: both.
    """
    with _lock:
        for target in [to] if to else list(_switched_on):
            _switched_on.pop(target, None)


def listeners() -> tuple[Listener, ...]:
    """The listeners of a run that starts now."""
    with _lock:
        on = list(_switched_on.items())
    return tuple(Telemetry(to, **settings) for to, settings in on)
