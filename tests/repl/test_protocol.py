"""Frames and values: round trips, limits, and garbage that must not get through."""

import json
import math
import os
import socket
import struct
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_dspy.missing import Missing
from rlm_dspy.repl.protocol import Channel, ProtocolError
from rlm_dspy.repl.values import MAX_DEPTH, MAX_INT_BITS, decode, encode

any_text = st.text(st.characters(codec=None, exclude_categories=()))
hashable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | any_text
    | st.binary(max_size=20)
    | st.builds(Missing, any_text),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
plain = st.recursive(
    hashable,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner),
        st.dictionaries(hashable, inner, max_size=5),
        st.dictionaries(any_text, inner, max_size=5),
        st.sets(hashable, max_size=5),
    ),
    max_leaves=15,
)


def shape(value):
    """A value together with all its types, since 1 == True == 1.0."""
    if isinstance(value, dict):
        return dict, [(shape(k), shape(v)) for k, v in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [shape(item) for item in value]
    if isinstance(value, set | frozenset):
        return type(value), sorted(repr(shape(item)) for item in value)
    return type(value), repr(value)


@given(plain)
@settings(max_examples=150, deadline=None)
def test_values_come_back_as_they_were(value):
    assert shape(decode(encode(value))) == shape(value)


@given(st.lists(hashable, max_size=8, unique=True), st.randoms())
@settings(max_examples=50, deadline=None)
def test_a_set_is_the_same_bytes_in_whatever_order_it_was_made(items, chance):
    other = [*items]
    chance.shuffle(other)
    assert encode({*items}) == encode({*other})


@pytest.mark.parametrize(
    "value",
    [
        math.inf,
        -math.inf,
        10**300,
        -(2**63),
        2**63,
        "\ud83d\ude00",  # two lone surrogates, which JSON would join to one character
        {"\ud800": 1},
        {"$": "tuple", "v": []},
        {1: "a", None: "b", (1, 2): "c", b"x": "d"},
        [[], {}, (), set(), frozenset()],
        [2**70, 1],
    ],
    ids=repr,
)
def test_odd_values_come_back(value):
    assert shape(decode(encode(value))) == shape(value)


def test_nan_comes_back():
    assert math.isnan(decode(encode(math.nan)))


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (object(), TypeError),
        (nested(MAX_DEPTH + 5), ValueError),
        (1 << (MAX_INT_BITS + 1), ValueError),
        (print, TypeError),
    ],
    ids=["object", "deep", "big int", "function"],
)
def test_what_cannot_cross_is_refused_by_the_sender(value, error):
    with pytest.raises(error):
        encode(value)


def assert_value_or_error(raw):
    try:
        value = decode(raw)
    except ProtocolError:
        return
    assert shape(decode(encode(value))) == shape(value)


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_garbage_is_a_value_or_a_protocol_error(raw):
    assert_value_or_error(raw)


scalars = st.none() | st.booleans() | st.integers() | st.text()
json_like = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["$", "v", "x"]), inner),
)


@given(json_like)
@settings(max_examples=150, deadline=None)
def test_any_json_with_tags_is_a_value_or_a_protocol_error(value):
    assert_value_or_error(json.dumps(value).encode())


# Numbers that all have the hash 0: a set of them takes quadratic time to build.
COLLIDING = [k * (2**61 - 1) for k in range(1, 20_000)]


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b"[" * 500 + b"]" * 500,
        b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
        b"[" + b"[]," * 9_000_000 + b"[]]",
        b"9" * 5_000,
        b'{"$":"int","v":"' + b"f" * 2_000_000 + b'"}',
        b'{"$":"int","v":"0xzz"}',
        b'{"$":"bytes","v":"*"}',
        b'{"$":"str","v":"gA=="}',
        b'{"$":"set","v":[[1]]}',
        b'{"$":"dict","v":[[1]]}',
        b'{"$":"dict","v":[[[1],1]]}',
        b'{"$":"__import__","v":"os"}',
        b'{"$":["set"],"v":[]}',
        b'{"$":"set","v":[],"w":1}',
        json.dumps({"$": "set", "v": COLLIDING}).encode(),
        json.dumps({"$": "dict", "v": [[key, 0] for key in COLLIDING]}).encode(),
        b"\xff\xfe",
        b"",
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_hostile_bytes_are_refused(raw):
    with pytest.raises(ProtocolError):
        decode(raw)


