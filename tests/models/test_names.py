import dspy
import pytest
from dspy.utils.dummies import DummyLM

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models import provider_of, resolve_lm
from rlm_dspy.models.keys import is_private

KEY = "sk-main-0123456789"
BASE = "https://llm.example.com/v1"


class OwnLM(dspy.BaseLM):
    def forward(self, prompt=None, messages=None, **kwargs):
        return None


@pytest.mark.parametrize(
    "lm",
    [
        DummyLM([{"answer": "x"}]),
        dspy.LM("openai/gpt-4o", api_key="x"),
        dspy.LM("openai/gpt-4o", api_key="x", engine="litellm"),
        OwnLM("mine"),
    ],
    ids=["dummy", "auto", "litellm", "own"],
)
def test_an_lm_object_comes_back_as_it_is(lm):
    assert resolve_lm(lm) is lm
    assert resolve_lm(lm, role="sub", temperature=1.0) is lm


@pytest.mark.parametrize("value", [3, {"openai/gpt-4o"}, object(), dspy.LM])
def test_anything_else_is_refused(value):
    with pytest.raises(ConfigurationError, match="A model is a name"):
        resolve_lm(value)


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("openai/gpt-5", "openai"),
        ("gpt-4o", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("openrouter/openai/gpt-4o", "openrouter"),
        ("hosted_vllm/Qwen/Qwen3-8B", "hosted_vllm"),
        ("github_copilot/gpt-4o", "github_copilot"),
        ("local", "local"),
        ("local/smollm2-135m", "local"),
    ],
)
def test_the_provider_is_found_offline(name, provider):
    assert provider_of(name) == provider


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("some-model", "write PROVIDER/some-model"),
        ("opena/gpt-4o", "did you mean openai/"),
        ("Qwen/Qwen3-8B", "RLM_MODEL=openai/Qwen/Qwen3-8B with its address in LLM_BASE_URL"),
        ("openai/", "no model"),
        ("localhost/x", "no provider"),
    ],
)
def test_an_unknown_provider_is_an_error_that_says_what_to_write(name, says, capsys):
    with pytest.raises(ConfigurationError) as caught:
        resolve_lm(name)
    assert says in str(caught.value)
    assert caught.value.model == name
    assert capsys.readouterr() == ("", "")


def test_nothing_named_is_an_error():
    with pytest.raises(ConfigurationError, match="set RLM_MODEL"):
        resolve_lm()


def test_the_environment_names_the_models(monkeypatch):
    monkeypatch.setenv("RLM_MODEL", "ollama/big")
    assert resolve_lm().model == "ollama/big"
    assert resolve_lm(role="sub").model == "ollama/big"
    monkeypatch.setenv("RLM_SUB_MODEL", "ollama/small")
    assert resolve_lm().model == "ollama/big"
    assert resolve_lm(role="sub").model == "ollama/small"
    assert resolve_lm("ollama/other", role="sub").model == "ollama/other"


def test_a_name_becomes_an_lm_through_litellm():
    lm = resolve_lm("openai/gpt-4o", api_key="x", temperature=0.3, max_tokens=77, cache=False)
    assert type(lm) is dspy.LM
    assert (lm.engine, lm.cache) == ("litellm", False)
    assert (lm.kwargs["temperature"], lm.kwargs["max_tokens"]) == (0.3, 77)


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("openai/gpt-4o", "OPENAI_API_KEY"),
        ("gpt-4o", "OPENAI_API_KEY"),
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-2.5-flash", "GEMINI_API_KEY"),
        ("mistral/mistral-large-latest", "MISTRAL_API_KEY"),
        ("openrouter/openai/gpt-4o", "OPENROUTER_API_KEY"),
    ],
)
def test_a_missing_key_is_named_before_any_call(name, variable, monkeypatch):
    with pytest.raises(ConfigurationError, match=variable):
        resolve_lm(name)
    monkeypatch.setenv(variable, "sk-x")
    assert "api_key" not in resolve_lm(name).kwargs  # LiteLLM reads the variable itself


@pytest.mark.parametrize("variable", ["TOGETHER_API_KEY", "TOGETHERAI_API_KEY"])
def test_other_spellings_of_a_key_count(variable, monkeypatch):
    monkeypatch.setenv(variable, "sk-x")
    assert resolve_lm("together_ai/some/model").model == "together_ai/some/model"


@pytest.mark.parametrize(
    "name",
    ["ollama/qwen3", "ollama_chat/qwen3", "lm_studio/x", "hosted_vllm/a/b", "bedrock/x", "azure/x"],
)
def test_no_key_is_asked_for_where_none_is_needed_or_known(name):
    assert resolve_lm(name).model == name


@pytest.mark.parametrize(
    "base",
    [
        "http://localhost:8000/v1",
        "http://127.0.0.1:1234/v1",
        "http://[::1]:1234/v1",
        "http://192.168.1.7:8000/v1",
        "http://10.1.2.3/v1",
        "http://vllm:8000/v1",
        "http://gpu.internal/v1",
    ],
)
def test_a_private_server_needs_no_key(base, monkeypatch):
    monkeypatch.setenv("RLM_MODEL", "openai/mine")
    monkeypatch.setenv("LLM_BASE_URL", base)
    lm = resolve_lm()
    assert lm.kwargs["api_base"] == base
    assert lm.kwargs["api_key"] == "no-key-needed"


