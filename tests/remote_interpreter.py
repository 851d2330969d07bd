"""An interpreter on another machine, as far as a run can tell.

A session server behind HTTP, and the client that speaks dspy's protocol. The server runs the code
in its own process: for tests only.
"""

import json
import queue
import threading
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dspy.primitives.code_interpreter import CodeExecutionError, CodeInterpreterError, FinalOutput


class Over(BaseException):
    """Ends a step, from inside of it."""


class RemoteSession:
    """The server's side of one session: a namespace, and a step that may wait for the client."""

    def __init__(self):
        self.names: dict[str, Any] = {}
        self.over = threading.Event()
        self.replies: queue.SimpleQueue = queue.SimpleQueue()
        self.results: queue.SimpleQueue = queue.SimpleQueue()

    def execute(self, message: dict[str, Any]) -> dict[str, Any]:
        """Begins a step; gives its end, or the first call of a tool."""
        threading.Thread(target=self._step, args=(message,), daemon=True).start()
        return self.replies.get()

    def result(self, message: dict[str, Any]) -> dict[str, Any]:
        """Goes on with what a tool gave."""
        self.results.put(message)
        return self.replies.get()

    def _step(self, message: dict[str, Any]) -> None:
        printed: list[str] = []
        self.names |= message["variables"] | {name: self._tool(name) for name in message["tools"]}
        self.names["SUBMIT"] = self._submit(message["fields"])
        self.names["print"] = lambda *values: printed.append(" ".join(map(str, values)))
        self.names["wait_for_ever"] = self._wait_for_ever
        try:
            exec(compile(message["code"], "<remote>", "exec"), self.names)
            reply = {"kind": "ok", "value": printed}
        except Over as end:
            reply = {"kind": "final", "value": end.args[0]} if end.args else {"kind": "over"}
        except SyntaxError as error:
            reply = {"kind": "syntax", "value": str(error)}
        except Exception as error:  # noqa: BLE001 - the code may raise anything
            reply = {"kind": "error", "value": f"{type(error).__name__}: {error}"}
        self.replies.put(reply)

    def _tool(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.replies.put({"kind": "call", "name": name, "args": args, "kwargs": kwargs})
            result = self.results.get()
            if "error" in result:
                raise RuntimeError(result["error"])
            return result["value"]

        return call

    def _submit(self, fields: list[dict[str, Any]]) -> Callable[..., None]:
        def submit(*args: Any, **kwargs: Any) -> None:
            raise Over(dict(zip([f["name"] for f in fields], args, strict=False)) | kwargs)

        return submit

    def _wait_for_ever(self) -> None:
        self.over.wait()
        raise Over


class RemoteServer:
    """Sessions by number, one POST an action; serves until it is closed."""

    def __init__(self):
        self.sessions: list[RemoteSession] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                data = json.dumps(outer.act(self.path.strip("/"), message)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def act(self, action: str, message: dict[str, Any]) -> dict[str, Any]:
        if action == "start":
            self.sessions.append(RemoteSession())
            return {"session": len(self.sessions) - 1}
        session = self.sessions[message["session"]]
        if action == "shutdown" or session.over.is_set():
            session.over.set()
            return {"kind": "over"}
        return session.execute(message) if action == "execute" else session.result(message)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class RemoteInterpreter:
    """dspy's protocol over HTTP; tools are called here, on behalf of the server."""

    execution_instructions = "Python runs on the machine with the big disk."

    def __init__(self, url: str):
        self.tools: dict[str, Callable[..., Any]] = {}
        self.output_fields: list[dict[str, Any]] | None = None
        self.threads: set[str] = set()
        self._url = url
        self._session: int | None = None

    def start(self) -> None:
        if self._session is None:
            self._session = self._post("start")["session"]

    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        self.threads.add(threading.current_thread().name)
        self.start()
        fields = self.output_fields or [{"name": "output"}]
        step = {"code": code, "variables": variables or {}, "fields": fields}
        reply = self._post("execute", **step, tools=list(self.tools))
        while reply["kind"] == "call":
            reply = self._post("result", **self._called(reply))
        if reply["kind"] == "over":
            raise CodeInterpreterError("the remote session is over")
        if reply["kind"] == "syntax":
            raise SyntaxError(reply["value"])
        if reply["kind"] == "error":
            raise CodeExecutionError(reply["value"])
        return FinalOutput(reply["value"]) if reply["kind"] == "final" else reply["value"]

    def shutdown(self) -> None:
        if self._session is not None:
            self._post("shutdown")

    def _called(self, call: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"value": self.tools[call["name"]](*call["args"], **call["kwargs"])}
        except Exception as error:  # noqa: BLE001 - so may a tool
            return {"error": str(error)}

    def _post(self, action: str, **message: Any) -> dict[str, Any]:
        data = json.dumps({"session": self._session, **message}).encode()
        with urllib.request.urlopen(f"{self._url}/{action}", data) as response:
            return json.load(response)
