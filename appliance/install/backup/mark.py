"""The mark of a site that is being restored: until it is gone nothing serves, and only `restore` goes on.

A site whose data are there in part, or whose erasures were not made again, must not answer: the gateway itself refuses
to start while the mark is there. It also keeps how far the later log went that the restore was begun with: gone on
without it, people would be known again whom it says were erased.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airgap_bundle.digest import Digest
from appliance.errors import DeploymentError, UsageError
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from appliance.audit.later import LaterLog
    from appliance.site.paths import SitePaths


def restoring_from(paths: SitePaths) -> Digest | None:
    """The statement's digest of the backup that is being restored; None: none is."""
    try:
        return Digest.parse(json.loads(paths.restoring.read_bytes())["backup"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(paths) from error


def check_free(paths: SitePaths, backup: Digest) -> bool:
    """Whether ``backup`` is being restored at ``paths``; False: nothing is there.

    Raises ``UsageError`` where there is a site already, or another backup is being restored.
    """
    before = restoring_from(paths)
    if before is not None and before != backup:
        raise UsageError(
            f"{paths.root} is being restored from another backup",
            f"go on with the one whose digest is {before}, or uninstall what is there",
        )
    if before is None and any(path.exists() for path in (paths.site_yaml, paths.journal, paths.store, paths.trust)):
        raise UsageError(
            f"there is a site at {paths.root}",
            "where its restore has just ended, `sovereign up` starts it; else name another root with --site",
        )
    return before is not None


def mark(paths: SitePaths, backup: Digest, later: LaterLog | None = None) -> None:
    """Begin, or go on. Raises as ``check_free`` and ``check_later``."""
    begun = check_free(paths, backup)
    check_later(paths, later)
    if not begun or later is not None:
        write_mark(paths, backup, later)


def check_later(paths: SitePaths, later: LaterLog | None) -> None:
    """Raise ``UsageError`` where the restore under way was begun with a later log than ``later``."""
    if restoring_from(paths) is None:
        return
    begun, given = _later_size(paths), later.head.size if later is not None else 0
    if given < begun:
        raise UsageError(
            f"{paths.root} is being restored with a later log of {begun} entries",
            "name that one again, or one that goes further, with --later-log",
        )


def write_mark(paths: SitePaths, backup: Digest, later: LaterLog | None = None) -> None:
    """Write the mark, whatever is at ``paths``: whether that is free was looked at before."""
    paths.root.mkdir(mode=0o755, parents=True, exist_ok=True)
    told: dict[str, object] = {"backup": str(backup)}
    if later is not None:
        told["later_log"] = later.head.size
    write_private(paths.restoring, json.dumps(told).encode() + b"\n")
    paths.restoring.chmod(0o644)


def _later_size(paths: SitePaths) -> int:
    try:
        return int(json.loads(paths.restoring.read_bytes()).get("later_log", 0))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise _damaged(paths) from error


def _damaged(paths: SitePaths) -> DeploymentError:
    return DeploymentError(f"{paths.restoring} is damaged", "uninstall this site, and restore it anew")


def unmark(paths: SitePaths) -> None:
    """The site is whole."""
    paths.restoring.unlink(missing_ok=True)


def refuse_half_restored(paths: SitePaths) -> None:
    """Raise ``UsageError`` while a restore is under way."""
    if restoring_from(paths) is not None:
        raise UsageError(f"{paths.root} is restored in part", "run `sovereign restore` again: it goes on")
