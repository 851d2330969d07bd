"""Runs within a run: `rlm_query`, `rlm_query_batched` and the REPL's `dspy` object.

A sub-run is a run of the same kind: the same predictors, models, interpreter and tools, on its
parent's account. Its events are among its parent's, under its own number. Where runs may not nest
any deeper, the question is asked of what a single sub-query can read, and the output says so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import dspy
from dspy.signatures.signature import make_signature

from rlm_dspy.context import Context
from rlm_dspy.dspy_errors import InterpreterError
from rlm_dspy.errors import ConfigurationError, ContextError, SubQueryError
from rlm_dspy.placed import plain, takes_origins
from rlm_dspy.queries.operators import Operators, as_text
from rlm_dspy.queries.types import as_type
from rlm_dspy.signatures import taken_inputs

# Sub-runs at once: each has a REPL of its own.
SUB_RUNS = 8

SubRun = Callable[[type[dspy.Signature], dict[str, Any]], Awaitable[dspy.Prediction]]


class Recursion:
    """The functions of one run that start sub-runs.

    Args:
        operators: The run's sub-queries.
        start: Runs a sub-run to its end; None where runs may not nest any deeper.
    """

    def __init__(self, operators: Operators, start: SubRun | None):
        self._operators = operators
        self._start = start
        self._slots = asyncio.Semaphore(SUB_RUNS)
        self._notes: list[str] = []  # for the planner, with the step's output

    def functions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """The functions by the name that code calls them by."""
        return {
            "rlm_query": self.rlm_query,
            "rlm_query_batched": self.rlm_query_batched,
            "dspy": self.module,
        }

    def take_notes(self) -> list[str]:
        """The notes since the last time."""
        notes = list(self._notes)
        self._notes.clear()
        return notes

    async def rlm_query(self, query: str, context: Any, returns: Any = str) -> Any:
        """Has a sub-run answer a question over a text of any length.

        Args:
            query: The question.
            context: A text, or a list of documents.
            returns: The answer's type, a JSON schema, or a type's name.

        Returns:
            The answer, of that type.

        Raises:
            SubQueryError: There is no text, or no answer.
        """
        kind = as_type(returns)
        try:
            whole = Context.coerce(context)
        except ContextError as error:
            raise SubQueryError(f"rlm_query: {error}") from error
        if self._start is None:
            return await self._flat(str(query), whole, kind)
        fields: dict[str, Any] = {
            "context": (str, dspy.InputField()),
            "query": (str, dspy.InputField()),
            "answer": (kind, dspy.OutputField()),
        }
        inputs = {"context": whole, "query": str(query)}
        answers = await self._nested("rlm_query", str(query), make_signature(fields), inputs)
        return answers["answer"]

    async def rlm_query_batched(
        self, queries: Sequence[str], contexts: Sequence[Any], returns: Any = str
    ) -> list[Any]:
        """`rlm_query` for many pairs at once.

        Returns:
            One answer a pair, in order; "[ERROR] …" for one that failed.

        Raises:
            SubQueryError: There are not as many contexts as queries.
        """
        if isinstance(queries, str) or isinstance(contexts, str) or len(queries) != len(contexts):
            raise SubQueryError("rlm_query_batched takes two lists of the same length")
        pairs = zip(queries, contexts, strict=True)
        asked = (self.rlm_query(query, context, returns) for query, context in pairs)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        return [_value_or_error(answer) for answer in answers]

    @takes_origins
    async def module(
        self, kind: str, signature: str, instructions: str | None, inputs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Runs a module of the REPL's `dspy` object.

        Args:
            kind: "Predict", "ChainOfThought" or "RLM".
            signature: Its signature, as a string.
            instructions: Its instructions; None: dspy's, made of the field names.
            inputs: The inputs by name.

        Returns:
            The outputs by name.

        Raises:
            SubQueryError: The signature or an input is wrong, or there is no answer.
        """
        outer = _signature(signature, instructions)
        if missing := sorted(set(outer.input_fields) ^ set(inputs)):
            raise SubQueryError(
                f"dspy.{kind}({signature!r}) takes the inputs {list(outer.input_fields)}, and was "
                f"given {sorted(inputs)}: see {missing}"
            )
        if kind == "RLM" and self._start is not None:
            return await self._nested("dspy.RLM", signature, outer, plain(dict(inputs)))
        if taken := taken_inputs(outer):
            raise SubQueryError(
                f"dspy.{kind}({signature!r}) cannot have the inputs {taken}: rename them"
            )
        if kind == "RLM":
            self._note("dspy.RLM", "one call of a model")
        if kind == "ChainOfThought":
            thought: Any = dspy.OutputField(desc="step by step")
            outer = outer.prepend("reasoning", thought, type_=str)
        self._operators.take(1)
        return await self._operators.questions.predict(f"dspy.{kind}", outer, dict(inputs))

    async def _nested(
        self, name: str, question: str, outer: type[dspy.Signature], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        start = self._start
        assert start is not None

        async def answer() -> dict[str, Any]:
            async with self._slots:
                try:
                    result = await start(outer, inputs)
                except (ConfigurationError, ContextError, InterpreterError) as error:
                    raise SubQueryError(f"{name}: {error}") from error
            outputs = {field: result[field] for field in outer.output_fields}
            if result.run.status != "completed":
                self._notes.append(f"({name} ended early: {result.run.reason})")
                if all(value is None for value in outputs.values()):
                    raise SubQueryError(f"{name} found no answer: {result.run.reason}")
            return outputs

        size = sum(len(as_text(value)) for value in inputs.values())
        return await self._operators.questions.effect(name, question, size, answer)

    async def _flat(self, query: str, whole: Context, kind: Any) -> Any:
        text, readable = str(whole), self._operators.questions.readable()
        if len(text) > readable:
            found = sorted(whole.search(query, k=4), key=lambda passage: passage.start)
            text = "\n…\n".join(map(str, found)) or text[:readable]
            said = f"one sub-query over {len(text):,} of {len(whole):,} characters"
            self._note("rlm_query", said)
        else:
            self._note("rlm_query", "one sub-query")
        return await self._operators.ask(query, text, kind)

    def _note(self, name: str, instead: str) -> None:
        note = f"({name}: runs may not nest deeper here; answered by {instead} instead)"
        if note not in self._notes:
            self._notes.append(note)


def _signature(signature: str, instructions: str | None) -> type[dspy.Signature]:
    try:
        return make_signature(signature, instructions or None)
    except (ValueError, SyntaxError, TypeError, ConfigurationError) as error:
        raise SubQueryError(
            f"{signature!r} is not a signature ({error}): write it like 'text, question -> "
            "answer: int'",
            signature=signature,
        ) from error


def _value_or_error(answer: Any) -> Any:
    if isinstance(answer, SubQueryError):
        return f"[ERROR] {answer}"
    if isinstance(answer, BaseException):
        raise answer
    return answer
