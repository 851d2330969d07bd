"""The MCP servers that a configuration names, with the variables in it expanded, and their secrets.

The file is the one that MCP clients share, with two keys of our own in a server's entry:

    {"mcpServers": {
        "files": {"command": "mcp-files", "args": ["/data"], "env": {"TOKEN": "${FILES_TOKEN}"},
                  "allowedTools": ["read_file"], "timeoutSeconds": 20},
        "tickets": {"url": "https://mcp.example.com/mcp",
                    "headers": {"Authorization": "Bearer ${TICKETS_KEY:-none}"}}}}

Promised: no value of a variable, an `env` or a header stands in a message or a `repr` of this
module. Not promised: the older SSE transport, and OAuth.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlm_dspy.errors import ConfigurationError

HIDDEN = "[secret]"
CALL_SECONDS = 60.0
# "${NAME}" and "${NAME:-default}" as in a shell; "${env:NAME}" is how some clients write it.
_VARIABLE = re.compile(r"\$\{(?:env:)?(\w+)(?::-([^}]*))?\}")
_SECRET_NAME = re.compile(r"key|token|secret|passw|auth|credential|cookie", re.IGNORECASE)
# What is shorter is no secret, and may stand in any text.
_SHORTEST_SECRET = 8

_OURS = {"allowedTools", "timeoutSeconds"}
_KNOWN = {"command", "args", "env", "cwd", "url", "headers", "type", "transport", "disabled"}
# What other clients keep in the same entry, and what means nothing here.
_OTHERS = {"alwaysAllow", "autoApprove", "description", "trust", "name", "timeout"}
_TRANSPORTS = {"command": {"stdio"}, "url": {"http", "streamable-http", "streamableHttp"}}


@dataclass(frozen=True)
class Server:
    """One server.

    Args:
        name: Its name in the configuration.
        command: The program that is started, for one that speaks over its standard streams.
        args: The program's arguments.
        env: Variables for it, beside the few harmless ones that every server gets.
        cwd: The folder it is started in.
        url: The address of one that speaks streamable HTTP.
        headers: Sent with every request to it.
        allowed: The tools that may be called; None: all.
        seconds: How long a call may take.
        secrets: What may stand in no text that leaves the host.
    """

    name: str
    command: str = ""
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    allowed: frozenset[str] | None = None
    seconds: float = CALL_SECONDS
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def without_secrets(self, value: Any) -> Any:
        """A text, or data with texts in it, with every secret replaced by `HIDDEN`."""
        if isinstance(value, str):
            for secret in self.secrets:
                value = value.replace(secret, HIDDEN)
            return value
        if isinstance(value, Mapping):
            return {
                self.without_secrets(key): self.without_secrets(each) for key, each in value.items()
            }
        return [self.without_secrets(each) for each in value] if isinstance(value, list) else value


def servers_of(configuration: Mapping[str, Any] | str | Path) -> list[Server]:
    """The servers of a configuration, those that are disabled left out.

    Args:
        configuration: The content of the usual file, or its path.

    Raises:
        ConfigurationError: It cannot be read, is not of this form, or a variable is not set.
    """
    where = "the MCP configuration"
    if not isinstance(configuration, Mapping):
        where = str(configuration)
        configuration = _read(Path(configuration))
    entries = configuration.get("mcpServers")
    if not isinstance(entries, Mapping) or not entries:
        raise ConfigurationError(
            f'{where}: names no servers: it must be {{"mcpServers": {{"NAME": {{"command": …}}}}}}.'
        )
    return [
        _server(str(name), entry)
        for name, entry in entries.items()
        if not (isinstance(entry, Mapping) and entry.get("disabled") is True)
    ]


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the MCP configuration cannot be read ({error.strerror})."
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: the MCP configuration is not JSON ({error}).") from None
    return content if isinstance(content, Mapping) else {}


def _server(name: str, entry: Any) -> Server:
    if not isinstance(entry, Mapping):
        raise _wrong(name, "is not an object with a command or a url")
    if unknown := sorted(set(entry) - _OURS - _KNOWN - _OTHERS):
        raise _wrong(name, f"has the unknown keys {unknown}; known are {sorted(_OURS | _KNOWN)}")
    ways = [way for way in _TRANSPORTS if entry.get(way)]
    if len(ways) != 1:
        raise _wrong(name, "needs either a command or a url")
    said = entry.get("type") or entry.get("transport")
    if said is not None and said not in _TRANSPORTS[ways[0]]:
        raise _wrong(name, f"has the type {said!r}; with a {ways[0]} it can be left out")
    expanding = _Expanding(name)
    env, headers = expanding.texts(entry, "env"), expanding.texts(entry, "headers")
    url = expanding.text(entry.get("url") or "", "url")
    return Server(
        name=name,
        command=expanding.text(entry.get("command") or "", "command"),
        args=tuple(expanding.text(each, "args") for each in _listed(name, entry, "args")),
        env=env,
        cwd=expanding.text(entry["cwd"], "cwd") if entry.get("cwd") else None,
        url=url,
        headers=headers,
        allowed=_allowed(name, entry),
        seconds=_seconds(name, entry),
        secrets=_secrets(url, env, headers, expanding.found),
    )


def _allowed(name: str, entry: Mapping[str, Any]) -> frozenset[str] | None:
    if entry.get("allowedTools") is None:
        return None
    return frozenset(map(str, _listed(name, entry, "allowedTools")))


def _seconds(name: str, entry: Mapping[str, Any]) -> float:
    given = entry.get("timeoutSeconds", CALL_SECONDS)
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not given > 0:
        raise _wrong(name, "timeoutSeconds must be a positive number of seconds")
    return float(given)


def _listed(name: str, entry: Mapping[str, Any], key: str) -> list[Any]:
    given = entry.get(key) or []
    if not isinstance(given, (list, tuple)):
        raise _wrong(name, f"{key} must be a list")
    return list(given)


class _Expanding:
    """Puts variables of the environment into the texts of one server's entry.

    Args:
        name: The server's name, for messages.

    Attributes:
        found: The variables that were put in, by name.
    """

    def __init__(self, name: str):
        self._name = name
        self.found: dict[str, str] = {}

    def text(self, given: Any, key: str) -> str:
        if not isinstance(given, str):
            raise _wrong(self._name, f"{key} must be text, not {type(given).__name__}")

        def value(match: re.Match[str]) -> str:
            variable, default = match[1], match[2]
            expanded = os.environ.get(variable) or default
            if expanded is None:
                raise _wrong(
                    self._name, f"{key} has ${{{variable}}}, and {variable} is not set: set it"
                )
            self.found[variable] = expanded
            return expanded

        return _VARIABLE.sub(value, given)

    def texts(self, entry: Mapping[str, Any], key: str) -> dict[str, str]:
        given = entry.get(key) or {}
        if not isinstance(given, Mapping):
            raise _wrong(self._name, f"{key} must be an object of names and texts")
        return {str(name): self.text(value, f"{key}.{name}") for name, value in given.items()}


def _secrets(
    url: str, env: Mapping[str, str], headers: Mapping[str, str], variables: Mapping[str, str]
) -> tuple[str, ...]:
    """What must be hidden, the longest first; a path is none, since results name files."""
    given = [*variables.items(), *env.items()]
    named = [value for key, value in given if _SECRET_NAME.search(key) or "://" in value]
    _, _, behind = url.partition("?")
    user, at, _ = url.partition("://")[2].partition("@")
    found = [*named, *headers.values(), *re.split(r"[&=]", behind)]
    found += [word for value in headers.values() for word in value.split()]
    found += user.split(":") if at and "/" not in user else []
    return tuple(sorted(_worth_hiding(found), key=len, reverse=True))


def _worth_hiding(values: Iterable[str]) -> set[str]:
    return {v for v in values if len(v) >= _SHORTEST_SECRET and not v.startswith(("/", "~"))}


def _wrong(name: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"The MCP server {name!r} {what}.", server=name)
