"""URLs: what is fetched as Markdown, and where a request must never go."""

import gzip
import http.server
import ipaddress
import socket
import ssl
import threading
import time
from contextlib import contextmanager

import made
import pytest

from rlm_dspy.context.context import Context
from rlm_dspy.context.fetching import fetched, is_public, is_url
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.limits import ReadLimits
from rlm_dspy.context.reading import parts
from rlm_dspy.errors import ContextError

PDF_NAME = "/papers/heron.pdf?v=1"


@contextmanager
def serving(answers):
    """A server on this machine: path → (status, headers, body), or a function of the handler."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            answer = answers[self.path]
            if callable(answer):
                answer(self)
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def anywhere(_):
    return True


def texts(url, allowed=anywhere, limits=None):
    options = ReadOptions(urls=True, limits=limits or ReadLimits())
    blob = fetched(url, options.limits, allowed)
    return [(part.title, "".join(part.data), part.metadata) for part in parts(blob, options)]


def test_a_page_is_markdown_that_knows_its_url(tmp_path):
    page = made.HTML.replace("Monday", "Mondäg").encode("latin-1")
    made.pdf(tmp_path / "x.pdf", ["The Heron is grey."])
    answers = {
        "/tides?q=1%202": (200, {"Content-Type": "text/html; charset=latin-1"}, page),
        "/old": (302, {"Location": "/tides?q=1%202"}, b""),
        PDF_NAME: (
            200,
            {"Content-Type": "application/octet-stream"},
            (tmp_path / "x.pdf").read_bytes(),
        ),
        "/notes.md": (200, {"Content-Type": "text/plain"}, b"# Notes"),
    }
    with serving(answers) as (at, asked):
        ((title, text, about),) = texts(f"{at}/old#part")
        assert title == f"{at}/tides?q=1%202"
        assert "# Tides\n" in text
        assert "Mondäg" in text
        assert about == {
            "kind": "html",
            "title": "Tide tables",
            "encoding": "utf-8",
            "url": f"{at}/old#part",
        }
        ((title, text, _),) = texts(at + PDF_NAME)
        assert (title, text) == (f"{at}{PDF_NAME}#page=1", "The Heron is grey.\n")
        ((_, text, about),) = texts(f"{at}/notes.md")
        assert (text, about["kind"]) == ("# Notes", "markdown")
    assert asked[0][1]["Host"] == at.removeprefix("http://")
    assert "Cookie" not in asked[0][1]


def test_a_url_is_not_fetched_unless_it_is_asked_for():
    with serving({"/": (200, {}, b"secret")}) as (at, asked):
        with pytest.raises(ContextError, match=r"nothing is fetched unless it is asked for"):
            Context.from_path(f"{at}/")
        with pytest.raises(ContextError, match=r"not on the public internet, and is refused"):
            Context.from_path(f"{at}/", ReadOptions(urls=True))
    assert asked == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1", "240.0.0.1", "198.18.0.1"),
        *("::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "fec0::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("2002:7f00:1::", "2001:0:1:2:3:4:80ff:fffe", "::7f00:1"),
    ],
)
def test_addresses_that_are_refused(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_addresses_that_are_not(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        *("http://localhost:{port}/", "http://127.1:{port}/", "http://0x7f000001:{port}/"),
        *("http://[::1]:{port}/", "http://2130706433:{port}/", "http://user:pw@127.0.0.1:{port}/"),
        "http://127.0.0.1:{port}/",
    ],
)
def test_no_spelling_of_this_machine_is_reached(url):
    refused = pytest.raises(ContextError, match="is refused|cannot be fetched")
    with serving({"/": (200, {}, b"secret")}) as (at, asked), refused:
        fetched(url.format(port=at.rpartition(":")[2]), ReadLimits())
    assert asked == []


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://localhost/",
        "file:///etc/passwd",
        "//[::1]/",
    ],
)
def test_a_redirect_leads_nowhere_else(location):
    def this_server_only(address):
        return str(address) == "127.0.0.1" and not asked

    with serving({"/": (302, {"Location": location}, b"")}) as (at, asked):
        with pytest.raises(ContextError, match=r"is refused|no http or https URL"):
            fetched(f"{at}/", ReadLimits(), this_server_only)
        assert len(asked) == 1


def test_a_name_with_one_private_address_is_refused(monkeypatch):
    def answers(host, port, **_):
        return [(socket.AF_INET, 0, 0, "", (each, port)) for each in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    with pytest.raises(ContextError, match=r"leads to 10\.0\.0\.1"):
        fetched("http://rebinding.example/", ReadLimits())


def test_the_address_that_was_checked_is_the_one_that_is_reached(monkeypatch):
    with serving({"/": (200, {"Content-Type": "text/plain"}, b"here")}) as (at, asked):
        port = int(at.rpartition(":")[2])
        resolved = []

        def first_good_then_bad(host, port, **_):
            resolved.append(host)
            address = "127.0.0.1" if len(resolved) == 1 else "10.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        original = socket.getaddrinfo

        def getaddrinfo(host, port, *args, **kwargs):
            if host == "rebinding.example":
                return first_good_then_bad(host, port)
            return original(host, port, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        ((_, text, _),) = texts(
            f"http://rebinding.example:{port}/", lambda address: str(address) == "127.0.0.1"
        )
        assert (text, resolved) == ("here", ["rebinding.example"])
        assert asked[0][1]["Host"] == f"rebinding.example:{port}"


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while True:
        try:
            handler.wfile.write(b"x" * 65_536)
        except OSError:
            return


def trickle(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(1_000):
        try:
            handler.wfile.write(b"x")
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.05)


def slow_headers(handler):
    try:
        for _ in range(1_000):
            handler.wfile.write(b"H")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        return


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((404, {}, b"nothing"), "gives 404"),
        ((200, {"Content-Encoding": "gzip"}, gzip.compress(b"x")), "packed as gzip"),
        ((200, {"Content-Length": "50"}, b"short"), "cannot be fetched"),
        ((302, {"Location": "/"}, b""), "redirects more than 5 times"),
        (endless, "larger than 100,000 bytes"),
        (trickle, "it takes too long"),
        (slow_headers, "it takes too long"),
    ],
)
def test_what_a_server_does_wrong_is_named(answer, reason):
    seconds = 0.4 if "too long" in reason else 30
    limits = ReadLimits(fetched_bytes=100_000, fetch_seconds=seconds)
    with serving({"/": answer}) as (at, _):
        with pytest.raises(ContextError, match=rf"{at}/: .*{reason}") as caught:
            fetched(f"{at}/", limits, anywhere)
        assert caught.value.data["path"] == f"{at}/"


@pytest.mark.parametrize(
    "url",
    ["http://", "http://[::1", "http://a:b/", "https://no such host/", "http://\u2603.invalid/"],
)
def test_what_is_no_url_is_named(url):
    with pytest.raises(ContextError):
        fetched(url, ReadLimits(fetch_seconds=5))


def test_a_certificate_is_checked():
    refused = pytest.raises(ContextError, match="cannot be fetched")
    with serving({"/": (200, {}, b"x")}) as (at, _), refused as caught:
        fetched(at.replace("http:", "https:"), ReadLimits(), anywhere)
    assert isinstance(caught.value.__cause__, ssl.SSLError)


@pytest.mark.parametrize(
    ("path", "said"), [("HTTPS://a/b", True), ("ftp://a", False), ("a.txt", False)]
)
def test_what_is_taken_for_a_url(path, said):
    assert is_url(path) is said
