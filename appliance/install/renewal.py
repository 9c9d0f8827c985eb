"""New certificates for a site on this host, before the old ones end; what shows them is started anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.errors import UsageError
from appliance.install.accounts import load_accounts
from appliance.install.audit_spool import spool
from appliance.install.journal import Journal
from appliance.install.lock import site_lock
from appliance.install.release_description import active_version
from appliance.install.runner import Observer, execute
from appliance.install.services import site_services
from appliance.install.startup import Ready, prepare_runtime, start_services, startable
from appliance.install.steps.secrets import SERVERS, certificates_step
from appliance.install.supervision import choose_supervision
from appliance.install.vault import Vault, is_unsealed
from appliance.site.load import load_site

if TYPE_CHECKING:
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase


def renewable(paths: SitePaths) -> SiteConfig:
    """The site whose certificates can be renewed. Raises ``UsageError`` without one, and where it shows none."""
    if not paths.site_yaml.exists() or not paths.current.exists():
        raise UsageError(f"nothing is installed at {paths.root}", "run `sovereign install` first")
    config = load_site(paths.site_yaml)
    if config.tls.mode == "off":
        raise UsageError("this site shows no certificates (tls.mode: off)", "renew them where TLS ends")
    return config


def renew(paths: SitePaths, *, passphrase: Passphrase, observer: Observer, ready: Ready) -> None:
    """Issue the servers' certificates anew and start these two; the authority changes only where it is due itself.

    The renewal is a step of the install journal, and so in the audit log. A site that was stopped stays so.
    """
    config = renewable(paths)
    vault, accounts = Vault(paths, passphrase), load_accounts(paths)
    with site_lock(paths):
        was_up = is_unsealed(paths)
        journal = Journal.open(paths.journal)
        try:
            step = certificates_step(config, paths, vault)
            execute([replace(step, after=(), present=lambda: False)], journal, observer)
        finally:
            journal.close()
        if not was_up:
            return
        services = site_services(config, paths, accounts)
        supervision = choose_supervision(paths)
        for service in reversed(services):
            if service.name in SERVERS:
                supervision.stop(service)
        prepare_runtime(config, paths, accounts, vault)
        start_services(paths, startable(config, paths, services), ready)
        spool(config, paths, active_version(paths))
