"""Files as outputs: what a run may deliver, and how."""

import csv
import io
import os

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rlm_dspy import RLM, ConfigurationError, File, RLMOptions
from rlm_dspy.files import KINDS, check, checked_name, files_in
from rlm_dspy.testing import ScriptedLM, code


@pytest.mark.parametrize("name", ["a.csv", "Bericht März.txt", "x", "a-b_c (1).tar.gz", "報告.md"])
def test_plain_names_are_names(name):
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", ".bashrc", "a/b.csv", "../x.csv", "/etc/passwd", "a\\b.csv", "C:x.csv"),
        *("-rf.csv", "~x.csv", " x.csv", "x.csv ", "x.", "a\x00.csv", "a\nb.csv", "a\x1b[2J.csv"),
        *(
            "con.txt",
            "NUL",
            "com1.csv",
            "x" * 121,
            "漢" * 100,
            "a*.csv",
            "a|b.csv",
            "a\u202etxt.csv",
        ),
        *("a\u200bb.csv", "a\ud800.csv"),
    ],
)
def test_what_is_no_plain_name_is_refused(name):
    with pytest.raises(ValidationError, match="is not the name of a file"):
        File(name=name, data=b"")


@given(st.text())
def test_no_name_leads_out_of_its_folder(tmp_path_factory, name):
    try:
        file = File(name=name, data=b"x")
    except ValidationError:
        return
    folder = tmp_path_factory.mktemp("out")
    assert file.save(folder).parent == folder
    assert [entry.name for entry in os.scandir(folder)] == [name]


def test_it_keeps_its_bytes_through_json():
    file = File(name="a.png", data=b"\x89PNG\r\n\x1a\n\xff\x00")
    assert File.model_validate_json(file.model_dump_json()) == file
    assert (File(name="a.txt", data="é").text, file.kind) == ("é", "png")
    assert repr(file) == "File('a.png', 10 bytes)"


def test_saving_never_overwrites_or_follows_a_link(tmp_path):
    file = File(name="a.txt", data="new")
    victim = tmp_path / "victim"
    victim.write_text("old")
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.txt").symlink_to(victim)
    with pytest.raises(ConfigurationError, match="is there already"):
        file.save(out)
    assert file.save(out, overwrite=True).read_text() == "new"
    assert victim.read_text() == "old"
    with pytest.raises(ConfigurationError, match="cannot be written"):
        file.save(victim)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (("run.exe", b"MZ"), "of no kind that is allowed"),
        (("script.sh", b"rm"), "of no kind that is allowed"),
        (("noending", b"x"), "of no kind that is allowed"),
        (("a.csv", b"\xff\xfe"), "is not a UTF-8 text"),
        (("a.png", b"<html>"), "does not begin as a png"),
        (("a.pdf", b"%!PS"), "does not begin as a pdf"),
        (("big.txt", b"x" * 101), "at most 100"),
    ],
)
def test_kinds_and_sizes_are_checked(file, told):
    with pytest.raises(ValueError, match=told):
        check({"f": [File(name=file[0], data=file[1])]}, KINDS, 100)


def test_two_files_of_one_name_are_refused():
    pair = [File(name="a.txt", data="1"), File(name="A.txt", data="2")]
    with pytest.raises(ValueError, match="two files are named"):
        check({"f": pair}, KINDS, 100)
    assert list(files_in({"x": {"y": (pair, "text")}})) == pair


class Report(dspy.Signature):
    """Makes a table."""

    context: str = dspy.InputField()
    report: File = dspy.OutputField()
    notes: list[File] = dspy.OutputField()


TEXT = "\n".join(f"{year},{year * 3}" for year in range(2000, 2500))
WRITE = """
import csv
with open('totals.csv', 'w', newline='') as f:
    out = csv.writer(f)
    out.writerow(['year', 'total'])
    for line in context.splitlines():
        out.writerow(line.split(','))
with open('notes.md', 'a') as f:
    f.write('# Notes\\n')
    print('two lines', file=f)
"""


def run(replies, signature=Report, **kwargs):
    lm = ScriptedLM(replies)
    with dspy.context(lm=lm):
        return RLM(signature, **kwargs)(context=TEXT), lm


def test_code_writes_files_and_submits_them_by_name():
    submit = "SUBMIT(report='totals.csv', notes=['notes.md', File('more.json', '{}')])"
    result, lm = run([code(WRITE), code(submit)])
    rows = list(csv.reader(io.StringIO(result.report.text)))
    assert (len(rows), rows[0], rows[-1]) == (501, ["year", "total"], ["2499", "7497"])
    assert [note.name for note in result.notes] == ["notes.md", "more.json"]
    assert result.notes[0].text == "# Notes\ntwo lines\n"
    assert "open('name.csv', 'w')" in lm.asked[0].system


@pytest.mark.parametrize(
    ("submit", "told"),
    [
        ("SUBMIT(report='gone.csv', notes=[])", "no file 'gone.csv' was written"),
        ("SUBMIT(report=File('../x.csv', ''), notes=[])", "is not the name of a file"),
        ("SUBMIT(report=File('x.exe', ''), notes=[])", "of no kind that is allowed"),
        ("SUBMIT(report=File('x.png', 'x'), notes=[])", "does not begin as a png"),
        ("SUBMIT(report=3, notes=[])", "report: expected File"),
        ("SUBMIT(report=['totals.csv'], notes=[])", "report: expected File"),
    ],
)
def test_what_cannot_be_delivered_goes_back(submit, told):
    result, _ = run([code(WRITE), code(submit), code("SUBMIT(report='totals.csv', notes=[])")])
    assert told in result.trajectory[1]["output"]
    assert result.report.name == "totals.csv"


def test_the_options_bound_what_is_delivered():
    replies = [code(WRITE), code("SUBMIT('totals.csv', [])"), code("SUBMIT('notes.md', [])")]
    result, _ = run(replies, options=RLMOptions(file_kinds=("md",)))
    assert result.report.name == "notes.md"
    assert "of no kind" in result.trajectory[1]["output"]


def test_without_such_an_output_there_are_no_files():
    result, _ = run([code("open('a', 'w')"), code("SUBMIT('x')")], "context -> answer")
    assert "there are no files" in result.trajectory[0]["output"]
