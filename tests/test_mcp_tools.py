"""Tools of MCP servers: real servers, as processes of their own and over local HTTP."""

import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path

import dspy
import pytest

from rlm_dspy import RLM, ConfigurationError, MCPToolError, MCPTools
from rlm_dspy.testing import ScriptedLM, code
from rlm_dspy.tools import callable_of

pytestmark = pytest.mark.slow  # each server is a process that imports mcp: seconds

SERVER = str(Path(__file__).parent / "mcp_server.py")
KEY = "key-of-many-letters"


def configured(**entry):
    entry = {"command": sys.executable, "args": [SERVER], "env": {"TOKEN": KEY}} | entry
    return {"mcpServers": {"made": {k: v for k, v in entry.items() if v is not None}}}


def called(tools, name, *args, **kwargs):
    tool = next(tool for tool in tools if tool.name == name)
    return asyncio.run(callable_of(tool)(*args, **kwargs))


@pytest.fixture(scope="module")
def url():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, SERVER, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module", params=["stdio", "http"])
def tools(request):
    if request.param == "stdio":
        configuration = configured()
    else:
        at = request.getfixturevalue("url")
        configuration = {"mcpServers": {"made": {"url": at, "headers": {"X-Key": KEY}}}}
    with MCPTools(configuration) as given:
        yield given


def test_they_take_and_give_python_values(tools):
    assert called(tools, "add", 2, 3) == 5
    assert called(tools, "add", 2) == 3
    assert called(tools, "rows", table="four") == [{"length": 4}, {"length": 2}]
    assert called(tools, "look_up", "x") == "found x"


def test_a_name_that_python_has_is_prefixed(tools):
    assert called(tools, "made_list") == "one\ntwo"
    assert "list" not in {tool.name for tool in tools}


def test_code_in_the_repl_calls_them(tools):
    source = "SUBMIT(answer=str([add(2, b=3), rows(context[:7]), made_list()]))"
    lm = ScriptedLM([code(source)])
    with dspy.context(lm=lm):
        result = RLM(tools=tools)(context="The grass grows. " * 400, query="q")
    assert result.answer == "[5, [{'length': 7}, {'length': 2}], 'one\\ntwo']"
    assert "add(a: integer, b: integer): Adds two numbers." in lm.asked[0].system


def test_secrets_reach_neither_results_nor_errors():
    with MCPTools(configured(env={"TOKEN": KEY, "FOLDER": "/data/of/many"})) as tools:
        assert called(tools, "leaks") == {"token": "[secret]", "file": "/data/of/many"}
        with pytest.raises(MCPToolError) as caught:
            called(tools, "fails")
        assert KEY not in str(caught.value)


def test_one_that_takes_too_long_or_dies_is_an_error_soon():
    with MCPTools(configured(timeoutSeconds=1)) as tools:
        began = time.monotonic()
        with pytest.raises(MCPToolError, match="longer than 1 seconds"):
            called(tools, "slow", 30)
        with pytest.raises(MCPToolError, match="dies of the MCP server 'made'"):
            called(tools, "dies")
        with pytest.raises(MCPToolError, match="add of the MCP server 'made'"):
            called(tools, "add", 1)
        assert time.monotonic() - began < 20
    with pytest.raises(MCPToolError, match="not running"):
        called(tools, "add", 1)


async def test_allowed_tools_only_and_from_asynchronous_code():
    configuration = configured(allowedTools=["add"])
    configuration["mcpServers"]["other"] = configuration["mcpServers"]["made"]
    async with MCPTools(configuration) as tools:
        assert [tool.name for tool in tools] == ["made_add", "other_add"]
        assert await tools[0].acall(a=1, b=1) == 2


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"command": "no-such-program", "args": None}, "no-such-program"),
        (
            {"command": "sh", "args": ["-c", "echo no $TOKEN >&2; exit 1"]},
            r"it said: no \[secret\]",
        ),
        ({"command": None, "args": None, "env": None, "url": "http://127.0.0.1:9"}, "connection"),
        ({"allowedTools": ["ad"]}, r"\['ad'\]"),
    ],
)
def test_a_server_that_does_not_start_is_a_wrong_configuration(entry, said):
    with pytest.raises(ConfigurationError, match=said), MCPTools(configured(**entry)):
        pass
