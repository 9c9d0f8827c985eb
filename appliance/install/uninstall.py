"""Takes a site away: services, units, users that no other site needs, runtime folder, and the site root."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.errors import UsageError
from appliance.install.accounts import load_accounts, remove_accounts
from appliance.install.journal import read_journal
from appliance.install.lock import site_lock
from appliance.install.services import site_services
from appliance.install.startup import stop_services
from appliance.install.supervision import choose_supervision
from appliance.install.vault import take_back
from appliance.site.load import load_site

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.paths import SitePaths


_MARKS = ("state/journal.jsonl", "state/users.json", "store", "trust")


@dataclass(frozen=True)
class Removed:
    """What went away."""

    root: Path
    users: tuple[str, ...]


def uninstall(paths: SitePaths) -> Removed:
    """Remove everything the installer made, an interrupted installation's pieces included. Safe to repeat.

    Raises ``UsageError`` where ``paths.root`` is no site: nothing else is ever deleted.
    """
    if not any((paths.root / mark).exists() for mark in _MARKS):
        raise UsageError(f"{paths.root} is no site", "name the site's root with --site")
    with site_lock(paths):
        _stop_in_order(paths)
        choose_supervision(paths).close()
        take_back(paths)
        if paths.run.is_dir():
            shutil.rmtree(paths.run)
        users = remove_accounts(paths)
        existed = _root_existed(paths)
        for child in sorted(paths.root.iterdir(), key=lambda p: p == paths.journal.parent):  # the journal goes last
            _remove(child)
        if not existed:
            paths.root.rmdir()
    return Removed(paths.root, users)


def _stop_in_order(paths: SitePaths) -> None:
    """Those that need others first; an interrupted installation may not know its services yet."""
    if paths.site_yaml.exists() and paths.users.exists():
        stop_services(paths, site_services(load_site(paths.site_yaml), paths, load_accounts(paths)))


def _root_existed(paths: SitePaths) -> bool:
    begin = next((r for r in read_journal(paths.journal) if r.step == "begin"), None)
    return begin is not None and begin.detail.get("root_existed") == "True"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
