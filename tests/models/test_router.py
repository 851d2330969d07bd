"""What loading LiteLLM sets up."""

import gc
import warnings

from rlm_dspy.models.router import router


async def forgotten():
    """A coroutine of a user's own."""


def left_behind(make):
    """The warnings that a coroutine leaves which nobody awaits."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        router.__wrapped__()
        make()
        gc.collect()
    return [str(each.message) for each in caught if each.category is RuntimeWarning]


def test_a_call_cancelled_before_it_began_leaves_no_warning():
    from litellm.llms.openai.openai import OpenAIChatCompletion

    from rlm_dspy.models.local import LocalProvider

    assert left_behind(lambda: LocalProvider().acompletion("m", [])) == []
    unused = {"model_response": None, "optional_params": {}, "litellm_params": {}}
    assert (
        left_behind(
            lambda: OpenAIChatCompletion().acompletion(
                messages=[],
                **unused,
                provider_config=None,
                model="m",
                timeout=1,
                logging_obj=None,
            )
        )
        == []
    )


def test_a_users_own_forgotten_await_is_still_said():
    assert left_behind(forgotten) == ["coroutine 'forgotten' was never awaited"]
    assert len(left_behind(lambda: router().acompletion(model="m", messages=[]))) == 1
