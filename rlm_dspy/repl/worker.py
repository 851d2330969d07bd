"""The worker: the process that runs model code, and the thread of it that can freeze a copy.

Two threads share one Python heap. The model thread speaks with the host and runs code; its
system call filter forbids fork, clone and exec. The control thread never runs model code; while
the model thread is parked it may fork. Such a fork (a snapshot) holds the control thread alone:
it waits, frozen, on a connection of its own, and when the host thaws it, starts a new model
thread over the same namespace.

Promises: the host learns of every failure by a frame or by the connection's end; the process
ends when its host does. Nothing in here is trusted by the host, so nothing in here is checked for
the host's sake.
"""

import contextlib
import gc
import importlib
import mmap
import os
import random
import signal
import socket
import threading
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

from rlm_dspy import wire
from rlm_dspy.repl import isolation, limits, output
from rlm_dspy.repl.namespace import Namespace, StepResult, ToolFailed
from rlm_dspy.repl.plain import to_placed, to_plain
from rlm_dspy.repl.protocol import FROM_WORKER, NUDGE, TO_WORKER, Channel, leaves_copy
from rlm_dspy.repl.values import decode, encode
from rlm_dspy.shared import Shared, received

_WARM = "x = [1]\nfor y in x:\n    print(f'{y}'.strip())"
# Free memory that a step must leave behind, in bytes; with less, the next step could not even
# start.
_HEADROOM = 8 << 20


