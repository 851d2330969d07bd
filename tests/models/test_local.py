"""The embedded model, really run, through dspy and LiteLLM."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor

import dspy
import litellm
import pydantic
import pytest

from rlm_dspy.models import close_engines, count_tokens, prompt_limit, resolve_lm
from rlm_dspy.models.engine import loaded_engine
from rlm_dspy.models.router import router

pytestmark = pytest.mark.slow

NAME = "local/smollm2-135m"
LONG = " ".join(f"word{n}" for n in range(1500))
NEEDLE = (
    "The special magic number for zebra is 48213.\n\nWhat is the special magic number for zebra "
    "mentioned in the text above? Answer with the number only."
)


@pytest.fixture(scope="module", autouse=True)
def _engines_end():
    yield
    close_engines()


@pytest.fixture
def lm(smol):
    return resolve_lm(NAME, cache=False)


def ask(messages, **options):
    """Chat messages, straight through LiteLLM."""
    return router().completion(model=NAME, messages=messages, **options)


def test_a_predictor_gets_its_answer(lm):
    answer = lm(NEEDLE)[0]
    assert "48213" in answer
    entry = lm.history[-1]
    assert entry["response_model"] == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert entry["cost"] == 0
    assert entry["usage"]["prompt_tokens"] > 30
    assert entry["usage"]["completion_tokens"] > 0


def test_the_same_question_gets_the_same_answer(lm):
    asked = "Write a sentence about a river."
    assert lm(asked, max_tokens=30) == lm(asked, max_tokens=30)
    free = {lm(asked, max_tokens=30, temperature=1.5, seed=seed)[0] for seed in (1, 2, 3)}
    assert len(free) > 1
    assert lm(asked, max_tokens=30, temperature=1.5, seed=1)[0] in free


def test_a_grammar_arrives_both_ways(lm):
    grammar = 'root ::= "maybe" | "perhaps"'
    assert lm("Is 2 even?", extra_body={"grammar": grammar})[0] in ("maybe", "perhaps")
    assert lm("Is 2 even?", grammar=grammar)[0] in ("maybe", "perhaps")


def test_a_wrong_grammar_is_the_callers_error(lm):
    with pytest.raises(dspy.LMInvalidRequestError, match="grammar"):
        lm("x", grammar="root ::= (")


def test_stop_sequences_arrive(lm):
    grammar = 'root ::= "one, two, three, four"'
    assert lm("Count.", grammar=grammar, stop=["three"]) == ["one, two, "]
    assert lm("Count.", grammar=grammar) == ["one, two, three, four"]


def test_the_length_limit_arrives(lm):
    lm("Write a long story.", max_tokens=7)
    assert lm.history[-1]["usage"]["completion_tokens"] == 7


class Animal(pydantic.BaseModel):
    name: str
    legs: int


@pytest.mark.parametrize("form", ["model", "schema"])
def test_a_json_schema_arrives(lm, form):
    schema = {"name": "Animal", "schema": Animal.model_json_schema()}
    given = Animal if form == "model" else {"type": "json_schema", "json_schema": schema}
    text = lm("A cat has four legs.", response_format=given, max_tokens=60)[0]
    assert set(json.loads(text)) == {"name", "legs"}


def test_logprobs_arrive(lm):
    grammar = 'root ::= "yes" | "no"'
    output = lm("Is 2 even?", grammar=grammar, logprobs=True, top_logprobs=5)[0]
    content = output["logprobs"].content
    assert all(token.logprob <= 0 for token in content)
    assert len(content[0].top_logprobs) == 5


def test_a_prompt_that_grows_is_not_evaluated_again(lm):
    lm("warm up", max_tokens=1)
    turns = [{"role": "user", "content": "Remember: " + " ".join(map(str, range(200)))}]
    cached, sizes = [], []
    for step in range(3):
        answer = ask(turns, max_tokens=8)
        reply = answer.choices[0].message.content
        cached.append(answer.usage.prompt_tokens_details.cached_tokens)
        sizes.append(answer.usage.prompt_tokens)
        for other in range(3):  # what runs in between does not push it out
            lm(f"{other}{step} " + LONG[: 300 + other], max_tokens=1)
        turns += [
            {"role": "assistant", "content": reply},
            {"role": "user", "content": f"Output: {step}"},
        ]
    assert cached[1] >= sizes[0] - 2
    assert cached[2] >= sizes[1] - 2


def test_a_prompt_beyond_the_window_is_a_clean_error(lm):
    with pytest.raises(dspy.ContextWindowExceededError, match="8192 tokens"):
        lm(LONG * 6)
    with pytest.raises(litellm.ContextWindowExceededError):
        ask([{"role": "user", "content": LONG * 6}])


def test_the_window_can_be_chosen(smol):
    lm = resolve_lm(NAME, cache=False, n_ctx=512)
    with pytest.raises(dspy.ContextWindowExceededError, match="512 tokens"):
        lm(LONG)


def test_tokens_are_counted_exactly(lm):
    messages = [{"role": "user", "content": "The quick brown fox — jumps <|im_end|> over."}]
    assert count_tokens(NAME, messages) == ask(messages, max_tokens=1).usage.prompt_tokens
    assert prompt_limit(NAME) == 8192


def test_eight_threads_share_one_engine(lm, smol):
    with ThreadPoolExecutor(8) as pool:
        asked = [f"The code is {n * 1111}. Repeat the code only." for n in range(1, 9)]
        answers = list(pool.map(lambda text: lm(text, max_tokens=12)[0], asked))
    assert sum(str(n * 1111) in answer for n, answer in enumerate(answers, 1)) >= 6
    assert loaded_engine(smol) is not None


async def test_the_loop_is_never_blocked(lm):
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticker = asyncio.create_task(tick())
    answers = await asyncio.gather(*[lm.acall(f"{n} {LONG[:800]}", max_tokens=9) for n in range(4)])
    ticker.cancel()
    assert len(answers) == 4
    assert ticks > 20


async def test_a_cancelled_call_ends_its_generation(lm):
    await lm.acall("warm up", max_tokens=1)
    calls = [asyncio.create_task(lm.acall(f"{n} {LONG}", max_tokens=500)) for n in range(6)]
    await asyncio.sleep(0.5)
    for call in calls:
        call.cancel()
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in done)
    started = time.monotonic()
    await lm.acall("next", max_tokens=1)
    # The six would take a minute; the bound is wide, since the machine may be busy.
    assert time.monotonic() - started < 20


async def test_a_call_that_takes_too_long_is_a_timeout(lm):
    await lm.acall("warm up", max_tokens=1)
    with pytest.raises(dspy.LMTimeoutError):
        await lm.copy(num_retries=0).acall(LONG, timeout=0.2)
    with pytest.raises(litellm.Timeout):
        await asyncio.to_thread(ask, [{"role": "user", "content": LONG}], timeout=0.2)


STREAMED = {
    "model": NAME,
    "messages": [{"role": "user", "content": "Count to five."}],
    "stream": True,
    "max_tokens": 12,
    "stream_options": {"include_usage": True},
}


def gather(chunks):
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    usage = [c.usage for c in chunks if getattr(c, "usage", None)]
    return text, usage[-1].completion_tokens


async def test_answers_stream_both_ways(lm):
    whole = (await lm.acall("Count to five.", max_tokens=12))[0]
    chunks = [chunk async for chunk in await router().acompletion(**STREAMED)]
    assert gather(chunks) == (whole, 12)
    assert len(chunks) > 8
    assert gather(await asyncio.to_thread(lambda: list(router().completion(**STREAMED)))) == (
        whole,
        12,
    )


async def test_a_stream_can_be_left(lm):
    stream = await router().acompletion(**{**STREAMED, "max_tokens": 400})
    async for _ in stream:
        break
    await stream.aclose()
    assert await lm.acall("next", max_tokens=1)


async def test_dspy_streams_from_it(lm):
    reply = "[[ ## answer ## ]]\\nParis, the capital of France\\n\\n[[ ## completed ## ]]"
    predict = dspy.Predict("question -> answer")
    listener = dspy.streaming.StreamListener("answer")
    program = dspy.streamify(predict, stream_listeners=[listener])
    constrained = lm.copy(extra_body={"grammar": f'root ::= "{reply}"'})
    with dspy.context(lm=constrained, adapter=dspy.ChatAdapter()):
        items = [item async for item in program(question="Capital of France?")]
    assert items[-1].answer == "Paris, the capital of France"
    assert "".join(item.chunk for item in items[:-1]).strip() == "Paris, the capital of France"
    assert len(items) > 3


def test_a_saved_program_finds_its_model_again(lm, tmp_path):
    program = dspy.Predict("question -> answer")
    program.set_lm(lm)
    program.save(tmp_path / "program.json")
    again = dspy.Predict("question -> answer")
    again.load(tmp_path / "program.json")
    assert again.lm.model == NAME
    assert resolve_lm(again.lm) is again.lm
    assert again.lm("Say hi.", max_tokens=3)
