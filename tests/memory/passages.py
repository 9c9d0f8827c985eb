"""Passages as a search finds them, without a database."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from appliance.memory.documents import Found


def passage(body: str, title: str = "Rules", *headings: str, **fields: Any) -> Found:
    """A passage that says ``body`` and begins its document."""
    known: dict[str, Any] = {
        "document": uuid.uuid5(uuid.NAMESPACE_OID, body),
        "title": title,
        "digest": "sha256:" + hashlib.sha256(b"file " + body.encode()).hexdigest(),
        "text_digest": "sha256:" + hashlib.sha256(body.encode()).hexdigest(),
        "passage": 1,
        "ordinal": 0,
        "first": 0,
        "last": len(body),
        "page": None,
        "headings": headings,
        "body": body,
        "language": "en",
        "score": 1.0,
    }
    return Found(**known | fields)
