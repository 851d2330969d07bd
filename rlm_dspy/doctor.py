"""`rlm doctor`: what is there, what is missing, and what to do about it.

Promised: no key is ever shown, only which variables hold one; no model is called and nothing is
sent but a connection to a server that the settings name; the verdict is about the question "can
`rlm ask` answer now?". Not promised: that a provider takes the key; only a call can tell.
"""

import os
import platform
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rlm_dspy.errors import RLMError

if TYPE_CHECKING:
    from rich.console import Console

_PACKAGES = ("rlm-dspy-runtime", "dspy", "litellm", "pydantic", "RestrictedPython", "xllamacpp")
_KEY_ENDINGS = ("_API_KEY", "_TOKEN", "_ACCESS_KEY_ID")
_CONNECT_SECONDS = 3.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        name: What it is.
        found: What was found.
        ok: Whether it is as it should be; None where it need not be there.
        advice: What to do about it.
    """

    name: str
    found: str
    ok: bool | None = None
    advice: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that was looked at.

    Args:
        sections: The checks under their headings.
        ready: Whether a question can be answered now.
        verdict: The same in a sentence, with the command to type.
    """

    sections: dict[str, list[Check]]
    ready: bool
    verdict: str

    def print_to(self, console: "Console") -> None:
        """Shows the report."""
        from rich.text import Text

        marks = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}
        for heading, checks in self.sections.items():
            console.print(Text(heading, "bold"))
            width = max(len(check.name) for check in checks)
            for check in checks:
                line = Text.assemble("  ", marks[check.ok], f" {check.name:<{width}} {check.found}")
                console.print(line)
                if check.advice:
                    console.print(Text(f"{'':<{width + 5}}{check.advice}", "yellow"))
        console.print(Text(self.verdict, "bold green" if self.ready else "bold red"))


def examined() -> Report:
    """Looks at everything."""
    embedded = list(_embedded())
    models = list(_models(any(check.ok for check in embedded)))
    keys, isolation = list(_keys()), list(_isolation())
    sections = {
        "Versions": list(_versions()),
        "Models": [*models, *embedded],
        "Keys": keys,
        "REPL isolation": isolation,
    }
    named = models[0].ok
    usable = named if named is not None else any(check.ok for check in embedded)
    repl = isolation[0].ok is not False
    return Report(sections, bool(usable and repl), _verdict(bool(usable), repl, named is None))


def _verdict(usable: bool, repl: bool, unnamed: bool) -> str:
    if not repl:
        return "No question can be answered: the REPL does not start."
    if not usable:
        return "No question can be answered: there is no usable model (see ✗ above)."
    option = " --model local" if unnamed else ""
    return f'Ready: rlm ask{option} "your question" FILE'


def _versions() -> Iterator[Check]:
    yield Check(
        "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    for package in _PACKAGES:
        try:
            yield Check(package, version(package))
        except PackageNotFoundError:
            yield Check(package, "not installed")


def _models(embedded: bool) -> Iterator[Check]:
    """`RLM_MODEL` first, then what goes with it."""
    from rlm_dspy.settings import settings

    now = settings()
    yield _named("RLM_MODEL", now.rlm_model, "main", embedded)
    if now.rlm_sub_model:
        yield _named("RLM_SUB_MODEL", now.rlm_sub_model, "sub", embedded)
    else:
        yield Check("RLM_SUB_MODEL", "not set: the model that plans answers sub-queries too")
    if now.llm_base_url:
        yield Check("LLM_BASE_URL", _without_user(now.llm_base_url))


def _named(variable: str, name: str | None, role: Any, embedded: bool) -> Check:
    from rlm_dspy.models import resolve_lm

    if not name:
        local = ", or --model local for the embedded model" if embedded else ""
        return Check(variable, "not set", None, f"Set it, or give --model PROVIDER/NAME{local}.")
    try:
        lm = resolve_lm(name, role=role)
    except RLMError as error:
        return Check(variable, name, False, str(error))
    found = name if lm.model == name else f"{name} ({lm.model})"
    if reason := _unreachable((getattr(lm, "kwargs", None) or {}).get("api_base")):
        return Check(variable, found, False, reason)
    return Check(variable, found, True)


def _unreachable(address: str | None) -> str:
    """Why no connection to a server can be made; empty where one can, or none is named."""
    if not address:
        return ""
    parts = urlsplit(address)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        where = _without_user(address)
        return f"{where} does not answer ({error}): start the server, or correct LLM_BASE_URL."
    return ""


def _without_user(address: str) -> str:
    """An address without the name and password that may stand in it."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _embedded() -> Iterator[Check]:
    from importlib.util import find_spec

    from rlm_dspy.models import KNOWN, available
    from rlm_dspy.models.llama import INSTALL_ENGINE

    present = available()
    if find_spec("xllamacpp") is None:
        yield Check(
            "embedded engine",
            "not installed",
            None,
            f"For a model without a key: {INSTALL_ENGINE}",
        )
        present = []
    for number, (name, path) in enumerate(present):
        bare = " (bare `local`)" if number == 0 else ""
        yield Check(f"local/{name}", f"{path.stat().st_size / 1e6:,.0f} MB{bare}", True)
    names = {name for name, _ in present}
    plans = [weights for weights in KNOWN if weights.plans]
    if not any(weights.name in names for weights in plans):
        yield Check(
            "embedded planner",
            "none",
            None,
            f"An embedded model that plans for itself: rlm models pull {plans[0].name} "
            f"({plans[0].size / 1e6:,.0f} MB).",
        )


def _keys() -> Iterator[Check]:
    found = sorted(n for n, value in os.environ.items() if value and n.endswith(_KEY_ENDINGS))
    for name in found:
        yield Check(name, "set")
    if not found:
        yield Check("keys", "none set", None, "Not needed for local models; see --model.")


def _isolation() -> Iterator[Check]:
    """The REPL itself first, then its layers."""
    from rlm_dspy.repl import RestrictedInterpreter

    try:
        with RestrictedInterpreter() as repl:
            report = repl.isolation_report
            works = repl.execute("6 * 7") is not None
    except RLMError as error:
        yield Check("REPL", "does not start", False, str(error))
        return
    held = sum(state is True for state in report.values())
    yield Check("REPL", f"runs; {held} of {len(report)} layers hold", works)
    for layer, state in report.items():
        yield Check(layer, "active" if state is True else f"missing: {state}", state is True)
