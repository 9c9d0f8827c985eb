"""A log as files, to be carried elsewhere: one state of it, also while its writer goes on.

Full tiles never change, so they are named where they lie; what will be replaced by a wider tile, or lies in the journal
only, is given as bytes. Put together under one folder these are a log that verifies, without a journal.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from appliance.audit.apart import APART, FILE_NAME, KEY_NAME, KEYS, MAX_FILE_BYTES, SEALED_KEY_BYTES
from appliance.audit.cosigned import WITNESSED
from appliance.audit.errors import EntryPrunedError
from appliance.audit.note import MAX_NOTE_BYTES
from appliance.audit.pruned import PRUNED, encode_pruned
from appliance.audit.recovery import MAX_LEVELS
from appliance.audit.regular_file import read_regular
from appliance.audit.tiles import CHECKPOINT, WIDTH, encode_entries, level_width, tile_path
from appliance.errors import LogInconsistentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.audit.stored import StoredLog


def log_files(stored: StoredLog) -> Iterator[tuple[str, bytes | Path]]:
    """Every file of ``stored`` by its name in the log's folder: bytes, or the path of a file that does not change.

    Raises ``LogInconsistentError`` for a tile that is missing or short. Whether the tiles hold what was signed is for
    who reads the copy to verify.
    """
    yield CHECKPOINT, stored.note.encode()
    if stored.pruned is not None:
        yield PRUNED, encode_pruned(stored.pruned.end, stored.pruned.index)
    folder = stored.tiles.directory / WITNESSED
    if folder.is_dir():
        for path in sorted(folder.glob("*.note")):  # the folder is the writer's: a link in it would lead elsewhere
            yield f"{WITNESSED}/{path.name}", read_regular(path, MAX_NOTE_BYTES + 1)
    yield from _kept_apart(stored.tiles.directory)
    for level in (None, *range(MAX_LEVELS)):
        for index in range(-(-level_width(stored.head.size, level or 0) // WIDTH)):
            try:
                yield _tile(stored, level, index)
            except EntryPrunedError:  # its hashes are there
                continue


def _kept_apart(directory: Path) -> Iterator[tuple[str, bytes | Path]]:
    """Sealed texts, and the keys to those of nobody: a person's key is copied nowhere, so that it can be destroyed.

    A text that is not whole stays where it is: it would be refused wherever the copy comes to. Verifying names it.
    """
    for path in sorted((directory / KEYS).glob("*")):
        if KEY_NAME.fullmatch(name := f"{KEYS}/{path.name}"):
            yield name, read_regular(path, SEALED_KEY_BYTES + 1)
    for path in sorted((directory / APART).glob("??/*")):
        name = path.relative_to(directory).as_posix()
        if (found := FILE_NAME.fullmatch(name)) and _is_whole(path, found[2]):
            yield name, path


def _is_whole(path: Path, digest: str) -> bool:
    try:
        return sha256(read_regular(path, MAX_FILE_BYTES + 1)).hexdigest() == digest
    except (OSError, LogInconsistentError):
        return False


def _tile(stored: StoredLog, level: int | None, index: int) -> tuple[str, bytes | Path]:
    tiles = stored.tiles
    name = tile_path(level, index, tiles.width(level, index))
    path = tiles.directory / name
    if tiles.width(level, index) == WIDTH and name not in tiles.ahead and path.is_file() and not path.is_symlink():
        return name, path
    return name, encode_entries(tiles.entries(index)) if level is None else tiles.tile(level, index)
