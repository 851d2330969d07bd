"""A comparison as a picture: score, tokens and seconds by the length of the context."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eval.compare import Measured, lengths_of
from eval.oracle import SIMULATED
from eval.records import Record
from eval.report import by_length, heading
from eval.stats import interval, quantiles, scores_of
from rlm_dspy import ConfigurationError

Point = tuple[float, float, float]


def draw(runs: Sequence[Measured], path: Path) -> Path:
    """Draws a comparison.

    Args:
        runs: The runs.
        path: The file, a PNG where its name has no other ending; its folder is made if need be.

    Returns:
        The file that was written, which has an ending.

    Raises:
        ConfigurationError: Matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError(
            "Pictures need matplotlib, of the extra `eval`: uv run --extra eval …"
        ) from error
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels: tuple[tuple[str, Callable[[Sequence[Record]], Point]], ...] = (
        ("score (95 % interval)", _score),
        ("tokens an example (median, 90th percentile)", lambda some: _spread(some, _tokens)),
        ("seconds an example (median, 90th percentile)", lambda some: _spread(some, _seconds)),
    )
    lengths = list(by_length(lengths_of(runs)).values())
    middles = list(map(_middle, lengths))
    for axes, (title, point) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for number, run in enumerate(runs):
            _line(axes, run, lengths, point, number / max(1, len(runs) - 1) - 0.5)
        axes.set_title(title, fontsize="medium")
        axes.set(xlabel="tokens of the context", xscale="log")
        axes.set_xticks(middles, [f"{length:,}" for length in middles], minor=False)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylim(-0.05, 1.05)
    for axes in figure.axes[1:]:
        axes.set_ylim(bottom=0)
    if any(axes.get_legend_handles_labels()[0] for axes in figure.axes):
        figure.legend(
            *figure.axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=4
        )
    if SIMULATED in heading([run.start for run in runs]):
        figure.suptitle(SIMULATED, fontsize="small", wrap=True)
    if not path.suffix and not path.is_dir():
        path = path.with_name(f"{path.name}.png")
    try:
        if path.suffix[1:].lower() not in figure.canvas.get_supported_filetypes():
            raise OSError(f"{path.suffix or 'a folder'!r} is no kind of picture")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
    except (OSError, RuntimeError) as error:  # also a kind that needs TeX
        raise ConfigurationError(
            f"The picture cannot be written to {path}: {error}. Give another .png file as --png.",
            path=str(path),
        ) from error
    return path


def _middle(lengths: Sequence[int]) -> int:
    """Where lengths that share a row are drawn."""
    return lengths[len(lengths) // 2]


def _line(
    axes: Any,
    run: Measured,
    lengths: Sequence[list[int]],
    point: Callable[[Sequence[Record]], Point],
    shift: float,
) -> None:
    """One run's points, moved a little sideways so that intervals do not cover each other."""
    found = [(_middle(some), *point(run.of_lengths(some))) for some in lengths]
    found = [row for row in found if not math.isnan(row[1])]
    if found:
        xs, ys, lows, highs = zip(*found, strict=True)
        spread = [
            [max(y - low, 0) for y, low in zip(ys, lows, strict=True)],
            [max(high - y, 0) for y, high in zip(ys, highs, strict=True)],
        ]
        xs = [x * 1.06**shift for x in xs]
        axes.errorbar(xs, ys, yerr=spread, marker="o", capsize=3, label=run.name)


def _score(records: Sequence[Record]) -> Point:
    scores = scores_of(records)
    if not scores:
        return (math.nan, math.nan, math.nan)
    mean = sum(scores.values()) / len(scores)
    contexts = {record.id: record.context_id for record in records}
    low, high = interval(list(scores.values()), [contexts[name] for name in scores])
    return (mean, mean, mean) if math.isnan(low) else (mean, low, high)


def _spread(records: Sequence[Record], of: Callable[[Record], float]) -> Point:
    middle, ninth = quantiles([of(record) for record in records])
    return middle, middle, ninth


def _tokens(record: Record) -> float:
    return record.bill.tokens


def _seconds(record: Record) -> float:
    return record.seconds
