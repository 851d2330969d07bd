"""Typed outputs, and tools: functions of this program that the planner's code may call.

RLM_MODEL=openai/gpt-5-mini uv run python examples/tools.py
"""

import dspy
from pydantic import BaseModel

from rlm_dspy import RLM, Budget, resolve_lm

TICKETS = "".join(
    f"Ticket {number}: user{number % 40} asks how to export a report.\n" for number in range(2_000)
) + ("Ticket 2000: user7 wants to change to the plan team.\n")
PRICES = {"basic": 9.0, "team": 25.0}


class Change(BaseModel):
    """A user who wants another plan."""

    user: str
    plan: str
    dollars: float


def price_of(plan: str) -> float:
    """The price of a plan, in dollars a month."""
    return PRICES[plan]


async def email_of(user: str) -> str:
    """A user's e-mail address."""
    return f"{user}@example.com"


class FindChanges(dspy.Signature):
    """Find every user who wants another plan, with its price, and the addresses to write to."""

    tickets: str = dspy.InputField()
    changes: list[Change] = dspy.OutputField()
    addresses: list[str] = dspy.OutputField()


dspy.configure(lm=resolve_lm())
rlm = RLM(FindChanges, tools=[price_of, email_of], budget=Budget(calls=20, seconds=120))
result = rlm(tickets=TICKETS)

print(result.changes, result.addresses)
print(result.run.status, result.run.reason)
