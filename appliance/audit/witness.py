"""A witness: what an auditor carries, so that a log cannot be rewound, forked or replaced without being seen.

The folder holds the log's verifier keys (``log-vkeys``), the witness's own keys (``witness.key``, encrypted, and
``witness.vkeys`` to give away) and ``kept``: the last checkpoint that was cosigned, with the cosignature. Nothing in it
comes from the site but what was verified, and ``kept`` moves only forward: it is durable before a cosignature leaves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airgap_bundle import durable
from appliance.audit.checkpoint import Checkpoint, open_checkpoint, read_vkeys
from appliance.audit.cosigned import Witness, open_cosigned, parse_witnesses
from appliance.audit.errors import LogForkedError, NoteError
from appliance.audit.findings import Finding
from appliance.audit.history import require_growth, require_same_beginning
from appliance.audit.note import Note, parse_note
from appliance.audit.proofs import consistency_proof
from appliance.audit.stored import examine_stored
from appliance.audit.verify import check_stored
from appliance.audit.witness_keys import WitnessKeys
from appliance.audit.witness_request import Request
from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from appliance.audit.note import VerifierKey

KEPT, KEY, VKEYS, LOG_VKEYS, EVIDENCE = "kept", "witness.key", "witness.vkeys", "log-vkeys", "evidence"
_SCHEMA = 1


@dataclass(frozen=True)
class Kept:
    """The last checkpoint that this witness cosigned, and the log's first leaf hash where it was seen."""

    head: Checkpoint
    note: str
    first: bytes | None
    time: int


@dataclass(frozen=True)
class Seen:
    """A checkpoint that holds and extends what was kept: ready to be cosigned."""

    head: Checkpoint
    note: bytes
    first: bytes | None


@dataclass(frozen=True)
class WitnessFolder:
    """A witness's folder, opened: its name and keys, the log it watches, and what it keeps (None: nothing yet)."""

    directory: Path
    witness: Witness
    log_keys: tuple[VerifierKey, ...]
    kept: Kept | None

    @property
    def size(self) -> int:
        """How many entries of the log were cosigned before: what a request must start from."""
        return self.kept.head.size if self.kept else 0

    def examine(self, log: Path, *, progress: Callable[[int, int], None] | None = None) -> Seen:
        """Check the log in folder ``log``, every entry of it, and that it extends what was kept. Changes nothing.

        Raises ``LogTamperedError`` (edited, deleted, inserted, reordered, cut, missing, rewritten; and its kinds
        ``LogRewoundError``, ``LogForkedError``, ``LogReplacedError``) or ``NoteError``.
        """
        stored = examine_stored(log, self.log_keys)
        check_stored(stored, vkeys=self.log_keys, progress=progress)
        head, tiles = stored.head, stored.tiles
        first = tiles.node(0, 0) if head.size else None
        if self.kept:
            if first is not None:
                require_same_beginning(self.kept.first, first)
            proof = consistency_proof(tiles, self.size) if self.size <= head.size else ()
            require_growth(self.kept.head, head, proof)
        return Seen(head, stored.note.encode(), first)

    def examine_request(self, data: bytes) -> Seen:
        """Check a request that was carried here instead of the log; entries are not read. Changes nothing.

        Raises as ``examine``, and ``UsageError`` when the request starts from another checkpoint than the one kept.
        """
        request = Request.parse(data)
        head = open_checkpoint(request.checkpoint, self.log_keys)
        if self.kept is None:
            if request.old or request.proof:
                raise UsageError(*_elsewhere(request.old, 0))
            return Seen(head, request.checkpoint, None)
        if head.size >= self.size and request.old != self.size:
            raise UsageError(*_elsewhere(request.old, self.size))
        try:
            require_growth(self.kept.head, head, request.proof)
        except LogForkedError as error:
            if head.size == self.size:
                raise
            detail = f"no proof came that the {head.size} entries begin with the {self.size} cosigned before"
            raise LogForkedError((Finding("forked", None, f"{detail}: a fork, or a damaged request"),)) from error
        return Seen(head, request.checkpoint, self.kept.first)

    def cosign(self, seen: Seen, keys: WitnessKeys, now: int) -> str:
        """Keep ``seen`` durably, cosigned by ``keys`` as of ``now``; the cosigned checkpoint, to be carried back."""
        if Witness(keys.name, keys.vkeys()) != self.witness:
            raise UsageError("the key file is of another witness", "use the folder as `witness init` made it")
        note = parse_note(seen.note)
        ours = {key.key_id for key in self.log_keys}
        signed = tuple(one for one in note.signatures if one.name == seen.head.origin and one.key_id in ours)
        time = max(now, self.kept.time if self.kept else 0)
        cosigned = Note(note.text, (*signed, *keys.cosign(note.text, seen.head, time))).encode()
        first = seen.first or (self.kept.first if self.kept else None)
        _keep(self.directory, cosigned, first)
        return cosigned

    def keep_evidence(self, note: bytes) -> Path:
        """Keep a signed checkpoint that contradicts the kept one: both together prove what the log did."""
        folder = self.directory / EVIDENCE
        folder.mkdir(exist_ok=True)
        head = open_checkpoint(note, self.log_keys)
        path = folder / f"{head.size}-{head.root.hex()[:16]}.note"
        durable.replace(path, note)
        return path


