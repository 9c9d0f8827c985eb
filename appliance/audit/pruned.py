"""The beginning of a log whose entries were pruned: their hashes are kept, and an entry says so.

Beside the log, ``pruned`` names where they end and where that entry lies. The file proves nothing: the entry does, one
of the writer's own kind under the signed checkpoint.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.audit.entry import decode_entry
from appliance.audit.merkle import inclusion_holds, leaf_hash
from appliance.audit.proofs import inclusion_proof
from appliance.audit.regular_file import read_regular
from appliance.audit.roles import WRITER, kind_of
from appliance.audit.tiles import WIDTH, decode_entries, tile_path
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.audit.apart_store import ApartStore
    from appliance.audit.checkpoint import Checkpoint
    from appliance.audit.storage import Storage
    from appliance.audit.tiles import TileReader

PRUNED = "pruned"
KIND = "log_pruned"
ENTRY = WRITER.id("prune", "")
_MAX_BYTES = 4096


@dataclass(frozen=True)
class Pruned:
    """Entries before ``end`` need not be there; entry ``index`` says so, and when the last of them was logged."""

    end: int
    index: int
    until: int


def encode_pruned(end: int, index: int) -> bytes:
    """The file's bytes."""
    return json.dumps({"schema": 1, "end": end, "entry": index}).encode() + b"\n"


def read_pruned(directory: Path, head: Checkpoint, tiles: TileReader) -> Pruned | None:
    """What was pruned of the log in ``directory``; None where nothing was.

    Raises ``LogInconsistentError`` when the file says what no entry under ``head`` does.
    """
    try:
        data = read_regular(directory / PRUNED, _MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LogInconsistentError(f"{directory / PRUNED} cannot be read: {error.strerror}") from error
    end, index = parse_pruned(data)
    if not (0 < end <= index < head.size) or end % WIDTH:
        raise _unfounded(end)
    entry = tiles.entry(index)
    if not inclusion_holds(index, head.size, leaf_hash(entry), inclusion_proof(tiles, index), head.root):
        raise LogInconsistentError(f"entry {index} was changed", "run `sovereign audit verify` to see where")
    until = said_until(entry, end)
    if until is None:
        raise _unfounded(end)
    return Pruned(end, index, until)


def parse_pruned(data: bytes) -> tuple[int, int]:
    """Where the pruned entries end and which entry says so, by the file's bytes alone; zeros where it says nothing."""
    try:
        value = json.loads(data)
        end, index = value["end"], value["entry"]
    except (ValueError, KeyError, TypeError, RecursionError):
        end = index = 0
    return (end, index) if type(end) is int and type(index) is int else (0, 0)


def said_until(entry: bytes, end: int) -> int | None:
    """When the last of the pruned entries was logged, if ``entry`` says that those before ``end`` were."""
    try:
        entry_id, event = decode_entry(entry)
    except ValueError:
        return None
    if kind_of(event) != KIND or not entry_id.startswith(ENTRY):
        return None
    ours: dict[str, Any] = event["unmapped"]["sovereign"]
    until = ours.get("until")
    return until if ours.get("end") == end and type(until) is int else None


def remove_entries(directory: Path, storage: Storage, apart: ApartStore, end: int) -> None:
    """The bundles before ``end``, which is a whole number of them, and first what is kept apart. Raises ``OSError``."""
    for bundle in range(end // WIDTH):
        apart.discard(_entries_left(directory, bundle))
        storage.remove(tile_path(None, bundle))


def _entries_left(directory: Path, bundle: int) -> list[bytes]:
    """Of a full bundle that is to go; none where it is gone already."""
    try:
        return decode_entries((directory / tile_path(None, bundle)).read_bytes(), WIDTH)[0]
    except FileNotFoundError:
        return []


def _unfounded(end: int) -> LogInconsistentError:
    return LogInconsistentError(f"{PRUNED} says that entries before {end} were pruned, and no entry of the log does")
