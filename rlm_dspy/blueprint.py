"""How a run was made, as plain data: enough to make an equal one in another process.

Not in it: LM objects and keys (models are named, keys come from the environment), the functions of
tools (their names and arguments are), and inputs that are no plain data.
"""

import json
from collections.abc import Mapping
from typing import Any

import dspy
from dspy.signatures.signature import make_signature
from pydantic import TypeAdapter

from rlm_dspy.budget import Budget
from rlm_dspy.context import Context
from rlm_dspy.context.kept import as_kept, from_kept
from rlm_dspy.errors import ReplayMismatch, SubQueryError
from rlm_dspy.models.capabilities import features
from rlm_dspy.models.several import SubModels
from rlm_dspy.options import RLMOptions
from rlm_dspy.plain_json import as_plain_json, from_plain_json
from rlm_dspy.queries.types import as_type, from_schema
from rlm_dspy.runs.recipes import Recipe
from rlm_dspy.runs.stand_in import StandIn
from rlm_dspy.signatures import OWN_TYPES
from rlm_dspy.task import Task

# As a value: a type checker takes `list[kind]` for a type expression.
_LIST: Any = list
ROLES = ("plan", "sub_query", "extract", "direct")


def described(
    task: Task, inputs: Mapping[str, Any], most: int
) -> tuple[dict[str, Any], list[bytes]]:
    """A run's task and inputs as JSON takes them.

    Args:
        task: The task.
        inputs: The inputs by name, as the REPL gets them.
        most: The longest text that is kept, in bytes.

    Returns:
        The description, and the long texts that it names by their place.
    """
    texts: list[bytes] = []
    return {
        "program": task.program,
        "signature": _signature(task.outer),
        "predictors": {role: _state(task.predictors.get(role)) for role in ROLES},
        "models": {role: _models(task.lm_of(role)) for role in ROLES},
        "budget": task.budget.limits | {"depth": task.budget.depth},
        "options": json.loads(task.options.model_dump_json(fallback=str)),
        "steps": task.steps,
        "max_llm_calls": task.max_llm_calls,
        "max_output_chars": task.max_output_chars,
        "recipe": _recipe(task.recipe),
        "tools": [_tool(name, tool) for name, tool in task.tools.items()],
        "ours": task.ours,
        "inputs": {name: _input(value, texts, most) for name, value in inputs.items()},
        "notes": dict(task.notes),
        "earlier": task.earlier,
    }, texts


def _signature(outer: type[dspy.Signature]) -> dict[str, Any]:
    return {
        "instructions": outer.instructions,
        "inputs": {name: _field(f) for name, f in outer.input_fields.items()},
        "outputs": {name: _field(f) for name, f in outer.output_fields.items()},
    }


def _field(field: Any) -> dict[str, Any]:
    kind, extra = field.annotation, field.json_schema_extra or {}
    try:
        schema = TypeAdapter(kind).json_schema()
    except Exception:  # noqa: BLE001 - a type of the user's that has no schema is any value
        schema = {}
    own = next((name for name, known in OWN_TYPES.items() if known is kind), None)
    listed = next((name for name, known in OWN_TYPES.items() if kind == _LIST[known]), None)
    named = own or (listed and f"list[{listed}]") or _type_name(kind)
    return {"type": named, "schema": schema, "desc": extra.get("desc")}


def _type_name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")


def _state(predictor: Any) -> Any:
    try:
        state = predictor.dump_state()
        state.pop("lm", None)
        return json.loads(json.dumps(state))
    except Exception:  # noqa: BLE001 - a predictor of the user's own kind has no state to keep
        return None


def _models(lm: Any) -> Any:
    if isinstance(lm, SubModels):
        return {
            "named": {name: [features(one) for one in lms] for name, lms in lm.named.items()},
            "descriptions": dict(lm.descriptions),
        }
    several = getattr(lm, "alternatives", None)
    if several:
        return {"alternatives": [features(one) for one in several]}
    return features(lm)


def _recipe(recipe: Recipe | None) -> dict[str, Any] | None:
    if recipe is None:
        return None
    try:
        parameters = as_plain_json(dict(recipe.parameters))
    except TypeError:
        parameters = {}
    return {
        "name": recipe.name,
        "steps": list(recipe.steps),
        "parameters": parameters,
        "template": recipe.template,
    }


def _tool(name: str, tool: dspy.Tool) -> dict[str, Any]:
    return {"name": name, "desc": tool.desc, "args": json.loads(json.dumps(tool.args, default=str))}


