"""Sub-queries: what asks models, schedules the asking, and holds it to the budget."""
