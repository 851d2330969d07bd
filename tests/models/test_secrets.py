"""No letter of a key in what is shown, saved, logged or raised."""

import copy
import json
import logging

import dspy
import pytest

from rlm_dspy.models import resolve_lm

KEY = "sk-hidden-0123456789abcdef"


@pytest.fixture
def lm(monkeypatch, openai_server):
    monkeypatch.setenv("RLM_MODEL", "openai/mine")
    monkeypatch.setenv("LLM_API_KEY", KEY)
    monkeypatch.setenv("LLM_BASE_URL", openai_server.url)
    return resolve_lm(cache=False, num_retries=0)


def test_not_in_what_is_shown_or_saved(lm):
    program = dspy.Predict("question -> answer")
    program.set_lm(lm)
    shown = f"{lm!r} {lm} {program!r}"
    saved = json.dumps([lm.dump_state(), program.dump_state(), lm.copy().dump_state()])
    assert "hidden" not in shown + saved
    assert copy.deepcopy(lm).kwargs["api_key"] == KEY


def test_not_in_the_history(lm):
    lm("hello")
    lm("hello", api_key=KEY + "2")
    assert len(lm.history) == 2
    assert "hidden" not in str(lm.history)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_not_in_errors_and_logs(lm, status, openai_server, caplog, capsys):
    openai_server.status = status
    with caplog.at_level(logging.DEBUG), pytest.raises(dspy.LMError) as caught:
        lm("hello")
    chain, error = [], caught.value
    while error is not None:
        chain.append(f"{error!r} {error} {vars(error)}")
        error = error.__cause__ or error.__context__
    assert openai_server.seen[-1]["headers"]["authorization"] == f"Bearer {KEY}"
    assert "hidden" not in " ".join(chain)
    assert "hidden" not in caplog.text
    assert "hidden" not in "".join(capsys.readouterr())
