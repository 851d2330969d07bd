"""`rlm models`: the embedded models on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from rlm_dspy.commands.arguments import commands
from rlm_dspy.commands.output import console, quiet_libraries, to_stderr, to_stdout

app = commands("models", "The embedded models on this machine.")


@app.command("list")
def list_models() -> None:
    """List the embedded models: what is here, and what can be fetched."""
    from rlm_dspy.models import KNOWN, available, models_dir

    present = dict(available())
    for weights in KNOWN:
        path = present.pop(weights.name, None)
        does = "plans" if weights.plans else "embeds" if weights.embeds else "follows recipes"
        where = path or f"not here: rlm models pull {weights.name}"
        size = weights.size / 1e6
        to_stdout(f"local/{weights.name:<20} {size:>7,.0f} MB  {does:<15}  {where}")
    for name, path in present.items():
        size = path.stat().st_size / 1e6
        to_stdout(f"local/{name:<20} {size:>7,.0f} MB  {'':<15}  {path}")
    to_stderr(f"Models folder: {models_dir()}")


@app.command("pull")
def pull_model(
    name: Annotated[str, typer.Argument(help="A name from the list, or REPO:FILE.gguf.")],
) -> None:
    """Fetch a model's official file, unless it is here."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    from rlm_dspy.models import pull
    from rlm_dspy.models.weights import known, models_dir

    weights = known(name)
    if weights is not None:
        size = f"{weights.size / 1e6:,.0f} MB"
        to_stderr(f"{weights.file} of {weights.repo}, {size}, into {models_dir()}")
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with quiet_libraries(), Progress(*columns, console=console(stderr=True)) as bar:
        task = bar.add_task(name, total=weights.size if weights is not None else None)
        path = pull(name, lambda done, total: bar.update(task, completed=done, total=total or None))
    to_stdout(str(path))


@app.command("path")
def model_path(
    name: Annotated[str | None, typer.Argument(help="A model; none: the folder of all.")] = None,
) -> None:
    """Print where a model lies."""
    from rlm_dspy.models import find, models_dir

    found: Path = models_dir() if name is None else find(name)
    to_stdout(str(found))
