"""Bytes into characters where a document does not say how, or says it wrongly."""

from __future__ import annotations

import codecs

from charset_normalizer import from_bytes

from appliance.memory.errors import DocumentRefusedError

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SAMPLE = 64 << 10
_LIKELY = ["cp1252", "iso8859_15", "cp1250", "cp1251", "iso8859_2", "utf_16_le", "utf_16_be", "mac_roman", "cp437"]


def decoded(raw: bytes, declared: str | None = None) -> str:
    """The text of ``raw``: by its byte order mark, as UTF-8, as ``declared``, else by the likeliest encoding.

    Raises ``DocumentRefusedError`` (``encoding``) where no encoding makes text of all of it.
    """
    for mark, marked in _MARKS:
        if raw.startswith(mark):
            return _strict(raw, marked)
    for name in ("utf-8", *([declared] if declared is not None else [])):
        if (text := _attempt(raw, name)) is not None and "\0" not in text:
            return text
    likeliest = from_bytes(raw[:_SAMPLE], cp_isolation=_LIKELY).best()
    if likeliest is None:
        raise DocumentRefusedError("encoding", "the text is in no encoding that is known here")
    return _strict(raw, likeliest.encoding)


def _attempt(raw: bytes, name: str) -> str | None:
    try:
        return raw.decode(name)
    except (UnicodeError, LookupError, ValueError):
        return None


def _strict(raw: bytes, name: str) -> str:
    text = _attempt(raw, name)
    if text is None or "\0" in text:
        raise DocumentRefusedError("encoding", f"the text is not in the encoding that it seems to be in ({name})")
    return text
