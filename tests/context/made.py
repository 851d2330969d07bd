"""A small real file of each kind, made by the library that writes such files."""

import bz2
import csv
import datetime
import gzip
import io
import json
import lzma
import mailbox
import sqlite3
import sys
import tarfile
import zipfile
from email.message import EmailMessage
from pathlib import Path

import docx
import fpdf
import openpyxl
import pptx
import pyarrow
import pyarrow.parquet
from PIL import Image, ImageDraw

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def pdf(path: Path, pages: list[str], **encryption: str) -> None:
    """A PDF with these pages; an empty one has an image instead of text."""
    document = fpdf.FPDF()
    if encryption:
        document.set_encryption(encryption_method=fpdf.enums.EncryptionMethod.AES_128, **encryption)
    document.set_title("Harbour report")
    document.set_font("Helvetica", size=12)
    for text in pages:
        document.add_page()
        if text:
            document.multi_cell(0, 10, text)
        else:
            document.image(picture("SCAN"), w=60)
    document.output(str(path))


def picture(text: str, mode: str = "RGB") -> Image.Image:
    """An image with a text on it."""
    image = Image.new(mode, (120, 40), "white")
    ImageDraw.Draw(image).text((10, 10), text, fill="black")
    return image


def word(path: Path) -> None:
    """A DOCX with a title, headings, a list and a table."""
    document = docx.Document()
    document.core_properties.title = "Contract"
    document.add_heading("Lease of the quay", level=1)
    document.add_paragraph("The tenant is Ottilie Brandt.")
    document.add_heading("Duties", level=2)
    document.add_paragraph("Pay in May", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for row, cells in zip(table.rows, (("Berth", "Rent"), ("B7", "1,200 | net")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.save(str(path))


def workbook(path: Path) -> None:
    """An XLSX with two sheets, one of them hidden, and a gap in the first."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Q1"
    sheet.append(["ship", "tons", "day"])
    sheet.append(["Grey Heron", 120, datetime.date(2026, 1, 14)])
    sheet["A5"] = "Swallow,\nAmber"
    sheet["C5"] = True
    hidden = book.create_sheet("Old numbers")
    hidden["B2"] = 1.5
    hidden.sheet_state = "hidden"
    book.create_sheet("Empty")
    book.save(path)


def slides(path: Path) -> None:
    """A PPTX of two slides, with notes and a table."""
    show = pptx.Presentation()
    first = show.slides.add_slide(show.slide_layouts[1])
    first.shapes.title.text = "Plan"
    first.placeholders[1].text = "Dredge the basin"
    first.notes_slide.notes_text_frame.text = "Say it slowly"
    second = show.slides.add_slide(show.slide_layouts[5])
    second.shapes.title.text = "Costs"
    table = second.shapes.add_table(1, 2, 0, 0, 1_000_000, 1_000_000).table
    table.cell(0, 0).text, table.cell(0, 1).text = "Dredger", "4 million"
    show.save(str(path))


def message(subject: str, body: str, *, attach: dict[str, bytes] | None = None) -> EmailMessage:
    """An e-mail with attachments."""
    mail = EmailMessage()
    mail["From"] = "Ánna Vesby <anna@example.org>"
    mail["To"] = "harbour@example.org"
    mail["Date"] = "Wed, 14 Jan 2026 09:30:00 +0100"
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{len(subject)}@example.org>"
    mail.set_content(body)
    mail.add_alternative(f"<p>{body}</p>", subtype="html")
    for name, data in (attach or {}).items():
        mail.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return mail


def mbox(path: Path, messages: list[EmailMessage]) -> None:
    """A mailbox of these messages."""
    box = mailbox.mbox(path)
    for each in messages:
        box.add(each)
    box.close()


def parquet(path: Path) -> None:
    """A Parquet file with a nested column."""
    rows = {
        "ship": ["Grey Heron", "Amber Swallow"],
        "tags": [["old", "grau ß"], []],
        "seen": [datetime.datetime(2026, 1, 14, 9, 30), None],
    }
    pyarrow.parquet.write_table(pyarrow.table(rows), path)


def sqlite(path: Path) -> None:
    """A database of two tables, a view and a full-text index."""
    with sqlite3.connect(path) as database:
        database.executescript(
            """
            CREATE TABLE ships (name TEXT, tons REAL, plan BLOB);
            INSERT INTO ships VALUES ('Grey Heron', 120.0, x'0102'), ('Ödland, "Süd"', NULL, NULL);
            CREATE TABLE "odd ""name" (v);
            INSERT INTO "odd ""name" VALUES (1);
            CREATE TABLE empty (v);
            CREATE VIEW heavy AS SELECT * FROM ships;
            CREATE VIRTUAL TABLE notes USING fts5(body);
            INSERT INTO notes VALUES ('the pilot is ill');
            """
        )
    database.close()


def zipped(path: Path, members: dict[str, bytes]) -> None:
    """A zip of these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def tarred(path: Path, members: dict[str, bytes], mode: str = "w") -> None:
    """A tar of these members, compressed by the mode "w:gz" and its like."""
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}
VTT = """WEBVTT

NOTE recorded in January

00:00:01.000 --> 00:00:04.000
<v Ann Lee>Welcome to the <i>harbour</i> &amp; all

00:01:05.500 --> 00:01:07.000
The tide turns at noon
"""
SRT = "1\n00:00:01,000 --> 00:00:04,000\n<i>Welcome</i>\n\n2\n00:01:05,500 --> 00:01:07,000\nNoon\n"
HTML = """<!doctype html><html><head><title>Tide  tables</title><style>p {color: red}</style></head>
<body><h1>Tides</h1><script>alert(1)</script><p>High water at <b>noon</b>, see
<a href="/moon">the moon</a>.</p><table><tr><th>Day</th><th>Time</th></tr><tr><td>Monday</td>
<td>12:03</td></tr></table></body></html>"""
BIBTEX = r"""
@string{jan = "January"}
@article{smith2020,
  title = {The {Grey} \"Uberflut},
  author = {Smith, J. and M{\"u}ller, K.},
  year = 2020, month = jan,
  file = {Full Text:papers/smith.pdf:application/pdf}
}
@book{vesby2011, title = "Harbours", file = {../outside.pdf}}
@misc{gone, title = "Lost", file = {papers/gone.pdf}}
@article{broken, title = {never closed
"""
CSL = json.dumps(
    [
        {
            "id": "lee2021",
            "type": "article-journal",
            "title": "On tides",
            "author": [{"family": "Lee", "given": "Ann"}, {"literal": "The Harbour Board"}],
            "issued": {"date-parts": [[2021, 3, 4]]},
            "DOI": "10.1/x",
        }
    ]
)


def rows(path: Path, delimiter: str = ",") -> None:
    """A CSV or TSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([["ship", "berth"], ["Heron", "B7"]])


def everything(folder: Path) -> None:
    """A folder with a file of each kind."""
    for name in ("papers", "src/build", "logs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    texts = {
        "notes.txt": "The pilot lives in Lisbon.\n",
        "readme.md": "# Harbour\n\nThe Heron lies here.\n",
        "tides.html": HTML,
        "data.json": json.dumps({"ship": "Heron"}),
        "data.jsonl": '{"ship": "Heron"}\n{"ship": "Swallow"}\n',
        "talk.vtt": VTT,
        "talk.srt": SRT,
        "refs.bib": BIBTEX,
        "library.json": CSL,
        "src/.gitignore": "build/\n",
        "src/main.py": "print('Heron')\n",
        "src/build/out.txt": "built\n",
        "logs/app.log": "today Heron\n",
        "logs/app.log.1": "yesterday Heron\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "logs/app.log.2.gz").write_bytes(gzip.compress(b"before Heron\n"))
    (folder / "logs/app.log.3.zst").write_bytes(zstd.compress(b"long ago Heron\n"))
    rows(folder / "berths.csv")
    rows(folder / "berths.tsv", "\t")
    pdf(folder / "report.pdf", ["The Heron is grey.", "", "It has 120 tons."])
    pdf(folder / "papers/smith.pdf", ["We measured the Heron."])
    pdf(folder / "secret.pdf", ["hidden"], owner_password="a", user_password="b")
    word(folder / "lease.docx")
    workbook(folder / "ships.xlsx")
    slides(folder / "plan.pptx")
    (folder / "one.eml").write_bytes(bytes(message("One", "The Heron sails")))
    mbox(folder / "box.mbox", [message("First", "Heron!"), message("Second", "From now on\n")])
    parquet(folder / "ships.parquet")
    sqlite(folder / "ships.db")
    zipped(folder / "old.zip", {"a/old.txt": b"Heron 1999\n", "b.html": HTML.encode()})
    tarred(folder / "old.tar.gz", {"c.txt": b"Heron 1998\n"}, "w:gz")
    picture("Heron").save(folder / "photo.png")
