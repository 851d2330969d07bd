"""BibTeX and CSL-JSON: one document an entry, and the files attached to entries.

An entry's key is in its title and its metadata (`citation_key`), and in those of the files attached
to it, so that an answer can cite it: "[@smith2020] papers/smith.pdf#page=3" (Pandoc's notation).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rlm_dspy.context.readers import text
from rlm_dspy.context.readers.base import Blob, Part, Skipped, needed
from rlm_dspy.context.readers.limits import Unreadable

# Fields that a reader of the entry has no use for.
_LEFT_OUT = {"file", "attachments", "key", "bdsk-url-1", "bdsk-file-1", "keywords-plus"}
# A part of JabRef's and Zotero's "description:path:type;…"; ":" and ";" are escaped in names.
_ESCAPED = re.compile(r"(?<!\\)[;:]")


class Entry(NamedTuple):
    """An entry of a bibliography.

    Attributes:
        key: Its citation key.
        fields: What it says, by name.
        files: What may be the paths of its attached files, as written.
    """

    key: str
    fields: dict[str, str]
    files: list[str]


def read(blob: Blob, kind: str) -> Iterator[Part | Skipped]:
    """The entries.

    Args:
        blob: The file.
        kind: "bibtex" or "csl".
    """
    try:
        entries, failed = entries_of(blob, kind)
    except (Unreadable, ArithmeticError, LookupError, TypeError, ValueError):
        if blob.suffix != ".json":
            raise
        yield from text.read(blob, "json")  # that it is a bibliography was a guess
        return
    for entry in entries:
        lines = "".join(f"{name}: {value}\n" for name, value in entry.fields.items())
        about = {
            name: entry.fields[name] for name in ("title", "year", "doi") if name in entry.fields
        }
        yield blob.part(lines, f"key={entry.key}", kind=kind, citation_key=entry.key, **about)
    for place, reason in failed:
        yield blob.skipped(place, reason)


def entries_of(blob: Blob, kind: str) -> tuple[list[Entry], list[tuple[str, str]]]:
    """The entries, and where in the file what else is wrong.

    Raises:
        Unreadable: It is no bibliography.
    """
    written, _ = blob.text()
    return _of_bibtex(written) if kind == "bibtex" else (_of_csl(written), [])


def attached(entry: Entry, folder: Path) -> Iterator[Path | str]:
    """The files attached to an entry.

    Args:
        entry: The entry.
        folder: Where the bibliography lies; files outside are refused.

    Yields:
        A file that is there, or what is wrong with the entry's attachment.
    """
    root = folder.resolve()
    for written in entry.files:
        names = [written, *(part.replace("\\", "") for part in _ESCAPED.split(written))]
        paths = [folder / name for name in names if name and "\0" not in name]
        found = next((path for path in paths if _is_file(path)), None)
        if found is None:
            yield f"its attached file is not there: {written}"
        elif not found.resolve().is_relative_to(root):
            yield f"its attached file lies outside the folder of the bibliography: {found}"
        else:
            yield folder / found.resolve().relative_to(root)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is none
        return False


def _of_bibtex(written: str) -> tuple[list[Entry], list[tuple[str, str]]]:
    bibtexparser = needed("bibtexparser", "bibtexparser")
    decoding = needed("bibtexparser.middlewares", "bibtexparser").LatexDecodingMiddleware
    library = bibtexparser.parse_string(written)
    # Read before LaTeX is decoded, which takes "\:" in a path for a command.
    files = {e.key: str(e.fields_dict["file"].value) for e in library.entries if "file" in e}
    entries = []
    for each in decoding().transform(library).entries:
        fields = {name.lower(): field.value for name, field in each.fields_dict.items()}
        paths = re.split(r"(?<!\\);", files.get(each.key, ""))
        entries.append(
            Entry(
                each.key,
                {"type": each.entry_type, **_shown(fields)},
                [path for path in paths if path],
            )
        )
    failed = [
        (f"line={(block.start_line or 0) + 1}", f"a broken entry ({_reason(block.error)})")
        for block in library.failed_blocks
    ]
    return entries, failed


def _reason(error: Exception) -> str:
    said = getattr(error, "abort_reason", "") or str(error)
    return " ".join(said.split()).rstrip(".")


def _of_csl(written: str) -> list[Entry]:
    items = json.loads(written)
    if not isinstance(items, list):
        raise Unreadable("is no list of CSL entries")
    entries = []
    for item in items:
        if not isinstance(item, dict) or "id" not in item:
            raise Unreadable("has an entry without an id")
        files = [item["file"]] if isinstance(item.get("file"), str) else []
        files += [
            each["path"]
            for each in item.get("attachments") or ()
            if isinstance(each, dict) and isinstance(each.get("path"), str)
        ]
        fields = {name: _csl_value(value) for name, value in item.items() if name != "id"}
        year = re.match(r"\d{4}", fields.get("issued", ""))
        fields |= {"year": year[0]} if year else {}
        fields |= {"doi": fields.pop("DOI")} if "DOI" in fields else {}
        key = str(item.get("citation-key") or item["id"])
        entries.append(Entry(key, _shown(fields), files))
    return entries


def _csl_value(value: Any) -> str:
    """A CSL value as text: names as "Family, Given", dates as ISO 8601 has them, else its JSON."""
    if isinstance(value, dict) and "date-parts" in value:
        parts = (value["date-parts"] or [[]])[0]
        return "-".join(f"{int(part):02}" for part in parts)
    if isinstance(value, dict):
        names = [
            str(value[name]) for name in ("family", "given", "literal", "raw") if name in value
        ]
        return ", ".join(names) or json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return " and ".join(_csl_value(item) for item in value)
    return str(value)


def _shown(fields: dict[str, Any]) -> dict[str, str]:
    shown = {name: " ".join(str(value).split()) for name, value in fields.items()}
    return {name: value for name, value in shown.items() if value and name not in _LEFT_OUT}
