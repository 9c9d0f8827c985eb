"""A changed site file with the release that is in force: no bundle is asked for.

The release was verified when it came and lies in the store, which every step reads by digest. A medium need not come
again for it; and one whose roots end before those that the site trusts by now could not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.store import Store
from appliance.errors import UsageError
from appliance.install.admission import is_first_install
from appliance.install.backup.mark import refuse_half_restored
from appliance.install.host import Plan, check_same_name, put_in_force, site_files
from appliance.install.journal import latest_done, read_journal
from appliance.install.judged import check as check_judged
from appliance.install.lock import site_lock
from appliance.install.preflight.report import check_host
from appliance.install.release_description import active_version
from appliance.install.release_env import choose_python
from appliance.install.steps import install_steps
from appliance.install.steps.context import Context
from appliance.install.vault import Vault

if TYPE_CHECKING:
    from airgap_bundle.store import VerifiedRelease
    from appliance.install.host import Installed
    from appliance.install.runner import Observer
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase


def plan_reinstall(paths: SitePaths, config: Path | None) -> Plan:
    """What ``reinstall`` would find and do; nothing is changed. Raises as it does."""
    release = _in_force(paths)
    files = site_files(paths, config)
    check_judged(paths, files.config)
    checked = check_host(files, paths, None)
    steps = install_steps(Context(paths, files, release, Vault(paths, _no_passphrase), choose_python() or Path()))
    done = read_journal(paths.journal)
    return Plan(checked, None, tuple((s.name, s.title, latest_done(done, s.name) is not None) for s in steps))


def reinstall(paths: SitePaths, config: Path | None, *, passphrase: Passphrase, observer: Observer) -> Installed:
    """Run every step that is not done for the release in force and the site file ``config``, or the installed one.

    Raises ``UsageError`` where no release is in force, ``StoreError`` where the store lost it, and as ``install``.
    """
    release = _in_force(paths)
    files = site_files(paths, config)
    check_same_name(paths, files)
    check_judged(paths, files.config)
    check_host(files, paths, None).demand()
    with site_lock(paths):
        return put_in_force(paths, files, release, passphrase=passphrase, observer=observer)


def _in_force(paths: SitePaths) -> VerifiedRelease:
    refuse_half_restored(paths)
    if not paths.current.exists() or is_first_install(paths):
        raise UsageError(f"no release is in force at {paths.root}", "name its bundle: `sovereign install BUNDLE`")
    return Store(paths.store).open_release(active_version(paths))


def _no_passphrase() -> bytes:
    raise UsageError("a plan opens no secrets")
