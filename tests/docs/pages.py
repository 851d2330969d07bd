"""The README and the pages beside it, as blocks of code and the output that stands under them."""

import re
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block, and the `text` block that follows it at once, if any."""

    page: str
    line: int
    language: str
    source: str
    output: str | None = None
    last_line: int = 0

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str, pages: list[Path] | None = None) -> list[Block]:
    found = []
    for page in PAGES if pages is None else pages:
        text = page.read_text(encoding="utf-8")
        fenced = list(_FENCED.finditer(text))
        for block, after in zip_longest(fenced, fenced[1:]):
            if block[1] != language:
                continue
            follows = after is not None and not text[block.end() : after.start()].strip()
            output = after[2] if after is not None and follows and after[1] == "text" else None
            end = after.end() if after is not None and output is not None else block.end()
            first, last = (text.count("\n", 0, at) + 1 for at in (block.start(), end))
            found.append(Block(page.name, first, language, block[2], output, last))
    return found


def joined(source: str) -> list[str]:
    """The commands of a shell block: comments and continuations removed."""
    lines = (re.sub(r"(^|\s)#.*$", "", line) for line in source.replace("\\\n", " ").splitlines())
    return [" ".join(line.split()) for line in lines if line.strip()]
