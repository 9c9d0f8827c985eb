"""A range of the log with its proofs, in a folder that is checked without the log and without this program.

``entries.jsonl`` holds the entries as logged, one a line; ``checkpoint`` the signed note; ``proof.json`` the hashes
that lead from the entries to the signed root, and, where it was asked for, from an earlier checkpoint to this one;
``verify.py`` checks them with nothing but Python. ``leaves`` holds the entries' hashes, 32 bytes each: where an entry
was changed since, they tell which (``export_verify``). The verifier keys are not in it: they come another way, or an
export could vouch for itself.
"""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airgap_bundle import durable
from appliance.audit import export_check
from appliance.audit.checkpoint import open_checkpoint
from appliance.audit.history import require_growth
from appliance.audit.merkle import leaf_hash
from appliance.audit.proofs import consistency_proof, range_proof
from appliance.audit.stored import read_stored
from appliance.audit.tiles import CHECKPOINT, WIDTH
from appliance.errors import LogInconsistentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from appliance.audit.checkpoint import Checkpoint
    from appliance.audit.note import VerifierKey
    from appliance.audit.stored import StoredLog
    from appliance.audit.tiles import TileReader

ENTRIES, LEAVES, PROOF, SCRIPT, README = "entries.jsonl", "leaves", "proof.json", "verify.py", "README.txt"
SCHEMA = 1
_LOOK = "run `sovereign audit verify` to see where"
_README = """\
Entries {first} to {last} of the audit log {origin}, which held {size} entries.

Check them with any Python from 3.9 on, offline, with the log's verifier keys as you got them from the site yourself
(a file with two lines, policies/audit-vkeys there), not from whoever gave you this folder:

    python3 verify.py --vkeys KEYS
    python3 verify.py --vkeys KEYS --kept CHECKPOINT    also against a checkpoint that you kept from an earlier look

verify.py has 200 lines and needs nothing else; read it. entries.jsonl holds one event (OCSF) a line, as logged.
Where it refuses, `sovereign audit verify --export FOLDER --vkeys KEYS` names the entry that was changed, by the hashes
in the file leaves.
"""


@dataclass(frozen=True)
class Exported:
    """What was exported: entries ``first`` to ``last`` (included) of a log, and its head."""

    first: int
    last: int
    head: Checkpoint


def export_range(  # noqa: PLR0913 - the range and what it is held against, by keyword
    directory: Path,
    out: Path,
    *,
    first: int,
    last: int,
    vkeys: Sequence[VerifierKey],
    kept: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write entries ``first`` to ``last`` (included) of the log in ``directory`` to the new folder ``out``.

    ``kept`` is a checkpoint of the auditor's, to which a consistency proof is added. Every entry is compared with its
    tile. Raises ``UsageError`` for a range that is not there or a folder that is, ``LogInconsistentError`` when the log
    cannot prove the range; ``out`` is whole or absent then.
    """
    stored = _readable(directory, first, last, vkeys)
    head, tiles = stored.head, stored.tiles
    proof = _proof(tiles, head, first, last, open_checkpoint(kept.encode(), vkeys) if kept is not None else None)
    if out.exists():
        raise UsageError(f"{out} exists", "name a new folder")
    partial = out.with_name(out.name + durable.PARTIAL)
    try:
        partial.mkdir(parents=True)
        _write(partial, stored.note, proof, _entries(tiles, first, last, progress))
        (partial / README).write_text(
            _README.format(first=first, last=last, origin=head.origin, size=head.size), encoding="utf-8"
        )
        partial.rename(out)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UsageError(f"{out} cannot be written: {error.strerror}", "name a new folder with room") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Exported(first, last, head)


def export_files(directory: Path, *, first: int, last: int, vkeys: Sequence[VerifierKey]) -> dict[str, bytes]:
    """The files of such a folder, for a range that fits into memory. Raises as ``export_range``."""
    stored = _readable(directory, first, last, vkeys)
    head, tiles = stored.head, stored.tiles
    proof = _proof(tiles, head, first, last, None)
    readme = _README.format(first=first, last=last, origin=head.origin, size=head.size)
    entries = list(_entries(tiles, first, last, None))
    return {
        ENTRIES: b"".join(entry + b"\n" for entry in entries),
        LEAVES: b"".join(map(leaf_hash, entries)),
        CHECKPOINT: stored.note.encode(),
        PROOF: _proof_file(proof),
        SCRIPT: Path(export_check.__file__).read_bytes(),
        README: readme.encode(),
    }


def _readable(directory: Path, first: int, last: int, vkeys: Sequence[VerifierKey]) -> StoredLog:
    stored = read_stored(directory, vkeys)
    head = stored.head
    if not 0 <= first <= last < head.size:
        raise UsageError(f"entries {first} to {last} are not in the log: it holds {head.size}", "positions begin at 0")
    if stored.tiles.root() != head.root:
        raise LogInconsistentError("the log's tiles do not hash to its signed checkpoint", _LOOK)
    return stored


def _proof_file(proof: dict[str, Any]) -> bytes:
    return (json.dumps(proof, indent=1) + "\n").encode("ascii")


def _write(folder: Path, note: str, proof: dict[str, Any], entries: Iterator[bytes]) -> None:
    with (folder / ENTRIES).open("xb") as file, (folder / LEAVES).open("xb") as leaves:
        for entry in entries:
            file.write(entry + b"\n")
            leaves.write(leaf_hash(entry))
    (folder / CHECKPOINT).write_text(note, encoding="utf-8")
    (folder / PROOF).write_bytes(_proof_file(proof))
    shutil.copyfile(Path(export_check.__file__), folder / SCRIPT)


def _proof(tiles: TileReader, head: Checkpoint, first: int, last: int, kept: Checkpoint | None) -> dict[str, Any]:
    earlier = None
    if kept is not None:
        proof = consistency_proof(tiles, kept.size) if kept.size <= head.size else []
        require_growth(kept, head, proof)
        earlier = {"size": kept.size, "hashes": _encoded(proof)}
    hashes = _encoded(range_proof(tiles, first, last + 1))
    return {"schema": SCHEMA, "origin": head.origin, "first": first, "last": last, "hashes": hashes, "earlier": earlier}


def _entries(tiles: TileReader, first: int, last: int, progress: Callable[[int, int], None] | None) -> Iterator[bytes]:
    """The entries, each compared with its leaf hash."""
    for index in range(first // WIDTH, last // WIDTH + 1):
        for offset, entry in enumerate(tiles.entries(index), index * WIDTH):
            if not first <= offset <= last:
                continue
            if leaf_hash(entry) != tiles.node(0, offset):
                raise LogInconsistentError(f"entry {offset} was changed", _LOOK)
            if b"\n" in entry:
                raise LogInconsistentError(f"entry {offset} is not one of ours: it holds a line break", _LOOK)
            yield entry
        if progress:
            progress(min(last, (index + 1) * WIDTH - 1) - first + 1, last - first + 1)


def _encoded(hashes: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(one).decode() for one in hashes]
