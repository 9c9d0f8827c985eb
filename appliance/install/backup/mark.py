"""The mark of a site that is being restored: until it is gone nothing serves, and only `restore` goes on.

A site whose data are there in part, or whose erasures were not replayed, must not answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airgap_bundle.digest import Digest
from appliance.errors import DeploymentError, UsageError
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.paths import SitePaths


def restoring_from(paths: SitePaths) -> Digest | None:
    """The statement's digest of the backup that is being restored; None: none is."""
    try:
        return Digest.parse(json.loads(_path(paths).read_bytes())["backup"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeploymentError(f"{_path(paths)} is damaged", "uninstall this site, and restore it anew") from error


def mark(paths: SitePaths, backup: Digest) -> None:
    """Begin. Raises ``UsageError`` where there is a site already, or another backup is being restored."""
    before = restoring_from(paths)
    if before == backup:
        return
    if before is not None:
        raise UsageError(f"{paths.root} is being restored from another backup", f"go on with the one of {before}")
    if any(path.exists() for path in (paths.site_yaml, paths.journal, paths.store, paths.trust)):
        raise UsageError(f"there is a site at {paths.root}", "uninstall it first, or name another root with --site")
    _path(paths).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(_path(paths), json.dumps({"backup": str(backup)}).encode() + b"\n")


def unmark(paths: SitePaths) -> None:
    """The site is whole."""
    _path(paths).unlink(missing_ok=True)


def refuse_half_restored(paths: SitePaths) -> None:
    """Raise ``UsageError`` while a restore is under way."""
    if restoring_from(paths) is not None:
        raise UsageError(f"{paths.root} is restored in part", "run `sovereign restore` again: it goes on")


def _path(paths: SitePaths) -> Path:
    return paths.journal.with_name("restoring.json")
