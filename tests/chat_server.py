"""An HTTP server on this machine that speaks the OpenAI protocol and answers from a script."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ChatServer:
    """Serves until it is closed.

    Args:
        reply: Given a request's body, the text to answer, or a status (int) to fail with.
        before: Called before each piece of a streamed answer, with its number from 0.
    """

    def __init__(
        self,
        reply: Callable[[dict[str, Any]], str | int],
        before: Callable[[int], None] = lambda number: None,
    ):
        self.seen: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.seen.append({"path": self.path, "headers": headers, "body": body})
                said = reply(body)
                if body.get("stream") and isinstance(said, str):
                    self.stream(said, body["model"])
                    return
                data = json.dumps(_answer(said, body["model"])).encode()
                try:
                    self.send_response(said if isinstance(said, int) else 200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:  # who asked has gone: it was interrupted
                    self.close_connection = True

            def stream(self, said: str, model: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                try:
                    for number, chunk in enumerate(_chunks(said, model)):
                        before(number)
                        self.wfile.write(f"data: {chunk}\n\n".encode())
                        self.wfile.flush()
                except OSError:
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
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


def _chunks(said: str, model: str, size: int = 5) -> Iterator[str]:
    """A streamed answer: the text by pieces of so many characters, then how it ended."""
    whole = _answer(said, model)
    choice = {"index": 0, "finish_reason": None}
    pieces = [said[at : at + size] for at in range(0, len(said), size)]
    choices = [choice | {"delta": {"content": piece}} for piece in pieces]
    choices.append(choice | {"delta": {}, "finish_reason": "stop"})
    kind = {"object": "chat.completion.chunk"}
    for each in choices:
        yield json.dumps({**whole, **kind, "choices": [each], "usage": None})
    yield json.dumps({**whole, **kind, "choices": []})
    yield "[DONE]"
