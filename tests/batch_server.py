"""An HTTP server on this machine that speaks OpenAI's files and batches, and its chat."""

import json
import random
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # else some of many at once are refused


class BatchServer:
    """Serves until it is closed; the rows of a batch's files are in no order.

    Args:
        reply: Given a request's body, the text to answer, a status (int) to fail with, or None to
            leave the request out of the batch's files.
        seconds: How long a batch takes.
        ends: The status that a batch ends with.
        takes: How many requests of a batch are executed, where it does not complete.
        refuses: The paths, or their ends, that are refused, each with its status.
    """

    def __init__(
        self,
        reply: Callable[[dict[str, Any]], str | int | None],
        *,
        seconds: float = 0.0,
        ends: str = "completed",
        takes: int = 0,
        refuses: dict[str, int] | None = None,
    ):
        self.reply, self.seconds, self.ends, self.takes = reply, seconds, ends, takes
        self.refuses = refuses or {}
        self.files: dict[str, bytes] = {}
        self.batches: list[dict[str, Any]] = []
        self.chats: list[dict[str, Any]] = []
        self.read: list[str] = []
        self.deleted: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.answer(*outer.post(self.path, self.headers["Content-Type"] or "", data))

            def do_GET(self) -> None:
                self.answer(*outer.get(self.path))

            def do_DELETE(self) -> None:
                name = self.path.rsplit("/", 1)[1]
                outer.deleted.append(name)
                self.answer(200, {"id": name, "object": "file", "deleted": True})

            def answer(self, status: int, body: Any) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:  # who asked has gone
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def batched(self) -> list[dict[str, Any]]:
        """The bodies of all requests in batches."""
        return [row["body"] for batch in self.batches for row in self._rows(batch)]

    def post(self, path: str, kind: str, data: bytes) -> tuple[int, Any]:
        if path in self.refuses:
            return self.refuses[path], _error("refused")
        if path == "/v1/files":
            return 200, self._upload(kind, data)
        body = json.loads(data or b"{}")
        if path == "/v1/batches":
            return 200, self._begin(body)
        if path.endswith("/cancel"):
            batch = self._batch(path.split("/")[3])
            if batch["status"] == "in_progress":
                self._end(batch, "cancelled")
            return 200, batch
        self.chats.append(body)
        status, said = self._said(body)
        return status, said

    def get(self, path: str) -> tuple[int, Any]:
        for end, status in self.refuses.items():
            if path.endswith(end):
                return status, _error("refused")
        if path.endswith("/content"):
            self.read.append(path.split("/")[3])
            return 200, self.files[path.split("/")[3]]
        batch = self._batch(path.rsplit("/", 1)[1])
        if batch["status"] == "in_progress" and time.monotonic() >= batch["until"]:
            self._end(batch, self.ends)
        return 200, batch

    def _upload(self, kind: str, data: bytes) -> dict[str, Any]:
        boundary = re.search(r"boundary=(\S+)", kind)
        assert boundary is not None
        parts = data.split(b"--" + boundary[1].encode())
        (content,) = (p.split(b"\r\n\r\n", 1)[1][:-2] for p in parts if b"filename=" in p)
        return self._file(content)

    def _file(self, content: bytes) -> dict[str, Any]:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        told = {"filename": "a.jsonl", "purpose": "batch", "status": "processed", "created_at": 1}
        return {"id": name, "object": "file", "bytes": len(content), **told}

    def _begin(self, body: dict[str, Any]) -> dict[str, Any]:
        batch = {
            "id": f"batch_{len(self.batches)}",
            "object": "batch",
            "endpoint": body["endpoint"],
            "completion_window": body["completion_window"],
            "input_file_id": body["input_file_id"],
            "status": "in_progress",
            "created_at": 1,
            "until": time.monotonic() + self.seconds,
        }
        self.batches.append(batch)
        return batch

    def _batch(self, name: str) -> dict[str, Any]:
        return next(batch for batch in self.batches if batch["id"] == name)

    def _rows(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]

    def _end(self, batch: dict[str, Any], status: str) -> None:
        batch["status"] = status
        if status == "failed":
            told = [{"code": "invalid", "message": "the file is wrong", "line": 1}]
            batch["errors"] = {"object": "list", "data": told}
            return
        rows = self._rows(batch)
        done = rows if status == "completed" else rows[: self.takes]
        good, bad = [], []
        for row in done:
            code, body = self._said(row["body"])
            if code:
                told = {"status_code": code, "request_id": "1", "body": body}
                line = {"id": "1", "custom_id": row["custom_id"], "response": told, "error": None}
                (good if code == 200 else bad).append(line)
        if status == "expired":
            told = {"code": "batch_expired", "message": "the batch expired"}
            for row in rows[self.takes :]:
                bad.append({"custom_id": row["custom_id"], "response": None, "error": told})
        for name, lines in (("output_file_id", good), ("error_file_id", bad)):
            random.Random(0).shuffle(lines)
            if lines:
                data = "\n".join(map(json.dumps, lines)).encode()
                batch[name] = self._file(data)["id"]

    def _said(self, body: dict[str, Any]) -> tuple[int, Any]:
        said = self.reply(body)
        if said is None:
            return 0, None
        if isinstance(said, int):
            return said, _error("no such luck")
        message = {"role": "assistant", "content": said}
        return 200, {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 70, "completion_tokens": 30, "total_tokens": 100},
        }


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": None}}
