"""A conversation at a terminal: from what the command line says to a session that answers."""

import contextlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rlm_dspy.asking import SIGNATURE, Asked, limits, outcome_of, recipe_of, rlm_of, waited
from rlm_dspy.choosing import Models, models_of, refuse_far
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.given import context_of, read_notes
from rlm_dspy.outcome import Outcome, UsageError

if TYPE_CHECKING:
    from rlm_dspy.events import Event
    from rlm_dspy.question import Question
    from rlm_dspy.rlm import RLM
    from rlm_dspy.runs.stored import Stored
    from rlm_dspy.session import Session


@dataclass
class Talk:
    """A session whose questions come from a terminal.

    Args:
        session: The session.
        rlm: Its module.
        models: The models that answer.
        skipped: Files that were left out of the context, as (path, reason).
    """

    session: "Session"
    rlm: "RLM"
    models: Models
    skipped: tuple[tuple[str, str], ...] = ()

    def ask(
        self, question: str, listen: Callable[["Event"], None], note: Callable[[str], None]
    ) -> Outcome:
        """Answers a question, while Ctrl-C may end it early.

        Args:
            question: The question.
            listen: Gets each event of its run.
            note: Gets what the user should know at once.

        Raises:
            RLMError: It cannot be asked.
        """
        return self._ended(partial(self.session.start, question, listeners=(listen,)), note)

    def finish(self, listen: Callable[["Event"], None], note: Callable[[str], None]) -> Outcome:
        """Goes on with the question that was under way when the session's process died.

        Args:
            listen: As `ask` takes it.
            note: The same.
        """
        return self._ended(partial(self.session.finish, listeners=(listen,)), note)

    def _ended(self, start: "Callable[[], Question]", note: Callable[[str], None]) -> Outcome:
        import dspy

        def wait() -> Any:
            with dspy.context(lm=self.models.main):
                return waited(start(), note)

        outputs = dict.fromkeys(self.rlm.signature.output_fields)
        return outcome_of(wait, outputs, recipe=self.rlm.recipe)


@contextlib.contextmanager
def opened(
    asked: Asked,
    resume: str | None,
    whole: Mapping[str, Any],
    note: Callable[[str], None],
) -> Generator[Talk]:
    """Opens a session, and closes it after the block.

    Args:
        asked: What it is about, and how it is answered; its question says nothing.
        resume: The id of a recorded session to go on with; "" for the newest; None: a new one.
        whole: The limits of all questions together, by the names of `Budget`; None is none.
        note: Gets what the user should know at once.

    Raises:
        UsageError: It cannot be meant.
        RLMError: It cannot be done.
    """
    begin = _new if resume is None else partial(_again, resume=resume)
    talk = begin(asked, whole, note)
    with talk.session:
        yield talk


def _new(asked: Asked, whole: Mapping[str, Any], note: Callable[[str], None]) -> Talk:
    if asked.local_only:
        chosen = (asked.model, asked.sub_model, asked.vision_model)
        refuse_far(chosen, paths=asked.paths, urls=bool(asked.reading.get("urls")))
    if not asked.paths or "-" in asked.paths:
        raise UsageError("What about? Give files or folders: rlm chat PATH… (stdin has questions).")
    budget = limits(**asked.limits)
    context = context_of(list(asked.paths), asked.reading, asked.vision_model, budget, note)
    models = models_of(asked.model, asked.sub_model, cache=asked.cache)
    recipe = recipe_of(asked.recipe, None, models, len(context))
    rlm = rlm_of(asked.signature, models, budget, recipe, None, local_only=asked.local_only)
    notes = {
        "command": "rlm chat",
        **read_notes(asked.paths, asked.reading),
        "limits": dict(asked.limits),
    }
    session = rlm.session(budget=_budget(whole), notes=notes, context=context)
    return Talk(session, rlm, models, tuple(context.skipped))


def _again(
    asked: Asked, whole: Mapping[str, Any], note: Callable[[str], None], *, resume: str
) -> Talk:
    from rlm_dspy.rebuilding import rebuilt
    from rlm_dspy.recording import store_of
    from rlm_dspy.reopening import Past
    from rlm_dspy.resuming import inputs_again, names_again

    _refuse_other(asked)
    past = Past(store_of(), resume or None)
    newest = past.newest
    names = names_again(newest, asked.model, asked.sub_model)
    if asked.local_only:
        _refuse_far_again(newest, names)
    models = models_of(*names, cache=asked.cache)
    own = {**newest.about["notes"].get("limits", {}), **_said(asked.limits)}
    rlm = rebuilt(newest, sub_lm=models.sub, budget=limits(**own))
    if asked.local_only:
        rlm.options = rlm.options.model_copy(update={"local_only": True})
    notes = {n: v for n, v in newest.about["notes"].items() if n != "session"} | {"limits": own}
    given = inputs_again(newest, note)
    total = _budget(whole) if _said(whole) else None
    session = rlm.session(resume=past.id, budget=total, notes=notes, **given)
    return Talk(session, rlm, models)


def _refuse_other(asked: Asked) -> None:
    """Refuses what a session that goes on has already."""
    if asked.paths:
        raise UsageError("A session has its files already: leave the paths out with --resume.")
    if asked.recipe is not None or asked.signature != SIGNATURE:
        given = "--signature" if asked.recipe is None else "--recipe"
        raise UsageError(
            f"A session keeps its signature and its recipe: leave {given} out with --resume or "
            "--last, or begin a new one: rlm chat PATH…"
        )


def _refuse_far_again(stored: "Stored", names: tuple[str, str | None]) -> None:
    """As `refuse_far`, for the models of a session, and for what is read again of its files."""
    from rlm_dspy.resuming import read_again

    paths = read_again(stored)
    urls = bool(paths and stored.about["notes"].get("reading", {}).get("urls"))
    refuse_far((*names, None), paths=paths, urls=urls)


def _budget(whole: Mapping[str, Any]) -> Any:
    from rlm_dspy.budget import Budget

    try:
        return Budget(**_said(whole))
    except ConfigurationError as error:
        raise UsageError(error.message) from error


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
