"""The store: safe with many processes, readable after a kill, clear where it cannot write."""

import contextlib
import datetime
import enum
import json
import multiprocessing
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import zlib

import dspy
import pydantic
import pytest
from chat_server import ChatServer
from dspy.utils.exceptions import LMAuthError

from rlm_dspy import RLM, RLMOptions, StoreError
from rlm_dspy.dspy_errors import ProviderError
from rlm_dspy.exchange import Exchange
from rlm_dspy.recording import store_of
from rlm_dspy.rerunning import load
from rlm_dspy.runs.row import Row, this_process
from rlm_dspy.runs.store import Store, open_store
from rlm_dspy.runs.stored import Stored
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 300
DAY = datetime.date(2024, 1, 5)
SECRET = "sk-very-secret-1234567890"


def run(steps=None, *, sub="fine", lm=None, **options):
    steps = steps or [code("print(ask('Which ship?', context[:60]))"), code("SUBMIT(answer='a')")]
    with dspy.context(lm=lm or ScriptedLM(steps)):
        rlm = RLM(sub_lm=ScriptedLM([sub], model="sub"), options=RLMOptions(**options))
        return rlm(context=TEXT, query="Which ship is it?")


def row(name, **values):
    now = time.time()
    made = Row(name, now, now, "completed", "", "question", "", "a -> b", "m", "s", "RLM", "", "",
               1, "full", 0, "")  # fmt: skip
    return made._replace(**values)


