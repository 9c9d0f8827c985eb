"""Takes a site away: services, units, users that no other site needs, runtime folder, and the site root."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import read_vkeys
from appliance.audit.stored import read_stored
from appliance.audit.tally_cache import forget_own
from appliance.errors import DeploymentError, SovereignError, UsageError
from appliance.install.accounts import load_accounts, remove_accounts
from appliance.install.acts import announce
from appliance.install.journal import read_journal
from appliance.install.lock import site_lock
from appliance.install.log_fate import REMOVAL, UNSAID, LogFate, note_going, require_fate, was_going
from appliance.install.services import site_services
from appliance.install.startup import stop_services
from appliance.install.steps.secrets import VKEYS
from appliance.install.supervision import choose_supervision
from appliance.install.vault import take_back
from appliance.site.load import load_site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.audit.checkpoint import Checkpoint
    from appliance.site.paths import SitePaths


_MARKS = ("restoring.json", "state/journal.jsonl", "state/users.json", "store", "trust")


@dataclass(frozen=True)
class Removed:
    """What went away. ``unlogged`` says why the log has no entry about it; ``log_head`` is where the log ended."""

    root: Path
    users: tuple[str, ...]
    unlogged: str | None
    log_head: Checkpoint | None


def refuse(paths: SitePaths, fate: LogFate = UNSAID) -> None:
    """Raises ``UsageError`` where ``paths.root`` is no site, and as ``require_fate`` where its log has to be kept."""
    _refuse_foreign(paths)
    require_fate(paths, fate)


def uninstall(
    paths: SitePaths, fate: LogFate = UNSAID, *, progress: Callable[[int, int], None] | None = None
) -> Removed:
    """Remove everything the installer made, an interrupted installation's pieces included. Safe to repeat.

    What reports of the operator's own counted goes, too; other readers' caches are theirs.

    A log that is to be kept does not go unless ``fate`` says where it is kept, or that it goes: see ``require_fate``.
    The removal is the last entry of a log that goes with it: of use to whoever holds a copy, or the log's last head.
    Raises as ``refuse``, before anything is stopped: nothing else than a site is ever deleted.
    """
    _refuse_foreign(paths)
    with site_lock(paths):
        kept = require_fate(paths, fate, progress)
        unlogged = _announce(paths, fate)
        _stop_in_order(paths)
        head = _log_head(paths)
        if fate.archived is not None and head != kept and not was_going(paths):
            raise DeploymentError("the log went on while the site was being stopped", "copy it again, and name that")
        choose_supervision(paths).close()
        take_back(paths)
        if paths.run.is_dir():
            shutil.rmtree(paths.run)
        users = remove_accounts(paths)
        existed = _root_existed(paths)
        note_going(paths)
        for child in sorted(paths.root.iterdir(), key=lambda p: p == paths.journal.parent):  # the journal goes last
            _remove(child)
        if not existed:
            paths.root.rmdir()
        forget_own()
    return Removed(paths.root, users, unlogged, head)


def _refuse_foreign(paths: SitePaths) -> None:
    if not any((paths.root / mark).exists() for mark in _MARKS):
        raise UsageError(f"{paths.root} is no site", "name the site's root with --site")


def _announce(paths: SitePaths, fate: LogFate) -> str | None:
    if not (paths.site_yaml.exists() and paths.journal.exists()):
        return "the installation was interrupted before there was a log"
    return announce(load_site(paths.site_yaml), paths, REMOVAL, fate.record())


def _log_head(paths: SitePaths) -> Checkpoint | None:
    """The durable head of the log, verified; None when there is none or it does not hold.

    Its folder is the writer's, who may have laid there what never ends: ``stored`` reads regular files, and so much.
    """
    try:
        return read_stored(paths.audit_log, read_vkeys(paths.policies / VKEYS)).head
    except (OSError, SovereignError):
        return None


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
