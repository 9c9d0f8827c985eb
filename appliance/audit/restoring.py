"""Putting pruned entries back from an archive: into a copy of a log directly, into a site's own through its writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle import durable
from airgap_bundle.errors import StoreError
from appliance.audit.archive import check_archive, open_archive, read_bundles
from appliance.audit.errors import ArchiveError, EntryRefusedError
from appliance.audit.pruning import require_own
from appliance.audit.stored import read_stored
from appliance.audit.tiles import WIDTH, tile_path
from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from appliance.audit.note import VerifierKey


def restore_archive(
    folder: Path,
    directory: Path,
    *,
    vkeys: Sequence[VerifierKey],
    put: Callable[[int, bytes], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Put what the archive in ``folder`` holds of the pruned entries of the log in ``directory`` back; how many.

    ``put`` does it for bundle number and bytes; without one, this process writes into ``directory``. Nothing is put
    back before the whole archive has been checked, and each bundle is held against the log's own hashes. Raises as
    ``check_archive``, ``ArchiveError`` for an archive of another log, ``UsageError`` when nothing of it was pruned.
    """
    check_archive(folder, vkeys=vkeys)
    index, _ = open_archive(folder, vkeys)
    stored = read_stored(directory, vkeys)
    gone = stored.pruned.end if stored.pruned else 0
    numbers = range(index.first // WIDTH, min(index.end, gone) // WIDTH)
    missing = [number for number in numbers if not (directory / tile_path(None, number)).exists()]
    if not missing:
        raise UsageError(f"none of the entries {index.first} to {index.end - 1} is missing", "nothing was changed")
    wanted = set(missing)
    done = 0
    for number, (bundle, _) in enumerate(read_bundles(folder, index), index.first // WIDTH):
        if number not in wanted:
            continue
        try:
            require_own(stored, number, bundle)
        except EntryRefusedError as error:
            raise ArchiveError(f"it is of another log: {error.cause}", "name the archive of this log") from error
        (put or _into(directory))(number, bundle)
        done += 1
        if progress:
            progress(done * WIDTH, len(missing) * WIDTH)
    return done * WIDTH


def _into(directory: Path) -> Callable[[int, bytes], None]:
    def put(number: int, bundle: bytes) -> None:
        path = directory / tile_path(None, number)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            durable.replace(path, bundle)
        except (OSError, StoreError) as error:
            raise UsageError(
                f"{path} cannot be written: {error}", "name a copy of the log that you may write"
            ) from error

    return put
