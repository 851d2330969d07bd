import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rlm_dspy.models.weights import KNOWN


def pytest_collection_modifyitems(items):
    # pytest drops the filter that the library itself sets when it loads LiteLLM.
    quiet = pytest.mark.filterwarnings("ignore:.*using the .ReadOnly. qualifier:UserWarning")
    for item in items:
        item.add_marker(quiet)


@pytest.fixture(autouse=True)
def _no_stray_loop():
    # LiteLLM's blocking calls take the thread's event loop, and make one that nobody closes where
    # the thread never had any.
    asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def _bare_machine(monkeypatch, tmp_path):
    """No provider's key, no proxy, empty folders for models and caches."""
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_TOKEN", "_API_BASE", "_BASE_URL", "_proxy", "_PROXY")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RLM_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


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


class OpenAIServer:
    """An HTTP server on this machine that speaks the OpenAI protocol and remembers what it got."""

    def __init__(self):
        self.requests: list[dict] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen = {"path": self.path, "headers": headers, "body": body}
                outer.requests.append(seen)
                answer = json.dumps(outer.answer(seen)).encode()
                self.send_response(outer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def answer(self, seen: dict) -> dict:
        if self.status != 200:
            return {"error": {"message": "refused", "type": "invalid_request_error", "code": None}}
        message = {"role": "assistant", "content": "[[ ## answer ## ]]\nParis"}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": seen["body"]["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def openai_server():
    server = OpenAIServer()
    yield server
    server.close()
