"""Opening a log: the durable checkpoint decides; complete records behind it are kept, an incomplete tail is dropped.

What was acknowledged and is not in tiles yet lies in the journal (``replay``). Where that holds nothing, tiles may lie
behind the checkpoint, of a batch that went there directly. The order of that (entries and tiles, fsync, sign,
checkpoint, fsync, acknowledge) makes this sound: it was never acknowledged, but a checkpoint over it may have been
*signed*, so complete records are appended again in their order, and no second tree of the same size is ever signed.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import Checkpoint, open_checkpoint
from appliance.audit.edge import Edge
from appliance.audit.entry import decode_entry, encode_entry
from appliance.audit.errors import LogTamperedError
from appliance.audit.events_operation import log_recovery
from appliance.audit.journal import decode_journal, read_segments
from appliance.audit.pruned import read_pruned
from appliance.audit.replay import Replay, replay
from appliance.audit.roles import WRITER
from appliance.audit.tiles import CHECKPOINT, HEIGHT, TILES, WIDTH, TileReader, decode_entries, tile_path
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from appliance.audit.note import VerifierKey

MAX_LEVELS = 8
_RECOVERY = WRITER.id("recovery", "")


@dataclass(frozen=True)
class Found:
    """A log as it lies on disk: its signed head, its edge, what a crash left behind the head, and what was pruned."""

    head: Checkpoint
    note: str
    edge: Edge
    replay: tuple[tuple[str, bytes], ...]
    dropped: int
    pruned: int = 0


def read_log(directory: Path, keys: Sequence[VerifierKey]) -> Found | None:
    """Read the log's head and edge; None when there is no log yet.

    Raises ``LogInconsistentError`` when the checkpoint is absent, not signed by ``keys`` or not the root of the tiles,
    ``LogTamperedError`` when the journal does not continue it.
    """
    try:
        data = (directory / CHECKPOINT).read_bytes()
    except FileNotFoundError:
        if (directory / TILES).exists():
            raise LogInconsistentError(
                f"{directory} holds entries but no checkpoint", "restore the checkpoint; a log is never begun anew"
            ) from None
        return None
    head = open_checkpoint(data, keys)
    tiles = TileReader(directory, head.size)
    edge = Edge.read(tiles, head.root)
    found = replay(decode_journal(read_segments(directory)), edge, head, keys)
    if found.findings:
        raise LogTamperedError(tuple(found.findings))
    records, dropped = _replayed(found) if found.entries or found.incomplete else _behind(directory, edge)
    head = replace(head, time=max(head.time, found.head.time))  # no later signature is dated before one that was given
    pruned = read_pruned(directory, head, tiles)
    return Found(head, data.decode(), edge, tuple(records), dropped, pruned.end if pruned else 0)


def _replayed(found: Replay) -> tuple[list[tuple[str, bytes]], int]:
    records = [(decode_entry(entry)[0], entry) for entry in found.entries]
    return records, found.incomplete.count if found.incomplete else 0


def recovered_records(found: Found) -> list[tuple[str, bytes]]:
    """The complete records, and an entry that says what happened, unless the last one is such an entry already."""
    if found.replay and not found.dropped and found.replay[-1][0].startswith(_RECOVERY):
        return list(found.replay)
    entry_id = f"{_RECOVERY}{uuid.uuid4()}"
    event = log_recovery(size=found.head.size, replayed=len(found.replay), dropped=found.dropped)
    return [*found.replay, (entry_id, encode_entry(event, entry_id))]


def _behind(directory: Path, edge: Edge) -> tuple[list[tuple[str, bytes]], int]:
    """Complete records behind the edge, in order, and how many incomplete or unreachable ones follow them."""
    kept: list[tuple[str, bytes]] = []
    dropped = 0
    index, before = edge.size // WIDTH, edge.tail
    whole = True
    while candidates := _bundles(directory, index, len(before)):
        expected = max(width for width, _ in candidates) - len(before)
        records = max((_records(data, before) for _, data in candidates), key=len) if whole else []
        kept += records
        dropped += expected - len(records)
        whole = whole and len(before) + len(records) == WIDTH
        index, before = index + 1, ()
    return kept, dropped


def _bundles(directory: Path, index: int, known: int) -> list[tuple[int, bytes]]:
    """Stored versions of bundle ``index`` that hold more than ``known`` entries, with the width their name promises."""
    found = []
    full = directory / tile_path(None, index)
    if full.is_file():
        found.append((WIDTH, full.read_bytes()))
    found += [(width, path.read_bytes()) for width, path in _partials(directory, None, index) if width > known]
    return found


def _partials(directory: Path, level: int | None, index: int) -> Iterator[tuple[int, Path]]:
    folder = directory / f"{tile_path(level, index)}.p"
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.name.isdecimal():
                yield int(path.name), path


def _records(data: bytes, before: tuple[bytes, ...]) -> list[tuple[str, bytes]]:
    """Complete entries of ours in ``data`` after those already known; none when it does not begin with them."""
    entries, _ = decode_entries(data)
    if tuple(entries[: len(before)]) != before:
        return []
    records = []
    for entry in entries[len(before) :]:
        try:
            records.append((decode_entry(entry)[0], entry))
        except ValueError:  # zeros or garbage where the disk never got the bytes
            break
    return records


def stale_files(directory: Path, size: int) -> list[str]:
    """Names of tiles and bundles that lie behind a tree of ``size`` entries."""
    stale: list[str] = []
    for level in (None, *range(MAX_LEVELS)):
        index, width = divmod(size >> (HEIGHT * (level or 0)), WIDTH)
        while True:
            path = tile_path(level, index)
            names = [f"{path}.p/{p.name}" for w, p in _partials(directory, level, index) if w > width]
            names += [path] if (directory / path).is_file() else []
            if not names and width == 0:
                break
            stale += names
            index, width = index + 1, 0
    return stale
