"""What every decision about models and packs needs of a site: who may make one, and that the log hears of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from appliance.errors import DeploymentError, NotAllowedError, SovereignError, UsageError
from appliance.install.audit_spool import spool
from appliance.install.probe import Probe, answers
from appliance.install.release_description import active_version
from appliance.site.load import load_site
from appliance.site.paths import AUDIT

if TYPE_CHECKING:
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths


def check_allowed(paths: SitePaths) -> None:
    """Raise ``NotAllowedError`` unless this process may change the site: as root, or as who installed it."""
    if os.geteuid() not in {0, paths.root.stat().st_uid}:
        raise NotAllowedError("only root, or who installed this site, may change its models", "ask its operator")


def installed(paths: SitePaths) -> SiteConfig:
    """The site's configuration. Raises ``UsageError`` where nothing is installed."""
    if not paths.site_yaml.exists() or not paths.current.exists():
        raise UsageError(f"nothing is installed at {paths.root}", "run `sovereign install` first")
    return load_site(paths.site_yaml)


def demand_log(config: SiteConfig, paths: SitePaths) -> None:
    """Raise ``DeploymentError`` unless the audit log takes entries: what cannot be logged is not done."""
    if not answers(Probe("unix-http", str(paths.socket(AUDIT)), patience_s=paths.patience_s)):
        raise DeploymentError("the audit log does not answer, and what is not logged is not done", "`sovereign up`")
    spool(config, paths, active_version(paths))


def tell_log(config: SiteConfig, paths: SitePaths) -> str | None:
    """Enter what the journal holds into the log; why that did not succeed, or None: it did."""
    try:
        spool(config, paths, active_version(paths))
    except SovereignError as error:
        return error.cause
    return None
