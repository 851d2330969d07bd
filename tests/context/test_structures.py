"""Sections and definitions stay whole where they fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy.context.context import Context
from rlm_dspy.context.grammars import languages

MARKDOWN = """Before it all.

# One

Text of one.

## One A

```sh
# no heading
```

## One B

More.

Two
===

Text of two.
"""


def test_sections_stay_whole():
    context = Context.from_text(MARKDOWN)
    before, one, two = context.chunks(75, by="headings")
    assert before == "Before it all.\n\n"
    assert one.startswith("# One\n")
    assert one.endswith("More.\n\n")
    assert two.startswith("Two\n===")
    assert context.chunks(60, by="headings")[1:] == [
        "# One\n\nText of one.\n\n## One A\n\n```sh\n# no heading\n```\n\n",
        "## One B\n\nMore.\n\n",
        "Two\n===\n\nText of two.\n",
    ]
    assert context.chunks(1000, by="headings") == [MARKDOWN]


def test_a_chunk_by_headings_stays_in_its_document():
    context = Context.from_documents([("a.md", "# A\n\nx\n"), ("b.md", "# B\n\ny\n")])
    chunks = context.chunks(1000, by="headings")
    assert [chunk.title for chunk in chunks] == ["a.md", "b.md"]


LINE = st.sampled_from(["# a\n", "## b\n", "### c\n", "text\n", "\n", "```\n", "---\n", "x y " * 9])


@given(st.lists(LINE, max_size=12).map("".join), st.integers(1, 60), st.data())
def test_chunks_by_structure_cover_the_text(text, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    context = Context.from_documents(["x", {"text": text + "x", "path": "a.py"}, "# y\n"])
    for by in ("headings", "code"):
        covered = 0
        for chunk in context.chunks(size, overlap, by):
            assert chunk.start <= covered < chunk.end
            assert len(chunk) <= size
            covered = chunk.end
        assert covered == len(context)


PYTHON = '''import os

A = 1, 2, 3, 4, 5, 6, 7, 8, 9

# About one.
@decorated
def one():
    """é"""
    return "def no(): pass"


class Two:
    """Two."""

    def a(self):
        return 1

    # About b.
    def b(self):
        return 2
'''
JAVASCRIPT = """import x from "x";
// About f.
export function f() { return 1; }
const g = () => {
  return `
function no() {}
`;
};
class C {
  m() { return 2; }
}
"""


def parts(text: str, name: str, size: int) -> list[str]:
    """The chunks by code of one file."""
    return [
        str(chunk)
        for chunk in Context.from_documents([{"text": text, "path": name}]).chunks(size, by="code")
    ]


def test_definitions_stay_whole():
    imports, one, two = parts(PYTHON, "x.py", 115)
    assert imports.startswith("import os\n\nA = 1")
    assert one.startswith("# About one.\n@decorated\ndef one")
    assert two.startswith("class Two:")
    assert parts(PYTHON, "x.py", 90)[2:] == [
        'class Two:\n    """Two."""\n\n    def a(self):\n        return 1\n\n',
        "    # About b.\n    def b(self):\n        return 2\n",
    ]


def test_definitions_of_other_languages_stay_whole():
    chunks = parts(JAVASCRIPT, "x.js", 60)
    assert [chunk.split("\n")[0] for chunk in chunks] == [
        'import x from "x";',
        "// About f.",
        "const g = () => {",
        "class C {",
    ]


@pytest.mark.parametrize("name", ["x.unknown", "x"])
def test_code_without_a_grammar_is_cut_by_its_blank_lines(name):
    assert [chunk.split("\n")[0] for chunk in parts(PYTHON, name, 115)] == [
        "import os",
        "# About one.",
        "class Two:",
    ]


def test_every_grammar_is_there():
    assert {"py", "js", "ts", "tsx", "go", "rs", "java", "c", "cpp", "cs", "rb", "php"} <= set(
        languages()
    )


@pytest.mark.parametrize("name", ["x.js", "x.txt"])
def test_deep_nesting_is_no_trouble(name):
    text = "".join(" " * n + "{\n\n" for n in range(2000)) + "}" * 2000
    assert "".join(parts(text, name, 500)) == text
