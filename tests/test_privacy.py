"""Who may read a run's inputs."""

import dspy
import pytest
from chat_server import ChatServer

from rlm_dspy import (
    RLM,
    ConfigurationError,
    Context,
    ContextError,
    ImageReader,
    ReadOptions,
    RLMOptions,
)
from rlm_dspy.models.places import elsewhere
from rlm_dspy.testing import ScriptedLM, code

LOCAL_ONLY = RLMOptions(local_only=True)


def scripted(model="made", *, here=False):
    lm = ScriptedLM([code("SUBMIT(answer='read')")], model=model)
    lm.on_this_machine = here
    return lm


def served(model, **given):
    """What is never called here, so that its address is all that counts."""
    return dspy.LM(model, engine="litellm", **given)


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in ("OLLAMA_API_BASE", "OPENAI_API_BASE", "OPENAI_BASE_URL", "RLM_LOCAL_ONLY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("model", "given", "here"),
    [
        ("local/any", {}, True),
        ("openai/any", {"api_base": "http://localhost:8000/v1"}, True),
        ("openai/any", {"api_base": "http://127.9.9.9/v1"}, True),
        ("openai/any", {"base_url": "http://[::1]:8000/v1"}, True),
        ("openai/any", {"api_base": "http://192.168.0.4:8000/v1"}, False),
        ("openai/any", {"api_base": "http://localhost.example.org"}, False),
        ("openai/any", {"api_base": "http://[::1"}, False),
        ("openai/any", {"api_base": "http://localhost", "base_url": "http://example.org"}, False),
        ("openai/any", {}, False),
        ("ollama/any", {}, True),
        ("ollama/any:120b-cloud", {}, False),
        ("hosted_vllm/any", {}, False),
        ("made", {}, False),
    ],
)
def test_where_a_model_is(model, given, here):
    assert (elsewhere(served(model, **given)) == "") == here


def test_the_environment_may_lead_elsewhere(monkeypatch):
    monkeypatch.setenv("OLLAMA_API_BASE", "https://ollama.example.org")
    assert "ollama.example.org" in elsewhere(served("ollama/any"))
    monkeypatch.setenv("OLLAMA_API_BASE", "http://127.0.0.1:11434")
    assert elsewhere(served("ollama/any")) == ""
    monkeypatch.setenv("http_proxy", "http://proxy.example.org")
    assert "NO_PROXY" in elsewhere(served("ollama/any"))


@pytest.mark.parametrize("form", ["one", "list", "dict"])
def test_only_models_of_this_machine_are_asked(form, tmp_path):
    here, far = scripted(here=True), scripted("far")
    sub = {"one": far, "list": [here, far], "dict": {"a": here, "b": far}}[form]
    missing = tmp_path / "missing.txt"
    with dspy.context(lm=here), pytest.raises(ConfigurationError, match="'far'"):
        RLM(sub_lm=sub, options=LOCAL_ONLY)(context=missing, query="q")
    assert here.asked == far.asked == []


def test_a_server_on_this_machine_answers():
    server = ChatServer(lambda body: code("SUBMIT(answer='read')"))
    try:
        lm = dspy.LM("openai/any", engine="litellm", api_base=server.url, api_key="k", cache=False)
        with dspy.context(lm=lm):
            result = RLM(options=LOCAL_ONLY)(context="The grass grows.", query="q")
    finally:
        server.close()
    assert result.answer == "read"


def test_the_environment_asks_for_it_everywhere(monkeypatch):
    monkeypatch.setenv("RLM_LOCAL_ONLY", "1")
    with (
        dspy.context(lm=scripted("far")),
        pytest.raises(ConfigurationError, match="RLM_LOCAL_ONLY"),
    ):
        RLM()(context="The grass grows.", query="q")
    with pytest.raises(ConfigurationError, match="RLM_LOCAL_ONLY"):
        ImageReader(scripted("far"))
    with pytest.raises(ContextError, match="RLM_LOCAL_ONLY"):
        Context.from_path("http://example.org/", ReadOptions(urls=True))


@pytest.fixture
def folder(tmp_path):
    """A folder whose text may stay on this machine or go to OpenAI, with one that is stricter."""
    (tmp_path / "inner").mkdir()
    (tmp_path / ".rlm.toml").write_text('providers = ["local", "openai"]')
    (tmp_path / "inner" / ".rlm.toml").write_text('providers = ["local", "anthropic"]')
    (tmp_path / "outer.txt").write_text("The grass grows. " * 400)
    (tmp_path / "inner" / "inner.txt").write_text("The sky is up. " * 400)
    return tmp_path


def read(given, *lms):
    main, sub = (*lms, None)[:2]
    with dspy.context(lm=main):
        return RLM("context, query -> answer", sub_lm=sub)(context=given, query="q").answer


def test_a_folders_rule_holds_for_what_lies_in_it_and_below(folder):
    openai, anthropic = scripted("openai/any"), scripted("anthropic/any")
    outer, inner = folder / "outer.txt", folder / "inner" / "inner.txt"
    assert read(Context.from_path(outer), openai) == "read"
    assert read(Context.from_paths([folder]), scripted("openai/any", here=True)) == "read"
    for path, lm in ((inner, openai), (inner, anthropic), (folder, openai)):
        asked = len(lm.asked)
        with pytest.raises(ConfigurationError, match=r"\.rlm\.toml") as caught:
            read(path, lm)
        assert repr(lm.model.partition("/")[0]) in str(caught.value)
        assert len(lm.asked) == asked
    with pytest.raises(ConfigurationError, match="anthropic"):
        read(outer, openai, anthropic)


def test_it_holds_for_pieces_lists_and_links(folder, tmp_path):
    whole = Context.from_paths([folder])
    piece = next(d for d in whole.documents if d.title.endswith("inner.txt"))
    other = next(d for d in whole.documents if d.title.endswith("outer.txt"))
    link = tmp_path.parent / f"{tmp_path.name}-link"
    link.symlink_to(folder / "inner")
    openai = scripted("openai/any")
    for given in (piece, piece[:3000], [str(other), piece[:9]], link / "inner.txt"):
        with pytest.raises(ConfigurationError, match=r"\.rlm\.toml"):
            read(given, openai)
    assert openai.asked == []


@pytest.mark.parametrize("said", ["providers = 'local'", "provider = ['local']", "= 1", ""])
def test_a_rule_that_cannot_be_read_allows_nothing(said, tmp_path):
    (tmp_path / ".rlm.toml").write_text(said)
    (tmp_path / "a.txt").write_text("The grass grows.")
    with pytest.raises(ConfigurationError, match="nothing below it may be read"):
        read(tmp_path, scripted("local/any"))


def test_an_image_is_not_shown_to_a_model_that_may_not_see_it(tmp_path):
    (tmp_path / ".rlm.toml").write_text("providers = ['local']")
    with pytest.raises(ConfigurationError, match=r"\.rlm\.toml"):
        ImageReader(scripted("openai/any")).may_read(str(tmp_path / "a.png"))
    ImageReader(scripted("openai/any", here=True)).may_read(str(tmp_path / "a.png"))
