"""Archives: whole bundles of a log's entries in compressed volumes, with the proof that they are the log's.

A folder holds ``archive.json`` (which entries, which volumes by digest, the hashes that lead from them to the signed
root), ``checkpoint`` and the volumes. It is checked without the log, under the log's verifier keys, which are not in
it. What an archive says is believed only as far as its entries hash to the root of its checkpoint.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle import durable
from appliance.audit.archive_index import INDEX, NAME, ArchiveIndex, Volume
from appliance.audit.checkpoint import Checkpoint, open_checkpoint
from appliance.audit.errors import ArchiveError
from appliance.audit.merkle import leaf_hash, perfect_root
from appliance.audit.note import MAX_NOTE_BYTES
from appliance.audit.proofs import range_holds, range_proof
from appliance.audit.regular_file import read_regular
from appliance.audit.stored import StoredLog, read_stored
from appliance.audit.tiles import CHECKPOINT, WIDTH, encode_entries
from appliance.audit.volume import BUNDLES, decode_volume, encode_volume
from appliance.errors import LogInconsistentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from appliance.audit.note import VerifierKey

_LOOK = "run `sovereign audit verify` to see where"


@dataclass(frozen=True)
class Archived:
    """Entries ``first`` to ``end`` (excluded) of the log whose ``head`` is signed, in so many bytes of volumes."""

    first: int
    end: int
    head: Checkpoint
    size: int


def write_archive(  # noqa: PLR0913 - the range by keyword
    directory: Path,
    out: Path,
    *,
    vkeys: Sequence[VerifierKey],
    first: int | None = None,
    end: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Archived:
    """Write the full bundles from ``first`` to ``end`` (default: all that are there) to the new folder ``out``.

    Every entry is compared with its tile, and their root with the signed one. Raises ``UsageError`` for a range that
    is not there or a folder that is, ``LogInconsistentError`` when the log does not hold; ``out`` is whole or absent.
    """
    stored = read_stored(directory, vkeys)
    first, end = _range(stored, first, end)
    if out.exists():
        raise UsageError(f"{out} exists", "name a new folder")
    partial = out.with_name(out.name + durable.PARTIAL)
    try:
        partial.mkdir(parents=True)
        found = _write(stored, partial, first, end, progress or (lambda _done, _total: None))
        durable.sync_directory(partial)
        partial.rename(out)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UsageError(f"{out} cannot be written: {error.strerror}", "name a new folder with room") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return found


def check_archive(
    folder: Path, *, vkeys: Sequence[VerifierKey], progress: Callable[[int, int], None] | None = None
) -> Archived:
    """Check every volume of the archive in ``folder``; returns only when all its entries are the signed log's.

    Raises ``ArchiveError`` for one that was changed or is not whole, ``NoteError`` for its checkpoint, ``UsageError``
    when there is none.
    """
    index, head = open_archive(folder, vkeys)
    roots: list[bytes] = []
    for _, entries in read_bundles(folder, index):
        roots.append(perfect_root(list(map(leaf_hash, entries))))
        if progress:
            progress(len(roots) * WIDTH, index.end - index.first)
    if not range_holds(index.first, roots, head.size, index.proof, head.root):
        raise ArchiveError(
            f"entries {index.first} to {index.end - 1} are not those of the log that signed its checkpoint"
        )
    return Archived(index.first, index.end, head, sum(one.size for one in index.volumes))


def open_archive(folder: Path, vkeys: Sequence[VerifierKey]) -> tuple[ArchiveIndex, Checkpoint]:
    """What the archive says it holds, and its checkpoint, verified. Raises as ``check_archive``."""
    try:
        index = ArchiveIndex.parse(read_regular(folder / NAME, INDEX))
        note = read_regular(folder / CHECKPOINT, MAX_NOTE_BYTES + 1)
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no archive in {folder}", "name the folder that `audit archive write` made"
        ) from error
    except OSError as error:
        raise UsageError(f"the archive {folder} cannot be read: {error.strerror}") from error
    head = open_checkpoint(note, vkeys)
    if index.end > head.size:
        raise ArchiveError(f"it says it holds entries up to {index.end}, of a log of {head.size}")
    return index, head


def read_bundles(folder: Path, index: ArchiveIndex) -> Iterator[tuple[bytes, list[bytes]]]:
    """Every bundle of the archive, in order, as bytes and as entries. Raises ``ArchiveError`` naming the volume."""
    for volume in index.volumes:
        path = folder / volume.name
        try:
            data = read_regular(path, volume.size + 1)
        except (OSError, LogInconsistentError) as error:
            raise ArchiveError(f"volume {volume.name} is missing or cannot be read") from error
        if len(data) != volume.size or hashlib.sha256(data).hexdigest() != volume.sha256:
            raise ArchiveError(f"volume {volume.name} was changed or is cut", "copy it again from where it was whole")
        try:
            yield from decode_volume(data, volume.bundles)
        except ArchiveError as error:
            raise ArchiveError(f"volume {volume.name}: {error.cause}") from error


def _range(stored: StoredLog, first: int | None, end: int | None) -> tuple[int, int]:
    whole = stored.head.size // WIDTH * WIDTH
    first = first if first is not None else stored.tiles.pruned
    end = end if end is not None else whole
    if first % WIDTH or end % WIDTH or not 0 <= first < end <= whole:
        raise UsageError(
            f"entries {first} to {end - 1} cannot be archived: the log holds {whole} in whole bundles of {WIDTH}",
            f"name multiples of {WIDTH}",
        )
    return first, end


def _write(stored: StoredLog, folder: Path, first: int, end: int, progress: Callable[[int, int], None]) -> Archived:
    volumes = []
    roots: list[bytes] = []
    for start in range(first // WIDTH, end // WIDTH, BUNDLES):
        bundles = []
        for number in range(start, min(start + BUNDLES, end // WIDTH)):
            entries = stored.tiles.entries(number)
            roots.append(perfect_root(list(map(leaf_hash, entries))))
            bundles.append(encode_entries(entries))
            progress(len(roots) * WIDTH, end - first)
        data = encode_volume(bundles)
        volume = Volume(f"{start * WIDTH:012d}.vol", len(bundles), len(data), hashlib.sha256(data).hexdigest())
        durable.write_new(folder / volume.name, data, 0o644)
        volumes.append(volume)
    proof = tuple(range_proof(stored.tiles, first, end))
    if not range_holds(first, roots, stored.head.size, proof, stored.head.root):
        raise LogInconsistentError("the entries do not hash to the signed checkpoint", _LOOK)
    index = ArchiveIndex(first, end, tuple(volumes), proof)
    durable.write_new(folder / CHECKPOINT, stored.note.encode(), 0o644)
    durable.write_new(folder / NAME, index.encode(), 0o644)
    return Archived(first, end, stored.head, sum(volume.size for volume in volumes))
