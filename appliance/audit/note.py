"""C2SP signed-note: text, a blank line, and signature lines; and verifier keys ("vkeys").

Followed: c2sp.org/signed-note (types 0x01 Ed25519, 0x04 and 0x06 cosignatures with Ed25519 and ML-DSA-44); what the
latter two sign is in ``cosignature``. Signatures of unknown keys are ignored on purpose; a known key's bad one is not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from appliance.audit.errors import NoteError

ED25519 = 0x01
ED25519_COSIGNATURE = 0x04
ML_DSA_44 = 0x06
ALGORITHM_NAMES = {ED25519: "Ed25519", ED25519_COSIGNATURE: "Ed25519", ML_DSA_44: "ML-DSA-44"}
KEY_BYTES = {ED25519: 32, ED25519_COSIGNATURE: 32, ML_DSA_44: 1312}
MAX_NOTE_BYTES = 256 * 1024
MAX_SIGNATURES = 64
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NAME = re.compile(r"[^\s+]+")


@dataclass(frozen=True)
class VerifierKey:
    """A public key with the name and the type of signature that it is trusted for."""

    name: str
    algorithm: int
    material: bytes

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name || newline || type || key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.algorithm]) + self.material).digest()[:4]

    def encode(self) -> str:
        """The vkey line: name+id+base64(type || key)."""
        return f"{self.name}+{self.key_id.hex()}+{_b64(bytes([self.algorithm]) + self.material)}"

    @classmethod
    def parse(cls, line: str) -> VerifierKey:
        """Read a vkey line. Raises ``NoteError`` when it is malformed or its id does not fit the key."""
        name, _, rest = line.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        raw = _unb64(encoded)
        if not _NAME.fullmatch(name) or not raw or raw[0] not in KEY_BYTES or len(raw) != 1 + KEY_BYTES[raw[0]]:
            raise NoteError("a verifier key is malformed", "it reads name+id+base64, one key per line")
        key = cls(name, raw[0], raw[1:])
        if key.key_id.hex() != key_id:
            raise NoteError(f"verifier key {name}: the id {key_id} does not belong to the key")
        return key


@dataclass(frozen=True)
class Signature:
    """One signature line, undecided: who claims to have signed, and the bytes after the key id."""

    name: str
    key_id: bytes
    blob: bytes


@dataclass(frozen=True)
class Note:
    """A parsed note. ``text`` ends with a newline and is what was signed; nothing is verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> str:
        """The note as it lies in a file."""
        return self.text + "\n" + "".join(signature_line(s) for s in self.signatures)


def signature_line(signature: Signature) -> str:
    """Em dash, name, base64(key id || signature), newline."""
    return f"\N{EM DASH} {signature.name} {_b64(signature.key_id + signature.blob)}\n"


def check_name(name: str) -> str:
    """A key name or origin: not empty, no white space, no plus. Raises ``NoteError``."""
    if not _NAME.fullmatch(name) or len(name.encode()) > 255:  # noqa: PLR2004 - one length byte in a cosigned message
        raise NoteError(
            f"{name!r} cannot be a log's origin", "use a name like site.example/audit: no spaces, no plus sign"
        )
    return name


def parse_note(data: bytes) -> Note:
    """Split a note into text and signatures. Raises ``NoteError``; verifies nothing."""
    if len(data) > MAX_NOTE_BYTES:
        raise NoteError(f"the note is larger than {MAX_NOTE_BYTES} bytes")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteError("the note is not valid UTF-8") from error
    head, separator, tail = whole.rpartition("\n\n")
    if not separator or _CONTROL.search(whole) or not tail.endswith("\n"):
        raise NoteError("the note is malformed: text, an empty line and signature lines are expected")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"the note carries more than {MAX_SIGNATURES} signatures")
    return Note(head + "\n", tuple(_parse_signature(line) for line in lines))


def _parse_signature(line: str) -> Signature:
    prefix, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    raw = _unb64(encoded)
    if prefix != "\N{EM DASH}" or not _NAME.fullmatch(name) or len(raw) < 5:  # noqa: PLR2004 - key id and a signature
        raise NoteError("the note has a malformed signature line")
    return Signature(name, raw[:4], raw[4:])


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(text: str) -> bytes:
    """Strict base64; empty when it is not."""
    try:
        raw = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return raw if _b64(raw) == text else b""
