"""Many short items in one call: which items share it, how they are numbered, what the reply says.

Promised: an answer belongs to the item whose number it bears, wherever it stands in the reply; an
item whose number is absent, given twice with different answers, or followed by what cannot be read
as its type, has no answer, and that is said. Which items share a call depends on those items and
their near neighbours alone, so that a changed item changes its own pack and hardly another.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from rlm_dspy import cuts
from rlm_dspy.adapters import answer_form
from rlm_dspy.coercion import coerce_text
from rlm_dspy.options import CHARS_PER_TOKEN

# A longer item is asked alone, in characters: packing saves the question, which is short beside it.
SHORT_CHARS = 400
# With fewer items than this each is asked alone: there is nothing to save that is worth a miss.
FEW_ITEMS = 16
# The most that one pack holds, whatever the model's window: long packs lose items.
PACK_ITEMS = 32
PACK_CHARS = 4_000

# The share of the longest reply that answers may need: the rest is for a model that says more.
_REPLY_SHARE = 0.75
# Room for the system text, the question and the form, in tokens.
_PROMPT_TOKENS = 400

# What one answer takes, in tokens, its number included.
_ANSWER_TOKENS = {bool: 6, int: 12, float: 14, str: 56}
_LIST_TOKENS, _OBJECT_TOKENS = 72, 144

_ANSWER = re.compile(
    r"[ \t]*[*_`\[(#]*(\d{1,4})[*_`\])]*[ \t]*(?::|=|->|→|[.)-](?=\s|$))[ \t]*(.*)"
)


@dataclass(frozen=True)
class Room:
    """What one call may hold.

    Args:
        items: The most items.
        chars: The most characters of all items together.
        alone: An item of more characters shares with no other.
    """

    items: int
    chars: int
    alone: int = SHORT_CHARS

    def cost(self, text: str) -> float:
        """What part of the room an item takes."""
        return 1 if len(text) > self.alone else max(1 / self.items, len(text) / self.chars)

    def smaller(self) -> "Room":
        """A quarter of it, for items that came back without an answer."""
        return Room(max(1, self.items // 4), max(1, self.chars // 4), self.alone)


def room_for(kind: Any, *, window: int | None, reply: int, most: int | None = None) -> Room:
    """How many items of what length one call of a model can answer.

    Args:
        kind: The type of an answer.
        window: The model's window, in tokens; None where it is not known.
        reply: The longest reply, in tokens.
        most: How many items the caller allows; None for the usual number.
    """
    items = most or PACK_ITEMS
    chars = PACK_CHARS if most is None else most * SHORT_CHARS
    if window is not None:
        chars = min(chars, (window - reply - _PROMPT_TOKENS) * CHARS_PER_TOKEN)
    chars = max(1, chars)
    by_reply = int(reply * _REPLY_SHARE / answer_tokens(kind))
    alone = SHORT_CHARS if most is None else chars
    return Room(max(1, min(items, by_reply)), chars, alone)


def answer_tokens(kind: Any) -> int:
    """About how many tokens one answer of a type takes, its number included."""
    kind = _bare(kind)
    if kind in _ANSWER_TOKENS:
        return _ANSWER_TOKENS[kind]
    if get_origin(kind) is Literal:
        return 6 + max(len(str(option)) for option in get_args(kind)) // 2
    if (members := get_args(kind)) and type(None) in members:
        return max(answer_tokens(member) for member in members)
    return _LIST_TOKENS if get_origin(kind) in (list, set, tuple) else _OBJECT_TOKENS


def packs(texts: Sequence[str], room: Room) -> list[list[int]]:
    """Which texts share a call: runs of positions, in order.

    Args:
        texts: The texts.
        room: What one call may hold.
    """
    return [list(group) for group in cuts.groups(texts, [room.cost(text) for text in texts])]


def labels(count: int) -> list[int]:
    """The numbers of the items of a pack.

    They leave irregular gaps of at least one, so that a model which counts on from a number
    instead of copying it gives one that is nobody's, and is found out.
    """
    return [11 + 3 * at + (at * (at + 1) // 2) % 2 for at in range(count)]


def numbered(texts: Sequence[str], numbers: Sequence[int]) -> str:
    """Texts as one, each behind its number.

    The further lines of a text are indented: only a number at the start of a line is an item's, so
    that no text can pass for another.
    """
    return "\n".join(
        f"{number}: " + "\n    ".join(text.splitlines())
        for number, text in zip(numbers, texts, strict=True)
    )


def packed_question(question: str, kind: Any, count: int) -> str:
    """The question about a pack, with the form of its answers."""
    each = answer_form(kind) or "Answer shortly."
    return (
        f"{question}\n\n"
        f"The text holds {count} items, each behind its number. Answer for every item by itself: "
        f"one line an item, its number, a colon, its answer. For each item: {each}"
    )


def grammar(kind: Any, count: int) -> str | None:
    """The GBNF grammar of a pack's whole reply; None where an answer need not fit one line."""
    answer = _line_rule(_bare(kind))
    if answer is None:
        return None
    lines = (f'"{number}: " answer' for number in labels(count))
    return f'root ::= {" NEWLINE ".join(lines)}\nanswer ::= {answer}\nNEWLINE ::= "\\n"'


