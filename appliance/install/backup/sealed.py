"""A sealed file of a backup: a header with its key for every recipient, then the content in blocks.

    header   one line of JSON: {"schema": 1, "name": …, "keys": {recipient's fingerprint: HPKE ciphertext, base64}}
    blocks   64 KiB of content each, in the STREAM construction over AES-256-GCM (Hoang, Reyhanitabar, Rogaway, Vizár:
             "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015), the last one marked

The key is fresh for every file, so that the nonce may count from zero. Every block is bound to the header, and the key
to the file's name: a file under another name, a block moved, repeated or cut off does not open. Anybody who has the
public recovery key can seal; so a reader is told the signed digest of the header, and takes no block under another key.
"""

from __future__ import annotations

import base64
import io
import json
import struct
from typing import TYPE_CHECKING, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from airgap_bundle.digest import Digest, sha256
from appliance.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

    from appliance.install.backup.recovery_key import Recipient, RecoveryKey

BLOCK_BYTES = 64 * 1024
_TAG_BYTES = 16
_MAX_HEADER = 256 * 1024
_HINT = "the backup was changed or is cut; use another copy"


class SealingWriter(io.RawIOBase):
    """Seals what is written to it, and writes that to ``sink``. ``close`` marks the end and leaves ``sink`` open."""

    def __init__(self, sink: BinaryIO, name: str, recipients: Sequence[Recipient]) -> None:
        super().__init__()
        key = AESGCM.generate_key(bit_length=256)
        keys = {one.fingerprint: base64.b64encode(one.wrap(key, name.encode())).decode() for one in recipients}
        self._header = json.dumps({"schema": 1, "name": name, "keys": keys}, sort_keys=True).encode() + b"\n"
        self._cipher, self._sink = AESGCM(key), sink
        self._kept, self._count = bytearray(), 0
        self.header_digest = sha256(self._header)
        sink.write(self._header)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Buffer) -> int:
        """Take all of ``data``. Raises ``OSError`` as ``sink`` does."""
        self._kept += data
        while len(self._kept) > BLOCK_BYTES:  # the last block is known by what follows it: nothing
            self._block(bytes(self._kept[:BLOCK_BYTES]), last=False)
            del self._kept[:BLOCK_BYTES]
        return memoryview(data).nbytes

    def close(self) -> None:
        """Write the last block. Not after an error: a file without its last block does not open."""
        if not self.closed:
            self._block(bytes(self._kept), last=True)
        super().close()

    def abandon(self) -> None:
        """Close without a last block: nobody takes what was written for a whole file."""
        super().close()

    def _block(self, data: bytes, *, last: bool) -> None:
        self._sink.write(self._cipher.encrypt(_nonce(self._count, last=last), data, self._header))
        self._count += 1


class SealedReader(io.RawIOBase):
    """The content of a sealed file, each block checked before a byte of it is given out.

    That nothing is missing is known only at the end: ``read`` raises there for a file that was cut.
    """

    def __init__(self, source: BinaryIO, name: str, key: RecoveryKey, header: Digest) -> None:
        super().__init__()
        self._header = source.readline(_MAX_HEADER)
        if sha256(self._header) != header:
            raise RefusedError(f"{name} is sealed under another key than was signed", _HINT)
        self._cipher = AESGCM(key.unwrap(_wrapped(self._header, name, key.recipient), name.encode()))
        self._source, self._count = source, 0
        self._ahead = source.read(BLOCK_BYTES + _TAG_BYTES)
        self._ready, self._ended = memoryview(b""), False

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill ``buffer`` as far as one block goes; 0 at the end. Raises ``RefusedError`` for what does not open."""
        while not self._ready and not self._ended:
            self._ready = memoryview(self._next())
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._ready))
        view[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def _next(self) -> bytes:
        block, self._ahead = self._ahead, self._source.read(BLOCK_BYTES + _TAG_BYTES)
        self._ended = not self._ahead
        try:
            opened = self._cipher.decrypt(_nonce(self._count, last=self._ended), block, self._header)
        except (InvalidTag, ValueError) as error:
            raise RefusedError(f"block {self._count} of a sealed file does not open", _HINT) from error
        self._count += 1
        return opened


def _wrapped(header: bytes, name: str, recipient: Recipient) -> bytes:
    try:
        fields = json.loads(header)
        if fields["schema"] != 1 or fields["name"] != name:
            raise RefusedError(f"what lies under {name} is sealed under another name", _HINT)
        keys = fields["keys"]
        if recipient.fingerprint not in keys:
            cause = f"{name} is not sealed to this recovery key ({recipient.fingerprint[:19]}…)"
            raise RefusedError(cause, f"it opens with: {', '.join(str(one)[:19] + '…' for one in keys)}")
        return base64.b64decode(keys[recipient.fingerprint], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RefusedError(f"{name} is no sealed file of a backup", _HINT) from error


def _nonce(number: int, *, last: bool) -> bytes:
    return struct.pack(">7xIB", number, last)