@pytest.fixture
def ends():
    """Two channels that speak with each other, with small limits."""
    one, two = socket.socketpair()
    left = Channel(one, limit_in=1 << 16, limit_out=1 << 20)
    right = Channel(two, limit_in=1 << 20, limit_out=1 << 20, takes_fds=True)
    yield left, right
    left.close()
    right.close()


def soon(seconds=5.0):
    return time.monotonic() + seconds


def test_messages_arrive_in_order_and_whole(ends):
    left, right = ends
    messages = [{"op": "x", "n": n, "text": "é" * n * 1000} for n in range(5)]
    for message in messages:
        right.send(message)
    assert [left.receive(soon()) for _ in messages] == messages


def test_a_message_over_the_limit_is_not_sent(ends):
    _, right = ends
    with pytest.raises(ValueError, match="more than the limit"):
        right.send({"op": "x", "text": "a" * (1 << 21)})


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack(">I", 1 << 31),
        struct.pack(">I", (1 << 16) + 1),
        struct.pack(">I", 4) + b"null",
        struct.pack(">I", 2) + b"{}",
        struct.pack(">I", 8) + b'{"op":1}',
        struct.pack(">I", 0),
        b"\xff" * 64,
    ],
    ids=repr,
)
def test_bad_frames_are_refused(ends, raw):
    left, right = ends
    right.sock.sendall(raw)
    with pytest.raises(ProtocolError):
        left.receive(soon())


@pytest.mark.parametrize("raw", [b"", b"\0", struct.pack(">I", 100) + b"half"], ids=repr)
def test_silence_and_half_frames_end_at_the_deadline(ends, raw):
    left, right = ends
    right.sock.sendall(raw)
    with pytest.raises(TimeoutError):
        left.receive(soon(0.1))
    right.close()
    with pytest.raises(EOFError):
        left.receive(soon())


def test_a_side_that_does_not_read_does_not_hold_the_sender(ends):
    left, _ = ends
    left.limit_out = 64 << 20
    with pytest.raises(TimeoutError):
        left.send({"op": "x", "text": "a" * (32 << 20)}, deadline=soon(0.2))


def test_descriptors_ride_along_one_way_only(ends):
    left, right = ends
    reading, writing = os.pipe()
    left.send({"op": "x"}, fds=[writing])
    os.close(writing)
    assert right.receive(soon()) == {"op": "x"}
    os.write(right.fds.popleft(), b"hello")
    assert os.read(reading, 10) == b"hello"
    right.send({"op": "y"}, fds=[reading])
    before = len(os.listdir("/proc/self/fd"))
    assert left.receive(soon()) == {"op": "y"}
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(reading)


def test_many_descriptors_ride_along_in_order(ends):
    left, right = ends
    pairs = [os.pipe() for _ in range(5)]
    left.send({"op": "x"}, fds=[writing for _, writing in pairs] * 60)
    assert right.receive(soon()) == {"op": "x"}
    assert len(right.fds) == 300
    left.send({"op": "y"})
    assert right.receive(soon()) == {"op": "y"}
    for number, writing in enumerate(list(right.fds)[-5:]):
        os.write(writing, b"%d" % number)
    assert [os.read(reading, 9) for reading, _ in pairs] == [b"0", b"1", b"2", b"3", b"4"]
    for number in (number for pair in pairs for number in pair):
        os.close(number)


def receive_all(channel):
    while True:
        channel.receive(soon())


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_a_stream_of_garbage_never_hangs(raw):
    one, two = socket.socketpair()
    channel = Channel(one, limit_in=1 << 16, limit_out=1 << 16)
    sender = threading.Thread(target=lambda: (two.sendall(raw), two.close()))
    sender.start()
    with pytest.raises((ProtocolError, EOFError)):
        receive_all(channel)
    sender.join()
    channel.close()
