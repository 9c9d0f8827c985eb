"""The mark of a site that is being restored: until it is gone nothing serves, and only `restore` goes on.

A site whose data are there in part, or whose erasures were not made again, must not answer: the gateway itself refuses
to start while the mark is there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airgap_bundle.digest import Digest
from appliance.errors import DeploymentError, UsageError
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from appliance.site.paths import SitePaths


def restoring_from(paths: SitePaths) -> Digest | None:
    """The statement's digest of the backup that is being restored; None: none is."""
    try:
        return Digest.parse(json.loads(paths.restoring.read_bytes())["backup"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeploymentError(f"{paths.restoring} is damaged", "uninstall this site, and restore it anew") from error


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


def mark(paths: SitePaths, backup: Digest) -> None:
    """Begin, or go on. Raises as ``check_free``."""
    if not check_free(paths, backup):
        write_mark(paths, backup)


def write_mark(paths: SitePaths, backup: Digest) -> None:
    """Write the mark, whatever is at ``paths``: whether that is free was looked at before."""
    paths.root.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_private(paths.restoring, json.dumps({"backup": str(backup)}).encode() + b"\n")
    paths.restoring.chmod(0o644)


def unmark(paths: SitePaths) -> None:
    """The site is whole."""
    paths.restoring.unlink(missing_ok=True)


def refuse_half_restored(paths: SitePaths) -> None:
    """Raise ``UsageError`` while a restore is under way."""
    if restoring_from(paths) is not None:
        raise UsageError(f"{paths.root} is restored in part", "run `sovereign restore` again: it goes on")
