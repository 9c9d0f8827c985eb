"""Bringing a site back whose supervisord was killed: what its keeper becomes (``keeper``).

The operator's word stands: a site that was stopped has no unsealed secrets and stays down, an installation that is not
finished is finished by `sovereign install` or `restore`, and while another command is at work this one waits.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from appliance.errors import DeploymentError, UsageError
from appliance.install.accounts import load_accounts
from appliance.install.acts import record
from appliance.install.audit_spool import spool
from appliance.install.engines import SupervisedEngines
from appliance.install.journal import latest_done, read_journal
from appliance.install.lock import SiteBusyError, site_lock
from appliance.install.model_settle import settle
from appliance.install.release_description import active_version
from appliance.install.services import site_services
from appliance.install.startup import start_services, startable
from appliance.install.vault import is_unsealed
from appliance.site.load import load_site

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.site.paths import SitePaths

ATTEMPTS = 3
PAUSE_S = 5.0
_LAST_STEP = "realm"


def resume(paths: SitePaths, say: Callable[[str], None]) -> tuple[str, ...]:
    """Start what does not run, at a site that should; names of what was started.

    Tries a few times: what a start leaves running is kept by the new supervisord all the same. Raises the last
    ``DeploymentError`` when a service does not become ready, ``UsageError`` when the site was removed meanwhile.
    """
    left = ATTEMPTS
    while True:
        try:
            return _attempt(paths)
        except SiteBusyError as busy:
            say(f"waiting: {busy.cause}")
        except DeploymentError as error:
            left -= 1
            if not left:
                raise
            say(f"not all is back: {error.cause}; trying again")
        time.sleep(PAUSE_S)


def _attempt(paths: SitePaths) -> tuple[str, ...]:
    with site_lock(paths):
        if not paths.site_yaml.exists():
            raise UsageError(f"nothing is installed at {paths.root}", "run `sovereign install` first")
        if (
            paths.restoring.exists()
            or not is_unsealed(paths)
            or latest_done(read_journal(paths.journal), _LAST_STEP) is None
        ):
            return ()
        config = load_site(paths.site_yaml)
        settle(config, paths, SupervisedEngines(config, paths))
        services = startable(config, paths, site_services(config, paths, load_accounts(paths)))
        started = start_services(paths, services, lambda _ready, _of: None)
        if started:
            record(paths, "resume")
        spool(config, paths, active_version(paths))
    return started
