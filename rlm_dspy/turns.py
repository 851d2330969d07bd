"""How a run's turns are folded where they outgrow the planner's window.

Every prompt extends the one before, so that prompt caches are hit, until the next one would not
fit. Then the outputs of the older turns are cut to a note each: at least half of them, and so many
that a quarter of the window is free again, so that the prefix breaks once until it fills up anew.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

NOTE = "[output of {:,} characters folded; what the code defined is still in the REPL]"
LEFT_OUT = "\n[{:,} characters left out here to fit the window]\n"
# A shorter output stays as it is: a note would not be shorter, in characters.
SHORT_OUTPUT = 200
# How full the window may be after a fold.
FILLED = 0.75
# What is shown of the newest output at least, in characters.
LEAST_SHOWN = 400

# An upper bound of the tokens of plain text, for common tokenizers: a piece a token.
_PIECES = re.compile(r"[A-Za-z]{1,4}|[0-9]|\n|[ \t]{2,}|[!-/:-@\[-`{-~]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


class Fold(NamedTuple):
    """How much of a prompt is folded.

    Attributes:
        turns: Of how many of the oldest turns the output is a note.
        shown: How many characters of the newest output are shown; None: all.
    """

    turns: int = 0
    shown: int | None = None


def folded(
    turns: Sequence[Mapping[str, Any]], sent: Mapping[str, Any], fold: Fold
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The turns and the newest message as a fold leaves them.

    Args:
        turns: The turns so far, each with what was sent and what the planner said.
        sent: What is to be sent.
        fold: How much is folded.
    """
    kept = [_noted(turn) if n < fold.turns else dict(turn) for n, turn in enumerate(turns)]
    return kept, _shown(sent, fold.shown)


def next_fold(
    turns: Sequence[Mapping[str, Any]],
    sent: Mapping[str, Any],
    done: Fold,
    size: Callable[[Iterable[Mapping[str, Any]]], int],
    room: int,
) -> Fold:
    """The fold with which a prompt fits, or comes as near to that as folding can.

    Args:
        turns: The turns so far.
        sent: What is to be sent.
        done: What is folded already.
        size: The tokens of turns.
        room: How many tokens there may be.
    """
    if size([*folded(turns, sent, done)[0], sent]) <= room:
        return done
    first = done.turns + (len(turns) - done.turns + 1) // 2
    for count in range(first, len(turns) + 1):
        kept, _ = folded(turns, sent, Fold(count))
        if size([*kept, sent]) <= room * FILLED:
            return Fold(count)
    fold = Fold(len(turns))
    kept, _ = folded(turns, sent, fold)
    if size([*kept, sent]) <= room:
        return fold
    shown = len(sent.get("output") or "")
    while shown > LEAST_SHOWN:
        shown = max(shown * 3 // 4, LEAST_SHOWN)
        fold = Fold(len(turns), shown)
        if size([*kept, _shown(sent, shown)]) <= room * FILLED:
            break
    return fold


def after_refusal(
    turns: Sequence[Mapping[str, Any]], sent: Mapping[str, Any], done: Fold
) -> Fold | None:
    """The next fold of a prompt that the provider refused as too long; None: no more can be folded.

    Args:
        turns: The turns so far.
        sent: What was sent.
        done: How it was folded.
    """
    before, _ = folded(turns, sent, done)
    for count in range(done.turns + (len(turns) - done.turns + 1) // 2, len(turns) + 1):
        if folded(turns, sent, Fold(count))[0] != before:
            return Fold(count, done.shown)
    shown = len(sent.get("output") or "") if done.shown is None else done.shown
    return Fold(len(turns), shown // 2) if shown >= 2 * LEAST_SHOWN else None


def at_most_tokens(text: str) -> int:
    """An upper bound of a text's tokens, where no tokenizer of its model is at hand."""
    beyond = sum(len(part.encode("utf-8", "replace")) for part in _NOT_ASCII.findall(text))
    return sum(1 for _ in _PIECES.finditer(text)) + (beyond + 1) // 2


def said_in(turns: Iterable[Mapping[str, Any]]) -> str:
    """All that stands in turns, as one text."""
    return "\n".join(v for turn in turns for v in turn.values() if isinstance(v, str))


def _noted(turn: Mapping[str, Any]) -> dict[str, Any]:
    output = turn.get("output") or ""
    if len(output) <= SHORT_OUTPUT:
        return dict(turn)
    return {**turn, "output": NOTE.format(len(output))}


def _shown(sent: Mapping[str, Any], shown: int | None) -> dict[str, Any]:
    output = sent.get("output") or ""
    if shown is None or len(output) <= shown:
        return dict(sent)
    # What to do next stands at its end.
    head, tail = shown // 3, shown - shown // 3
    left = LEFT_OUT.format(len(output) - shown)
    return {**sent, "output": f"{output[:head]}{left}{output[len(output) - tail :]}"}
