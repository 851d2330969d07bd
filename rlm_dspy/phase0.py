"""Answers without a model: what the user declared, or what a rule is certain of.

Every output must be found, as one value of its type and nowhere as another; else the question goes
to the model, and nothing was spent. The rules of "auto" take only questions of a few exact forms,
about labels and rows that the text has once; `bench/phase0.py` measures how often they are right.
"""

import datetime
import re
import statistics
from collections.abc import Mapping
from itertools import islice
from typing import Any, get_args

import dspy

from rlm_dspy.citations import Citation, only_citations
from rlm_dspy.coercion import coerce_text, submitted
from rlm_dspy.context import Context
from rlm_dspy.context import phase0 as finding
from rlm_dspy.context.phase0 import MOST_FINDS, Find
from rlm_dspy.events import LookedUp
from rlm_dspy.inputs import question_in, texts_of
from rlm_dspy.lookups import Lookup
from rlm_dspy.measures import date_of, number_of
from rlm_dspy.options import RLMOptions

# A longer source is given by its place and its first cell, characters.
_LONGEST_TEXT = 2_000
_LABEL = re.compile(
    r"(?:(?:what|who|when|where)(?:'s| is| was| are) )?(?:the )?(?P<label>.+)", re.I
)
_CELL = re.compile(r"what(?:'s| is| was) (?:the )?(?P<column>.+?) (?:of|for) (?P<row>.+)", re.I)
_COUNT = re.compile(
    r"how many (?:rows|records|entries)(?: are there| have| has)?(?: where| with)? (?:the )?"
    r"(?P<column>.+?) (?:is|=|equal to) (?P<value>.+)",
    re.I,
)


def looked_up(
    outer: type[dspy.Signature], inputs: Mapping[str, Any], options: RLMOptions
) -> LookedUp | None:
    """The answer, where it is certain; None for the model to answer.

    Args:
        outer: The user's signature.
        inputs: The inputs, as the REPL gets them.
        options: Whether and how it is looked for.

    Raises:
        ContextError: A declared pattern is refused.
    """
    asks = question_in(inputs)
    question, texts = str(inputs[asks]).strip() if asks else "", texts_of(inputs)
    wanted = {n: f.annotation for n, f in outer.output_fields.items()}
    answers = [name for name, kind in wanted.items() if not only_citations(kind)]
    if options.phase0 == "off" or not texts or not answers:
        return None
    if options.phase0 == "auto":
        found = _by_rule(question, texts, answers, wanted)
    else:
        found = _declared(options.phase0, question, texts, answers, wanted)
    if found is None or set(found) != set(answers):
        return None
    outputs = {name: value for name, (value, _) in found.items()}
    sources = {name: citation for name, (_, citation) in found.items()}
    cited = list(sources.values())
    for name in set(wanted) - set(answers):
        outputs[name] = submitted(cited[0] if _is_one(wanted[name]) else cited, wanted[name])
    return LookedUp(outputs={name: outputs[name] for name in wanted}, found=sources)


Found = dict[str, tuple[Any, Citation]]
Texts = Mapping[str, Context]


def _is_one(annotation: Any) -> bool:
    return annotation is Citation or Citation in get_args(annotation) and _optional(annotation)


def _optional(annotation: Any) -> bool:
    return type(None) in get_args(annotation)


def _declared(
    lookups: tuple[Lookup, ...],
    question: str,
    texts: Texts,
    answers: list[str],
    wanted: Mapping[str, Any],
) -> Found | None:
    found: Found = {}
    for lookup in lookups:
        name = lookup.output or answers[0]
        asked = lookup.asked(question)
        if name in found or name not in wanted or asked is None:
            continue
        if (answer := _answer(asked, texts, wanted[name])) is not None:
            found[name] = answer
    return found


def _by_rule(
    question: str, texts: Texts, answers: list[str], wanted: Mapping[str, Any]
) -> Found | None:
    """What the rules find where exactly one of them is certain."""
    if len(answers) != 1:
        return None
    asked, kind = " ".join(question.split()).rstrip(" ?."), wanted[answers[0]]
    if count := _COUNT.fullmatch(asked):
        lookup = Lookup(aggregate="count", where={count["column"]: count["value"]})
        answer = _answer(lookup, texts, kind)
        return {answers[0]: answer} if answer and answer[0] else None
    found = [a for a in (_labelled(asked, texts, kind), _in_row(asked, texts, kind)) if a]
    return {answers[0]: found[0]} if len(found) == 1 else None


