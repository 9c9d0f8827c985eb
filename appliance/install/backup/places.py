"""Where backups by a timer go: whether both folders can be used now. Looks, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from appliance.site.site_key import key_kind

if TYPE_CHECKING:
    from appliance.site.backups import Backups
    from appliance.site.paths import SitePaths

NOBODY_TYPES = "the site key asks for a passphrase, which no timer can type"


def faults(plan: Backups, paths: SitePaths) -> tuple[str, ...]:
    """Why no backup could be made as ``plan`` says, each with what is wrong; none: it could, as far as can be seen."""
    out, above = Path(plan.out), Path(plan.subject_keys).parent
    found = [fault for folder in (out, above) if (fault := _fault(folder, paths.root, on_mount=plan.on_mount))]
    if _kind(paths) == "passphrase":
        found.append(NOBODY_TYPES)
    return tuple(found)


def on_one_medium(plan: Backups) -> bool:
    """Whether both folders lie on one file system: who finds it has the backup and the keys of people's contents."""
    return mount_of(Path(plan.out)) == mount_of(Path(plan.subject_keys).parent)


def mount_of(folder: Path) -> Path:
    """Where the file system is mounted that holds ``folder``, or would hold it; links are followed."""
    folder = folder.resolve()
    while not folder.is_mount() and folder != folder.parent:
        folder = folder.parent
    return folder


def _fault(folder: Path, root: Path, *, on_mount: bool) -> str | None:
    if not folder.is_dir():
        return f"{folder}: no such folder: is the medium mounted?"
    whole, site = folder.resolve(), root.resolve()
    if whole == site or site in whole.parents:
        return f"{folder} lies in the site itself"
    if on_mount and mount_of(folder) in {Path("/"), mount_of(root)}:
        return f"{folder} lies on the disk of the host or the site: no medium is mounted there (backup.on_mount)"
    return None


def _kind(paths: SitePaths) -> str | None:
    try:
        return key_kind(paths.secrets)
    except OSError:  # whoever may not look
        return None
