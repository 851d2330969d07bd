"""One question at a terminal: from what the command line says to a run that has ended.

Promised: what a user gets wrong is an error with one message, before any model is loaded; the first
Ctrl-C ends a run with its best partial answer, the second at once. Not promised: anything on the
screen; that is the view's and the command's.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from rlm_dspy.choosing import Models, models_of, refuse_far
from rlm_dspy.errors import ConfigurationError, RLMError
from rlm_dspy.foreseeing import Foreseen, foreseen
from rlm_dspy.given import context_of, piped_paths, read_notes
from rlm_dspy.outcome import INTERRUPTED, Outcome, UsageError

if TYPE_CHECKING:
    import dspy

    from rlm_dspy.budget import Budget
    from rlm_dspy.context import Context
    from rlm_dspy.events import Event
    from rlm_dspy.question import Question
    from rlm_dspy.rlm import RLM
    from rlm_dspy.runs.recipes import Recipe
    from rlm_dspy.starting import RunHandle

CALLS, STEPS = 1_000, 20
SIGNATURE = "context, query -> answer"
STOPPING = "Stopping: asking for the best answer so far. Ctrl-C again stops at once."


@dataclass(frozen=True)
class Asked:
    """What the command line asks for; None is a default.

    Args:
        query: The question.
        paths: What it is about; none or "-" is standard input.
        model: The model that plans.
        sub_model: The model for sub-queries.
        signature: Inputs and outputs.
        cite: Whether the answer is to quote its sources.
        recipe: A recipe to follow.
        route: "auto", "direct" or "rlm"; None: "auto", where no recipe is given.
        limits: What `limits` takes.
        reading: What of the paths is read: `ReadOptions`'s own names.
        vision_model: The model that reads images and scanned pages; None: nobody does.
        embedding_model: The embedding model by which the text is searched too; None: none.
        paths_from_stdin: Whether standard input has more paths, one a line or ended by zero bytes.
        cache: Whether answers may come from dspy's cache.
        local_only: Whether nothing may leave this machine.
        mcp: A file that names MCP servers, whose tools code may call.
    """

    query: str
    paths: tuple[str, ...] = ()
    model: str | None = None
    sub_model: str | None = None
    signature: str = SIGNATURE
    cite: bool = False
    recipe: str | None = None
    route: str | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)
    vision_model: str | None = None
    embedding_model: str | None = None
    paths_from_stdin: bool = False
    cache: bool = True
    local_only: bool = False
    mcp: str | None = None


def answer(
    asked: Asked,
    listen: Callable[["Event"], None],
    note: Callable[[str], None],
    confirm: Callable[[Foreseen], None],
) -> Outcome:
    """Answers what the command line asks.

    Args:
        asked: The question, and how to answer it.
        listen: Gets each event of the run.
        note: Gets what the user should know at once.
        confirm: Gets what a large job may cost before the run begins; what it raises ends that.

    Raises:
        UsageError: It cannot be meant.
        RLMError: It cannot be done.
    """
    if asked.local_only:
        refuse_far(
            (asked.model, asked.sub_model, asked.vision_model),
            paths=asked.paths,
            urls=bool(asked.reading.get("urls")),
            mcp=asked.mcp,
        )
    with contextlib.ExitStack() as stack:
        tools: list[Any] = []
        if asked.mcp is not None:
            from rlm_dspy.mcp_tools import MCPTools

            tools = stack.enter_context(MCPTools(asked.mcp))
        return _answer(asked, listen, note, confirm, tools)


def _answer(
    asked: Asked,
    listen: Callable[["Event"], None],
    note: Callable[[str], None],
    confirm: Callable[[Foreseen], None],
    tools: list[Any],
) -> Outcome:
    from rlm_dspy.citations import only_citations

    query = question_of(asked.query)
    budget = limits(**asked.limits)
    paths = [*asked.paths, *(piped_paths() if asked.paths_from_stdin else ())]
    context = context_of(paths, asked.reading, asked.vision_model, budget, note)
    if asked.embedding_model is not None:
        from rlm_dspy.models import Embedder

        context = context.with_embedder(Embedder(asked.embedding_model))
    models = models_of(asked.model, asked.sub_model, cache=asked.cache)
    route = "auto" if asked.route is None and asked.recipe is None else asked.route
    recipe = recipe_of(asked.recipe, route, models, len(context))
    rlm = rlm_of(
        citing(asked.signature) if asked.cite else asked.signature,
        models,
        budget,
        recipe,
        route,
        tools=tools,
        local_only=asked.local_only,
    )
    fields = rlm.signature.output_fields
    outputs = dict.fromkeys(fields)
    about: dict[str, Any] = {
        "recipe": recipe,
        "characters": len(context),
        "skipped": tuple(context.skipped),
        "cited": tuple(n for n, f in fields.items() if only_citations(f.annotation)),
    }
    if (job := foreseen(context, models, budget)) is not None:
        confirm(job)
    notes = {"command": "rlm ask", **read_notes(paths, asked.reading)}
    wait = partial(answered, rlm, models, context, query, listen=listen, note=note, notes=notes)
    return outcome_of(wait, outputs, **about)


def outcome_of(
    wait: "Callable[[], dspy.Prediction | None]", outputs: dict[str, Any], **about: Any
) -> Outcome:
    """How a run ended.

    Args:
        wait: Waits for it; gives None where it was cancelled.
        outputs: The outputs by name, each None.
        **about: What is known of it beside, as `Outcome` takes it.

    Raises:
        RLMError: It never began.
    """
    from rlm_dspy.run import Run

    try:
        result = wait()
    except RLMError as error:
        failed = error.run  # the id of another run, where that stands in the way
        if not isinstance(failed, Run):
            raise
        return Outcome(failed, outputs, failure=error, **about)
    if result is None:
        return Outcome(None, outputs, **about)
    return Outcome(result.run, {name: result.get(name) for name in outputs}, **about)


def limits(
    *,
    dollars: float | None = None,
    tokens: int | None = None,
    calls: int | None = None,
    seconds: float | None = None,
    steps: int | None = None,
) -> "Budget":
    """The budget that the command line says; calls and steps are always limited.

    Raises:
        UsageError: A limit is not one.
    """
    from rlm_dspy.budget import Budget

    try:
        return Budget(
            dollars=dollars,
            tokens=tokens,
            calls=CALLS if calls is None else calls,
            seconds=seconds,
            steps=STEPS if steps is None else steps,
        )
    except ConfigurationError as error:
        raise UsageError(error.message) from error


def question_of(text: str) -> str:
    """The question, which must say something.

    Raises:
        UsageError: It is blank.
    """
    if not text.strip():
        raise UsageError("The question is empty: write it as the first argument, in quotes.")
    return text


def citing(signature: str) -> str:
    """A signature with an output for quotes, unless it has one."""
    return signature if "Citation" in signature else f"{signature}, sources: list[Citation]"


def recipe_of(
    recipe: str | None, route: str | None, models: Models, characters: int
) -> "Recipe | None":
    """The recipe that is followed; None to plan, or to answer directly.

    Args:
        recipe: What `--recipe` says.
        route: What `--route` says.
        models: The models.
        characters: The length of the context.

    Raises:
        UsageError: There is no such recipe, or recipe and route contradict each other.
    """
    from rlm_dspy.options import RLMOptions
    from rlm_dspy.runs.recipes import Recipe

    if recipe is not None and route not in (None, "rlm"):
        raise UsageError(f"--recipe and --route {route} contradict each other: give one of them.")
    try:
        given = Recipe.of(recipe)
    except ConfigurationError as error:
        raise UsageError(error.message) from error
    if given is not None or models.plans:
        return given
    # What cannot plan may still answer directly what is short enough.
    short = RLMOptions().fits_directly(characters)
    if route in ("rlm", "direct") or (route == "auto" and short):
        return None
    return Recipe.builtin()


def rlm_of(
    signature: str,
    models: Models,
    budget: "Budget",
    recipe: "Recipe | None",
    route: str | None,
    *,
    tools: Sequence[Any] = (),
    local_only: bool = False,
) -> "RLM":
    """The module that answers.

    Raises:
        UsageError: The signature is not one, or has other inputs than `context` and `query`.
    """
    from rlm_dspy.options import RLMOptions
    from rlm_dspy.rlm import RLM

    chosen = {"local_only": local_only} | ({} if route is None else {"route": route})
    options = RLMOptions.model_validate(chosen)
    try:
        rlm = RLM(
            signature,
            max_iters=budget.steps or STEPS,
            tools=tools,
            sub_lm=models.sub,
            budget=budget,
            recipe=recipe,
            options=options,
        )
    except ConfigurationError as error:
        raise UsageError(error.message) from error
    inputs = list(rlm.signature.input_fields)
    if set(inputs) != {"context", "query"}:
        raise UsageError(
            f"--signature {signature!r} has the inputs {', '.join(inputs) or '(none)'}; "
            "it must have exactly context and query, such as 'context, query -> answer: list[str]'."
        )
    return rlm


def answered(
    rlm: "RLM",
    models: Models,
    context: "Context",
    query: str,
    *,
    listen: Callable[["Event"], None],
    note: Callable[[str], None],
    notes: Mapping[str, Any] | None = None,
) -> "dspy.Prediction | None":
    """Runs to the end, while Ctrl-C may end it early.

    Args:
        rlm: The module.
        models: Its models.
        context: What the question is about.
        query: The question.
        listen: Gets each event.
        note: Gets what the user should know at once.
        notes: What the run's record is to know beside.

    Returns:
        The result; None where a second Ctrl-C ended it at once.

    Raises:
        RLMError: The machinery failed.
    """
    import dspy

    with dspy.context(lm=models.main):
        handle = rlm.launch({"context": context, "query": query}, listeners=(listen,), notes=notes)
        return waited(handle, note)


def waited(handle: "RunHandle | Question", note: Callable[[str], None]) -> "dspy.Prediction | None":
    """Waits for a run, while Ctrl-C may end it early.

    Args:
        handle: The run.
        note: Gets what the user should know at once.

    Returns:
        The result; None where a second Ctrl-C ended it at once.

    Raises:
        RLMError: The machinery failed.
    """
    from concurrent.futures import CancelledError

    with _stoppable(handle, note):
        try:
            return handle.result()
        except CancelledError:
            return None


@contextlib.contextmanager
def _stoppable(handle: Any, note: Callable[[str], None]) -> Generator[None]:
    """While the block runs: the first interrupt stops the run, the second cancels it."""
    if threading.current_thread() is not threading.main_thread():  # no signals elsewhere
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def first(*_: object) -> None:
        signal.signal(signal.SIGINT, second)
        note(STOPPING)
        handle.stop(INTERRUPTED)

    def second(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        handle.cancel()

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
