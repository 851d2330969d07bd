"""HTML and transcripts."""

import made
import pytest

from rlm_dspy.context.context import Context
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.base import Blob, Skipped
from rlm_dspy.context.readers.limits import ReadLimits
from rlm_dspy.context.reading import parts
from rlm_dspy.errors import ContextError


def read(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    (document,) = Context.from_path(path).documents
    return document


def test_html_is_markdown(tmp_path):
    document = read(tmp_path / "tides.html", made.HTML)
    assert str(document) == (
        "# Tides\n\nHigh water at **noon**, see\n[the moon](/moon).\n\n"
        "| Day | Time |\n| --- | --- |\n| Monday | 12:03 |\n"
    )
    assert document.metadata == {"kind": "html", "title": "Tide tables", "encoding": "utf-8"}


@pytest.mark.parametrize(
    ("name", "kind"), [("page", "html"), ("page.txt", "html"), ("page.md", "markdown")]
)
def test_html_is_known_by_how_it_begins_unless_the_name_says_otherwise(tmp_path, name, kind):
    data = b"\xef\xbb\xbf <!-- saved -->\n" + made.HTML.encode()
    assert read(tmp_path / name, data).metadata["kind"] == kind


@pytest.mark.parametrize(
    "data",
    [
        '<html><meta charset="iso-8859-1"><p>Grüße</p>'.encode("latin-1"),
        '<html><meta http-equiv=x content="text/html; charset=shift_jis"><p>港</p>'.encode("cp932"),
        "<html><p>Grüße</p>".encode("utf-16"),
        "<html><meta charset=no-such><p>Grüße</p>".encode(),
        "<html><meta charset=ascii><p>Grüße</p>".encode(),
        "<html><meta charset=latin-1><p>Grüße</p>".encode(),
        b"\xef\xbb\xbf" + "<html><meta charset=latin-1><p>Grüße</p>".encode(),
    ],
)
def test_the_encoding_is_the_declared_one_where_it_fits(tmp_path, data):
    assert str(read(tmp_path / "x.html", data)).strip() in ("Grüße", "港")


def test_a_title_outside_of_a_head_is_no_text(tmp_path):
    document = read(tmp_path / "x.html", "<title>Crew</title><p>Ottilie</p>")
    assert (str(document), document.metadata["title"]) == ("Ottilie\n", "Crew")


def test_text_is_not_escaped_and_code_keeps_its_blank_lines(tmp_path):
    page = "<p>Set max_open_files to 2*3.</p><pre>a = 1\n\n\nb = 2</pre><p>x</p><br><br><p>y</p>"
    text = str(read(tmp_path / "x.html", page))
    assert text == "Set max_open_files to 2*3.\n\n```\na = 1\n\n\nb = 2\n```\n\nx\n\ny\n"


def test_deep_nesting_is_refused_and_named(tmp_path):
    (tmp_path / "x.html").write_text("<div>" * 20_000 + "deep")
    with pytest.raises(ContextError, match=r"x\.html.*nested too deep"):
        Context.from_path(tmp_path / "x.html")


@pytest.mark.parametrize("hostile", ["<a ", "<a x=", "<!--", "<b>", "<!", "</", "<!---->"])
def test_no_html_takes_forever(hostile):
    data = f"<p>text</p>{hostile * 50_000}".encode()
    blob = Blob.of_bytes(data, "x.html", ReadLimits(seconds=0.5))
    (found,) = parts(blob, ReadOptions())
    if isinstance(found, Skipped):
        assert "nested too deep" in found.reason or "longer than 0.5 seconds" in found.reason
    else:
        assert "text" in found.data


def test_a_page_that_takes_long_ends_in_time(tmp_path):
    (tmp_path / "x.html").write_text("<p>text</p>" * 20_000)
    with pytest.raises(ContextError, match=r"takes longer than 0\.1 seconds"):
        Context.from_path(tmp_path / "x.html", ReadOptions(limits=ReadLimits(seconds=0.1)))


def test_vtt_is_a_line_a_cue(tmp_path):
    document = read(tmp_path / "talk.vtt", made.VTT)
    assert str(document) == (
        "[00:00:01] Ann Lee: Welcome to the harbour & all\n[00:01:05] The tide turns at noon\n"
    )
    assert document.metadata["kind"] == "vtt"


def test_two_voices_in_one_cue(tmp_path):
    data = "WEBVTT\n\n00:01.000 --> 00:04.000\n<v Ann>Yes.</v>\n<v.loud Bo>No.</v>\n"
    assert str(read(tmp_path / "x", data)) == "[00:00:01] Ann: Yes. Bo: No.\n"


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_srt_is_a_line_a_cue(tmp_path, mark):
    document = read(tmp_path / "talk.srt", mark + made.SRT.replace("\n", "\r\n"))
    assert str(document) == "[00:00:01] Welcome\n[00:01:05] Noon\n"


def test_a_cue_that_cannot_be_read_is_not_lost(tmp_path):
    data = "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n\n00:05,000 --> 00:06,000\nlost?\n"
    assert str(read(tmp_path / "x.vtt", data)) == data


@pytest.mark.parametrize("name", ["x.vtt", "x.srt"])
def test_what_is_no_transcript_is_read_as_it_stands(tmp_path, name):
    assert str(read(tmp_path / name, "1\nno times here\n")) == "1\nno times here\n"