def _labelled(asked: str, texts: Texts, kind: Any) -> tuple[Any, Citation] | None:
    """The value of a label that stands once in the text."""
    match = _LABEL.fullmatch(asked)
    if match is None or _mentions(texts, match["label"]) != 1:
        return None
    return _answer(Lookup(field=match["label"]), texts, kind)


def _in_row(asked: str, texts: Texts, kind: Any) -> tuple[Any, Citation] | None:
    """A cell of the row that is named by its first cell, where that name stands once."""
    match = _CELL.fullmatch(asked)
    if match is None or _mentions(texts, match["row"]) != 1:
        return None
    keys = {table.header[0] for text in texts.values() for table in _tables(text)}
    lookups = [Lookup(column=match["column"], where={key: match["row"]}) for key in sorted(keys)]
    found = [a for a in (_answer(lookup, texts, kind) for lookup in lookups) if a]
    return found[0] if len(found) == 1 else None


def _tables(text: Context) -> list[Any]:
    return [table for document in text.documents for table in finding.tables_in(document)]


def _mentions(texts: Texts, phrase: str) -> int:
    """How many lines have a phrase, in any case; the line that puts a title before a document no
    less than others.
    """
    words = r"\b" + r"\s+".join(map(re.escape, phrase.split())) + r"\b"
    return sum(text.grep(words, ignore_case=True, count=True) for text in texts.values())


def _answer(lookup: Lookup, texts: Texts, kind: Any) -> tuple[Any, Citation] | None:
    """The one value that a lookup finds, and where; None where it is not one."""
    if lookup.aggregate is not None:
        return _aggregated(lookup, texts, kind)
    values: list[Any] = []
    source = None
    for name, text in texts.items():
        finds = list(islice(_finds(lookup, text), MOST_FINDS + 1))
        if len(finds) > MOST_FINDS or not all(find.text for find in finds):
            return None
        for find in finds:
            try:
                values.append(typed(find.text, kind))
            except ValueError:
                return None
            source = source or _source(name, text, find.text, find.start, find.end)
    same = all(value == values[0] for value in values)
    return (values[0], source) if source is not None and same else None


def _finds(lookup: Lookup, text: Context) -> Any:
    if lookup.pattern is not None:
        return finding.matches(text, lookup.pattern)
    if lookup.after is not None:
        return finding.afters(text, lookup.after)
    if lookup.field is not None:
        return finding.fields(text, lookup.field)
    return finding.cells(text, lookup.column or "", lookup.where)


def _aggregated(lookup: Lookup, texts: Texts, kind: Any) -> tuple[Any, Citation] | None:
    """An aggregate over the rows of the one table that has the columns."""
    tables = [
        (name, finds)
        for name, text in texts.items()
        for finds in finding.counted(text, lookup.column, lookup.where)
    ]
    if len(tables) != 1 or not tables[0][1]:
        return None
    (name, finds) = tables[0]
    try:
        value = typed(_number(lookup.aggregate or "count", finds), kind)
    except ValueError:
        return None
    low, high = finds[0].start, finds[-1].end
    return value, _source(name, texts[name], finds[0].text, low, high)


def _number(aggregate: str, finds: list[Find]) -> str:
    if aggregate == "count":
        return str(len(finds))
    numbers = [number_of(find.text) for find in finds]
    made = {"sum": sum, "mean": statistics.fmean, "min": min, "max": max}[aggregate](numbers)
    return f"{round(made, 9):.9f}".rstrip("0").rstrip(".")


def _source(name: str, text: Context, first: str, start: int, end: int) -> Citation:
    span = text[start:end]
    short = end - start <= _LONGEST_TEXT
    return Citation(
        quote=str(span) if short else first,
        how="exact",
        ratio=1.0,
        variable=name,
        document=str(span.title),
        path=span.path,
        start=start,
        end=end,
        offset=span.start - span.document.start,
        line=span.line,
        text=str(span) if short else None,
    )


def typed(text: str, annotation: Any) -> Any:
    """A text that was found as a value of an output's type: all of it, or none.

    Raises:
        ValueError: It is not one such value.
    """
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    if _optional(annotation) and len(kinds) == 1:
        annotation = kinds[0]
    if annotation in (int, float):
        number = float(number_of(text))
        if annotation is int and not number.is_integer():
            raise ValueError(f"{text!r} is not a whole number")
        return annotation(number)
    if annotation is datetime.date:
        return date_of(text)
    return coerce_text(text, annotation)
