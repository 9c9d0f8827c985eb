"""The mark of a site that is being restored: until it is gone nothing serves, and only `restore` goes on.

A site whose data are there in part, or whose erasures were not made again, must not answer: the gateway itself refuses
to start while the mark is there. It also keeps the head of the later log that the restore was begun with: gone on
without it, or with another, people would be known again whom it says were erased.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from airgap_bundle.digest import Digest
from appliance.errors import DeploymentError, UsageError
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from appliance.audit.later import LaterLog
    from appliance.site.paths import SitePaths

_ANEW = "uninstall this site, and restore it anew"


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
    """Raise ``UsageError`` where the restore under way was begun with a later log that ``later`` does not go on from.

    That it does was shown where it was opened (``later_begun``).
    """
    backup = restoring_from(paths)
    begun = later_begun(paths, backup) if backup is not None else None
    if begun is not None and (later is None or not later.covers(*begun)):
        raise UsageError(
            f"{paths.root} is being restored with a later log of {begun[0]} entries"
            + (", from which this one was not shown to go on" if later is not None else ""),
            f"name that one again, or one that goes further, with --later-log; where it is lost, {_ANEW}",
        )


def write_mark(paths: SitePaths, backup: Digest, later: LaterLog | None = None) -> None:
    """Write the mark, whatever is at ``paths``: whether that is free was looked at before."""
    paths.root.mkdir(mode=0o755, parents=True, exist_ok=True)
    told: dict[str, object] = {"backup": str(backup)}
    if later is not None:
        told["later_log"] = {"size": later.head.size, "root": later.root}
    write_private(paths.restoring, json.dumps(told).encode() + b"\n")
    paths.restoring.chmod(0o644)


def later_begun(paths: SitePaths, backup: Digest) -> tuple[int, bytes] | None:
    """Size and root of the later log that the restore of ``backup`` was begun with; None: it was begun with none."""
    if restoring_from(paths) != backup:
        return None
    try:
        told = json.loads(paths.restoring.read_bytes())
        if "later_log" not in told:
            return None
        return int(told["later_log"]["size"]), base64.b64decode(told["later_log"]["root"], validate=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(paths) from error


def _damaged(paths: SitePaths) -> DeploymentError:
    return DeploymentError(f"{paths.restoring} is damaged", _ANEW)


def unmark(paths: SitePaths) -> None:
    """The site is whole."""
    paths.restoring.unlink(missing_ok=True)


def refuse_half_restored(paths: SitePaths) -> None:
    """Raise ``UsageError`` while a restore is under way."""
    if restoring_from(paths) is not None:
        raise UsageError(f"{paths.root} is restored in part", "run `sovereign restore` again: it goes on")