@pytest.mark.parametrize(
    "base", ["https://api.example.com/v1", "http://8.8.8.8/v1", "http://[2600::1]/v1"]
)
def test_a_public_server_needs_one(base, monkeypatch):
    assert not is_private(base)
    monkeypatch.setenv("RLM_MODEL", "openai/mine")
    monkeypatch.setenv("LLM_BASE_URL", base)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY or LLM_API_KEY"):
        resolve_lm()


@pytest.mark.parametrize("url", [None, "", "localhost", "not a url", "http://", "//", "http://[x"])
def test_no_address_is_not_a_private_one(url):
    assert not is_private(url)


MAINS = ("openai/main", "anthropic/main", "openrouter/openai/main", "hosted_vllm/main", "gpt-4o")
OTHERS = (
    *("openai/x", "gpt-4o-mini", "anthropic/x", "claude-sonnet-4-5", "openrouter/openai/x"),
    *("hosted_vllm/x", "ollama/x", "azure/x", "text-completion-openai/x", "custom_openai/x"),
)


@pytest.mark.parametrize("role", ["main", "sub"])
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("main", MAINS)
def test_the_key_and_the_address_go_to_the_main_models_provider_only(main, name, role, monkeypatch):
    monkeypatch.setenv("RLM_MODEL", main)
    monkeypatch.setenv("LLM_API_KEY", KEY)
    monkeypatch.setenv("LLM_BASE_URL", BASE)
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY"):
        monkeypatch.setenv(variable, "sk-own")
    kwargs = resolve_lm(name, role=role).kwargs
    if provider_of(name) == provider_of(main):
        assert (kwargs["api_key"], kwargs["api_base"]) == (KEY, BASE)
    else:
        assert KEY not in str(kwargs)
        assert BASE not in str(kwargs)


@pytest.mark.parametrize("main", [None, "some-model", "local", "local/x", "opena/x"])
def test_without_a_main_provider_they_go_nowhere(main, monkeypatch):
    if main is not None:
        monkeypatch.setenv("RLM_MODEL", main)
    monkeypatch.setenv("LLM_API_KEY", KEY)
    monkeypatch.setenv("LLM_BASE_URL", BASE)
    assert KEY not in str(resolve_lm("ollama/x").kwargs)
    assert BASE not in str(resolve_lm("ollama/x").kwargs)
    with pytest.raises(ConfigurationError, match="LLM_API_KEY is set, but goes to") as caught:
        resolve_lm("openai/x")
    assert KEY not in str(caught.value)


def test_a_sub_model_of_another_provider_says_its_own_variable(monkeypatch):
    monkeypatch.setenv("RLM_MODEL", "openai/main")
    monkeypatch.setenv("RLM_SUB_MODEL", "anthropic/sub")
    monkeypatch.setenv("LLM_API_KEY", KEY)
    assert resolve_lm().kwargs["api_key"] == KEY
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY"):
        resolve_lm(role="sub")


def test_who_names_a_server_gets_nothing_from_the_environment(monkeypatch):
    monkeypatch.setenv("RLM_MODEL", "openai/main")
    monkeypatch.setenv("LLM_API_KEY", KEY)
    lm = resolve_lm("openai/other", api_base="http://localhost:9/v1")
    assert KEY not in str(lm.kwargs)


def test_given_options_win(monkeypatch):
    monkeypatch.setenv("RLM_MODEL", "openai/main")
    monkeypatch.setenv("LLM_API_KEY", KEY)
    assert resolve_lm(api_key="sk-given").kwargs["api_key"] == "sk-given"


def test_a_local_model_gets_nothing_of_a_provider(monkeypatch, weights_file):
    weights_file("qwen2.5-coder-0.5b")
    monkeypatch.setenv("RLM_MODEL", "openai/main")
    monkeypatch.setenv("LLM_API_KEY", KEY)
    lm = resolve_lm("local/qwen2.5-coder-0.5b")
    assert lm.kwargs == {"temperature": 0.0, "max_tokens": 512}


def test_bare_local_becomes_the_biggest_model_present(weights_file):
    weights_file("qwen2.5-coder-0.5b")
    assert resolve_lm("local").model == "local/qwen2.5-coder-0.5b"
    weights_file("qwen2.5-coder-1.5b")
    assert resolve_lm("local").model == "local/qwen2.5-coder-1.5b"
    assert resolve_lm("local/").model == "local/qwen2.5-coder-1.5b"


@pytest.mark.parametrize("name", ["local/qwen2.5-coder-0.5b", "local/a/b:c.gguf"])
def test_an_absent_local_model_says_how_to_get_it(name):
    with pytest.raises(ConfigurationError, match="rlm models pull " + name.removeprefix("local/")):
        resolve_lm(name)
