"""Recorded runs as training data: what was sent, what is a target, and what is left out."""

import json

import dspy
import pytest
from chat_server import ChatServer
from scenarios import scenarios

from rlm_dspy import (
    RLM,
    Budget,
    ConfigurationError,
    RLMOptions,
    RunFilter,
    TrainingData,
    resolve_lm,
)
from rlm_dspy.cli import run as rlm
from rlm_dspy.recording import store_of
from rlm_dspy.runs.store import Store
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 300
STEPS = [code("print(ask('Which ship?', context[:60]))"), code("SUBMIT(answer='a')")]


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("RLM_STORE", str(tmp_path / "runs.sqlite"))
    monkeypatch.setenv("RLM_RECORD", "full")
    return store_of()


def ran(steps=(), *, sub="fine", query="Which ship?", model="planner", **options):
    lm = ScriptedLM(list(steps or STEPS), model=model)
    module = RLM(sub_lm=ScriptedLM([sub], model="sub"), options=RLMOptions(**options))
    with dspy.context(lm=lm):
        return module(context=TEXT, query=query).run.id, lm


def sent(asked):
    turns = [{"role": role, "content": text} for role, text in asked.turns]
    return [{"role": "system", "content": asked.system}, *turns]


def test_a_planners_rows_are_what_was_sent_and_said():
    _, lm = ran([code("print(1)"), code("print(2)"), *STEPS])
    rows = list(TrainingData())
    assert [row["messages"][:-1] for row in rows] == [sent(asked) for asked in lm.asked]
    assert [row["messages"][-1]["content"] for row in rows] == [
        code("print(1)"), code("print(2)"), *STEPS,
    ]  # fmt: skip
    for row in rows:
        roles = [message["role"] for message in row["messages"]]
        assert roles == ["system", *["user", "assistant"] * ((len(roles) - 1) // 2)]


@pytest.mark.parametrize("through_litellm", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_rows_are_what_a_server_gets(through_litellm):
    replies = iter([code("print(1)"), *STEPS])
    server = ChatServer(lambda body: next(replies))
    made = resolve_lm if through_litellm else dspy.LM
    try:
        lm = made("openai/gpt-4o", api_base=server.url, api_key="none", cache=False)
        with dspy.context(lm=lm):
            RLM(sub_lm=ScriptedLM(["fine"], model="sub"))(context=TEXT, query="Which ship?")
    finally:
        server.close()
    assert len(server.requests) == 3
    asked = [body["messages"] for body in server.requests]
    assert [row["messages"][:-1] for row in TrainingData()] == asked


def test_rows_are_by_role():
    ran()
    assert len(list(TrainingData(roles=("plan", "sub_query")))) == 3
    [row] = TrainingData(roles=("sub_query",), about=True)
    assert row["messages"][-1] == {"role": "assistant", "content": "fine"}
    assert (row["role"], row["model"], row["rating"], row["step"]) == ("sub_query", "sub", "", 1)


@pytest.mark.parametrize(
    ("name", "role", "good", "failed"),
    [
        ("code_error", "plan", 2, 3),  # the first step's code fails
        ("policy", "plan", 1, 2),
        ("wrong_type", "plan", 1, 3),  # two submissions do not fit
        ("nothing_said", "plan", 1, 2),  # a reply without code
        ("timeout", "plan", 2, 3),  # a step that was rolled back
        ("repair", "sub_query", 1, 2),  # the first answer was mended by the second
        ("retried", "sub_query", 3, 3),  # attempts that failed said nothing
        ("sub_fails", "sub_query", 2, 2),
        ("direct", "direct", 1, 1),
        ("nested", "plan", 4, 4),  # two of its own, and those of two sub-runs
    ],
)
def test_what_failed_is_no_target_unless_asked(name, role, good, failed):
    scenarios()[name].run()
    data = TrainingData(roles=(role,), about=True)
    rows = list(data)
    assert len(rows) + data.skipped["duplicates"] == good
    asked = TrainingData(roles=(role,), failed=True, about=True)
    assert len(list(asked)) + asked.skipped["duplicates"] == failed
    assert data.skipped["replies that failed"] == failed - good


def test_packs_with_items_left_out_are_no_targets():
    scenarios()["each_forgetful"].run()
    data = TrainingData(roles=("sub_query",))
    replies = [row["messages"][-1]["content"] for row in data]
    assert data.skipped["replies that failed"] > 0
    assert set(replies) == {"no"}  # of items asked alone: each pack left one out


def test_the_same_row_comes_once():
    ran()
    ran()
    data = TrainingData()
    assert len(list(data)) == 2
    assert data.skipped == {"duplicates": 2}
    assert len(list(data)) == 2  # made anew


def test_which_runs_are_taken(store):
    good, _ = ran(query="good?")
    bad, _ = ran(query="bad?")
    other, _ = ran(query="other?", model="other")
    scenarios()["steps"].run()  # partial
    store.rate(good, "good")
    store.rate(bad, "bad")

    def runs(**chosen):
        data = TrainingData(runs=RunFilter(**chosen), about=True)
        return list(dict.fromkeys(row["run"] for row in data))

    assert runs() == [good, other]
    assert runs(rating="good") == [good]
    assert runs(rating="bad") == [bad]
    assert runs(model="other") == [other]
    assert runs(search="other?") == [other]
    assert runs(since=store.find(other).created) == [other]
    assert len(runs(status=("partial",))) == 1
    lengths = {good: 5, bad: 4}
    scored = {"score": lambda stored: lengths.get(stored.row.id), "least": 5}
    assert runs(**scored) == [good]


def test_metadata_gives_nothing_and_is_counted():
    ran(record="metadata")
    data = TrainingData()
    assert list(data) == []
    assert data.skipped == {"runs recorded without texts": 1}


def test_keys_are_not_exported(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "a-very-secret-key")
    ran([code("print('a-very-secret-key')"), *STEPS])
    said = json.dumps(list(TrainingData()))
    assert "a-very-secret-key" not in said
    assert "[secret]" in said


def test_pairs_are_of_the_first_reply_that_differs(store):
    better, _ = ran([code("print(1)"), code("print(2)"), code("SUBMIT(answer='right')")])
    worse, _ = ran([code("print(1)"), code("print(3)"), code("SUBMIT(answer='wrong')")])
    ran([code("print(1)"), code("print(4)"), code("SUBMIT(answer='unrated')")])
    store.rate(better, "good", gold="right")
    store.rate(worse, "bad")
    data = TrainingData(kind="preference", about=True)
    [pair] = data
    assert pair["prompt"][-1]["role"] == "user"
    assert [m["content"] for m in pair["prompt"] if m["role"] == "assistant"] == [code("print(1)")]
    assert pair["chosen"] == [{"role": "assistant", "content": code("print(2)")}]
    assert pair["rejected"] == [{"role": "assistant", "content": code("print(3)")}]
    assert (pair["chosen_run"], pair["rejected_run"], pair["step"]) == (better, worse, 2)
    assert data.skipped == {"neither rated nor scored": 1}


def test_pairs_by_a_metric_and_of_a_fork():
    run, _ = ran([code("print(1)"), code("SUBMIT(answer='wrong')")])
    with dspy.context(lm=ScriptedLM([code("SUBMIT(answer='right')")], model="planner")):
        forked = RLM(sub_lm=ScriptedLM(["fine"], model="sub")).fork(run, at=2)
    assert forked.answer == "right"
    ran(query="another question")

    def score(stored):
        return float(stored.answer["answer"] == "right")

    [pair] = TrainingData(kind="preference", runs=RunFilter(score=score), about=True)
    assert pair["chosen"][0]["content"] == code("SUBMIT(answer='right')")
    assert pair["rejected"][0]["content"] == code("SUBMIT(answer='wrong')")
    assert (pair["chosen_run"], pair["rejected_run"]) == (forked.run.id, run)


def test_what_failed_is_not_chosen(store):
    better, _ = ran([code("1 / 0"), code("SUBMIT(answer='right')")])
    worse, _ = ran([code("print(3)"), code("SUBMIT(answer='wrong')")])
    store.rate(better, "good")
    store.rate(worse, "bad")
    assert list(TrainingData(kind="preference")) == []
    assert len(list(TrainingData(kind="preference", failed=True))) == 1


def test_pairs_need_the_same_prompt(store):
    better, _ = ran()
    with dspy.context(lm=ScriptedLM(STEPS)):
        worse = RLM(sub_lm=ScriptedLM(["fine"])).start(context="Rain. " * 900, query="Which ship?")
    store.rate(better, "good")
    store.rate(worse.result().run.id, "bad")
    data = TrainingData(kind="preference")
    assert list(data) == []
    assert data.skipped == {"pairs that differ in no reply to the same prompt": 1}


@pytest.mark.slow
def test_datasets_and_files_hold_the_same_rows(store, tmp_path):
    datasets = pytest.importorskip("datasets", reason="the extra `eval` is not installed")
    better, _ = ran([code("print('Grüße \\ud800')"), *STEPS])
    worse, _ = ran([code("print(7)"), *STEPS])
    store.rate(better, "good")
    store.rate(worse, "bad")
    cache = str(tmp_path / "datasets")
    for data in (TrainingData(about=True), TrainingData(kind="preference", about=True)):
        rows = list(data)
        assert data.as_dataset().to_list() == rows
        for kind, file in (("json", tmp_path / "r.jsonl"), ("parquet", tmp_path / "r.parquet")):
            assert data.save(file) == len(rows)
            read = datasets.load_dataset(kind, data_files=str(file), split="train", cache_dir=cache)
            assert read.to_list() == rows


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"neither \.jsonl nor \.parquet"):
        TrainingData().save(tmp_path / "rows.csv")
    with pytest.raises(ConfigurationError, match="no role 'planner'"):
        TrainingData(roles=("planner",))
    with pytest.raises(ConfigurationError, match="of the kind 'dpo'"):
        TrainingData(kind="dpo")
    ran()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        TrainingData().save(tmp_path / "none" / "rows.jsonl")


def test_the_command(store, tmp_path, capsys):
    run, _ = ran()
    store.rate(run, "good")
    file = tmp_path / "rows.jsonl"
    words = ["export", str(file), "--role", "plan", "--role", "sub_query", "--rating", "good"]
    assert rlm([*words, "--since", "1h", "--model", "sub"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{file}\n"
    assert captured.err == "1 row\n"
    [row] = [json.loads(line) for line in file.read_text().splitlines()]
    assert list(row) == ["messages"]
    assert rlm(["export", str(tmp_path / "none.jsonl"), "--rating", "bad"]) == 4
    assert "no row is left" in capsys.readouterr().err
    assert not (tmp_path / "none.jsonl").exists()
    assert rlm(["export", str(file), "--since", "yesterday"]) == 2
    assert "--since 'yesterday'" in capsys.readouterr().err


def test_a_store_of_ones_own():
    other = Store(":memory:")
    ran()
    assert list(TrainingData(store=other)) == []
    assert len(list(TrainingData(roles=("plan",), store=store_of()))) == 2


def test_a_run_that_ended_early_is_no_example():
    with dspy.context(lm=ScriptedLM([code(f"print({n})") for n in range(5)])):
        RLM(budget=Budget(steps=2))(context=TEXT, query="Which?")
    assert list(TrainingData()) == []
    assert len(list(TrainingData(runs=RunFilter(status=("partial",))))) == 2
