"""Coverage against an independent recount from recorded prompts, over random little programs.

A program cuts pieces out of a made-up text and asks a scripted model about them; every prompt is
recorded. The recount knows the pieces' ranges from its own slicing of the text, and looks for each
in the prompts. Line ends are left out of the comparison: lines that are joined have others.
"""

import random
import re
from collections import Counter
from dataclasses import dataclass, field

import dspy
import pytest

from rlm_dspy import RLM, Budget, Context, RLMOptions
from rlm_dspy.events import Executed, SubQueryAnswered
from rlm_dspy.testing import ScriptedLM, code

WORDS = [
    *("harbour", "ship", "captain", "mate", "grain", "rope", "anchor", "tide", "storm"),
    *("café", "naïve", "Grüße", "船", "🚢"),
]
REPEATED = ["---", "see above", "}", "end of entry", ""]


@dataclass
class Made:
    """A context, and its text as the recount sees it."""

    context: Context
    text: str
    opens: list[int]
    texts: list[str]


@dataclass
class Program:
    """Code, and the ranges of the text that it sends and prints."""

    lines: list[str] = field(default_factory=list)
    sent: list[tuple[int, int]] = field(default_factory=list)
    printed: list[tuple[int, int]] = field(default_factory=list)


def made(rng, *, repeats):
    documents = []
    for number in range(rng.randint(1, 3)):
        lines = [
            rng.choice(REPEATED)
            if repeats and rng.random() < 0.4
            else f"{number}.{at} {' '.join(rng.choices(WORDS, k=rng.randint(1, 9)))} [{at}]"
            for at in range(rng.randint(5, 60))
        ]
        ending = rng.choice(["\n", "\n", "\r\n"])
        documents.append({"title": f"d{number}.log", "text": ending.join(["top", *lines, "foot"])})
        if not repeats:
            documents[-1]["text"] = documents[-1]["text"][5:-6].strip()
    context = Context.from_documents(documents)
    opens = [document.start for document in context.documents]
    return Made(context, str(context), opens, [document["text"] for document in documents])


def lines_of(source, number):
    """The ranges of a document's lines."""
    at, ranges = source.opens[number], []
    for row in source.texts[number].split("\n"):
        ranges.append((at, at + len(row.removesuffix("\r"))))
        at += len(row) + 1
    return ranges


def some_lines(rng, source):
    number = rng.randrange(len(source.texts))
    ranges = lines_of(source, number)
    first = rng.randrange(len(ranges))
    last = min(first + rng.randint(0, 6), len(ranges) - 1)
    expression = f"context.documents[{number}].lines({first + 1}, {last + 1})"
    return expression, ranges[first : last + 1]


def some_slice(rng, source):
    start = rng.randrange(len(source.text))
    end = min(start + rng.randint(1, 300), len(source.text))
    return f"context[{start}:{end}]", [(start, end)]


def some_words(rng, source):
    expression, ((start, end),) = some_slice(rng, source)
    found = [m.span() for m in re.finditer(r"\S+", source.text[start:end])]
    return f"{expression}.split()", [(start + low, start + high) for low, high in found]


def some_hits(rng, source):
    word = rng.choice(WORDS)
    hits = [
        (start, end)
        for number in range(len(source.texts))
        for start, end in lines_of(source, number)
        if word in source.text[start:end]
    ]
    kept = rng.randint(1, 12)
    return f"context.grep({word!r})[:{kept}]", hits[:kept]


def some_chunks(rng, source):
    width = rng.randint(60, 200)
    starts = list(range(0, len(source.text), width))[: rng.randint(1, 8)]
    expression = f"[context[at:at + {width}] for at in range(0, {starts[-1] + 1}, {width})]"
    return expression, [(at, min(at + width, len(source.text))) for at in starts]


def program(rng, source):
    """Some statements, each a use of some pieces."""
    made = Program()
    for _ in range(rng.randint(1, 4)):
        rng.choice(USES)(rng, source, made)
    return made


def ask_about_a_slice(rng, source, made):
    expression, ranges = some_slice(rng, source)
    how = rng.choice(["ask('which?', {})", "llm_query({})", "llm_query_batched([{}])"])
    made.lines.append(how.format(expression))
    made.sent += ranges


def ask_about_a_list(rng, source, made):
    some = rng.choice([some_lines, some_hits, some_words, some_chunks])
    expression, ranges = some(rng, source)
    made.lines.append(f"p = list({expression})\nif p: ask('which?', p)")
    made.sent += ranges


