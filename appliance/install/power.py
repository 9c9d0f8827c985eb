"""A site on one host: started, stopped, unsealed at boot. What the command line calls; nothing here prints."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from appliance.errors import DeploymentError, UsageError
from appliance.install.accounts import load_accounts
from appliance.install.acts import announce, journaled
from appliance.install.audit_spool import spool
from appliance.install.backup.mark import refuse_half_restored
from appliance.install.engines import SupervisedEngines
from appliance.install.journal import latest_done, read_journal
from appliance.install.lock import SiteBusyError, site_lock
from appliance.install.model_settle import end_standbys, settle
from appliance.install.release_description import active_version
from appliance.install.services import site_services
from appliance.install.startup import Ready, prepare_runtime, start_services, startable, stop_services
from appliance.install.steps.service import configure_realm
from appliance.install.supervision import choose_supervision
from appliance.install.vault import Vault, take_back
from appliance.models.unservable import unservable
from appliance.site.load import load_site
from appliance.site.paths import GATEWAY, engine_service

if TYPE_CHECKING:
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase


def up(paths: SitePaths, *, passphrase: Passphrase, ready: Ready) -> tuple[str, ...]:
    """Start what does not run and wait until it is ready; names of what was started.

    An engine that has nothing to load (``unservable``) stays down (``kept_down``); everything else starts.
    """
    refuse_half_restored(paths)
    config = _installed(paths)
    accounts = load_accounts(paths)
    vault = Vault(paths, passphrase)
    with site_lock(paths):
        with journaled(paths, "up"):
            prepare_runtime(config, paths, accounts, vault)
            engines = SupervisedEngines(config, paths)
            settle(config, paths, engines)
            services = startable(config, paths, site_services(config, paths, accounts))
            started: tuple[str, ...] = ()
            if latest_done(read_journal(paths.journal), "realm") is None:  # the gateway is ready only with the realm
                started = start_services(paths, [s for s in services if s.name != GATEWAY], ready)
                configure_realm(config, paths, vault)
            started += start_services(paths, services, ready)
            end_standbys(config, paths, engines)  # one that served alone until now
        spool(config, paths, active_version(paths))
    return started


def kept_down(paths: SitePaths) -> DeploymentError | None:
    """Which engines stay down because there is nothing that they could load, and why; None: none does."""
    found = unservable((model.name for model in _installed(paths).models), paths)
    if not found:
        return None
    why = "; ".join(f"{engine_service(name)} stays down: {error.cause}" for name, error in found.items())
    return DeploymentError(why, next(iter(found.values())).hint)


def down(paths: SitePaths) -> str | None:
    """Stop every service and take the unsealed secrets away; why that is not in the audit log, or None: it is."""
    config = _installed(paths)
    with site_lock(paths):
        unlogged = announce(config, paths, "down")
        stop_services(paths, site_services(config, paths, load_accounts(paths)))
        choose_supervision(paths).rest()  # of standby engines too
        for model in config.models:
            paths.diverted(model.name).unlink(missing_ok=True)
        take_back(paths)
    return unlogged


def unseal(paths: SitePaths, *, passphrase: Passphrase) -> None:
    """What the boot unit does before the first service.

    Under the site's lock, as every change. Where a command holds it, that one has settled, and may have a trial under
    way; and it must not be waited for: `up` and `install` start this unit while they hold the lock, and wait for it.
    """
    config = _installed(paths)
    with ExitStack() as held:
        with suppress(SiteBusyError):
            held.enter_context(site_lock(paths))
            refuse_half_restored(paths)  # a boot in the middle of a restore; the restore itself holds the lock
            settle(config, paths, None)  # nothing serves yet: no engine finds a trial
        prepare_runtime(config, paths, load_accounts(paths), Vault(paths, passphrase))


def _installed(paths: SitePaths) -> SiteConfig:
    if not paths.site_yaml.exists() or not paths.current.exists():
        raise UsageError(f"nothing is installed at {paths.root}", "run `sovereign install` first")
    return load_site(paths.site_yaml)
