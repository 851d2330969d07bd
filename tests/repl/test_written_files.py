"""The folder of model code: what `open` can do there, and what it cannot."""

import pytest

from rlm_dspy import CodeFailed, Context, PolicyViolation
from rlm_dspy.repl import RestrictedInterpreter
from rlm_dspy.repl.folder import MOST_BYTES, MOST_FILES


@pytest.fixture
def repl():
    fields = [{"name": "report", "type": "File"}]
    with RestrictedInterpreter(output_fields=fields, step_seconds=1.5) as interpreter:
        yield interpreter


def test_files_stay_from_step_to_step_and_are_rolled_back(repl):
    repl.execute("open('a.txt', 'w').write('one')")
    with pytest.raises(CodeFailed, match="rolled back"):
        repl.execute("open('a.txt', 'w').write('two')\nopen('b.txt', 'w')\nwhile True: pass")
    assert repl.execute("print(open('a.txt').read())") == "one\n"
    with pytest.raises(CodeFailed, match="no file 'b.txt' was written"):
        repl.execute("open('b.txt')")


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (
            "with open('a', 'wb') as f: f.write(b'x\\xff')\nprint(open('a', 'rb').read())",
            r"b'x\xff'",
        ),
        ("open('a', 'w').write('x\\ny')\nprint([line for line in open('a')])", r"['x\n', 'y']"),
        ("f = open('a', 'w+')\nf.write('abc')\nf.seek(1)\nprint(f.read(), f.name)", "bc a"),
        ("open('a', 'w').write('x')\nopen('a', 'a').write('y')\nprint(open('a').read())", "xy"),
        (
            "import json\njson.dump({'a': 1}, open('a', 'w'))\nprint(json.load(open('a')))",
            "{'a': 1}",
        ),
        ("open('./a', 'x').close()\nprint(open('a').read() == '')", "True"),
        (
            "f = open('a', 'w', encoding='latin-1')\nf.write('é')\nf.close()\n"
            "print(open('a', 'rb').read())",
            r"b'\xe9'",
        ),
        ("print(File('a.txt', 'héllo'))", "File('a.txt', 6 bytes)"),
        (
            "f = open('a', 'w')\nf.write('x')\nf.flush()\nprint(open('a').read())\n"
            "f.write('y')\nprint(open('a').read())",
            "x\nxy",
        ),
        (
            "open('a', 'w').write('abc')\nwith open('a', 'a+') as f:\n    f.seek(0)\n"
            "    f.write('X')\nprint(open('a').read())",
            "abcX",
        ),
    ],
)
def test_it_works_as_files_do(repl, code, shown):
    assert repl.execute(code) == f"{shown}\n"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("open('/etc/passwd')", "there are no folders"),
        ("open('../x', 'w')", "there are no folders"),
        ("open('a', 'q')", "invalid mode"),
        ("open('a', 'wbt')", "invalid mode"),
        ("open(3)", "a file's name is a str"),
        ("open('a', 'w').close()\nopen('a', 'x')", "is there already"),
        (f"for n in range({MOST_FILES} + 1): open(str(n), 'w').close()", "files already"),
        ("open('a', 'w').read()", "not readable"),
        ("open('a', 'wb').readline()", "not readable"),
        ("open('a', 'w').close()\nopen('a').write('lost')", "not writable"),
        ("open('a', 'w').close()\nopen('a', 'rb').write(b'lost')", "not writable"),
        (f"f = open('a', 'wb')\nf.write(bytes({MOST_BYTES} + 1))\nf.close()", "write less"),
    ],
)
def test_what_is_wrong_is_an_error_of_the_code(repl, code, error):
    with pytest.raises(CodeFailed, match=error):
        repl.execute(code)
    assert repl.execute("print('on')") == "on\n"


@pytest.mark.parametrize(
    "code",
    [
        "open.__self__",
        "open.__func__",
        "open('a', 'w')._folder",
        "open('a', 'w').buffer._Bytes__folder",
        "type(open('a', 'w').buffer).__init__",
        "File.__init__.__globals__",
        "open = 3",
    ],
)
def test_nothing_leads_from_a_file_to_the_machinery(repl, code):
    with pytest.raises((PolicyViolation, CodeFailed)):
        repl.execute(code)
    assert repl.execute("open('ok', 'w').write('x')\nprint(open('ok').read())") == "x\n"


@pytest.mark.parametrize(
    ("value", "gives"),
    [
        ("'a.txt'", {"name": "a.txt", "data": b"text"}),
        ("open('a.txt')", {"name": "a.txt", "data": b"text"}),
        ("f", {"name": "b.txt", "data": b"open still"}),
        ("File('c.bin', b'\\x00')", {"name": "c.bin", "data": b"\x00"}),
        ("'b.txt'", {"name": "b.txt", "data": b"open still"}),
        ("['a.txt', 'a.txt']", [{"name": "a.txt", "data": b"text"}] * 2),
        ("None", None),
    ],
)
def test_what_is_submitted_crosses_as_a_name_and_bytes(repl, value, gives):
    repl.execute("open('a.txt', 'w').write('text')\nf = open('b.txt', 'w')\nf.write('open still')")
    assert repl.execute(f"SUBMIT({value})").output == {"report": gives}


def test_a_context_can_be_written(repl):
    code = "f = open('a', 'w')\nf.write(context)\nf.write(context[:2])\nf.close()"
    repl.execute(code, {"context": Context.from_text("héllo")})
    assert repl.execute("print(open('a').read())") == "héllohé\n"
