"""Two persons reveal what was said behind one entry of the log: one asks, another agrees, and the log has both first.

Each signs a statement of a kind of its own with both halves of a key that the site enrolled. The agreement is to one
request, by its digest. Nobody is both: not under one name, and not with one key under two. Pure.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airgap_bundle.errors import BundleError, FormatError
from airgap_bundle.metadata import format_time, parse_time
from airgap_bundle.statement import sign_statement, verify_statement
from appliance.audit.errors import RevealError
from appliance.audit.events_operation import admin_change
from appliance.audit.roles import OPERATOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airgap_bundle.keys import PublicSigner, Signer
    from appliance.audit.ocsf import Event

REQUEST_TYPE = "application/vnd.sovereign.reveal-request.v1+json"
APPROVAL_TYPE = "application/vnd.sovereign.reveal-approval.v1+json"
MIN_REASON, MAX_REASON = 10, 500
MAX_DAYS = 7
SECOND = "a second person approves, with a key of their own"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Reveal:
    """What two persons agreed on: one entry of one log, by its position and its leaf hash."""

    index: int
    leaf: bytes
    reason: str
    requester: str
    approver: str
    request: str
    """The digest of the request; both statements are entered under it."""

    def entries(self) -> list[tuple[str, Event]]:
        """Both statements as the log has them, under ids that a second showing does not make anew."""
        told = (
            (self.requester, "requested", self.reason),
            (self.approver, "approved", f"requested by {self.requester}: {self.reason}"),
        )
        return [
            (OPERATOR.id("reveal", self.request, step), self._event(who, f"{step}; {detail}"))
            for who, step, detail in told
        ]

    def shown(self, actor: str, by: str) -> tuple[str, Event]:
        """That the content is shown now, on the word of both; ``by`` tells one showing from another."""
        detail = f"shown; requested by {self.requester}, approved by {self.approver}"
        return OPERATOR.id("reveal", self.request, "shown", by), self._event(actor, detail)

    def _event(self, actor: str, detail: str) -> Event:
        return admin_change(actor=actor, action="read", kind="content", target=f"entry {self.index}", detail=detail)


def sign_request(  # noqa: PLR0913 - the fields of a request
    signer: Signer, *, origin: str, index: int, leaf: bytes, reason: str, now: datetime, days: int
) -> bytes:
    """A request of ``signer`` for what was said behind entry ``index`` of the log ``origin``."""
    payload = {
        "schema": 1,
        "origin": origin,
        "entry": index,
        "leaf": leaf.hex(),
        "reason": _reason(reason),
        "by": signer.name,
        **_period(now, days),
    }
    return sign_statement(payload, REQUEST_TYPE, signer)


def sign_approval(signer: Signer, request: bytes, *, now: datetime, days: int) -> bytes:
    """The agreement of ``signer`` to ``request``."""
    payload = {"schema": 1, "request": _digest(request), "by": signer.name, **_period(now, days)}
    return sign_statement(payload, APPROVAL_TYPE, signer)


def open_request(request: bytes, auditors: Sequence[PublicSigner], origin: str, now: datetime) -> dict[str, Any]:
    """What a request asks for, verified. Raises ``RevealError``."""
    asked = _verified(request, REQUEST_TYPE, auditors, now)
    leaf, index, reason = asked.get("leaf"), asked.get("entry"), asked.get("reason")
    if asked.get("origin") != origin:
        raise RevealError(f"the request is about the log {asked.get('origin')!r:.80}, not {origin!r}")
    if type(index) is not int or index < 0 or not isinstance(leaf, str) or len(leaf) != 64 or set(leaf) - _HEX:  # noqa: PLR2004 - hex digits of SHA-256
        raise RevealError("the request names no entry")
    if not isinstance(reason, str) or not MIN_REASON <= len(reason) <= MAX_REASON:
        raise RevealError("the request gives no reason")
    return asked


def agreed(request: bytes, approval: bytes, auditors: Sequence[PublicSigner], *, origin: str, now: datetime) -> Reveal:
    """What both statements together allow, by ``auditors`` of the log ``origin``. Raises ``RevealError``."""
    asked = open_request(request, auditors, origin, now)
    answer = _verified(approval, APPROVAL_TYPE, auditors, now)
    if answer.get("request") != _digest(request):
        raise RevealError("the approval is of another request")
    one, other = _person(asked["by"], auditors), _person(answer["by"], auditors)
    if one.name == other.name or _material(one) & _material(other):
        raise RevealError(f"{one.name} asked for it: {other.name} is no second person", SECOND)
    return Reveal(
        asked["entry"], bytes.fromhex(asked["leaf"]), asked["reason"], one.name, other.name, _digest(request)[:32]
    )


def _verified(data: bytes, kind: str, auditors: Sequence[PublicSigner], now: datetime) -> dict[str, Any]:
    try:
        payload, name = verify_statement(data, kind, auditors)
        issued, expires = parse_time(payload.get("issued")), parse_time(payload.get("expires"))
    except (BundleError, FormatError) as error:
        raise RevealError(error.cause, "both are signed by auditors whom site.yaml names") from error
    if payload.get("schema") != 1 or payload.get("by") != name:
        raise RevealError(f"the statement is not by {name}, who signed it, or of a later version")
    if not issued <= now < expires or expires - issued > timedelta(days=MAX_DAYS):
        raise RevealError(
            f"the statement of {name} holds from {format_time(issued)} to {format_time(expires)}",
            f"have it signed anew, for {MAX_DAYS} days at most",
        )
    return payload


def _person(name: str, auditors: Sequence[PublicSigner]) -> PublicSigner:
    return next(one for one in auditors if one.name == name)


def _material(person: PublicSigner) -> set[str]:
    return {str(key.keyval["public"]) for key in person.keys}


def _period(now: datetime, days: int) -> dict[str, str]:
    return {"issued": format_time(now), "expires": format_time(now + timedelta(days=days))}


def _reason(reason: str) -> str:
    told = reason.strip()
    if not MIN_REASON <= len(told) <= MAX_REASON:
        raise RevealError(f"a reason has {MIN_REASON} to {MAX_REASON} characters", "say it with --reason")
    return told


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
