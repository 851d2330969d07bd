"""One store under dspy's own threads: every run is in it, whole, and none is another's."""

import dspy
import pytest

from rlm_dspy import RLM, RLMOptions
from rlm_dspy.events import as_json
from rlm_dspy.recording import store_of
from rlm_dspy.rerunning import load
from rlm_dspy.testing import ScriptedLM, code

TEXT = "The grass grows. " * 300
RUNS = 24


def planner():
    """Asks about the question it was given, and submits that."""
    asks = code("found = llm_query_batched([query + str(n) for n in range(5)])\nprint(found)")
    submits = code("SUBMIT(answer=query)")
    return ScriptedLM(lambda asked: submits if len(asked.turns) > 1 else asks, model="planner")


def module(store):
    sub = ScriptedLM(lambda asked: f"about {asked.last[-9:]}", model="sub")
    return RLM(sub_lm=sub, options=RLMOptions(store=store, record="full"))


def examples():
    return [
        dspy.Example(context=TEXT, query=f"Question {n}?", answer=f"Question {n}?").with_inputs(
            "context", "query"
        )
        for n in range(RUNS)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["file", ":memory:"])
def test_parallel(place, tmp_path):
    store = str(tmp_path / "runs.sqlite") if place == "file" else place
    before = {row.id for row in store_of(store).runs()}
    rlm = module(store)
    with dspy.context(lm=planner()):
        parallel = dspy.Parallel(num_threads=8, disable_progress_bar=True)
        results = parallel([(rlm, example) for example in examples()])
    check(store, before, results)


def test_evaluate(tmp_path):
    store = str(tmp_path / "runs.sqlite")
    rlm = module(store)
    evaluate = dspy.Evaluate(devset=examples(), num_threads=8, display_progress=False)
    with dspy.context(lm=planner()):
        found = evaluate(rlm, metric=lambda gold, said, trace=None: gold.answer == said.answer)
    assert found.score == 100
    check(store, set(), [said for _, said, _ in found.results])


def check(store, before, results):
    rows = [row for row in store_of(store).runs() if row.id not in before]
    assert {row.id for row in rows} == {result.run.id for result in results}
    assert len(rows) == RUNS
    assert {row.state for row in rows} == {"completed"}
    for result in results:
        stored = load(result.run.id, store)
        assert stored.row.question == result.answer == stored.answer["answer"]
        assert list(map(as_json, stored.events)) == list(map(as_json, result.run.events))
        exchanges = store_of(store).exchanges(stored.row.id)
        assert len(exchanges) == 7
        for messages, _ in exchanges.values():
            assert result.answer[:-1] in messages[-1]["content"] or len(messages) > 2
    replayed = module(store).replay(results[-1].run.id)
    assert replayed.answer == results[-1].answer
