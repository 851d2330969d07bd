"""Where the parts of a structured text begin: the sections of Markdown, the definitions of code.

A part's level is 0 for the outermost; `packed` makes chunks of whole parts, and opens only those
that are too long by themselves. Code is read by tree-sitter where the extra `code` has a grammar
for the file's ending, else by its blank lines and indentation.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rlm_dspy.context.grammars import languages

Range = tuple[int, int]
Cut = Callable[[int, int], Iterable[Range]]

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]|\r?$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t\r]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
# How grammars call what holds the inner parts of a definition.
_BODIES = ("block", "body", "_list", "suite")
# Deeper parts are not looked for: a generator within a generator takes a frame each.
_DEEPEST = 100
# Longer code is not parsed, in characters.
_LONGEST_CODE = 4 << 20


class Part(NamedTuple):
    """Where a part of a text begins.

    Attributes:
        start: The offset, at the beginning of a line.
        level: How deep it is.
    """

    start: int
    level: int


def sections(lines: Iterable[tuple[int, str]]) -> Iterator[Part]:
    """The sections of a Markdown text (CommonMark 0.31, "ATX" and "setext" headings).

    Args:
        lines: Its lines, each with its offset; without their line ends.
    """
    fence = ""
    paragraph: int | None = None  # where the line before starts, if it may become a heading
    for at, line in lines:
        opening = _FENCE.match(line)
        if fence:
            closes = opening and opening.group(1).startswith(fence)
            if closes and not line[opening.end() :].strip():
                fence = ""
            continue
        if opening:
            fence, paragraph = opening.group(1), None
        elif heading := _HEADING.match(line):
            paragraph = None
            yield Part(at, len(heading.group(1)) - 1)
        elif (underline := _UNDERLINE.match(line)) and paragraph is not None:
            yield Part(paragraph, 0 if underline.group(1)[0] == "=" else 1)
            paragraph = None
        else:
            paragraph = at if line.strip() else None


def definitions(text: str, name: str, size: int) -> list[Part]:
    """The definitions of a text of code, and what they hold where they are longer than `size`.

    Args:
        text: The code.
        name: The name of its file.
        size: The longest part that is not opened, in characters.
    """
    language = languages().get(name.rpartition(".")[2].lower())
    if language is None or len(text) > _LONGEST_CODE:
        return list(_by_indentation(text))
    from tree_sitter import Parser

    data = text.encode("utf-8", "surrogatepass")
    tree = Parser(language).parse(data)
    return _in_characters(data, sorted(_opened(tree.root_node, data, size)))


def _opened(node: Any, data: bytes, size: int, level: int = 0, depth: int = 0) -> Iterator[Part]:
    """The parts of a node that begin a line, by bytes."""
    if depth > _DEEPEST:
        return
    comment_line = -2  # where a comment ends that belongs to what follows
    for child in node.named_children:
        if child.type.endswith(_BODIES):
            yield from _opened(child, data, size, level, depth + 1)
            continue
        start = data.rfind(b"\n", 0, child.start_byte) + 1
        begins = not data[start : child.start_byte].strip()
        if begins and comment_line != child.start_point[0] - 1:
            yield Part(start, level)
        comment_line = child.end_point[0] if begins and "comment" in child.type else -2
        if child.end_byte - child.start_byte > size:
            yield from _opened(child, data, size, level + 1, depth + 1)


def _in_characters(data: bytes, parts: Sequence[Part]) -> list[Part]:
    found, byte, char = [], 0, 0
    for start, level in dict(parts).items():  # of those that begin at one place the innermost
        char += len(data[byte:start].decode("utf-8", "surrogatepass"))
        byte = start
        found.append(Part(char, level))
    return found


def _by_indentation(text: str) -> Iterator[Part]:
    """What begins behind a blank line; the deeper it is indented, the deeper it is."""
    at, blank = 0, False
    for line in text.split("\n"):
        bare = line.lstrip()
        if bare and blank:
            indented = len(line.expandtabs()) - len(bare.expandtabs())
            yield Part(at, min(indented, _DEEPEST))
        blank = not bare
        at += len(line) + 1


def packed(
    parts: Sequence[Part],
    start: int,
    end: int,
    size: int,
    cut: Callable[[int, int], Iterable[Range]],
) -> Iterator[Range]:
    """Chunks of whole parts, as many as fit into each.

    Args:
        parts: In order; those at `start` or before, and at `end` or behind, are left out.
        start: Where the text starts.
        end: Where it ends.
        size: The most that a chunk holds.
        cut: Cuts a range without parts that is longer.
    """
    inner = [part for part in parts if start < part.start < end]
    yield from _packed(inner, start, end, size, cut)


def _packed(
    parts: Sequence[Part],
    start: int,
    end: int,
    size: int,
    cut: Callable[[int, int], Iterable[Range]],
) -> Iterator[Range]:
    if end - start <= size:
        yield start, end
        return
    if not parts:
        yield from cut(start, end)
        return
    outermost = min(part.level for part in parts)
    places = [number for number, part in enumerate(parts) if part.level == outermost]
    begin = start  # of the chunk that is being filled
    held = start  # where it ends so far
    for first, last in zip([-1, *places], [*places, len(parts)], strict=True):
        low = start if first < 0 else parts[first].start
        high = end if last == len(parts) else parts[last].start
        if high - begin <= size:
            held = high
            continue
        if begin < held:
            yield begin, held
        begin = held = low
        if high - low > size:
            yield from _packed(parts[first + 1 : last], low, high, size, cut)
            begin = held = high
        else:
            held = high
    if begin < held:
        yield begin, held
