"""The configuration of MCP servers."""

import json

import pytest

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.mcp_servers import HIDDEN, servers_of

KEY = "key-of-many-letters"


def one(**entry):
    (server,) = servers_of({"mcpServers": {"made": entry}})
    return server


def test_the_usual_file(tmp_path, monkeypatch):
    monkeypatch.setenv("FILES_KEY", KEY)
    monkeypatch.delenv("UNSET", raising=False)
    path = tmp_path / "mcp.json"
    content = {
        "files": {
            "type": "stdio",
            "command": "mcp-files",
            "args": ["--root", "${UNSET:-/data}"],
            "env": {"TOKEN": "${FILES_KEY}"},
            "allowedTools": ["read"],
            "timeoutSeconds": 5,
            "alwaysAllow": [],
        },
        "far": {
            "url": "https://${env:UNSET:-example.org}/mcp",
            "headers": {"X-Key": "${FILES_KEY}"},
        },
        "off": {"command": "mcp-files", "disabled": True},
    }
    path.write_text(json.dumps({"mcpServers": content}))
    files, far = servers_of(path)
    assert (files.command, files.args, files.env) == (
        "mcp-files",
        ("--root", "/data"),
        {"TOKEN": KEY},
    )
    assert (files.allowed, files.seconds) == ({"read"}, 5)
    assert (far.url, far.headers, far.allowed) == ("https://example.org/mcp", {"X-Key": KEY}, None)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "either a command or a url"),
        ({"command": "a", "url": "http://b"}, "either a command or a url"),
        ({"command": "a", "alowedTools": ["b"]}, "alowedTools"),
        ({"command": "a", "args": "b"}, "args must be a list"),
        ({"command": "a", "env": {"N": 1}}, "env.N must be text"),
        ({"command": "a", "args": ["${UNSET}"]}, "UNSET is not set"),
        ({"command": "a", "timeoutSeconds": 0}, "timeoutSeconds"),
        ({"url": "http://b", "type": "sse"}, "'sse'"),
        ("mcp-files", "is not an object"),
    ],
)
def test_what_is_wrong_is_said(entry, said, monkeypatch):
    monkeypatch.delenv("UNSET", raising=False)
    with pytest.raises(ConfigurationError, match="'made'") as caught:
        servers_of({"mcpServers": {"made": entry}})
    assert said in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"mcpServers": {}}'])
def test_a_file_of_another_form(content, tmp_path):
    path = tmp_path / "mcp.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"mcp\.json"):
        servers_of(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        servers_of(tmp_path / "none.json")


@pytest.mark.parametrize(
    "entry",
    [
        {"command": "a", "env": {"TOKEN": KEY}},
        {"command": "a", "args": ["--key=${MADE_KEY}"]},
        {"url": "https://example.org/mcp", "headers": {"Authorization": f"Bearer {KEY}"}},
        {"url": f"https://example.org/mcp?k={KEY}"},
        {"url": f"https://me:{KEY}@example.org/mcp"},
        {"url": "https://example.org/mcp?k=${MADE_KEY}&n=1"},
    ],
)
def test_a_secret_is_taken_out_of_texts_and_data(entry, monkeypatch):
    monkeypatch.setenv("MADE_KEY", KEY)
    server = one(**entry)
    assert KEY not in repr(server)
    assert server.without_secrets(f"a {KEY} b") == f"a {HIDDEN} b"
    assert server.without_secrets({"k": [KEY, 1, None]}) == {"k": [HIDDEN, 1, None]}


def test_what_is_no_secret_stays(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    server = one(
        command="a", args=["${HOME}/data"], env={"LEVEL": "verbosely", "KEY_FILE": "/k/key"}
    )
    said = "/home/somebody/data verbosely /k/key"
    assert server.without_secrets(said) == said
