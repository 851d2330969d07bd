"""The programs in examples/ run as they say; `minimal.py` is the README's quickstart."""

import os
import subprocess
import sys
import uuid

import pytest
from chat_server import ChatServer
from pages import ROOT

EXAMPLES = ROOT / "examples"
PROGRAMS = {"minimal.py", "own_model.py", "recipe.py", "tools.py"}

PLAN = """```python
hit = tickets.search("change to another plan", k=1)[0]
line = [line for line in hit.splitlines() if "change" in line][0]
who, plan = line.split()[2], line.split()[-1].strip(".")
SUBMIT(changes=[{"user": who, "plan": plan, "dollars": price_of(plan=plan)}],
       addresses=[email_of(who)])
```"""


def ran(name: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_all_of_them_are_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == PROGRAMS


def test_own_model():
    printed = ran("own_model.py").splitlines()
    assert printed[0] == "the Grey Heron"
    assert printed[-1] == "{'main': 'rules', 'sub': 'rules'} 2 calls"


def test_recipe():
    printed = ran("recipe.py").splitlines()
    assert printed[0] == "103 lines"
    assert printed[1].startswith("{'00': 9, '01': 8, '02': 7,")
    assert printed[2:] == ["completed recipe 0", "{}"]


@pytest.mark.slow
def test_tools():
    server = ChatServer(lambda body: PLAN)
    try:
        model = f"openai/test-{uuid.uuid4().hex}"  # dspy's cache knows no answer of it
        printed = ran("tools.py", RLM_MODEL=model, LLM_BASE_URL=server.url)
    finally:
        server.close()
    assert printed.splitlines() == [
        "[Change(user='user7', plan='team', dollars=25.0)] ['user7@example.com']",
        "completed ",
    ]
    rules = server.requests[0]["messages"][0]["content"]
    assert "price_of(plan: string): The price of a plan, in dollars a month." in rules