def _bare(kind: Any) -> Any:
    """A type without its limits."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _line_rule(kind: Any) -> str | None:
    if get_origin(kind) is Literal:
        return " | ".join(json.dumps(str(o), ensure_ascii=False) for o in get_args(kind))
    plain = {
        bool: '"yes" | "no"',
        int: '"-"? [0-9]+',
        float: '"-"? [0-9]+ ("." [0-9]+)?',
        str: "[^\\n]+",
    }
    return plain.get(kind)


def read(reply: str, kind: Any, count: int) -> tuple[dict[int, Any], dict[int, str]]:
    """What a reply answers.

    Args:
        reply: The model's text.
        kind: The type of an answer.
        count: How many items were asked.

    Returns:
        The answers by the item's position in the pack, and for every other position why it has
        none.
    """
    at = {number: position for position, number in enumerate(labels(count))}
    answers: dict[int, Any] = {}
    faults: dict[int, str] = {}
    for number, text, doubtful in _lines(reply, set(at), kind):
        position = at[number]
        try:
            value = coerce_text(text, kind)
        except ValueError as error:
            faults[position] = str(error)
            continue
        if doubtful or value == "":
            faults[position] = "the end of its answer cannot be told" if doubtful else "no answer"
        elif position in answers and answers[position] != value:
            faults[position] = "two different answers"
        answers[position] = value
    for position in range(count):
        if position not in answers:
            faults.setdefault(position, "the reply does not mention it")
    return {p: value for p, value in answers.items() if p not in faults}, faults


def _lines(reply: str, wanted: set[int], kind: Any) -> Iterator[tuple[int, str, bool]]:
    """Each number that was asked for, the text behind it, and whether its end is doubtful.

    A line without a number goes on with the answer before it, up to a blank line. A number that
    nobody asked for may be part of a text answer, or begin another one: then the answer before it
    ends in doubt.
    """
    number: int | None = None
    text: list[str] = []
    doubtful = False
    for line in reply.splitlines():
        if line.lstrip().startswith("```"):
            continue
        found = _ANSWER.match(line)
        if found is not None and int(found[1]) in wanted:
            if number is not None:
                yield number, "\n".join(text).strip(), doubtful
            number, text, doubtful = int(found[1]), [found[2]], False
        elif not line.strip() and "".join(text).strip():
            if number is not None:
                yield number, "\n".join(text).strip(), doubtful
            number, text = None, []
        elif found is not None and _bare(kind) is str:
            doubtful = True
        elif found is None:
            text.append(line)
    if number is not None:
        yield number, "\n".join(text).strip(), doubtful
