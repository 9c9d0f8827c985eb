"""Folders of a site: who owns each and with which mode. Made at install; the runtime ones again at every start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.install.accounts import Accounts
    from appliance.site.paths import SitePaths


@dataclass(frozen=True)
class Folder:
    """A folder as it should be. ``user`` None means the installing user."""

    path: Path
    mode: int
    user: str | None = None


def site_folders(paths: SitePaths, accounts: Accounts) -> Iterator[Folder]:
    """Folders that survive a reboot, parents first."""
    yield Folder(paths.root, 0o755)
    yield Folder(paths.journal.parent, 0o700)
    yield Folder(paths.secrets, 0o700)
    yield Folder(paths.trust, 0o755)
    yield Folder(paths.store, 0o755)
    yield Folder(paths.policies, 0o755)
    yield Folder(paths.tls, 0o755)
    yield Folder(paths.serving("x").parent, 0o755)
    yield Folder(paths.packs, 0o755)
    yield Folder(paths.release("x").parent, 0o755)
    yield Folder(paths.data("x").parent, 0o711)
    yield Folder(paths.log("x").parent, 0o750)
    for service, user in accounts.users.items():
        yield Folder(paths.data(service), 0o700, user)


def runtime_folders(paths: SitePaths, accounts: Accounts) -> Iterator[Folder]:
    """Folders on the runtime file system, parents first. Members of the services' group may enter the sockets'."""
    yield Folder(paths.run, 0o755)
    for service, user in accounts.users.items():
        yield Folder(paths.socket(service).parent, 0o750, user)


def make_folders(folders: Iterator[Folder], accounts: Accounts) -> None:
    """Make what is missing and correct owner and mode of what is there."""
    for folder in folders:
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _correct(folder, accounts)


def folders_present(folders: Iterator[Folder]) -> bool:
    """Whether every folder is there with its mode."""
    return all(f.path.is_dir() and (f.path.stat().st_mode & 0o7777) == f.mode for f in folders)


def _correct(folder: Folder, accounts: Accounts) -> None:
    if os.geteuid() == 0:
        service = next((s for s, u in accounts.users.items() if u == folder.user), None)
        owner = accounts.account(service) if service is not None else None
        os.chown(folder.path, owner.uid if owner else 0, owner.gid if owner else 0)
    folder.path.chmod(folder.mode)