def contents(path):
    """All that the file holds, its log included."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return path.read_bytes()


class Level(enum.Enum):
    LOW = "low"


class Place(pydantic.BaseModel):
    name: str


class Group(pydantic.BaseModel):
    of: dict[frozenset[int], str]


@pytest.mark.parametrize(
    ("kind", "submitted", "answer", "shown"),
    [
        (dict[datetime.date, int], {"2024-01-05": 3}, {DAY: 3}, {"2024-01-05": 3}),
        (dict[Level, int], {"low": 3}, {Level.LOW: 3}, {"Level.LOW": 3}),
        (dict[tuple[int, int], str], {(1, 2): "x"}, {(1, 2): "x"}, {"(1, 2)": "x"}),
        (list[dict[datetime.date, int]], [{"2024-01-05": 3}], [{DAY: 3}], [{"2024-01-05": 3}]),
        (dict[int, str], {1: "x"}, {1: "x"}, {"1": "x"}),
        (list[Place], [{"name": "Cairo"}], [Place(name="Cairo")], [{"name": "Cairo"}]),
        (Level, "low", Level.LOW, "low"),
        (
            Group,
            {"of": {(1, 2): "x"}},
            Group(of={frozenset((1, 2)): "x"}),
            "of={frozenset({1, 2}): 'x'}",
        ),
    ],
)
def test_an_answer_that_json_has_no_form_for_is_kept(kind, submitted, answer, shown):
    signature = dspy.Signature("context, query -> answer").with_updated_fields("answer", type_=kind)
    with dspy.context(lm=ScriptedLM([code(f"SUBMIT(answer={submitted!r})")])):
        result = RLM(signature)(context=TEXT, query="q")
    assert result.answer == answer
    assert json.loads(load(result.run.id).row.answer) == {"answer": shown}


def test_a_run_is_found_again_as_it_was():
    result = run()
    stored = load(result.run.id[:7])
    assert stored.row.question == "Which ship is it?"
    assert (stored.row.state, stored.row.model, stored.row.sub_model) == (
        *("completed", "scripted", "sub"),
    )
    assert [e.model_dump_json() for e in stored.events] == [
        e.model_dump_json() for e in result.run.events
    ]
    assert stored.run.spend.tokens == result.run.spend.tokens
    assert stored.run.trajectory == result.run.trajectory
    assert stored.answer == {"answer": "a"}
    asked = store_of().exchanges(result.run.id)
    messages, outputs = list(asked.values())[1]
    assert "Which ship?" in messages[-1]["content"]
    assert outputs == ["fine"]


def test_a_store_of_its_own(tmp_path):
    path = tmp_path / "a" / "b" / "runs.sqlite"
    result = run(store=str(path))
    assert Stored.of(open_store(path), None).row.id == result.run.id
    assert (path.stat().st_mode & 0o777) == 0o600
    with pytest.raises(StoreError, match="has no run"):
        load(result.run.id)


def test_memory_is_a_store_too():
    result = run(store=":memory:")
    assert load(result.run.id, ":memory:").answer == {"answer": "a"}


def test_off_keeps_nothing(tmp_path):
    run(store=str(tmp_path / "runs.sqlite"), record="off")
    assert list(tmp_path.iterdir()) == [tmp_path / "cache"] or not list(tmp_path.glob("*.sqlite"))


def test_metadata_keeps_no_text(tmp_path):
    path = tmp_path / "runs.sqlite"
    steps = [
        code("print(ask('Which ship?', context[:60]))\n1 / 0"),
        code("SUBMIT(answer='Xanadu')"),
    ]
    result = run(steps, sub="a frigate", store=str(path), record="metadata")
    data = contents(path)
    for text in (b"ship", b"grass", b"frigate", b"Xanadu", b"print(", b"ZeroDivision"):
        assert text not in data, text
    stored = load(result.run.id, str(path))
    assert [e.kind for e in stored.events] == [e.kind for e in result.run.events]
    assert stored.run.spend.tokens == result.run.spend.tokens > 0


def test_keys_never_enter(tmp_path, monkeypatch):
    path = tmp_path / "runs.sqlite"
    monkeypatch.setenv("OTHER_API_KEY", "another-secret-key-99")
    steps = [code(f"print(ask('Is {SECRET} or another-secret-key-99 a key?', 't'))"),
             code("SUBMIT(answer='a')")]  # fmt: skip
    replies = iter(steps)
    server = ChatServer(lambda body: next(replies))
    try:
        lm = dspy.LM("openai/gpt-x", api_base=server.url, api_key=SECRET, cache=False)
        result = run(lm=lm, sub=f"yes, {SECRET}", store=str(path))
    finally:
        server.close()
    assert result.answer == "a"
    assert server.keys[0] == f"Bearer {SECRET}"
    data = contents(path)
    assert SECRET.encode() not in data
    assert b"another-secret-key-99" not in data
    assert b"[secret]" in data


# As JSON writes it, each of them looks otherwise than it is.
KEYS = ['sk-"quoted"-12345', "sk-back\\slash-12345", "sk-wörd-größe-12345", "sk-line\nbreak-12345"]


def kept(path):
    """Every text that the file holds, and its parts, as they are before they are packed."""
    db = sqlite3.connect(path)
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for row in db.execute(f"SELECT * FROM {table}"):
            for value in row:
                if isinstance(value, bytes):
                    with contextlib.suppress(zlib.error):
                        value = zlib.decompress(value)
                    value = value.decode()
                yield str(value)
    db.close()


@pytest.mark.parametrize("key", KEYS)
def test_keys_never_enter_in_any_form(key, tmp_path, monkeypatch):
    path = tmp_path / "runs.sqlite"
    monkeypatch.setenv("OTHER_API_KEY", key)
    signature = dspy.Signature("context, query, more -> answer", f"Never say {key}.")
    said = f"print({key!r}, ask('Is it {{}}?'.format({key!r}), context[:99]))"
    steps = [code(said), code(f"SUBMIT(answer={key!r})")]
    options = RLMOptions(store=str(path), route="rlm")
    inputs = {"context": f"{key} is it. " * 900, "query": f"What is {key}?", "more": {"a": [key]}}
    with dspy.context(lm=ScriptedLM(steps)):
        rlm = RLM(signature, sub_lm=ScriptedLM([f"no, {key}"], model="sub"), options=options)
        result = rlm(**inputs)
    assert result.answer == key
    open_store(path).rate(result.run.id, "good", gold=key, note=f"it is {key}")
    forms = {key} | {json.dumps(key, ensure_ascii=escaped)[1:-1] for escaped in (True, False)}
    texts = list(kept(path))
    assert [text for text in texts for form in forms if form in text] == []
    assert any("[secret]" in text for text in texts)
    about = load(result.run.id, str(path)).about
    assert set(about["inputs"]) == {"context", "query", "more"}
    assert "that holds a key" in about["inputs"]["context"]["says"]


def test_a_key_in_the_reason_of_a_failure_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("OTHER_API_KEY", SECRET)
    path = tmp_path / "runs.sqlite"
    with pytest.raises(ProviderError):
        run([LMAuthError(f"wrong key: {SECRET}")], store=str(path))
    assert SECRET.encode() not in contents(path)
    assert "[secret]" in open_store(path).find(None).reason


def test_search_delete_and_rate():
    store = Store(":memory:")
    for name, question in (("one", "100% of ships"), ("two", "harbours"), ("three", "x_y")):
        store.begin(row(name, question=question), {}, [f"text of {name}".encode()])
        store.append(name, [(0, "planned", f'{{"code": "look at {name}"}}', None)])
    assert [r.id for r in store.runs()] == ["three", "two", "one"]
    assert [r.id for r in store.runs("100% of")] == ["one"]
    assert [r.id for r in store.runs("look at two")] == ["two"]
    assert store.runs("%") == store.runs("100%")
    said = json.dumps({"code": 'print("ä")\nx = 1'}, ensure_ascii=False)
    store.append("two", [(1, "planned", said, None)])
    assert [r.id for r in store.runs('("ä")\nx')] == ["two"]
    assert [r.id for r in store.runs(limit=1)] == ["three"]
    store.rate("one", "bad")
    store.rate("one", "good", gold="42")
    assert store.ratings() == {"one": {"verdict": "good", "gold": "42", "note": ""}}
    name = store.about("one")["texts"][0]
    assert store.text(name) == b"text of one"
    assert store.delete(["one", "none"]) == 1
    with pytest.raises(StoreError, match="lacks a text"):
        store.text(name)
    with pytest.raises(StoreError, match="Several runs begin"):
        store.find("t")


def test_the_oldest_go_first():
    store = Store(":memory:")
    for number in range(6):
        age = time.time() - number * 86_400
        store.begin(row(f"r{number}", created=age, updated=age), {}, [os.urandom(200_000)])
    assert store.prune(days=4.5) == 1
    before = store.size()
    assert store.prune(megabytes=before / 1e6 - 0.3) == 2
    assert [r.id for r in store.runs()] == ["r0", "r1", "r2"]
    assert store.prune(days=100, megabytes=100) == 0


def under_way(name):
    return row(name, updated=0.0, state="running", pid=os.getpid(), host=this_process())


def test_one_that_is_under_way_is_not_forgotten():
    store = Store(":memory:")
    store.begin(under_way("r"), {})
    store.begin(row("other"), {})
    assert store.prune(days=1) == 0
    with pytest.raises(StoreError, match="under way"):
        store.claim("r")
    with pytest.raises(StoreError, match="r is under way in process .* wait for it, or end it"):
        store.delete(["other", "r"])
    assert [r.id for r in store.runs()] == ["other", "r"]
    store.update("r", state="failed")
    assert store.delete(["r"]) == 1


def test_a_number_that_another_process_has_now_is_no_sign_of_life():
    host = socket.gethostname()
    mine = under_way("r")
    boot, start = mine.host.split("/")[1:]
    assert mine.is_alive
    assert mine.machine == host
    assert mine._replace(host=host).is_alive  # as older versions, and machines without /proc, say
    assert not mine._replace(host=f"{host}/{boot}/{int(start) - 1}").is_alive
    assert not mine._replace(host=f"{host}/another-boot/{start}").is_alive
    assert not mine._replace(host="elsewhere").is_alive
    store = Store(":memory:")
    store.begin(mine._replace(host=f"{host}/{boot}/1"), {})
    store.claim("r")
    assert store.find("r").is_alive
    assert run(store=":memory:").run.id
    assert open_store(":memory:").find(None).host == mine.host


def test_nothing_is_written_of_a_run_that_is_gone():
    store = Store(":memory:")
    store.begin(row("r"), {}, [b"a letter"])
    store.delete(["r"])
    exchange = Exchange.of([{"role": "user", "content": "a letter"}])
    with pytest.raises(StoreError, match="r was deleted from the store"):
        store.append("r", [(0, "charged", "{}", exchange)])
    assert store.select("SELECT * FROM events") == store.select("SELECT * FROM texts") == []


def test_what_is_left_of_runs_that_are_gone_is_swept():
    store = Store(":memory:")
    for name in ("a", "gone", "z"):
        store.begin(row(name), {}, [f"text of {name}".encode()])
        store.append(name, [(0, "planned", "{}", None), (1, "planned", "{}", None)])
        store.rate(name, "good")
    for forget in (lambda: store.prune(days=9), lambda: store.delete(["a"])):
        with store.transaction() as db:
            db.execute("DELETE FROM runs WHERE id = 'gone'")
        forget()
        for table in ("events", "uses", "ratings"):
            assert "gone" not in {name for (name,) in store.select(f"SELECT run FROM {table}")}
        store.begin(row("gone"), {}, [b"text of gone"])
        store.append("gone", [(0, "planned", "{}", None)])
    assert [r.id for r in store.runs()] == ["gone", "z"]
    assert len(store.select("SELECT * FROM texts")) == 2


def test_a_store_that_cannot_be_made_smaller_is_used_as_it_is(tmp_path):
    path = tmp_path / "runs.sqlite"
    store = Store(path)
    store.begin(row("old", updated=0.0), {})
    other = sqlite3.connect(path, isolation_level=None)
    store._db.execute("PRAGMA busy_timeout = 0")
    other.execute("BEGIN")
    other.execute("SELECT * FROM runs").fetchall()  # VACUUM waits for those who read
    store._shrink()
    assert store.prune(days=1) == 1
    other.close()


def test_what_utf_8_does_not_have_is_looked_for_all_the_same():
    store = Store(":memory:")
    store.begin(row("r", question="caf\\udce9"), {})
    assert [r.id for r in store.runs("caf\udce9")] == ["r"]
    assert store.runs("\ud800") == []
    store.rate("r", "good", note="caf\udce9")
    for find in (store.find, store.of_session):
        with pytest.raises(StoreError, match="has no"):
            find("caf\udce9")


def _write(path, name, count):
    store = open_store(path)
    store.begin(row(name), {})
    for number in range(count):
        store.append(name, [(number, "planned", "{}", None)])


@pytest.mark.slow
def test_many_processes_write_at_once(tmp_path):
    path = tmp_path / "runs.sqlite"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(path, f"p{n}", 40)) for n in range(3)]
    for worker in workers:
        worker.start()
    _write(path, "own", 40)
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    store = Store(path)
    assert {r.id: len(store.events(r.id)) for r in store.runs()} == dict.fromkeys(
        ["p0", "p1", "p2", "own"], 40
    )


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_writes_leaves_whole_events(tmp_path):
    script = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from test_store import row\nfrom rlm_dspy.runs.store import Store\n"
        "s = Store(sys.argv[1]); s.begin(row('r'), {})\n"
        "for n in range(10**9):\n"
        "    s.append('r', [(n, 'planned', str(n) * 900, None)])\n"
        "    print(n, flush=True)\n"
    )
    here = os.path.dirname(__file__)
    for attempt in range(3):
        path = tmp_path / f"{attempt}.sqlite"
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(path), here, os.path.dirname(here)],
            stdout=subprocess.PIPE,
        )
        for line in child.stdout:
            if int(line) > 20:
                break
        child.send_signal(signal.SIGKILL)
        said = child.communicate()[0].split()
        last = int(said[-1]) if said and said[-1].isdigit() else int(line)
        rows = Store(path).events("r")
        assert [number for number, _ in rows] == list(range(len(rows)))
        assert len(rows) >= last
        assert all(data == str(number) * 900 for number, data in rows)


def test_a_torn_log_is_cut_where_it_is_whole(tmp_path):
    path = tmp_path / "runs.sqlite"
    store = Store(path)
    store.begin(row("r"), {})
    for number in range(50):
        store.append("r", [(number, "planned", "x" * 500, None)])
    log = tmp_path / "runs.sqlite-wal"
    data, main = log.read_bytes(), path.read_bytes()
    torn = tmp_path / "torn.sqlite"
    torn.write_bytes(main)
    (tmp_path / "torn.sqlite-wal").write_bytes(data[: len(data) - 5_000] + b"\0" * 300)
    rows = Store(torn).events("r")
    assert [number for number, _ in rows] == list(range(len(rows)))
    assert 30 < len(rows) < 50


def test_what_is_no_store_is_said(tmp_path):
    path = tmp_path / "runs.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="is no run store or is broken: move it away"):
        run(store=str(path))
    assert path.read_bytes() == b"no database at all" * 100
    assert run(store=str(path), unrecorded="allow").answer == "a"


def test_what_is_no_store_is_left_as_it_is(tmp_path):
    text, other, pipe = tmp_path / "notes.txt", tmp_path / "other.sqlite", tmp_path / "pipe"
    text.write_text("my notes")
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.close()
    os.mkfifo(pipe)
    for path in (text, other, pipe):
        path.chmod(0o664)
        before = path.stat()
        with pytest.raises(StoreError, match="no run store or is broken|no regular file"):
            Store(path)
        assert (path.stat().st_mode, path.stat().st_size) == (before.st_mode, before.st_size)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt", "other.sqlite", "pipe"]
    empty = tmp_path / "empty.sqlite"
    empty.touch(0o664)
    Store(empty).begin(row("r"), {})
    assert empty.stat().st_mode & 0o777 == 0o600


def test_a_newer_format_is_refused(tmp_path):
    path = tmp_path / "runs.sqlite"
    Store(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        Store(path)


@pytest.fixture
def full(tmp_path):
    """A store whose disk is full from its second run on."""
    store = open_store(tmp_path / "full.sqlite")
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    return str(tmp_path / "full.sqlite")


def test_a_full_disk_ends_the_run_clearly(full):
    with pytest.raises(StoreError, match="full.*Make room") as caught:
        run([code("print('x' * 9000)")] * 9, store=full, max_errors=3)
    assert caught.value.path == full


def test_a_run_may_go_on_unrecorded_where_that_is_allowed(full):
    result = run(store=full, unrecorded="allow")
    assert (result.answer, result.run.status) == ("a", "completed")


def test_a_fork_of_the_process_opens_its_own(tmp_path):
    store = open_store(tmp_path / "runs.sqlite")
    store.begin(row("before"), {})
    child = os.fork()
    if child == 0:
        try:
            store.begin(row("in the child"), {})
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert {r.id for r in store.runs()} == {"before", "in the child"}
