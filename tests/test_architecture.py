"""The layers, the absence of cycles, the public names, and what an import loads."""

import ast
import graphlib
import importlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import rlm_dspy

ROOT = Path(rlm_dspy.__file__).parent

# From the ground up: a module imports from floors below its own, or from its own floor.
GROUND = {
    *(
        "errors",
        "dspy_errors",
        "missing",
        "cuts",
        "wire",
        "shared",
        "files",
        "citations",
        "lookups",
        "measures",
        "returns",
        "settings",
        "options",
        "budget",
        "account",
        "events",
        "event_log",
        "exchange",
        "plain_json",
    ),
    *(
        "signatures",
        "planner_mark",
        "demos",
        "fencing",
        "adapters",
        "marking",
        "prose",
        "schemas",
        "coercion",
        "loop",
        "bridges",
        "run",
        "rules",
        "tools",
    ),
    *("mcp_connection", "mcp_servers", "mcp_tools"),
    *("submission", "transcript", "spoken", "notebook", "turns", "streak", "coverage", "placed"),
}
ROOMS = {"context", "repl", "models", "runs"}
MIDDLE = {
    *(
        "inputs",
        "interpreters",
        "execution",
        "task",
        "briefing",
        "workbench",
        "flow",
        "reading",
        "routing",
    ),
    *("extracting", "resubmission", "starting", "streaming", "citing", "phase0", "privacy"),
    *("blueprint", "recording", "rerunning", "tool_calls", "planning"),
    *("session", "kept_repl", "stepping", "reopening", "allowance", "earlier"),
    *("question", "session_runs"),
}
TOP = {
    *(
        "cli",
        "commands",
        "__main__",
        "grepping",
        "asking",
        "caching",
        "choosing",
        "demo",
        "doctor",
        "foreseeing",
        "given",
        "outcome",
    ),
    *("showing", "rebuilding", "resuming"),
    *("serve", "view", "chatting", "batch", "distributed"),
}
FLOORS = [GROUND, ROOMS, {"queries"}, MIDDLE, {"rlm"}, TOP, {"testing"}, {"pytest_fixtures"}]

PUBLIC = [
    "Budget",
    "BudgetExceeded",
    "Citation",
    "CodeFailed",
    "ConfigurationError",
    "Context",
    "ContextError",
    "Document",
    "Embedder",
    "File",
    "ImageReader",
    "InterpreterError",
    "Lookup",
    "MCPToolError",
    "MCPTools",
    "Missing",
    "PolicyViolation",
    "ProviderError",
    "RLM",
    "RLMError",
    "RLMOptions",
    "ReadLimits",
    "ReadOptions",
    "ReadProgress",
    "Recipe",
    "ReplayMismatch",
    "RestrictedInterpreter",
    "Run",
    "RunFilter",
    "Span",
    "Spend",
    "StoreError",
    "SubQueryError",
    "Telemetry",
    "TrainingData",
    "instrument",
    "resolve_lm",
    "uninstrument",
]


def name_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules():
    return {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(path):
    """All that a file imports, in functions and under TYPE_CHECKING too, as full names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules() else str(node.module)


@cache
def graph():
    """The package's own imports by module; its `__init__`, which only lists names, left out."""
    return {
        name: {target for target in imported(path) if target in modules()} - {"rlm_dspy", name}
        for name, path in modules().items()
        if name != "rlm_dspy"
    }


def piece(module):
    return module.split(".")[1]


def floor(module):
    return next(number for number, names in enumerate(FLOORS) if piece(module) in names)


def test_every_module_has_a_floor():
    known = set().union(*FLOORS)
    assert {piece(module) for module in graph()} <= known


def test_imports_go_down():
    up = [(m, t) for m, targets in graph().items() for t in targets if floor(t) > floor(m)]
    assert up == []


def test_rooms_do_not_import_each_other():
    across = [
        (module, target)
        for module, targets in graph().items()
        if piece(module) in ROOMS
        for target in targets
        if piece(target) in ROOMS and piece(target) != piece(module)
    ]
    assert across == []


def test_nothing_imports_the_test_models():
    using = [m for m, targets in graph().items() if "rlm_dspy.testing" in targets]
    assert using == ["rlm_dspy.pytest_fixtures"]


def test_there_are_no_cycles():
    order = list(graphlib.TopologicalSorter(graph()).static_order())
    assert len(order) == len(graph())


def test_the_package_knows_nothing_of_programs_and_evaluation():
    outside = ("programs", "eval", "tests", "bench", "examples")
    found = [
        (name, target)
        for name, path in modules().items()
        for target in imported(path)
        if target.split(".")[0] in outside
    ]
    assert found == []


# Beside the public names: scripted models, and the places that know what a key is and what a failed
# request may have cost.
OPEN_ROOMS = ("rlm_dspy.testing", "rlm_dspy.runs.redaction", "rlm_dspy.models.failures")


@pytest.mark.parametrize("folder", ["programs", "eval"])
def test_what_stands_on_it_uses_public_names_only(folder):
    files = sorted((ROOT.parent / folder).rglob("*.py"))
    private = [
        (str(path.relative_to(ROOT.parent)), target)
        for path in files
        for target in imported(path)
        if target.startswith("rlm_dspy.") and target not in OPEN_ROOMS
    ]
    assert private == []
    if folder == "programs":
        assert not [p for p in files for t in imported(p) if t.split(".")[0] == "eval"]


def test_public_names():
    assert rlm_dspy.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(rlm_dspy))


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_is_there_and_documented(name):
    assert getattr(rlm_dspy, name).__doc__


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = rlm_dspy.no_such_name


def public_type_hints():
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    return sorted(
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    )


def test_type_checkers_see_the_same_names():
    assert public_type_hints() == PUBLIC


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("rlm_dspy", ("dspy", "litellm", "datasets", "pydantic", "RestrictedPython")),
        ("rlm_dspy.repl.worker", ("dspy", "litellm", "pydantic")),
        ("rlm_dspy.context", ("dspy", "litellm", "pydantic")),
        ("rlm_dspy.errors", ("dspy", "pydantic")),
        ("rlm_dspy.cli", ("dspy", "litellm", "pydantic_settings")),
        ("rlm_dspy.rlm", ("litellm", "datasets", "pydantic_settings", "opentelemetry", "mlflow")),
    ],
)
def test_what_an_import_leaves_unloaded(module, heavy):
    source = f"import {module}, sys; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_every_module_says_what_it_is_for():
    silent = [n for n, p in modules().items() if not ast.get_docstring(ast.parse(p.read_text()))]
    assert silent == []


def test_every_lazy_name_of_a_room_is_there():
    for room in sorted(ROOMS):
        package = importlib.import_module(f"rlm_dspy.{room}")
        for name in getattr(package, "__all__", ()):
            assert getattr(package, name) is not None
