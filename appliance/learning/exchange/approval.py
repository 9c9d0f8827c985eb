"""Persons of the site sign what leaves: k of those whom site.yaml names, each the very bytes. Pure.

An approval is a signed statement (FORMAT.md, section 11) of the type ``APPROVAL_TYPE``, with the digest of the export,
whose name and number it repeats. It counts for these bytes and for no others, once a
person, while the person is named and the export is not older than ``MAX_AGE``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airgap_bundle.errors import FormatError, VerificationError
from airgap_bundle.metadata import format_time, parse_time
from airgap_bundle.statement import sign_statement, verify_statement
from appliance.learning.errors import ExchangeRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from airgap_bundle.keys import PublicSigner, Signer
    from appliance.learning.exchange.export import Export

APPROVAL_TYPE = "application/vnd.sovereign.learning-approval.v1+json"
MAX_AGE = timedelta(days=30)
_SKEW = timedelta(hours=24)
_FIELDS = {"schema", "site", "number", "export", "issued", "approver"}


def approve(export: Export, signer: Signer, now: datetime) -> bytes:
    """The approval of ``signer`` for ``export``."""
    said = {
        "schema": 1,
        "site": export.head.site,
        "number": export.head.number,
        "export": export.digest,
        "issued": format_time(now),
        "approver": signer.name,
    }
    return sign_statement(said, APPROVAL_TYPE, signer)


def require_approved(
    export: Export, approvals: Iterable[bytes], approvers: Sequence[PublicSigner], threshold: int, now: datetime
) -> tuple[str, ...]:
    """Who approved ``export``, by name.

    Raises ``ExchangeRefusedError`` for an approval of other bytes, of somebody else, or out of its time, and where
    fewer than ``threshold`` persons approved; one bad approval is refused though others would do.
    """
    if export.head.approvals != threshold:
        raise ExchangeRefusedError(
            f"the export says that {export.head.approvals} persons sign, and site.yaml says {threshold}",
            "make a new draft",
        )
    names = {_approver(export, data, approvers, now) for data in approvals}
    if len(names) < threshold:
        raise ExchangeRefusedError(
            f"{len(names)} of {threshold} persons approved this export",
            f"`sovereign learn approve` by {', '.join(one.name for one in approvers)}",
        )
    return tuple(sorted(names))


def _approver(export: Export, data: bytes, approvers: Sequence[PublicSigner], now: datetime) -> str:
    try:
        said, signer = verify_statement(data, APPROVAL_TYPE, approvers)
        issued = _checked(said, signer)
    except (VerificationError, FormatError) as error:
        raise ExchangeRefusedError(f"an approval is refused: {error.cause}", error.hint) from error
    wanted = (export.head.site, export.head.number, export.digest)
    if (said["site"], said["number"], said["export"]) != wanted:
        raise ExchangeRefusedError(
            f"{signer} approved other bytes than these", "what changed after an approval is approved anew"
        )
    if not now - MAX_AGE <= issued <= now + _SKEW:
        raise ExchangeRefusedError(f"the approval of {signer} is of {issued:%Y-%m-%d}", "have it approved anew")
    return signer


def _checked(said: dict[str, Any], signer: str) -> datetime:
    if set(said) != _FIELDS or type(said["schema"]) is not int or said["schema"] != 1:
        raise FormatError("fields of an approval of schema 1 expected")
    if said["approver"] != signer:
        raise FormatError(f"it says it is from another person than {signer}, who signed it")
    return parse_time(said["issued"])
