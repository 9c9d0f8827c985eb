"""That a cluster was installed, upgraded or rolled back is an entry of its log, as each step of a host's is.

The journal of the administrator's machine has it first; from there it goes into the log once that answers, now or with
what is entered next. A run that changed nothing is none.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Literal

from airgap_bundle.errors import BundleError
from appliance.cli.terminal import say
from appliance.cluster.reached import reached_site
from appliance.errors import DeploymentError, SovereignError
from appliance.install.audit_spool import spool
from appliance.install.journal import Journal, beside
from appliance.install.release_description import active_version
from appliance.site.load import load_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from appliance.cluster.install import Installed
    from appliance.site.paths import SitePaths

Change = Literal["install", "upgrade", "rollback"]


@contextmanager
def failing(paths: SitePaths, change: Change) -> Iterator[None]:
    """A ``DeploymentError`` from within is journaled as ``change`` that failed, and goes on."""
    try:
        yield
    except DeploymentError as error:
        if paths.cluster_state.exists():
            with beside(error):
                _note(paths, change, "failed", {"error": error.cause})
        raise


def enter_change(paths: SitePaths, change: Change, done: Installed, *, enter: Sequence[str] = ()) -> str | None:
    """Enter what came of ``change``; why the log does not have it yet, or None: it has, or there was nothing to enter.

    ``enter`` goes before each ssh. Says so on stderr as well.
    """
    if done.url is None or not any(done.changed.values()):
        return None
    changed = ", ".join(f"{host} {count}" for host, count in sorted(done.changed.items()))
    try:
        _note(paths, change, "done", {"release": done.version, "changes": changed})
        with reached_site(paths, enter) as found:
            spool(load_site(found.site_yaml), found, active_version(found))
    except (SovereignError, BundleError) as error:
        say(f"the audit log has no entry about it yet: {error.cause}; the next change of the site enters it")
        return error.cause
    return None


def _note(paths: SitePaths, change: Change, state: Literal["done", "failed"], detail: Mapping[str, str]) -> None:
    with closing(Journal.open(paths.journal)) as journal:
        journal.append(f"cluster-{change}", state, "", {"uid": str(os.getuid()), **detail})
