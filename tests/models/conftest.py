import asyncio
from pathlib import Path

import pytest
from chat_server import ChatServer

from rlm_dspy.models.weights import KNOWN


@pytest.fixture(autouse=True)
def _no_stray_loop():
    # LiteLLM's blocking calls take the thread's event loop, and make one that nobody closes where
    # the thread never had any.
    asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def _no_models(monkeypatch, tmp_path):
    monkeypatch.setenv("RLM_MODELS_DIR", str(tmp_path / "models"))


@pytest.fixture
def smol():
    """The weights that the extra `local` installs."""
    from rlm_dspy.errors import ConfigurationError
    from rlm_dspy.models import find

    try:
        return find("smollm2-135m")
    except ConfigurationError:
        pytest.skip("the extra `local` is not installed")


@pytest.fixture
def weights_file(tmp_path):
    """Makes a (sparse) file that passes for a known model's weights."""

    def make(name: str, folder: Path | None = None, size: int | None = None) -> Path:
        weights = next(each for each in KNOWN if each.name == name)
        path = (folder or tmp_path / "models") / weights.file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(b"GGUF")
            file.truncate(weights.size if size is None else size)
        return path

    return make


class OpenAIServer(ChatServer):
    """A server that answers one question, or fails with its `status`."""

    def __init__(self):
        self.status = 200
        said = "[[ ## answer ## ]]\nParis"
        super().__init__(lambda body: said if self.status == 200 else self.status)


@pytest.fixture
def openai_server():
    server = OpenAIServer()
    yield server
    server.close()
