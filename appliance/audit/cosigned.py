"""Witnesses as a site or an auditor knows them, and checkpoints that they cosigned.

A witness counts by both halves, Ed25519 and ML-DSA-44, on one checkpoint: a cosignature stripped of one is none.
Beside the log lie ``witnessed/NAME.note``, the last checkpoint that each witness brought back: whoever copies the log
gets them with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import Checkpoint, open_checkpoint, signed_by
from appliance.audit.note import ED25519_COSIGNATURE, MAX_NOTE_BYTES, ML_DSA_44, VerifierKey, parse_note
from appliance.audit.regular_file import read_regular
from appliance.errors import LogInconsistentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WITNESSED = "witnessed"
_HALVES = {ED25519_COSIGNATURE, ML_DSA_44}


@dataclass(frozen=True)
class Witness:
    """A witness's name and both of its public keys."""

    name: str
    keys: tuple[VerifierKey, ...]


@dataclass(frozen=True)
class Witnessed:
    """A checkpoint of the log that a witness vouches for as of ``time`` (POSIX seconds)."""

    witness: str
    head: Checkpoint
    time: int


def file_name(witness: str) -> str:
    """Under which the witness's last checkpoint lies: no name of a witness becomes a path."""
    return hashlib.sha256(witness.encode()).hexdigest()[:32] + ".note"


def parse_witnesses(text: str) -> tuple[Witness, ...]:
    """Witnesses from lines of verifier keys; empty lines and those that begin with # are skipped.

    Raises ``NoteError`` for a malformed key, ``UsageError`` for a witness without one key of each type, and for a key
    under two names: an Ed25519 cosignature does not say whose it is.
    """
    by_name: dict[str, list[VerifierKey]] = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            key = VerifierKey.parse(line)
            by_name.setdefault(key.name, []).append(key)
    for name, keys in by_name.items():
        if len(keys) != len(_HALVES) or {key.algorithm for key in keys} != _HALVES:
            raise UsageError(
                f"witness {name} needs one Ed25519 and one ML-DSA-44 cosignature key",
                "use the .vkeys file that `sovereign audit witness init` made, whole",
            )
    materials = [key.material for keys in by_name.values() for key in keys]
    if len(set(materials)) != len(materials):
        raise UsageError("one key stands under two names", "each witness has keys of its own: remove one of the two")
    return tuple(Witness(name, tuple(keys)) for name, keys in by_name.items())


def read_witnesses(path: Path) -> tuple[Witness, ...]:
    """Witnesses of a file; none when it does not exist."""
    try:
        return parse_witnesses(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the witnesses in {path} cannot be read: {error}") from error


def open_cosigned(
    data: bytes, log_keys: Sequence[VerifierKey], witnesses: Sequence[Witness]
) -> tuple[Checkpoint, tuple[Witnessed, ...]]:
    """The checkpoint in ``data``, verified under the log's keys, and who of ``witnesses`` cosigned it.

    Raises ``NoteError`` when the log's signatures are missing, or one of a known key does not hold.
    """
    head, note = open_checkpoint(data, log_keys), parse_note(data)
    found = []
    for witness in witnesses:
        times = signed_by(note, head, witness.keys)
        if set(times) == _HALVES:
            found.append(Witnessed(witness.name, head, min(times.values())))
    return head, tuple(found)


def brought_back(
    directory: Path, log_keys: Sequence[VerifierKey], witnesses: Sequence[Witness]
) -> tuple[Witnessed, ...]:
    """What ``witnesses`` cosigned of the log in ``directory``, latest first, as far as it was brought back.

    Raises ``NoteError`` for a file that is not such a checkpoint: somebody changed it.
    """
    found: list[Witnessed] = []
    for witness in witnesses:
        data = _read(directory / WITNESSED / file_name(witness.name))
        if data is None:
            continue
        _, signed = open_cosigned(data, log_keys, [witness])
        if not signed:
            raise LogInconsistentError(f"the checkpoint kept for witness {witness.name} is not cosigned by it")
        found += signed
    return tuple(sorted(found, key=lambda one: -one.time))


def _read(path: Path) -> bytes | None:
    """The note at ``path``, None where there is none. The folder is the writer's, who may have laid there anything."""
    try:
        return read_regular(path, MAX_NOTE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
