"""Fetching a URL, the only use of the network in this room, and only where it was asked for.

Promised: every address that a name resolves to is checked, at every redirect, and the connection
goes to the very address that was checked, so that neither a redirect nor a changing DNS answer
leads to this machine or into a private network. Proxies of the environment, cookies and credentials
are not used; size and time are limited. Not promised: what a page's scripts would show.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from rlm_dspy.context.readers.base import Blob
from rlm_dspy.context.readers.limits import ReadLimits
from rlm_dspy.errors import ContextError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 5
_STEP_BYTES = 1 << 16
# Addresses that stand for an IPv4 address: NAT64 (RFC 6052) has it in its last 32 bits.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")
# What may stand in a URL's path and query as it is (RFC 3986, 3.3 and 3.4).
_SAFE = "/%?=&:+,;@!$'()*~[]"
# A name for what is fetched, where neither content nor URL tell its kind.
_SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "application/json": ".json",
    "text/vtt": ".vtt",
}


def is_url(path: Any) -> bool:
    """Whether what was given as a path is a URL."""
    return isinstance(path, str) and path.lower().startswith(("http://", "https://"))


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, and stands for no other one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        carries = address.sixtofour or address.teredo  # an IPv4 address that it is sent on to
        return address in _UNICAST and address.is_global and not carries
    return address.is_global and not (address.is_multicast or address.is_reserved)


def fetched(url: str, limits: ReadLimits, allowed: Callable[[Address], bool] = is_public) -> Blob:
    """What a URL gives.

    Args:
        url: The URL.
        limits: The largest answer, and the longest time.
        allowed: Whether an address may be connected to.

    Raises:
        ContextError: It cannot be fetched, or may not.
    """
    ends = time.monotonic() + limits.fetch_seconds
    at = url
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            with _answering(at, url, ends, allowed) as response:
                if response.status not in _REDIRECTS:
                    return _answer(response, at, url, limits)
                at = urljoin(at, response.getheader("Location") or "")
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            late = time.monotonic() >= ends
            reason = "it takes too long" if late else f"{error or type(error).__name__}"
            raise _refused(url, f"cannot be fetched ({reason})") from error
    raise _refused(url, f"redirects more than {_MOST_REDIRECTS} times")


@contextmanager
def _answering(
    at: str, url: str, ends: float, allowed: Callable[[Address], bool]
) -> Generator[http.client.HTTPResponse]:
    """The answer of the server that a URL names, at an address that was checked."""
    try:
        parts = urlsplit(at)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _refused(url, f"is no URL ({error})") from error
    if parts.scheme not in ("http", "https") or not host:
        raise _refused(url, f"leads to {at}, which is no http or https URL")
    secure = parts.scheme == "https"
    address = _address_of(host, port or (443 if secure else 80), url, allowed)
    with closing(socket.create_connection(address, max(ends - time.monotonic(), 0.001))) as sock:
        # A server that sends a byte a minute keeps every single wait short: end them all at once.
        guard = sock.dup()
        timer = threading.Timer(max(ends - time.monotonic(), 0), _shut, (guard,))
        timer.daemon = True
        timer.start()
        try:
            if secure:
                sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
            with closing(sock), closing(_asked(sock, host, parts)) as response:
                yield response
            if time.monotonic() >= ends:
                raise TimeoutError
        finally:
            timer.cancel()
            guard.close()


def _shut(guard: socket.socket) -> None:
    with suppress(OSError):
        guard.shutdown(socket.SHUT_RDWR)


def _address_of(
    host: str, port: int, url: str, allowed: Callable[[Address], bool]
) -> tuple[str, int]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(sockaddr[0]) for *_, sockaddr in found]
    for address in addresses:
        if not allowed(ipaddress.ip_address(address.partition("%")[0])):
            raise _refused(
                url, f"leads to {address}, which is not on the public internet, and is refused"
            )
    return addresses[0], port


def _asked(sock: socket.socket, host: str, parts: SplitResult) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(host)
    connection.sock = sock
    target = quote(f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", safe=_SAFE)
    connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
    for name, value in (
        ("Host", parts.netloc.rpartition("@")[2].encode("idna").decode()),
        ("User-Agent", "rlm-dspy"),
        ("Accept", "text/markdown, text/html;q=0.9, */*;q=0.5"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ):
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


def _answer(response: http.client.HTTPResponse, at: str, url: str, limits: ReadLimits) -> Blob:
    if response.status != 200:
        raise _refused(url, f"gives {response.status} {response.reason}")
    if (packed := response.getheader("Content-Encoding", "identity")) != "identity":
        raise _refused(url, f"comes packed as {packed}, which was not asked for")
    data = bytearray()
    while piece := response.read1(_STEP_BYTES):
        data += piece
        if len(data) > limits.fetched_bytes:
            raise _refused(url, f"is larger than {limits.fetched_bytes:,} bytes")
    if response.length:  # bytes that were promised
        raise http.client.IncompleteRead(b"", response.length)
    kind = response.headers.get_content_type()
    named = f"page{_SUFFIXES[kind]}" if kind in _SUFFIXES else unquote(urlsplit(at).path)
    text = _declared(bytes(data), response) if kind.startswith("text/") else bytes(data)
    blob = Blob.of_bytes(text, at, limits, path=at, url=url)
    return replace(blob, named=named)


def _declared(data: bytes, response: http.client.HTTPResponse) -> bytes:
    """A text in the encoding that its server declares, as UTF-8 with a byte order mark."""
    charset = response.headers.get_content_charset()
    try:
        return data.decode(charset).encode("utf-8-sig") if charset else data
    except (LookupError, UnicodeError):
        return data


def _refused(url: str, reason: str) -> ContextError:
    return ContextError(f"{url}: {reason}.", path=url)