def _input(value: Any, texts: list[bytes], most: int) -> dict[str, Any]:
    if isinstance(value, Context):
        kept = as_kept(value, most)
        if kept is None:
            return {"context": None, "says": value.describe()}
        text, about = kept
        texts.append(text)
        return {"context": len(texts) - 1, **about}
    try:
        plain = as_plain_json(value)
    except TypeError:
        return {"kind": type(value).__name__}
    if isinstance(plain, str) and len(plain) > 4_096:
        data = plain.encode("utf-8", "surrogatepass")
        if len(data) > most:
            return {"kind": "str"}
        texts.append(data)
        return {"text": len(texts) - 1}
    return {"plain": plain}


def inputs_of(about: Mapping[str, Any], text: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a recorded run.

    Args:
        about: What `described` gave.
        text: Gives a text of the store by its hash.
        given: Inputs that the caller has; they win.

    Raises:
        ReplayMismatch: One is not in the record and is not given.
    """
    found: dict[str, Any] = {}
    for name, kept in about["inputs"].items():
        if name in given:
            found[name] = given[name]
        elif "plain" in kept:
            found[name] = from_plain_json(kept["plain"])
        elif kept.get("context") is not None:
            found[name] = from_kept(text(about["texts"][kept["context"]]), kept)
        elif "text" in kept:
            found[name] = text(about["texts"][kept["text"]]).decode("utf-8", "surrogatepass")
        else:
            what = kept.get("says") or f"a {kept.get('kind')}"
            raise ReplayMismatch(
                f"The input {name!r} is not in the record ({what}): give it again, as in "
                f"resume(run_id, {name}=…).",
                name=name,
            )
    return found


def signature_of(about: Mapping[str, Any]) -> type[dspy.Signature]:
    """The outer signature of a recorded run; types of the user's own become plain data."""
    said = about["signature"]
    fields: dict[str, Any] = {}
    for side, make in (("inputs", dspy.InputField), ("outputs", dspy.OutputField)):
        for name, field in said[side].items():
            desc = field.get("desc")
            fields[name] = (_kind(field), make(desc=desc) if desc else make())
    return make_signature(fields, said["instructions"])


def _kind(field: Mapping[str, Any]) -> Any:
    name = str(field["type"])
    if name in OWN_TYPES:
        return OWN_TYPES[name]
    if name.startswith("list[") and name[5:-1] in OWN_TYPES:
        return _LIST[OWN_TYPES[name[5:-1]]]
    try:
        return as_type(name)
    except SubQueryError:
        return from_schema(field["schema"]) if field["schema"] else Any


def options_of(about: Mapping[str, Any]) -> RLMOptions:
    """The options of a recorded run; what this version does not know is left out."""
    known = {n: v for n, v in about["options"].items() if n in RLMOptions.model_fields}
    return RLMOptions.model_validate(known)


def budget_of(about: Mapping[str, Any], *, bounded: bool) -> Budget:
    """The budget of a recorded run.

    Args:
        about: What `described` gave.
        bounded: Whether its limits count: what is answered from a record is within them.
    """
    limits = dict(about["budget"])
    if not bounded:
        limits = {n: limits[n] for n in ("depth", "concurrency", "steps") if n in limits}
    whole = {n: int(v) if n not in ("dollars", "seconds") else v for n, v in limits.items()}
    return Budget(**whole)


def recipe_of(about: Mapping[str, Any]) -> Recipe | None:
    """The recipe of a recorded run."""
    said = about["recipe"]
    if said is None:
        return None
    return Recipe(
        said["name"],
        tuple(said["steps"]),
        from_plain_json(said["parameters"]),
        template=said.get("template", ""),
    )


def stand_ins(about: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in for the LMs of a recorded run, by role."""
    return {role: _stand_in(said) for role, said in about["models"].items()}


def _stand_in(said: Mapping[str, Any]) -> Any:
    if "named" in said:
        named = {n: tuple(StandIn(one) for one in lms) for n, lms in said["named"].items()}
        return SubModels(named, said["descriptions"])
    if "alternatives" in said:
        return SubModels({"": tuple(StandIn(one) for one in said["alternatives"])})
    return StandIn(said)


def tools_of(about: Mapping[str, Any]) -> list[dspy.Tool]:
    """Tools of the names and arguments of a recorded run, which do nothing themselves."""
    return [_stub(said) for said in about["tools"]]


def _stub(said: Mapping[str, Any]) -> dspy.Tool:
    name = said["name"]

    def stub(**kwargs: Any) -> Any:
        raise ReplayMismatch(f"The tool {name} is not here: its record does not hold this call.")

    return dspy.Tool(stub, name=name, desc=said["desc"], args=said["args"])
