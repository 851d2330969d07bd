"""A worker that lies: whatever it says or leaves unsaid, the host ends soon, with an error.

The worker is a thread of the test at the other end of the connection; it sends prepared bytes.
"""

import socket
import struct
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlm_dspy.dspy_errors import CodeFailed, InterpreterError
from rlm_dspy.repl import RestrictedInterpreter
from rlm_dspy.repl.launch import host_channel
from rlm_dspy.repl.values import encode

READY = {"op": "ready", "layers": {}}
DONE = {
    "op": "done",
    "kind": "ok",
    "output": "fine",
    "submitted": None,
    "error_type": "",
    "message": "",
    "line": None,
    "full": False,
}


def frame(message):
    body = message if isinstance(message, bytes) else encode(message)
    return struct.pack(">I", len(body)) + body


class Process:
    """What the launcher hands out as the worker's process."""

    def __init__(self, sock):
        self.sock = sock
        self.killed = False

    def kill(self):
        self.killed = True
        self.sock.close()

    kill_group = kill

    def nudge(self):
        pass

    def forget(self):
        self.sock.close()


class Liar:
    """A launcher whose workers say `hello` at once, `words` when code comes, then nothing."""

    forks = False

    def __init__(self, *words, hello=READY, hang_up=False):
        self.hello = hello
        self.words = words
        self.hang_up = hang_up
        self.processes = []

    def launch(self, start):
        ours, theirs = socket.socketpair()
        self.processes.append(Process(theirs))
        threading.Thread(target=self.talk, args=(theirs,), daemon=True).start()
        return host_channel(ours), self.processes[-1]

    def identify(self, channel, deadline):
        raise AssertionError("there are no snapshots")

    def talk(self, sock):
        try:
            sock.sendall(self.hello if isinstance(self.hello, bytes) else frame(self.hello))
            sock.recv(1 << 16)
            for word in self.words:
                sock.sendall(word if isinstance(word, bytes) else frame(word))
            if self.hang_up:
                sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def repl_with(liar, **options):
    return RestrictedInterpreter(_launcher=liar, step_seconds=0.5, **options)


def test_an_honest_worker_is_believed():
    assert repl_with(Liar(DONE)).execute("1") == "fine"


