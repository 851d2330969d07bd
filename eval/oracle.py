"""A simulated model: it plans as a strong planner would and knows what sub-queries should answer.

It stands where no strong model is at hand, so that the machinery (programs, runner, statistics) can
be measured: `oracle_lm(examples, error_rate=0.05)` is a `dspy.LM` that any program takes. As a
planner it reads the question out of its prompt, like any planner, and writes the code that answers
it (`eval.plans`). As a sub-model it knows the labels and needles of the examples it was given, and
errs in a share of its answers that the caller sets: which ones is drawn from the seed and the text
itself, so that the same text is always answered alike, in any order and in any process.

Every number that comes of it says nothing about any model: head every table with `SIMULATED`.
"""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage

from eval.oolong import parsed_lines
from eval.plans import plan_for
from rlm_dspy import ConfigurationError

SIMULATED = (
    "SIMULATED: an oracle wrote the plans and answered the sub-queries. The numbers measure the "
    "machinery, not a model."
)
UNKNOWN = "unknown"
CHARS_PER_TOKEN = 4

# What only a planner's prompt says.
_RULES = "Functions, already defined:"
_FIELDS = re.compile(r"`\[\[ ## (\w+) ## \]\]`")
_NEEDLE = re.compile(r"special magic \w+ for (\S+) is: (\S+?)\.(?=\s|$)")
# How items that share a call, and the parts of an answer to combine, are numbered.
_ITEM = re.compile(r"^(\d+): (.*)$", re.MULTILINE)
_PART = re.compile(r"^\d+\. (.+)$", re.MULTILINE)
_FENCE = re.compile(r"<(\w+)>\n(.*?)\n</\1>", re.DOTALL)


def oracle_lm(
    examples: Iterable[dspy.Example], *, error_rate: float = 0.0, seed: int = 0
) -> dspy.LM:
    """A simulated model for some examples, as planner and as sub-model.

    dspy's cache, which knows neither its seed nor its examples, never answers for it.

    Args:
        examples: What it will be asked, of `oolong_synth`, `oolong_pairs` and `niah`.
        error_rate: The share of its sub-query answers that are wrong, 0 to 1.
        seed: Which ones.

    Returns:
        The model, whose name begins with "simulated".

    Raises:
        ConfigurationError: The rate is not a share.
    """
    oracle = Oracle(examples, error_rate=error_rate, seed=seed)
    return dspy.LM(
        f"simulated/oracle:{error_rate:g}",
        engine=_Engine(oracle),
        async_engine=_AsyncEngine(oracle),
        cache=False,
    )


class Oracle:
    """What the simulated model knows.

    Args:
        examples: What it will be asked.
        error_rate: The share of wrong answers, 0 to 1.
        seed: Which ones.
    """

    def __init__(self, examples: Iterable[dspy.Example], *, error_rate: float = 0.0, seed: int = 0):
        if not 0 <= error_rate <= 1:
            raise ConfigurationError(f"error_rate={error_rate} is not a share from 0 to 1.")
        self.error_rate = error_rate
        self._seed = seed
        self._labels: dict[str, str] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._by_question: dict[str, tuple[str, ...]] = {}
        seen: set[str] = set()
        for example in examples:
            names: tuple[str, ...] = tuple(sorted(example.get("label_names", [])))
            self._by_question[example.question] = names
            if names and example.context_id not in seen:
                seen.add(example.context_id)
                for line in parsed_lines(example.labelled_context):
                    self._labels[line.text] = line.label
                    self._names[line.text] = names

    def label(self, text: str) -> str | None:
        """What it says a line's text is: its label, or, where it errs, another; None if unknown."""
        right = self._labels.get(text)
        draw = random.Random(f"{self._seed}/{text}")
        if right is None or draw.random() >= self.error_rate:
            return right
        return draw.choice([name for name in self._names[text] if name != right])

    def value(self, needle: str, value: str) -> str:
        """What it says a needle's value is: the value, or, where it errs, another of its form."""
        draw = random.Random(f"{self._seed}/{needle}/{value}")
        if draw.random() >= self.error_rate:
            return value
        return "".join(draw.choice("123456789") if c.isalnum() else c for c in value)

    def reply(self, system: str, turns: Sequence[tuple[str, str]]) -> str:
        """What it says to a prompt.

        Args:
            system: The system text.
            turns: The chat turns as (role, text), oldest first.

        Returns:
            A step of a plan, or an answer; `UNKNOWN` where it knows none.
        """
        prompt = "\n".join([system, *(text for _, text in turns)])
        if _RULES in prompt:
            steps = sum(role == "assistant" for role, _ in turns)
            return plan_for(prompt, steps, self._by_question)
        said = self._answer(turns[-1][1] if turns else "")
        fields = [name for name in _FIELDS.findall(prompt) if name != "completed"]
        if not fields:
            return said
        texts = {name: "SIMULATED" if name == "reasoning" else said for name in fields}
        parts = [f"[[ ## {name} ## ]]\n{text}" for name, text in texts.items()]
        return "\n\n".join([*parts, "[[ ## completed ## ]]"])

    def __deepcopy__(self, memo: dict[int, Any]) -> "Oracle":
        return self

    def _answer(self, turn: str) -> str:
        """What it says to one question: of a text, or of many numbered ones."""
        texts = [text for _, text in _FENCE.findall(turn)]
        text, question = (texts[-1], _FENCE.sub("", turn)) if texts else (turn, turn)
        items = _ITEM.findall(text)
        if not items:
            return self._of_text(question, text)
        return "\n".join(f"{number}: {self._of_text(question, item)}" for number, item in items)

    def _of_text(self, question: str, text: str) -> str:
        for line in text.splitlines():
            instances = [parsed.text for parsed in parsed_lines(line.strip())]
            for instance in (line.strip(), *instances):
                if (found := self.label(instance)) is not None:
                    return found
        needles = _NEEDLE.findall(text)
        asked = _NEEDLE.sub("", question)
        values = [self.value(key, value) for key, value in needles if key in asked]
        if not needles:
            values = [part for part in _PART.findall(text) if part != UNKNOWN]
        return ", ".join(dict.fromkeys(values)) or UNKNOWN


@dataclass(frozen=True)
class _Engine:
    oracle: Oracle

    def complete(self, request: Request) -> Response:
        return _response(self.oracle, request)


@dataclass(frozen=True)
class _AsyncEngine:
    oracle: Oracle

    async def complete(self, request: Request) -> Response:
        return _response(self.oracle, request)


def _response(oracle: Oracle, request: Request) -> Response:
    system = request.system or ""
    parts = [system] if isinstance(system, str) else [getattr(p, "text", "") for p in system]
    turns = [(message.role, message.text or "") for message in request.messages]
    said = oracle.reply("".join(parts), turns)
    prompt = (sum(map(len, parts)) + sum(len(text) for _, text in turns)) // CHARS_PER_TOKEN + 1
    reply = len(said) // CHARS_PER_TOKEN + 1
    return Response(
        id=None,
        model=request.model,
        message=Message.assistant(said),
        finish_reason="stop",
        usage=Usage(input_tokens=prompt, output_tokens=reply, total_tokens=prompt + reply),
    )
