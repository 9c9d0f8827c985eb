"""What a site hands its witness where the log itself stays: a checkpoint and the proof that it extends an earlier one.

The text is the body of c2sp.org/tlog-witness ``add-checkpoint``: ``old SIZE``, hashes of a consistency proof in base64,
an empty line, the checkpoint.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.audit.errors import NoteError
from appliance.audit.merkle import HASH_BYTES
from appliance.audit.note import MAX_NOTE_BYTES
from appliance.audit.proofs import consistency_proof
from appliance.audit.stored import read_stored
from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from appliance.audit.note import VerifierKey

MAX_HASHES = 63
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True)
class Request:
    """A request to cosign ``checkpoint`` (a signed note, unverified) to whoever cosigned ``old`` entries before."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    def encode(self) -> bytes:
        """The text."""
        lines = [f"old {self.old}", *(base64.b64encode(one).decode() for one in self.proof), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> Request:
        """Read a request, unverified. Raises ``NoteError``."""
        if len(data) > 2 * MAX_NOTE_BYTES:
            raise NoteError("the request is too large")
        head, separator, checkpoint = data.partition(b"\n\n")
        first, *hashes = head.decode("ascii", "replace").split("\n")
        old = _OLD.fullmatch(first)
        try:
            proof = tuple(base64.b64decode(one, validate=True) for one in hashes)
        except (binascii.Error, ValueError):
            proof = (b"",)
        if not separator or not old or len(proof) > MAX_HASHES or {len(one) for one in proof} - {HASH_BYTES}:
            raise NoteError(
                "this is no request to a witness", "make it at the site with `sovereign audit witness request`"
            )
        return cls(int(old[1]), proof, checkpoint)


def make_request(directory: Path, old: int, *, vkeys: Sequence[VerifierKey]) -> Request:
    """A request for the log in ``directory`` to a witness that cosigned its first ``old`` entries.

    Raises ``UsageError`` when the log never was that small, or is not there.
    """
    stored = read_stored(directory, vkeys)
    head = stored.head
    if old > head.size:
        raise UsageError(f"the log holds {head.size} entries, fewer than {old}", "give the size that the witness names")
    return Request(old, tuple(consistency_proof(stored.tiles, old)), stored.note.encode())
