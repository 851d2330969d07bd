"""The HTML page of a run: nothing in it but its own parts and data, whatever the data says."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import dspy
import pytest
from hostile import HOSTILE, coverage_with, events_with, exchanges_with
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from rlm_dspy import RLM, Budget
from rlm_dspy.files import File
from rlm_dspy.testing import ScriptedLM, code
from rlm_dspy.view.exchanges import packed
from rlm_dspy.view.html import page, plain, render

LARGEST_EXACT = 2**53 - 1


@dataclass
class Parsed(HTMLParser):
    """Tags with their attributes in order, and the text in each script and style."""

    source: str
    tags: list = field(default_factory=list)
    inside: dict = field(default_factory=dict)
    comments: list = field(default_factory=list)

    def __post_init__(self):
        super().__init__(convert_charrefs=False)
        self._open = ""
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(attrs)))
        self._open = "data" if ("type", "application/json") in attrs else tag

    def handle_endtag(self, tag):
        self.tags.append((f"/{tag}", ()))
        self._open = ""

    def handle_data(self, data):
        self.inside[self._open] = self.inside.get(self._open, "") + data

    def handle_comment(self, data):
        self.comments.append(data)


def parsed(events=(), **about):
    return Parsed(page(events, **about))


def record(found):
    return json.loads(found.inside["data"])


def written(value):
    """What of a text reaches the page: all of it."""
    return json.loads(json.dumps(value))


EMPTY = parsed()


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:40])
def test_no_text_becomes_more_than_text(text):
    events, coverage, exchanges = events_with(text), coverage_with(text), exchanges_with(text)
    found = parsed(events, title=text, coverage=coverage, exchanges=exchanges)
    assert found.tags == EMPTY.tags
    assert found.comments == []
    rest = {name: said for name, said in found.inside.items() if name != "data"}
    assert rest == {name: said for name, said in EMPTY.inside.items() if name != "data"}
    said = packed(exchanges)
    whole = {"title": text, "events": events, "coverage": coverage, "exchanges": said}
    assert record(found) == written(whole)
    assert not re.search("[<>&\u2028\u2029]", found.inside["data"])
    found.source.encode("utf-8")


def test_the_corpus_is_large_and_has_no_text_twice():
    assert len(set(HOSTILE)) == len(HOSTILE) >= 60


texts = st.text(st.characters(codec=None), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | texts
    | st.integers(-LARGEST_EXACT, LARGEST_EXACT)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(texts, values)
def test_whatever_json_holds_comes_back(title, value):
    found = parsed([{"kind": "answered", "outputs": {"answer": value}}], title=title)
    assert found.tags == EMPTY.tags
    assert record(found)["title"] == title
    assert record(found)["events"][0]["outputs"]["answer"] == value


class Ship(BaseModel):
    name: str
    tons: int


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(10**30), "-1" + "0" * 30),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (b"\xff" * 1234, "(1,234 bytes)"),
        ({1: (2, 3)}, {"1": [2, 3]}),
        ({7}, [7]),
        (Ship(name="Heron", tons=2**60), {"name": "Heron", "tons": str(2**60)}),
        (File(name="a.csv", data="x,y"), {"name": "a.csv", "data": "(3 bytes)"}),
        (Path("a/b"), "a/b"),
    ],
)
def test_other_values_become_what_a_reader_understands(value, read):
    assert plain(value) == read
    assert record(parsed([{"value": value}]))["events"] == [{"value": read}]


def test_what_is_nested_without_end_is_cut():
    endless = []
    endless.append(endless)
    assert "nested too deeply" in json.dumps(plain(endless))
    assert len(parsed([{"value": endless}]).tags) == len(EMPTY.tags)


def test_the_policy_allows_this_script_and_style_and_nothing_else():
    attributes = [dict(attrs) for tag, attrs in EMPTY.tags if tag == "meta"]
    policy = next(a["content"] for a in attributes if "http-equiv" in a)

    def source(part):
        digest = hashlib.sha256(EMPTY.inside[part].encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"

    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src {source('script')}",
        f"style-src {source('style')}",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
    order = [tag for tag, _ in EMPTY.tags]
    assert order.index("meta") < order.index("style") < order.index("script")


def test_it_refers_to_nothing_outside():
    names = {name for _, attrs in EMPTY.tags for name, _ in attrs}
    assert not names & {"src", "href", "srcset", "action", "style", "background", "poster"}
    assert not [name for name in names if name.startswith("on")]
    assert "http:" not in EMPTY.source
    assert "https:" not in EMPTY.source
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|import\(", EMPTY.source)


def test_its_script_never_makes_html_of_text():
    script = EMPTY.inside["script"]
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|DOMParser"
    assert not re.search(sinks + r"|createContextualFragment|setHTML|javascript:", script)
    assert "</" not in script
    assert "<!--" not in script
    assert "</" not in EMPTY.inside["style"]


def test_a_run_is_rendered_with_all_its_events():
    lm = ScriptedLM([code("print(ask('which?', 'text'))"), code("SUBMIT(answer='a <b> & c')")])
    with dspy.context(lm=lm):
        rlm = RLM(sub_lm=ScriptedLM(["fine"]), budget=Budget(calls=7))
        run = rlm(context="The grass grows. " * 400, query="q").run
    found = record(Parsed(render(run, title="Which?")))
    assert found["title"] == "Which?"
    assert [event["kind"] for event in found["events"]] == [event.kind for event in run.events]
    assert found["events"] == [event.model_dump(mode="json") for event in run.events]
    (covered,) = found["coverage"]
    assert (covered["characters"], covered["sent"]) == (6800, [])
    assert covered["printed"] == [[0, 160], [6720, 6800]]
