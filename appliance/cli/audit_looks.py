"""That an operator looks at the site's own log is an entry of it, before the look.

Where no writer takes one (the site is down, its disk is full, or the caller is not its operator), the look goes on, and
says so: whoever may read the folder can read it without this command. A copy (``--log``) has no writer at all.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError, NotYoursError
from appliance.audit.events import admin_change
from appliance.audit.roles import OPERATOR
from appliance.cli.audit_options import log_folder
from appliance.cli.reached import reached
from appliance.cli.terminal import say
from appliance.site.paths import AUDIT

if TYPE_CHECKING:
    from pathlib import Path

    import typer


def looked_at(context: typer.Context, given: Path | None, what: str) -> Path:
    """The log to read, once it says that it is read: ``what`` is done with it."""
    if given is None:
        event = admin_change(actor=f"uid {os.getuid()}", action="read", kind="audit_log", target=what)
        try:
            with SyncAuditClient(reached(context).socket(AUDIT)) as audit:
                audit.append(event, id=OPERATOR.id("look", secrets.token_hex(16)))
        except (AuditUnavailableError, NotYoursError) as error:
            say(f"note: this look is not in the log: {error.cause}")
    return log_folder(context, given)
