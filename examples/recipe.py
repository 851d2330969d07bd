"""Follows a plan written ahead: no model plans, and this one asks none at all.

uv run python examples/recipe.py
"""

from pathlib import Path

from rlm_dspy import RLM, Recipe

log = "".join(
    f"2026-03-01 {hour:02}:{minute:02} {'ERROR' if minute % (hour + 7) == 0 else 'INFO'} served\n"
    for hour in range(24)
    for minute in range(60)
)

recipe = Recipe.from_file(Path(__file__).with_name("errors_by_hour.toml"))
rlm = RLM("context, query -> errors: dict[str, int]", recipe=recipe)
result = rlm(context=log, query="How many errors are there in each hour?")

print(result.trajectory[0]["output"].strip())
print(result.errors)
print(result.run.status, result.run.planned_by, result.run.spend.calls)

quiet = recipe.with_parameters(level="WARNING")
result = RLM("context, query -> errors: dict[str, int]", recipe=quiet)(context=log, query="")
print(result.errors)
