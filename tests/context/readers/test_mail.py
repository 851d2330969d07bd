"""E-mail: messages, mailboxes, attachments, encodings and damage."""

import made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_dspy.context.context import Context
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.limits import ReadLimits
from rlm_dspy.errors import ContextError


def test_a_message_is_its_headers_and_its_text(tmp_path):
    (tmp_path / "one.eml").write_bytes(bytes(made.message("Über den Kai", "Grüße\nvom Kai")))
    (document,) = Context.from_path(tmp_path / "one.eml").documents
    assert str(document) == (
        "From: Ánna Vesby <anna@example.org>\nTo: harbour@example.org\n"
        "Date: Wed, 14 Jan 2026 09:30:00 +0100\nSubject: Über den Kai\n\nGrüße\nvom Kai\n"
    )
    assert document.metadata["subject"] == "Über den Kai"
    assert document.metadata["message_id"] == "<12@example.org>"


def test_a_message_of_html_alone_is_markdown(tmp_path):
    message = made.message("x", "plain")
    message.clear_content()
    message.set_content(made.HTML, subtype="html")
    (tmp_path / "one.eml").write_bytes(bytes(message))
    assert "High water at **noon**" in Context.from_path(tmp_path / "one.eml")


def test_attachments_are_documents_of_their_own_kind(tmp_path):
    made.pdf(tmp_path / "r.pdf", ["The Heron is grey."])
    pdf = (tmp_path / "r.pdf").read_bytes()
    inner = made.message("Inner", "inside")
    message = made.message("x", "see it", attach={"../r.pdf": pdf, "bad.bin": b"\0\1\2"})
    message.add_attachment(inner)
    path = tmp_path / "one.eml"
    path.write_bytes(bytes(message))
    context = Context.from_path(path)
    _, attached, forwarded = context.documents
    assert attached.title == "one.eml/r.pdf#page=1"
    assert (attached.path, attached.metadata["member"]) == (str(path), "r.pdf")
    assert str(attached) == "The Heron is grey.\n"
    assert forwarded.title == "one.eml/attachment-3.eml"
    assert "inside" in forwarded
    assert context.skipped == [(f"{path}/bad.bin", "binary (it has zero bytes)")]


def test_a_message_that_is_an_attachment_alone(tmp_path):
    message = made.message("x", "y")
    message.clear_content()
    message.set_content(b"%PDF-broken", maintype="application", subtype="pdf", filename="r.pdf")
    (tmp_path / "one.eml").write_bytes(bytes(message))
    context = Context.from_path(tmp_path / "one.eml")
    assert [document.title for document in context.documents] == ["one.eml"]
    assert context.skipped[0][0].endswith("one.eml/r.pdf")


def test_messages_of_a_mailbox_are_documents(tmp_path):
    messages = [
        made.message("First", "Hello\n\nFrom now on it is quoted\nFrom here too\n"),
        made.message("Second", "World", attach={"a.txt": b"attached\n"}),
    ]
    made.mbox(tmp_path / "box", messages)  # known by how it begins
    first, second, attached = Context.from_path(tmp_path / "box").documents
    assert (first.title, first.metadata["message"]) == ("box#message=1", 1)
    assert "\nFrom now on it is quoted\nFrom here too\n" in first
    assert second.metadata["subject"] == "Second"
    assert (attached.title, attached.metadata["message"]) == ("box#message=2/a.txt", 2)


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(st.text(alphabet="aF rom>\n\r", max_size=60), min_size=1, max_size=5))
def test_a_mailbox_has_as_many_documents_as_messages(tmp_path_factory, bodies):
    path = tmp_path_factory.mktemp("box") / "x.mbox"
    made.mbox(path, [made.message(f"Number {n}", body) for n, body in enumerate(bodies)])
    documents = Context.from_path(path).documents
    subjects = [document.metadata["subject"] for document in documents]
    assert subjects == [f"Number {n}" for n in range(len(bodies))]


@pytest.mark.parametrize(
    ("charset", "raw"),
    [("iso-8859-1", "Grüße"), ("windows-1252", "Grüße “so”"), ("no-such-charset", "Grüße")],
)
def test_bodies_in_any_encoding(tmp_path, charset, raw):
    known = charset if charset != "no-such-charset" else "utf-8"
    head = f"From: a@b.c\nContent-Type: text/plain; charset={charset}\n"
    data = head.encode() + b"Content-Transfer-Encoding: 8bit\n\n" + raw.encode(known)
    (tmp_path / "x.eml").write_bytes(data)
    assert raw in Context.from_path(tmp_path / "x.eml")


def test_limits_on_messages(tmp_path):
    made.mbox(tmp_path / "x.mbox", [made.message(f"m{n}", "text") for n in range(4)])
    context = Context.from_path(tmp_path / "x.mbox", ReadOptions(limits=ReadLimits(members=2)))
    assert len(context.documents) == 2
    assert "more than 2 messages: what follows" in context.skipped[0][1]
    with pytest.raises(ContextError, match="a message is larger than 50 bytes"):
        Context.from_path(tmp_path / "x.mbox", ReadOptions(limits=ReadLimits(member_bytes=50)))


def test_messages_in_messages_are_read_one_level_deep(tmp_path):
    message = made.message("0", "at the bottom")
    for level in range(1, 5):
        outer = made.message(str(level), f"level {level}")
        outer.add_attachment(message)
        message = outer
    (tmp_path / "x.eml").write_bytes(bytes(message))
    context = Context.from_path(tmp_path / "x.eml")
    assert [document.metadata["subject"] for document in context.documents] == ["4", "3", "2"]
    assert "archives deep" in context.skipped[0][1]


def test_a_broken_header_is_shown_as_it_is(tmp_path):
    (tmp_path / "x.eml").write_bytes(b'From: <<@@>, "\nTo: =?utf-8?q?=FF?=\n\nbody\n')
    assert "body" in Context.from_path(tmp_path / "x.eml")
