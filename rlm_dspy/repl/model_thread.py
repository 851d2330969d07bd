"""The model thread of a worker: it hears the host, runs code in the namespace, and answers.

Promises: the host learns of every failure by a frame or by the connection's end. Nothing in here is
trusted by the host, so nothing in here is checked for the host's sake.
"""

import contextlib
import importlib
import mmap
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from rlm_dspy import wire
from rlm_dspy.repl import clocks
from rlm_dspy.repl.namespace import StepResult, ToolFailed
from rlm_dspy.repl.plain import to_placed, to_plain
from rlm_dspy.repl.protocol import Channel, leaves_copy
from rlm_dspy.repl.values import decode, encode
from rlm_dspy.shared import Shared, received

_WARM = "x = [1]\nfor y in x:\n    print(f'{y}'.strip())"
# Free memory that a step must leave behind, in bytes; with less, the next step could not even
# start.
_HEADROOM = 8 << 20


class ModelThread:
    """What the model thread does; a thawed copy goes on with it over another connection.

    Args:
        channel: The connection to the host.
        max_output_chars: Where a step's output is cut, characters.
        namespace: Makes the namespace; as `Namespace`.
        ask_control: Has the control thread make room for a map of so many bytes or, given a
            connection's descriptor, leave a copy behind; returns when it is done.
    """

    def __init__(
        self,
        channel: Channel,
        max_output_chars: int,
        namespace: Callable[..., Any],
        ask_control: Callable[..., None],
    ):
        self.channel = channel
        self.sending = threading.Lock()  # held while a frame leaves
        self.namespace = namespace(self.call_tool, max_output_chars=max_output_chars)
        self._ask_control = ask_control
        self._spare = namespace(self.call_tool, max_output_chars=1000)
        self._given: dict[str, Any] = {}
        self._refusal: dict[str, Any] | None = None
        self._leaves_copy = False
        self._asked_early: deque[dict[str, Any]] = deque()

    def serve(self, hello: dict[str, Any], enter: Callable[[], None]) -> None:
        """Speak with the host, for good.

        Args:
            hello: The first message.
            enter: Called first: makes the calling thread one that may run model code.
        """
        try:
            enter()
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

    def _say(self, body: bytes) -> None:
        with self.sending:
            self.channel.send_encoded(body)

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
            self._ask_control(snapshot=number)
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
        clocks.CLOCK.begin(message["time"])
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
