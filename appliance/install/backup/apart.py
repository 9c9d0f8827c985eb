"""Where a backup may lie: two folders apart from each other, the second of which takes the place of an earlier one."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airgap_bundle import durable
from appliance.errors import UsageError
from appliance.install.backup import statement
from appliance.install.backup.folder import new_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from appliance.install.backup.recovery_key import Recipient

MOST_RECIPIENTS = 16


def places(out: Path, subject_keys: Path, recipients: Sequence[Recipient]) -> tuple[Path, Path]:
    """Both folders by their whole paths, if a backup can be put there. Raises ``UsageError``."""
    if not 0 < len(recipients) <= MOST_RECIPIENTS:
        raise UsageError(f"a backup is sealed to 1 to {MOST_RECIPIENTS} recovery keys", "name fewer")
    out, subject_keys = out.absolute(), subject_keys.absolute()
    for place in (out, subject_keys):
        if not place.name or place.is_mount():
            raise UsageError(f"{place} is the medium itself", f"name a folder on it: {place / 'backup'}")
    if out == subject_keys or out in subject_keys.parents or subject_keys in out.parents:
        raise UsageError("the backup and the subject keys are to lie apart", "name two folders, on two media")
    return out, subject_keys


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A new folder in the place of ``folder``, which may hold subject keys of an earlier backup and nothing else."""
    fresh, former = folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.former")
    for path in (folder, fresh, former):
        if path.is_symlink() or (path.exists() and not _is_ours(path)):
            raise UsageError(f"{path} holds something else than subject keys", "name a folder of their own")
    if former.exists() and not folder.exists():  # a power cut came between the two renames
        former.rename(folder)
    for left in (fresh, former):
        if left.exists():
            shutil.rmtree(left)
    with new_folder(fresh) as inside:
        yield inside
    try:
        if folder.exists():
            folder.rename(former)
        fresh.rename(folder)
        durable.sync_directory(folder.parent)
        if former.exists():
            shutil.rmtree(former)
    except OSError as error:
        cause = f"{folder} cannot be replaced, or what it held cannot be removed: {error.strerror}"
        raise UsageError(cause, f"see to {folder}, {fresh} and {former}, and back up again") from error


def _is_ours(folder: Path) -> bool:
    known = {statement.STATEMENT, *(f"{name}{statement.SEALED}" for name in statement.APART)}
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= known