def ask_each(rng, source, made):
    some = rng.choice([some_lines, some_hits, some_chunks, some_words])
    expression, ranges = some(rng, source)
    how = rng.choice(["ask_each", "keep"])
    made.lines.append(f"p = list({expression})[:30]\nif p: {how}('is it?', p)")
    made.sent += ranges[:30]


def format_whole_lines(rng, source, made):
    expression, ranges = some_lines(rng, source)
    how = rng.choice(
        [
            "text = '\\n'.join(p)",
            "text = ''.join(f'{x}\\n' for x in p)",
            "text = p[0]\nfor x in p[1:]: text = text + '\\n' + x",
        ]
    )
    made.lines.append(f"p = {expression}\n{how}\nllm_query(f'Read this now:\\n{{text}}\\nIs it?')")
    made.sent += ranges


def format_hits(rng, source, made):
    expression, ranges = some_hits(rng, source)
    made.lines.append(
        f"p = {expression}\nif p: llm_query('Hits:\\n' + '\\n'.join(f'{{h}}' for h in p))"
    )
    made.sent += ranges


def print_lines(rng, source, made):
    expression, ranges = rng.choice([some_lines, some_hits])(rng, source)
    made.lines.append(f"for x in {expression}: print(x)")
    made.printed += ranges


def ask_nothing_of_it(rng, source, made):
    expression, _ = some_slice(rng, source)
    made.lines.append(f"n = len({expression})\nllm_query(f'How much is {{n}}?')")


USES = [
    ask_about_a_slice,
    ask_about_a_list,
    ask_each,
    format_whole_lines,
    format_hits,
    print_lines,
    ask_nothing_of_it,
]


def ran(source, made):
    sub = ScriptedLM(["yes"], model="sub")
    planner = ScriptedLM([code("\n".join(made.lines)), code("SUBMIT(answer='done')")])
    options = RLMOptions(preview_chars=0)
    with dspy.context(lm=planner):
        rlm = RLM(sub_lm=sub, budget=Budget(), options=options, max_output_chars=100_000)
        result = rlm(context=source.context, query="q")
    executed = next(e for e in result.run.events if isinstance(e, Executed))
    assert executed.outcome == "ok", executed.output
    return result.run, [asked.text for asked in sub.asked], executed.output


def characters(source, ranges):
    """The places in the documents' texts that ranges hold, but for line ends."""
    return {
        at
        for start, end in ranges
        for at in range(start, end)
        if source.text[at] not in "\r\n"
        and any(
            opens <= at < opens + len(text)
            for opens, text in zip(source.opens, source.texts, strict=True)
        )
    }


def credited(source, run, kind):
    return [
        (source.opens[number] + start, source.opens[number] + end)
        for number, document in enumerate(run.coverage.documents)
        for start, end in getattr(document, kind)
    ]


def fragments(source, run):
    """The text of each line of each range that a sub-query is said to have read."""
    for event in run.events:
        if isinstance(event, SubQueryAnswered):
            for number, start, end in event.sent:
                for line in source.texts[number][start:end].splitlines():
                    if line.strip():
                        yield line.strip()


def check_that_nothing_is_over_counted(source, run, prompts):
    for text, times in Counter(fragments(source, run)).items():
        assert sum(prompt.count(text) for prompt in prompts) >= times, text


def check(seed):
    rng = random.Random(seed)
    source = made(rng, repeats=seed % 2 == 1)
    written = program(rng, source)
    run, prompts, output = ran(source, written)
    check_that_nothing_is_over_counted(source, run, prompts)
    sent = characters(source, credited(source, run, "sent"))
    if seed % 2 == 0:  # each line stands in the text once: where it comes from is beyond doubt
        for start, end in written.sent:
            for line in source.text[start:end].splitlines():
                assert any(line.strip() in prompt for prompt in prompts)
        assert sent == characters(source, written.sent), written.lines
        assert characters(source, credited(source, run, "printed")) == characters(
            source, written.printed
        ), written.lines
    coverage = run.coverage
    assert coverage.characters == sum(map(len, source.texts))
    assert coverage.read + coverage.matched + coverage.untouched == coverage.characters


@pytest.mark.parametrize("seed", range(12))
def test_coverage_is_what_the_prompts_say(seed):
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 1300, 100))
def test_coverage_is_what_the_prompts_say_of_many_programs(first):
    for seed in range(first, first + 100):
        check(seed)
