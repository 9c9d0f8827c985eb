"""Which kind of document a file is: by its name, and then by its first bytes, which must not say otherwise. Pure."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from appliance.memory.errors import DocumentRefusedError

MediaType = Literal[
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.oasis.opendocument.text",
    "text/html",
    "text/markdown",
    "text/plain",
    "text/csv",
    "message/rfc822",
]
PDF: MediaType = "application/pdf"
DOCX: MediaType = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT: MediaType = "application/vnd.oasis.opendocument.text"
BY_SUFFIX: dict[str, MediaType] = {
    ".pdf": PDF,
    ".docx": DOCX,
    ".odt": ODT,
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".text": "text/plain",
    ".csv": "text/csv",
    ".tsv": "text/csv",
    ".eml": "message/rfc822",
}
_MACROS = frozenset({".docm", ".dotm", ".xlsm", ".pptm"})
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # [MS-CFB]: old office formats, and new ones under a password
_ZIP = b"PK\x03\x04"
_PDF_WITHIN = 1024  # readers accept the header anywhere in the first bytes (ISO 32000-1, annex H.3.4.1)
HEAD_BYTES = 4096


def media_type(name: str, head: bytes) -> MediaType:
    """The kind of a file called ``name`` that begins with ``head``. Raises ``DocumentRefusedError``."""
    suffix = PurePath(name).suffix.lower()
    if suffix in _MACROS:
        raise DocumentRefusedError("macros", "the file is of a kind that carries macros")
    found = BY_SUFFIX.get(suffix)
    if found is None:
        raise DocumentRefusedError("unsupported", f"files named {suffix or 'without an ending'} are not read")
    if not head:
        raise DocumentRefusedError("no_text", "the file is empty")
    if found in {DOCX, ODT}:
        if head.startswith(_OLE):
            raise DocumentRefusedError("encrypted", "the document needs a password, or is of an older format")
        if not head.startswith(_ZIP):
            raise DocumentRefusedError("damaged", "the file is not the archive that such a document is")
    elif found == PDF:
        if b"%PDF-" not in head[:_PDF_WITHIN]:
            raise DocumentRefusedError("damaged", "the file does not begin as a PDF does")
    elif head.startswith((_OLE, _ZIP, b"%PDF-", b"\x7fELF")):
        raise DocumentRefusedError("unsupported", "the file is of another kind than its name says")
    return found
