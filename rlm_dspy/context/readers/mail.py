"""E-mail: one document a message, and each attachment as a file of its own kind."""

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from rlm_dspy.context.encodings import as_utf8
from rlm_dspy.context.readers.base import Blob, Part, Skipped, parsing
from rlm_dspy.context.readers.html import markdown_of
from rlm_dspy.context.readers.limits import Allowance, Exhausted, Unreadable

_HEADERS = ("From", "To", "Cc", "Date", "Subject")
# What starts a message of a mailbox (RFC 4155, appendix A), behind an empty line.
_STARTS = re.compile(rb"From \S+.*\d{4}\s*$")
_LONGEST_START = 1_000
_QUOTED = re.compile(rb"^>(>*From )", re.M)


def read(blob: Blob, kind: str) -> Iterator[Part | Blob | Skipped]:
    """The message of an .eml file, or the messages of a mailbox.

    Args:
        blob: The file.
        kind: "mail" or "mbox".
    """
    if kind == "mail":
        yield from _message(blob, blob.read())
        return
    for number, raw in enumerate(_messages(blob), 1):
        if number > blob.limits.members:
            raise Exhausted(f"has more than {blob.limits.members:,} messages")
        blob.allowance.check_time()
        place = blob.at(f"message={number}", message=number)
        try:
            with parsing("a message"):
                found = list(_message(place, _QUOTED.sub(rb"\1", raw)))
        except Exhausted:
            raise
        except Unreadable as error:
            yield Skipped(place.place, error.message, failed=True)
        else:
            yield from found


def _messages(blob: Blob) -> Iterator[bytes]:
    """The messages of a mailbox, one at a time in memory."""
    lines: list[bytes] = []
    size, after_empty = 0, True
    with blob.opener() as stream:
        while line := stream.readline(blob.limits.member_bytes + 1):
            if after_empty and len(line) < _LONGEST_START and _STARTS.match(line):
                if lines:
                    yield b"".join(lines)
                lines, size = [], 0
            else:
                lines.append(line)
                size += len(line)
                if size > blob.limits.member_bytes:
                    raise Exhausted(f"a message is larger than {blob.limits.member_bytes:,} bytes")
            after_empty = not line.strip()
    yield b"".join(lines)


def _message(blob: Blob, raw: bytes) -> Iterator[Part | Blob | Skipped]:
    message = message_from_bytes(raw, policy=default)
    if not isinstance(message, EmailMessage):
        raise Unreadable("is no message")
    headers = {name: _header(message, name) for name in _HEADERS}
    shown = "".join(f"{name}: {value}\n" for name, value in headers.items() if value)
    body, metadata = _body(message, blob.allowance)
    about: dict[str, Any] = {"kind": "mail", **metadata}
    about |= {name.lower(): headers[name] for name in ("From", "Date", "Subject") if headers[name]}
    if message_id := _header(message, "Message-ID"):
        about["message_id"] = message_id
    yield blob.part(f"{shown}\n{body}".strip() + "\n", **about)
    for number, part in enumerate(_attached(message), 1):
        yield _attachment(blob, part, number)


def _attached(message: EmailMessage) -> Iterator[Any]:
    """What a message carries beside its text, or instead of one."""
    if message.is_multipart():
        yield from message.iter_attachments()
    elif message.get_content_maintype() != "text":
        yield message


def _header(message: EmailMessage, name: str) -> str:
    try:
        value = message[name]
    except (ValueError, IndexError, AttributeError):  # the parser of malformed addresses
        value = dict(message.raw_items()).get(name)
    return " ".join(_clean(str(value)).split()) if value is not None else ""


def _body(message: EmailMessage, allowance: Allowance) -> tuple[str, dict[str, Any]]:
    """The text of a message as it was meant to be read, and what is known of it."""
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return "", {}
    text, metadata = _decoded(part)
    if part.get_content_type() == "text/html":
        text = markdown_of(text, allowance)[0]
    return text, metadata


def _decoded(part: Any) -> tuple[str, dict[str, Any]]:
    raw = part.get_payload(decode=True) or b""
    charset = part.get_content_charset() or "utf-8"
    try:
        return raw.decode(charset).replace("\r\n", "\n"), {}
    except (LookupError, UnicodeError):
        data, metadata = as_utf8(raw)
        return data.decode().replace("\r\n", "\n"), metadata


def _attachment(blob: Blob, part: Any, number: int) -> Blob | Skipped:
    kind = part.get_content_type()
    name = _clean(part.get_filename() or "").replace("\\", "/").rpartition("/")[2]
    name = name or f"attachment-{number}{_suffix(kind)}"
    if blob.depth > blob.limits.nesting:
        reason = f"lies more than {blob.limits.nesting} archives deep"
        return Skipped(f"{blob.place}/{name}", reason, failed=True)
    if kind == "message/rfc822":
        return blob.member(name, part.get_payload(0).as_bytes(), member=name)
    data = part.get_payload(decode=True)
    if data is None:
        return Skipped(f"{blob.place}/{name}", "holds no bytes", failed=True)
    return blob.member(name, data, member=name)


def _suffix(kind: str) -> str:
    return {"text/plain": ".txt", "text/html": ".html", "message/rfc822": ".eml"}.get(kind, "")


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
