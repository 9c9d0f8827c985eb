"""An export, checked under the keys that the caller has for its log; what is wrong is named as ``verify_log`` names it.

What holds is what the folder's own script holds (``export_check``), in its order: both signatures of the checkpoint,
the entries' place in the signed tree, the growth since a kept checkpoint. ``leaves`` proves nothing: it is looked at
where the entries are not the log's, and believed where it leads to the signed root itself. Of entries that hold no
hash is kept; those of others are read again, to be compared.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import open_checkpoint
from appliance.audit.errors import LogTamperedError
from appliance.audit.export import ENTRIES, LEAVES, PROOF
from appliance.audit.findings import Finding, compare
from appliance.audit.history import require_growth
from appliance.audit.merkle import HASH_BYTES, CompactTree, leaf_hash, node_hash
from appliance.audit.note import MAX_NOTE_BYTES
from appliance.audit.regular_file import open_regular, read_regular
from appliance.audit.tiles import CHECKPOINT, MAX_ENTRY_BYTES
from appliance.errors import LogInconsistentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from appliance.audit.checkpoint import Checkpoint
    from appliance.audit.note import VerifierKey

_MAX_PROOF_BYTES = 1 << 16
"""Two hashes for each level of the largest tree, and as many again, take a quarter of it."""


class _TornError(Exception):
    """Bytes behind the last entry."""


@dataclass(frozen=True)
class ExportReport:
    """An export that proved what it should: entries ``first`` to ``last`` (included) of the log that ``head`` signs."""

    first: int
    last: int
    head: Checkpoint
    checkpoint: str


@dataclass(frozen=True)
class _Proof:
    first: int
    hashes: list[bytes]
    earlier: list[bytes] | None

    def end(self, leaves: Iterable[bytes], head: Checkpoint) -> int | None:
        """The position behind the last of ``leaves``, where they are those of the signed tree from ``first`` on.

        The first hashes are the roots on their left: peaks of the tree before ``first``.
        """
        peaks = self.first.bit_count()
        if not 0 <= self.first < head.size or len(self.hashes) < peaks:
            return None
        tree, right = CompactTree(self.first, self.hashes[:peaks]), iter(self.hashes[peaks:])
        for leaf in leaves:
            if tree.size == head.size:
                return None
            tree.append(leaf)
        try:
            root = _root(0, head.size, tree.size, iter(tree.peaks), right)
        except StopIteration:
            return None
        return tree.size if tree.size > self.first and root == head.root and next(right, None) is None else None


def verify_export(folder: Path, *, vkeys: Sequence[VerifierKey], kept: str | None = None) -> ExportReport:
    """Check the export in ``folder``; returns only when everything holds.

    ``kept`` is a checkpoint that the caller kept from an earlier look: the log that was exported must extend it. Raises
    ``NoteError`` for a checkpoint that is not signed as it must be, ``LogTamperedError`` with what became of which
    entry, ``LogInconsistentError`` for what is malformed or says nothing of ``kept``; ``UsageError`` where there is no
    folder to read. All but the last exit with 6.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no export in {folder}", "name the folder that `sovereign audit export` wrote")
    note = _read(folder, CHECKPOINT, MAX_NOTE_BYTES + 1)
    head = open_checkpoint(note, vkeys)
    proof = _proof(_read(folder, PROOF, _MAX_PROOF_BYTES + 1))
    try:
        end = proof.end(_leaves(folder), head)
    except _TornError:
        end = None
    if end is None:
        raise LogTamperedError(tuple(_changes(folder, proof, head)))
    if kept is not None:
        _require_growth(open_checkpoint(kept.encode(), vkeys), head, proof.earlier)
    return ExportReport(proof.first, end - 1, head, note.decode())


def _changes(folder: Path, proof: _Proof, head: Checkpoint) -> list[Finding]:
    """What was done to the entries; to which, as far as the export still tells."""
    leaves: list[bytes] = []
    torn = False
    try:
        leaves.extend(islice(_leaves(folder), head.size + 1))
    except _TornError:
        torn = True
    try:
        data = _read(folder, LEAVES, HASH_BYTES * head.size)
    except (LogInconsistentError, UsageError):  # it is not needed for what holds
        data = b""
    promised = [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
    if proof.end(promised, head) is not None and (found := compare(promised, leaves, proof.first, torn=torn)):
        return found
    span = f"the {len(leaves)} entries from position {proof.first} on, or their proof, are not those of the signed log"
    return [Finding("rewritten", proof.first, f"{span}; which were changed, the export does not tell")]


def _require_growth(kept: Checkpoint, head: Checkpoint, earlier: list[bytes] | None) -> None:
    if earlier is None and 0 < kept.size < head.size:
        raise LogInconsistentError(
            f"the export says nothing of the {kept.size} entries of the kept checkpoint",
            "ask for one that was made with --kept and this checkpoint",
        )
    require_growth(kept, head, earlier or [])


def _root(low: int, high: int, end: int, left: Iterator[bytes], right: Iterator[bytes]) -> bytes:
    """Root of the leaves from ``low`` to ``high``: up to ``end`` out of a tree's peaks, what is behind by ``right``."""
    if low >= end:
        return next(right)
    width = high - low
    if high <= end and width.bit_count() == 1:
        return next(left)
    middle = low + (1 << (width - 1).bit_length() - 1)
    return node_hash(_root(low, middle, end, left, right), _root(middle, high, end, left, right))


def _leaves(folder: Path) -> Iterator[bytes]:
    """The hashes of the entries. Raises ``_TornError`` where bytes follow that are no entry."""
    for line in _lines(folder):
        if not line.endswith(b"\n"):
            raise _TornError
        yield leaf_hash(line[:-1])


def _lines(folder: Path) -> Iterator[bytes]:
    try:
        with open_regular(folder / ENTRIES) as file:
            yield from iter(lambda: file.readline(MAX_ENTRY_BYTES + 1), b"")
    except OSError as error:
        raise _unread(ENTRIES, error) from error


def _proof(data: bytes) -> _Proof:
    try:
        told = json.loads(data)
        first, earlier = told["first"], told["earlier"]
        proof = _Proof(first, _hashes(told["hashes"]), _hashes(earlier["hashes"]) if earlier is not None else None)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise LogInconsistentError(f"the export's {PROOF} is malformed") from error
    if type(first) is not int:
        raise LogInconsistentError(f"the export's {PROOF} is malformed")
    return proof


def _hashes(told: list[str]) -> list[bytes]:
    hashes = [base64.b64decode(one, validate=True) for one in told]
    if {len(one) for one in hashes} - {HASH_BYTES}:
        raise binascii.Error("not a hash")
    return hashes


def _read(folder: Path, name: str, limit: int) -> bytes:
    try:
        return read_regular(folder / name, limit)
    except OSError as error:
        raise _unread(name, error) from error


def _unread(name: str, error: OSError) -> LogTamperedError | UsageError:
    if isinstance(error, FileNotFoundError):
        return LogTamperedError((Finding("missing", None, f"the export has no {name}"),))
    return UsageError(f"{name} of the export cannot be read: {error.strerror}")
