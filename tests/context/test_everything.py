"""`rlm ask` and `rlm grep` over a folder with a file of each kind: each quote opens where it is."""

import itertools
import json
import re
import uuid

import pytest
from chat_server import ChatServer
from made import everything

from rlm_dspy.citations import place_in
from rlm_dspy.cli import run
from rlm_dspy.models import available

# What each source says, and where that is.
SAID = {
    "The pilot lives in Lisbon": "notes.txt:1",
    "The Heron lies here": "readme.md:3",
    "It wanes.": "moon.html",
    "High water at": "old.zip/b.html",
    '{"ship": "Swallow"}': "data.jsonl:2",
    '{"ship": "Heron"}': "data.json:1",
    "Ann Lee: Welcome": "talk.vtt:1",
    "[00:01:05] Noon": "talk.srt:2",
    "title: Harbours": "refs.bib#key=vesby2011",
    "title: On tides": "library.json#key=lee2021",
    "print('Heron')": "src/main.py:1",
    "today Heron": "logs/app.log:1",
    "yesterday Heron": "logs/app.log.1:1",
    "before Heron": "logs/app.log.2.gz:1",
    "long ago Heron": "logs/app.log.3.zst:1",
    "Heron,B7": "berths.csv:2",
    "Heron\tB7": "berths.tsv:2",
    "The Heron is grey": "report.pdf#page=1",
    "It has 120 tons": "report.pdf#page=3",
    "We measured the Heron": "papers/smith.pdf#page=1",
    "The tenant is Ottilie": "lease.docx",
    "Grey Heron,120,": "ships.xlsx#sheet=Q1",
    "Dredge the basin": "plan.pptx#slide=1",
    "The Heron sails": "one.eml:6",
    "From now on": "box.mbox#message=2",
    "Amber Swallow": "ships.parquet:2",
    "the pilot is ill": "ships.db#table=notes",
    "Heron 1999": "old.zip/a/old.txt:1",
    "Heron 1998": "old.tar.gz/c.txt:1",
}
PLAN = f"""```python
import re
quotes = {list(SAID)!r}
found = [context.find(quote) for quote in quotes]
SUBMIT(answer="all of it", sources=[context[at:at + len(q)] for at, q in zip(found, quotes)])
```"""


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    everything(place)
    (place / "moon.html").write_text("<h1>Moon</h1><p>It wanes.</p>")
    return place


@pytest.fixture
def served(monkeypatch):
    """Starts a server whose model says these replies, one after another."""
    servers = []

    def start(*replies):
        count = itertools.count()
        server = ChatServer(lambda body: replies[min(next(count), len(replies) - 1)])
        servers.append(server)
        # dspy's cache knows no answer of a model of that name.
        monkeypatch.setenv("RLM_MODEL", f"openai/test-{uuid.uuid4().hex}")
        monkeypatch.setenv("LLM_BASE_URL", server.url)
        return server

    yield start
    for server in servers:
        server.close()


@pytest.mark.slow
def test_each_quote_opens_where_it_stands(folder, served, capsys):
    served(PLAN)
    asked = ["ask", "What is said here?", str(folder), "--cite", "--route", "rlm"]
    assert run(asked) == 0
    out, err = capsys.readouterr()
    answer, *cited = out.splitlines()
    assert answer == "all of it"
    lines = [re.fullmatch(r"\[\d+\] (\[@\S+\] )?(.+?) \"(.*)\"", line) for line in cited]
    places = {line[3]: line[2].removeprefix(f"{folder}/") for line in lines if line}
    assert places == {" ".join(quote.split()): place for quote, place in SAID.items()}
    assert [line[1] for line in lines if line and line[1]] == ["[@smith2020] "]
    assert re.search(r"read [\d.]+% of 1,[\d]{3} characters", err)
    assert "left out" in err


@pytest.mark.slow
def test_each_line_that_is_found_says_where_it_stands(folder, served, capsys):
    served("yes")
    assert run(["grep", "Heron", str(folder), "--quiet"]) == 0
    found = capsys.readouterr().out.replace(f"{folder}/", "").splitlines()
    for place in ("report.pdf#page=1:1:The Heron is grey.", "old.zip/a/old.txt:1:Heron 1999"):
        assert place in found


@pytest.mark.parametrize(
    ("path", "title", "place"),
    [
        ("in/a.md", "a.md", "in/a.md"),
        ("in/a#b.md", "a#b.md", "in/a#b.md"),
        ("in/a.pdf", "[@x] in/a.pdf#page=2", "in/a.pdf#page=2"),
        ("in/a.zip", "a.zip/b/c.pdf#page=2", "in/a.zip/b/c.pdf#page=2"),
        ("in/a.md", "Chapter #1", "in/a.md"),
    ],
)
def test_the_part_of_a_file(path, title, place):
    assert place_in(path, title) == place


@pytest.mark.slow
def test_a_small_model_cites_what_it_answers_from(tmp_path, capsys):
    if not any(name == "smollm2-135m" for name, _ in available()):
        pytest.skip("the extra `local` is not installed")
    everything(tmp_path)
    asked = ["ask", "How many tons does it have?", str(tmp_path / "report.pdf"), "--cite"]
    asked += ["--model", "local/smollm2-135m", "--recipe", "general", "--json"]
    assert run(asked) == 0
    found = json.loads(capsys.readouterr().out)
    assert "120" in found["answer"]
    assert [c["path"] for c in found["citations"]] == [str(tmp_path / "report.pdf")]
    assert found["citations"][0]["document"] == "report.pdf#page=3"
    assert found["coverage"]["read"] > 0
