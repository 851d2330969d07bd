"""HTML as Markdown, which keeps headings, lists, tables and links and drops the rest."""

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from rlm_dspy.context.readers.base import Blob, Part, needed
from rlm_dspy.context.readers.limits import Allowance, Unreadable

# A tree of HTML takes some 50 times its bytes of memory.
_MOST_CHARACTERS = 32 << 20
_DROPPED = ["script", "style", "noscript", "template", "svg", "head", "title"]
# https://html.spec.whatwg.org/#prescan-a-byte-stream-to-determine-its-encoding, which looks at 1024
# bytes; pages put it later.
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]+)""", re.I)
_CHARSET_BYTES = 4096
# https://encoding.spec.whatwg.org/#names-and-labels
_AS_BROWSERS_DO = dict.fromkeys(("latin1", "iso-8859-1", "us-ascii", "ascii"), "cp1252")
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read(blob: Blob, kind: str) -> Iterator[Part]:
    """The page as one document; its `<title>` is in the metadata.

    Args:
        blob: The page.
        kind: "html".
    """
    text, metadata = _decoded(blob)
    markdown, title = markdown_of(text, blob.allowance)
    if title:
        metadata["title"] = title
    yield blob.part(markdown, kind=kind, **metadata)


def markdown_of(html: str, allowance: Allowance) -> tuple[str, str]:
    """A page as Markdown, and its title, which may be "".

    Args:
        html: The page.
        allowance: How long it may take.

    Raises:
        Unreadable: It is too large, nested too deep, or the extra is not installed.
        Exhausted: It takes too long.
    """
    if len(html) > _MOST_CHARACTERS:
        raise Unreadable(f"has more than {_MOST_CHARACTERS:,} characters of HTML")
    needed("lxml", "lxml")
    soup_of = needed("bs4", "markdownify").BeautifulSoup
    # Nothing is escaped: the text is searched and quoted, as a reader of the page sees it.
    converter = needed("markdownify", "markdownify").MarkdownConverter(
        heading_style="ATX",
        bullets="-",
        escape_misc=False,
        escape_asterisks=False,
        escape_underscores=False,
    )
    # Python's own parser takes minutes for 100 KB of open tags; lxml's is linear.
    soup = soup_of(html, "lxml")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    for element in soup(_DROPPED):
        element.decompose()
    process = converter.process_tag

    def timed(*given: Any, **named: Any) -> str:
        allowance.check_time()
        return process(*given, **named)

    converter.process_tag = timed
    try:
        text = converter.convert_soup(soup)
    except RecursionError as error:
        raise Unreadable("its elements are nested too deep") from error
    return _tidied(text), title


def _tidied(markdown: str) -> str:
    """One blank line where there were several, but in code."""
    lines: list[str] = []
    in_code = False
    for line in map(str.rstrip, markdown.strip().splitlines()):
        in_code ^= line.startswith("```")
        if line or in_code or lines[-1:] != [""]:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _decoded(blob: Blob) -> tuple[str, dict[str, Any]]:
    """The page in the encoding that it declares, unless it shows that it has another one."""
    raw = blob.read()
    found = _CHARSET.search(raw[:_CHARSET_BYTES])
    if found and not raw.startswith(_MARKS) and (raw.isascii() or not _is_utf8(raw)):
        name = found[1].decode("ascii").lower()
        with suppress(LookupError, UnicodeError):
            encoding = _AS_BROWSERS_DO.get(name) or codecs.lookup(name).name
            return raw.decode(encoding), {"encoding": encoding}
    return blob.text()


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
