"""Programs that evaluate ask as people of a group do: under its instructions, with its adapter, and marked in the log.

Only a service client that site.yaml says ``evaluates`` may name the group, and only among its own; and only such a one
may ask to be answered with a brief that is not in force, or with none.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.gateway.briefs import IN_FORCE, NONE, Trial
from appliance.gateway.errors import ForbiddenError, UnprocessableError

if TYPE_CHECKING:
    from appliance.gateway.briefs import Wish
    from appliance.gateway.callers import Caller
    from appliance.site.config import SiteConfig

HEADER = "X-Sovereign-Group"
PACK_HEADER = "X-Sovereign-Pack"
"""Under which pack a program that evaluates is answered: a digest, or ``none``; without it, under the one in force."""
BRIEF_HEADER = "X-Sovereign-Brief"
CHANGE_HEADER = "X-Sovereign-Change"
"""A change of site.yaml (``learning.changes``) that the answer is to be given under."""
WITHOUT = "none"
PURPOSE = "evaluation"
_PACK = re.compile(r"none|sha256:[0-9a-f]{64}")


def asked_as(site: SiteConfig, caller: Caller, named: str | None, purpose: str) -> tuple[Caller, str]:
    """Who asks, and for what: ``caller`` for ``purpose``, or an evaluating client in the name of the group ``named``.

    Raises ``ForbiddenError`` for anybody else who names a group, and for a group that is not the client's;
    ``UnprocessableError`` for an evaluating client that names none.
    """
    if not any(client.id == caller.client_id and client.evaluates for client in site.service_clients):
        if named is not None:
            raise ForbiddenError(f"only a client that evaluates names a group with {HEADER}", code="not_evaluating")
        return caller, purpose
    if named is None:
        raise UnprocessableError(f"whoever evaluates names the group with {HEADER}", code="no_group")
    if named not in caller.groups:
        raise ForbiddenError(f"{named[:64]!a} is not among this client's groups", code="not_your_group")
    return replace(caller, groups=(named,)), PURPOSE


def pack_on_trial(site: SiteConfig, caller: Caller, named: str | None) -> str | None:
    """The pack that an evaluating client names for its request, ``none`` for none; None where it names nothing.

    Raises ``ForbiddenError`` for anybody else who names one, ``UnprocessableError`` for what is no digest.
    """
    if named is None:
        return None
    if not any(client.id == caller.client_id and client.evaluates for client in site.service_clients):
        raise ForbiddenError(f"only a client that evaluates names a pack with {PACK_HEADER}", code="not_evaluating")
    if not _PACK.fullmatch(named):
        raise UnprocessableError(f"{PACK_HEADER} is a pack's digest, or none", code="no_such_pack", param="pack")
    return named


def change_on_trial(purpose: str, named: str | None) -> str | None:
    """The change that an evaluating client names. Raises ``ForbiddenError`` for anybody else who names one."""
    if named is not None and purpose != PURPOSE:
        raise ForbiddenError(f"only a client that evaluates names a change with {CHANGE_HEADER}", code="not_evaluating")
    return named


def brief_wished(purpose: str, named: str | None) -> Wish:
    """Which brief the answer is to be given with: what is in force, or what an evaluation names with ``BRIEF_HEADER``.

    Raises ``ForbiddenError`` for anybody else who names one, ``UnprocessableError`` for what is no brief's id.
    """
    if named is None:
        return IN_FORCE
    if purpose != PURPOSE:
        raise ForbiddenError(f"only a client that evaluates names a brief with {BRIEF_HEADER}", code="not_evaluating")
    if named == WITHOUT:
        return NONE
    try:
        return Trial(uuid.UUID(named))
    except ValueError:
        raise UnprocessableError(f"{named[:64]!a} is no brief's id", code="no_brief") from None
