import pytest

from rlm_dspy.models.assembly import Assembly, Job, Stopped


def piece(text=None, finish=None, **more):
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish, **more}]}


def test_a_streamed_answer_is_put_back_together():
    told = []
    assembly = Assembly(Job({}, told.append))
    logprobs = {"content": [{"token": "a", "logprob": -1.0}]}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    chunks = [
        {"prompt_progress": {"total": 3, "processed": 3}},
        piece(None),
        piece("a", logprobs=logprobs),
        piece("b", "stop"),
        {"choices": [], "usage": usage, "model": "m"},
    ]
    assert [assembly.take(chunk) for chunk in chunks] == [False] * 5
    reply = assembly.reply()
    assert reply["choices"] == [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "ab"},
            "logprobs": logprobs,
        }
    ]
    assert (reply["usage"], reply["model"]) == (usage, "m")
    assert told == ["a", "b"]


def test_reasoning_is_kept_apart():
    assembly = Assembly(Job({}))
    assembly.take({"choices": [{"delta": {"reasoning_content": "hm"}}]})
    assembly.take(piece("yes", "stop"))
    message = assembly.reply()["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("hm", "yes")


def test_an_error_ends_it():
    assembly = Assembly(Job({}))
    assert assembly.take({"error": {"code": 400, "message": "no"}}) is True
    assert assembly.reply() == {"error": {"code": 400, "message": "no"}}


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_cancelled_job_ends_at_the_next_chunk(before):
    job = Job({})
    assembly = Assembly(job)
    for _ in range(before):
        assert assembly.take(piece("a")) is False
    job.cancel()
    assert assembly.take(piece("b")) is True
    with pytest.raises(Stopped):
        assembly.reply()
