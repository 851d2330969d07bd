"""The text of `python -m eval tasks`."""

from eval.tasks import TASKS, Task


def listed_tasks() -> str:
    """All tasks as a text: what each asks, what it needs, its parts, metrics and licence."""
    return "\n\n".join(map(_listed, TASKS.values()))


def _listed(task: Task) -> str:
    width = max(map(len, task.parts))
    parts = [f"    {task.name}:{name:<{width}}  {what}" for name, what in task.parts.items()]
    named = f"; or what a row names: {', '.join(task.row_metrics)}" if task.row_metrics else ""
    lines = [
        f"{task.name}: {task.summary}",
        f"  needs    {task.needs}",
        f"  metrics  {', '.join(task.metrics)}{named}",
        f"  licence  {task.licence}",
        "  parts",
        *parts,
    ]
    return "\n".join(lines)
