"""``sovereign audit report --names``: whom the report's pseudonyms stand for, on the site, for who holds its key.

That names were asked for is in the log before Keycloak is asked. They go to the terminal and into no file of ours: a
report that leaves the site, a copy of the log and an export know pseudonyms only.
"""

from __future__ import annotations

import os
import re
import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.audit.client import SyncAuditClient
from appliance.audit.commitment import PSEUDONYM_HEX
from appliance.audit.events_operation import admin_change
from appliance.audit.roles import OPERATOR
from appliance.cli.reached import reached, service_secret
from appliance.cli.user_keycloak import keycloak
from appliance.errors import NotAllowedError, SovereignError, UsageError
from appliance.gateway.pseudonyms import subject_of
from appliance.identity.users import every_account
from appliance.site.paths import AUDIT, GATEWAY, SitePaths

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.audit.tally import UsageReport

NamesOption = Annotated[
    bool,
    typer.Option(
        "--names", help="On the site, with its key: say whom pseudonyms stand for. That you asked is entered first."
    ),
]
Names = dict[str, str | None]
_PSEUDONYM = re.compile(rf"[0-9a-f]{{{PSEUDONYM_HEX}}}")
_WITHOUT = "without --names, people appear by pseudonyms"


def require_nameable(log: Path | None, *, to_file: bool) -> None:
    """Raises ``NotAllowedError`` for a copy of a log, ``UsageError`` for a report that is written to a file."""
    if log is not None:
        raise NotAllowedError("only the site itself knows names: a copy of its log holds none", _WITHOUT)
    if to_file:
        raise UsageError("names are shown, and not written into a page, a spreadsheet or a file", _WITHOUT)


def names_in(context: typer.Context, usage: UsageReport, passphrase_fd: int | None) -> Names:
    """The name behind each pseudonym that ``usage`` lists; None where no account leads to it any more.

    Raises ``NotAllowedError`` for who does not hold the site's key, ``UnavailableError`` when the log or Keycloak does
    not answer: then nobody is named.
    """
    paths = reached(context)
    users = [name for name, _ in (*usage.top_users, *usage.top_failing)]
    listed = [*users, *(one.subject for one in usage.unusual)]
    found: Names = {one: None for one in listed if _PSEUDONYM.fullmatch(one)}
    key = _key(paths, passphrase_fd)
    _enter(paths, usage, len(found))
    with keycloak(paths, passphrase_fd) as admin:
        for account, name in every_account(admin):
            if (subject := subject_of(account, key)) in found:
                found[subject] = name
    return found


def _key(paths: SitePaths, passphrase_fd: int | None) -> bytes:
    try:
        return service_secret(paths, GATEWAY, "pseudonym_key", passphrase_fd)
    except (SovereignError, OSError) as error:
        raise NotAllowedError(f"names are for who holds the site's key: {error}", _WITHOUT) from error


def _enter(paths: SitePaths, usage: UsageReport, count: int) -> None:
    """What was looked at can be counted again: the report over these entries and days, with so many users."""
    days = f"days {usage.since or 'from the first'} to {usage.until or 'the last'}"
    detail = f"names of {count} people: a report over entries before {usage.size}, {days}, the top {usage.top}"
    event = admin_change(actor=f"uid {os.getuid()}", action="read", kind="names", target=usage.origin, detail=detail)
    with SyncAuditClient(paths.socket(AUDIT)) as audit:
        audit.append(event, id=OPERATOR.id("names", secrets.token_hex(16)))