LIES = {
    "no json": frame(b"\xff\xff"),
    "no message": frame(b"[]"),
    "huge length": struct.pack(">I", 0xFFFFFFFF),
    "length over the limit": struct.pack(">I", (32 << 20) + 1) + b"x" * 1000,
    "empty frame": struct.pack(">I", 0),
    "no operation": frame(b'{"a":1}'),
    "operation of another type": frame(b'{"op":["done"]}'),
    "unknown operation": frame({"op": "exec", "code": "boom"}),
    "done without fields": frame({"op": "done"}),
    "kind of another type": frame(DONE | {"kind": 1}),
    "unknown kind": frame(DONE | {"kind": "great"}),
    "output of another type": frame(DONE | {"output": ["a"]}),
    "line of another type": frame(DONE | {"line": "1"}),
    "negative line": frame(DONE | {"line": -1}),
    "line of a bool": frame(DONE | {"line": True}),
    "error without text": frame(DONE | {"kind": "error", "message": None}),
    "submit without dict": frame(DONE | {"kind": "submit", "submitted": 5}),
    "submit with odd keys": frame(DONE | {"kind": "submit", "submitted": {1: 2}}),
    "call without name": frame({"op": "call", "args": [], "kwargs": {}}),
    "call with args of another type": frame({"op": "call", "name": "f", "args": "x", "kwargs": {}}),
    "call with odd kwargs": frame({"op": "call", "name": "f", "args": [], "kwargs": {1: 2}}),
    "deep nesting": frame(b'{"op":' + b"[" * 90_000 + b"]" * 90_000 + b"}"),
    "host's own words": frame({"op": "run", "code": "1"}),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_ends_the_session(name):
    liar = Liar(LIES[name])
    repl = repl_with(liar, tools={"f": lambda *a, **k: "x"})
    with pytest.raises(InterpreterError):
        repl.execute("1")
    assert liar.processes[-1].killed
    with pytest.raises(InterpreterError, match="over"):
        repl.execute("1")


@pytest.mark.parametrize(
    "hello",
    [
        frame(b"rubbish"),
        struct.pack(">I", 0xFFFFFFFF),
        {"op": "thawed"},
        {"op": "ready"},
        {"op": "ready", "layers": ["seccomp"]},
        {"op": "ready", "layers": {"seccomp": 1}},
    ],
    ids=repr,
)
def test_a_lie_at_the_start_ends_the_session(hello):
    liar = Liar(hello=hello)
    with pytest.raises(InterpreterError):
        repl_with(liar).start()
    assert liar.processes[-1].killed


@pytest.mark.parametrize(
    "words", [(), (b"\0\0",), (struct.pack(">I", 50) + b"half",)], ids=["silence", "head", "body"]
)
def test_silence_and_half_frames_cost_the_step_and_no_more(words):
    liar = Liar(*words)
    began = time.monotonic()
    with pytest.raises(CodeFailed, match="longer than 0.5 seconds") as caught:
        repl_with(liar).execute("1")
    assert caught.value.error_type == "Timeout"
    assert time.monotonic() - began < 10  # a bound on hanging, not a measure of speed
    assert [process.killed for process in liar.processes] == [True, False]


@pytest.mark.parametrize("words", [(), (struct.pack(">I", 50) + b"half",)], ids=["none", "half"])
def test_a_worker_that_hangs_up_is_a_crash(words):
    with pytest.raises(CodeFailed, match="crashed"):
        repl_with(Liar(*words, hang_up=True)).execute("1")


def test_a_worker_that_hangs_up_at_the_start_ends_the_session():
    class Mute(Liar):
        def talk(self, sock):
            sock.shutdown(socket.SHUT_RDWR)

    with pytest.raises(InterpreterError):
        repl_with(Mute()).execute("1")


def test_endless_calls_end_with_the_step_clock():
    call = frame({"op": "call", "name": "f", "args": [], "kwargs": {}})

    class Chatty(Liar):
        def talk(self, sock):
            try:
                sock.sendall(frame(self.hello))
                sock.recv(1 << 16)
                while True:
                    sock.sendall(call)
                    sock.recv(1 << 16)
                    time.sleep(0.01)
            except OSError:
                pass

    with pytest.raises(CodeFailed, match="longer than"):
        repl_with(Chatty(), tools={"f": lambda: "x"}).execute("1")


def test_more_output_than_agreed_is_cut():
    repl = repl_with(Liar(DONE | {"output": "x" * 5_000_000}), max_output_chars=1_000)
    assert len(repl.execute("1")) < 2_000


def test_an_unknown_tool_is_not_called():
    call = {"op": "call", "name": "__class__", "args": [], "kwargs": {}}
    liar = Liar(call, DONE)
    assert repl_with(liar, tools={"f": print}).execute("1") == "fine"


garbage = st.one_of(
    st.binary(max_size=100),
    st.binary(max_size=100).map(frame),
    st.dictionaries(
        st.sampled_from(["op", *DONE, "name", "args", "kwargs"]),
        st.sampled_from(["done", "call", "ok", "f", 1, None, [], {}, True]),
    ).map(frame),
)


@given(st.lists(garbage, min_size=1, max_size=3))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_garbage_ends_in_an_answer_or_a_known_error(words):
    repl = RestrictedInterpreter(
        _launcher=Liar(*words, hang_up=True), step_seconds=0.5, tools={"f": lambda *a, **k: 1}
    )
    try:
        answer = repl.execute("1")
    except (InterpreterError, CodeFailed, SyntaxError):
        return
    finally:
        repl.shutdown()
    assert answer is None or answer