def channel_of(number: int) -> Channel:
    """The worker's end of a connection."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=number)
    return Channel(sock, limit_in=TO_WORKER, limit_out=FROM_WORKER, takes_fds=True)


def preload() -> None:
    """Import what no locked-down process could import any more; modules that are absent are
    skipped.
    """
    for name in wire.WORKER_MODULES:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)


class Worker:
    """One session's process.

    Args:
        number: The connection's descriptor.
        start: The host's start message: "layers", "memory_mb", "cpu_seconds", "max_output_chars",
            "parent" (pid, or None where its death is not to be watched).
        report: What is known of the layers already.
        namespace: Makes the namespace; as `Namespace`.
    """

    def __init__(
        self,
        number: int,
        start: dict[str, Any],
        report: isolation.Report,
        namespace: Callable[..., Any] = Namespace,
    ):
        self.channel = channel_of(number)
        self.start = start
        self.report = report
        self.namespace = namespace(self.call_tool, max_output_chars=int(start["max_output_chars"]))
        wire.call_host = self.call_tool
        self._spare = namespace(self.call_tool, max_output_chars=1000)
        self._given: dict[str, Any] = {}
        self._refusal: dict[str, Any] | None = None
        self._snapshot, self._room = -1, 0
        self._leaves_copy = False
        self._asked_early: deque[dict[str, Any]] = deque()

    def serve(self) -> None:
        """Be the control thread, for good."""
        warnings.simplefilter("ignore")
        gc.disable()  # finalizers are model code: the namespace turns it on for each step
        signal.signal(NUDGE, self._say_what_was_printed)
        given = limits.Limits(self.start["memory_mb"], self.start["cpu_seconds"])
        layers = self.start["layers"]
        parent = self.start["parent"]
        number = self.channel.sock.fileno()
        self.report |= isolation.lock_down(number, given, layers, parent=parent)
        hello: dict[str, Any] = {"op": "ready", "layers": self.report}
        while True:
            self._start_model_thread(hello)
            self._serve_model_thread()
            hello = {"op": "thawed"}

    # --- the control thread ---

    def _start_model_thread(self, hello: dict[str, Any]) -> None:
        self._wanted, self._taken, self._sending = (threading.Lock() for _ in range(3))
        self._wanted.acquire()
        self._taken.acquire()
        threading.stack_size(limits.STACK_BYTES)
        with self._processes():
            threading.Thread(target=self._run_model_thread, args=(hello,), daemon=True).start()
        self._taken.release()  # it runs nothing of the model's before processes are closed again

    def _serve_model_thread(self) -> None:
        """Do what the model thread may not; returns in a thawed copy only."""
        while True:
            self._wanted.acquire()
            if self._room:
                self._make_room()
            elif self._fork(self._snapshot):
                self._freeze()
                return
            else:
                os.close(self._snapshot)
            self._taken.release()

    def _make_room(self) -> None:
        """Raise the address space by a map's size: the limit means private memory."""
        if self.report.get("limits") is True:
            with contextlib.suppress(OSError, ValueError):
                limits.add_address_space(self._room)

    def _fork(self, number: int) -> bool:
        """Fork; True in the copy. A fork that fails shows to the host as the connection's end."""
        state = random.getstate()
        pid = -1
        with self._processes(), contextlib.suppress(OSError):
            pid = os.fork()
        if pid != 0:
            return False
        random.setstate(state)  # fork reseeds it, and a snapshot is to be the same state
        self.channel.close()
        self.channel = channel_of(number)
        return True

    def _freeze(self) -> None:
        try:
            self.channel.send({"op": "frozen"})
            message = self.channel.receive()
        except (EOFError, OSError):
            os._exit(0)
        if message["op"] != "thaw":
            os._exit(0)
        if self.start["parent"] is not None and os.getppid() == self.start["parent"]:
            with contextlib.suppress(OSError):
                isolation.die_with(self.start["parent"])

    @contextlib.contextmanager
    def _processes(self) -> Any:
        limited = "limits" in self.start["layers"]
        if limited:
            limits.allow_processes(allowed=True)
        try:
            yield
        finally:
            if limited:
                limits.allow_processes(allowed=False)

    def _say_what_was_printed(self, *_: object) -> None:
        gc.disable()  # this runs in the control thread, where no finalizer of model code may
        # The model thread may be in the middle of a frame; then that frame is its last word.
        if self._sending.acquire(blocking=False):
            with contextlib.suppress(BaseException):
                self.channel.send({"op": "partial", "output": output.printed()})
            self._sending.release()

    # --- the model thread ---

    def _say(self, body: bytes) -> None:
        with self._sending:
            self.channel.send_encoded(body)

    def _run_model_thread(self, hello: dict[str, Any]) -> None:
        try:
            self._taken.acquire()
            if self.report.get("seccomp") is True:
                isolation.restrict_thread(self.start["layers"])
            self._say(encode(hello))
            while True:
                early = self._asked_early.popleft() if self._asked_early else None
                self._handle(early or self.channel.receive())
        except (EOFError, OSError):
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - the thread's end: whatever it is, the host is told
            with contextlib.suppress(BaseException):
                self._say(encode({"op": "broken", "message": _describe(error)}))
            os._exit(1)

    def _handle(self, message: dict[str, Any]) -> None:
        op = message["op"]
        if op == "run":
            self._run(message)
        elif op in ("bind", "map", "alias"):
            self._bind(message)
        elif op == "snapshot":
            number = self.channel.fds.popleft()
            if message["of_step"] and not self._leaves_copy:
                os.close(number)
                return
            self._snapshot = number
            self._ask_control(room=0)
            self._warm_up()
        else:
            os._exit(0)

    def _warm_up(self) -> None:
        """Run a step that leaves nothing behind, while nobody waits: after a fork each page that a
        step writes to is copied first.
        """
        if self.channel.has_more():
            return
        result = self._spare.run(decode(encode({"op": "run", "code": _WARM}))["code"])
        self._encoded(_answer(result, None, full=_is_full()))

    def _ask_control(self, *, room: int) -> None:
        """Have the control thread make room for a map of that many bytes, or (0) leave a copy."""
        self._room = room
        self._wanted.release()
        self._taken.acquire()

    def _bind(self, message: dict[str, Any]) -> None:
        name = message["name"]
        try:
            if message["op"] == "bind":
                value = message["value"]
            elif message["op"] == "alias":
                value = self._given[message["of"]]
            else:
                value = _load(message["loader"], self._received(message), message["meta"])
        except Exception as error:  # noqa: BLE001 - a loader is foreign code; `run` tells of it
            why = f"the variable {name!r} cannot be bound: {_describe(error)}"
            self._refuse(why, policy=False)
            return
        self._given[name] = value
        try:
            self.namespace.bind(name, value)
        except ValueError as error:
            self._refuse(str(error), policy=True)

    def _received(self, message: dict[str, Any]) -> list[Shared]:
        numbers = [self.channel.fds.popleft() for _ in message["buffers"]]
        mapped = sum(size + mmap.PAGESIZE for size, stamp, _ in message["buffers"] if not stamp)
        if mapped:
            self._ask_control(room=mapped)
        pairs = zip(numbers, message["buffers"], strict=True)
        return [received(number, *described) for number, described in pairs]

    def _refuse(self, why: str, *, policy: bool) -> None:
        """Keep the first reason why the next step will not run."""
        self._refusal = self._refusal or {"op": "refused", "message": why, "policy": policy}

    def _run(self, message: dict[str, Any]) -> None:
        try:
            self.namespace.configure(message["tools"], message["fields"])
        except ValueError as error:
            self._refuse(str(error), policy=True)
        refusal, self._refusal = self._refusal, None
        self._leaves_copy = False
        if refusal is not None:
            self._say(encode(refusal))
            return
        wire.found.clear()
        result = self.namespace.run(message["code"])
        full = _is_full()
        try:
            body = self._encoded(_answer(result, result.submitted, full=full))
        except BaseException as error:  # noqa: BLE001 - converting runs methods of model code
            kind = type(error).__name__
            text = f"{kind}: SUBMIT: {_text_of(error)}"
            result = StepResult("error", result.output, None, kind, text, None)
            body = self._encoded(_answer(result, None, full=full))
        self._leaves_copy = leaves_copy(result.kind, result.error_type, full=full)
        self._say(body)

    def _encoded(self, message: dict[str, Any], convert: Callable[[Any], Any] = to_plain) -> bytes:
        body = encode(message, convert)
        if len(body) > self.channel.limit_out:
            raise ValueError(f"{len(body):,} bytes; at most {self.channel.limit_out:,} can leave")
        return body

    def call_tool(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Ask the host for one call of a tool.

        Raises:
            TypeError: An argument that cannot leave the REPL.
            ValueError: An argument beyond the limits.
            ToolFailed: The tool raised, or its result cannot come in.
        """
        call = {"op": "call", "name": name, "args": list(args), "kwargs": dict(kwargs)}
        try:
            body = self._encoded(call, to_placed)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}(): {_text_of(error)}") from None
        try:
            self._say(body)
            answer = self.channel.receive()
            while answer["op"] == "snapshot":  # asked for while this step runs: for after it
                self._asked_early.append(answer)
                answer = self.channel.receive()
        except (EOFError, OSError):
            os._exit(0)  # never an exception that model code could catch
        if answer["op"] == "result":
            return answer["value"]
        raise ToolFailed(answer["message"], answer["type"])


def _load(loader: str, buffers: list[Shared], meta: dict[str, Any]) -> Any:
    if loader in ("str", "plain"):
        view = buffers[0].view
        assert view is not None  # the host seals these
        return str(view, "utf-8", "surrogatepass") if loader == "str" else decode(view)
    module, _, function = loader.partition(":")
    if module not in wire.WORKER_MODULES:
        raise ValueError(f"{module} is not one of the worker's modules")
    return getattr(importlib.import_module(module), function)(buffers, meta)


def _answer(result: StepResult, submitted: Any, *, full: bool) -> dict[str, Any]:
    return {
        "op": "done",
        "kind": result.kind,
        "output": result.output,
        "submitted": submitted,
        "error_type": result.error_type,
        "message": result.message,
        "line": result.line,
        "full": full,
        "found": list(dict.fromkeys(wire.found)),
    }


def _is_full() -> bool:
    try:  # a map that is never touched: asking costs no page
        mmap.mmap(-1, _HEADROOM, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, MemoryError):
        return True
    return False


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {_text_of(error)}"[:2000]


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - an exception class of model code may do anything
        return ""