def create(directory: Path, keys: WitnessKeys, log_keys: Sequence[VerifierKey], key_file: bytes) -> WitnessFolder:
    """Make a new witness folder. Raises ``UsageError`` when one is there, or when the witness is named as the log."""
    if keys.name in {key.name for key in log_keys}:
        raise UsageError(f"{keys.name} is the log's own name", "a witness has a name of its own")
    directory.mkdir(parents=True, exist_ok=True)
    for name in (KEY, VKEYS, LOG_VKEYS, KEPT):
        if (directory / name).exists():
            raise UsageError(f"{directory / name} exists already", "a witness is made once: name another folder")
    public = "".join(f"{key.encode()}\n" for key in keys.vkeys())
    durable.write_new(directory / KEY, key_file, 0o600)
    durable.write_new(directory / VKEYS, public.encode(), 0o644)
    durable.write_new(directory / LOG_VKEYS, "".join(f"{key.encode()}\n" for key in log_keys).encode(), 0o644)
    return load(directory)


def load(directory: Path) -> WitnessFolder:
    """The witness in ``directory``. Raises ``UsageError`` when there is none, ``NoteError`` for a foreign ``kept``."""
    try:
        witness, *others = parse_witnesses((directory / VKEYS).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise UsageError(f"there is no witness in {directory}", "`sovereign audit witness init` makes one") from error
    if others:
        raise UsageError(f"{directory / VKEYS} names more than one witness")
    log_keys = read_vkeys(directory / LOG_VKEYS)
    return WitnessFolder(directory, witness, log_keys, _load_kept(directory, witness, log_keys))


def load_keys(directory: Path, passphrase: bytes) -> WitnessKeys:
    """The witness's private keys. Raises ``UsageError``, or ``KeyFileError`` for a wrong passphrase."""
    try:
        return WitnessKeys.decode((directory / KEY).read_bytes(), passphrase)
    except OSError as error:
        raise UsageError(f"{directory / KEY} cannot be read: {error.strerror}") from error


def _load_kept(directory: Path, witness: Witness, log_keys: Sequence[VerifierKey]) -> Kept | None:
    try:
        value: dict[str, Any] = json.loads((directory / KEPT).read_bytes())
        note, first = str(value["note"]), bytes.fromhex(value["first"] or "") or None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoteError(f"{directory / KEPT} is not what this witness keeps: it was changed") from error
    head, cosigned = open_cosigned(note.encode(), log_keys, [witness])
    if not cosigned:
        raise NoteError(f"{directory / KEPT} is not cosigned by this witness: it was changed")
    return Kept(head, note, first, cosigned[0].time)


def _keep(directory: Path, note: str, first: bytes | None) -> None:
    value = {"schema": _SCHEMA, "note": note, "first": first.hex() if first else None}
    durable.replace(directory / KEPT, json.dumps(value, indent=1).encode() + b"\n")


def _elsewhere(old: int, size: int) -> tuple[str, str]:
    return (
        f"the request starts from {old} entries; this witness cosigned {size}",
        f"at the site: `sovereign audit witness request --old {size}`",
    )
