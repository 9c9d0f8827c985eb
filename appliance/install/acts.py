"""What happens to the site as a whole: it is started, stopped, removed, or resumed. Journaled, and from there logged.

An act goes into the install journal first, which needs no service, and the journal is spooled into the audit log. So
`down` and `uninstall` are in the log before they stop its writer; where it does not answer, the journal keeps the act
and the next `up` enters it. Stopping is never refused for want of an entry: a site that cannot log has to stop.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from appliance.errors import SovereignError
from appliance.install.audit_spool import spool
from appliance.install.journal import Journal, beside
from appliance.install.release_description import active_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

Act = Literal["up", "down", "uninstall", "resume"]


@contextmanager
def journaled(paths: SitePaths, act: Act) -> Iterator[None]:
    """Journal ``act`` as done when the block ends, or as failed when it raises."""
    try:
        yield
    except BaseException as error:
        with beside(error):  # what went wrong first is what the operator needs to hear
            _record(paths, act, "failed", {"error": type(error).__name__})
        raise
    record(paths, act)


def record(paths: SitePaths, act: Act) -> None:
    """Journal ``act`` as done."""
    _record(paths, act, "done", {})


def announce(config: SiteConfig, paths: SitePaths, act: Act, more: Mapping[str, str] | None = None) -> str | None:
    """Journal ``act`` and enter it into the log, before it happens. Why it is not in the log, or None: it is.

    ``more`` is what else its entry says of it.
    """
    try:
        _record(paths, act, "done", more or {})
        spool(config, paths, active_version(paths))
    except SovereignError as error:
        return error.cause
    return None


def _record(paths: SitePaths, act: Act, state: Literal["done", "failed"], detail: Mapping[str, str]) -> None:
    journal = Journal.open(paths.journal)
    try:
        journal.append(act, state, "", {"uid": str(os.getuid()), **detail})
    finally:
        journal.close()
