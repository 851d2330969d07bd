"""An HTTP server on this machine that speaks the OpenAI protocol and answers from a script."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ChatServer:
    """Serves until it is closed.

    Args:
        reply: Given a request's body, the text to answer, or a status (int) to fail with.
    """

    def __init__(self, reply: Callable[[dict[str, Any]], str | int]):
        self.seen: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.seen.append({"path": self.path, "headers": headers, "body": body})
                said = reply(body)
                data = json.dumps(_answer(said, body["model"])).encode()
                try:
                    self.send_response(said if isinstance(said, int) else 200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:  # who asked has gone: it was interrupted
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The bodies of the requests so far."""
        return [seen["body"] for seen in self.seen]

    @property
    def keys(self) -> list[str]:
        """What each request had for a key."""
        return [seen["headers"].get("authorization", "") for seen in self.seen]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _answer(said: str | int, model: str) -> dict[str, Any]:
    if isinstance(said, int):
        return {"error": {"message": "refused", "type": "invalid_request_error", "code": None}}
    message = {"role": "assistant", "content": said}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 70, "completion_tokens": 30, "total_tokens": 100},
    }
