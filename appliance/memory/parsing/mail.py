"""A message (RFC 5322, MIME) into blocks: its subject, who wrote to whom and when, its text. No attachment is read."""

from __future__ import annotations

from email import policy
from email.parser import BytesParser
from typing import TYPE_CHECKING

from appliance.memory.errors import DocumentRefusedError
from appliance.memory.parsing import markup
from appliance.memory.parsing.blocks import Block, Parsed
from appliance.memory.parsing.decoding import decoded

if TYPE_CHECKING:
    from email.message import EmailMessage

_SHOWN = ("From", "To", "Cc", "Date")
MAX_PARTS = 1000


def message(raw: bytes) -> Parsed:
    """Raises ``DocumentRefusedError``."""
    read = BytesParser(policy=policy.default).parsebytes(raw)
    if sum(1 for _ in zip(range(MAX_PARTS + 1), read.walk(), strict=False)) > MAX_PARTS:
        raise DocumentRefusedError("too_deep", f"the message has more than {MAX_PARTS} parts")
    if not any(read.get(name) for name in (*_SHOWN, "Subject", "Message-ID")):
        raise DocumentRefusedError("damaged", "the file has none of the fields that a message begins with")
    if read.get_content_type() == "multipart/encrypted":
        raise DocumentRefusedError("encrypted", "the message is encrypted")
    head = [Block(kind="row", text=f"{name}: {value}") for name in _SHOWN if (value := str(read.get(name, "")).strip())]
    subject = " ".join(str(read.get("Subject", "")).split()) or None
    title = [Block(kind="heading", level=1, text=subject)] if subject else []
    return Parsed(title=subject, blocks=[*title, *head, *_body(read)])


def _body(read: EmailMessage) -> list[Block]:
    body = read.get_body(("plain", "html"))
    if body is None:
        return []
    payload = body.get_payload(decode=True)
    text = decoded(payload if isinstance(payload, bytes) else b"", body.get_content_charset())
    if body.get_content_type() == "text/html":
        return list(markup.of_text(text).blocks)
    paragraphs = text.replace("\r\n", "\n").split("\n\n")
    return [Block(kind="paragraph", text=one) for one in paragraphs if one.strip()]
