"""Who the accounts of the site's realm are: for auditors who may see whom a pseudonym stands for, and nobody else.

Pseudonyms are a keyed hash of an account's id, so a name is found by going through all accounts. Nothing is kept: a
name that Keycloak does not have any more is nowhere else either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.errors import UnavailableError
from appliance.identity.clients import NAMES_CLIENT
from appliance.identity.service_reader import ServiceReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx

PAGE = 500
OVERLAP = 20
"""Accounts of a page that the next one has again: so many may be deleted meanwhile, and nobody is passed over."""
PROGRAMS = "service-account-"
"""How the names of programs' accounts begin: Keycloak lists these only to whoever asks by name."""


class AccountSource:
    """The accounts of the realm ``issuer``; ``http`` is the caller's, and trusts the site's CA."""

    def __init__(self, issuer: str, secret: str, http: httpx.AsyncClient) -> None:
        self.reader = ServiceReader(issuer, client=NAMES_CLIENT, secret=secret, what="accounts", http=http)

    async def accounts(self) -> AsyncGenerator[tuple[str, str], None]:
        """Id and name of every account, people's first; some come twice. Raises ``UnavailableError``."""
        everybody: dict[str, str | int] = {"briefRepresentation": "true", "max": PAGE}
        for asked in (everybody, everybody | {"username": PROGRAMS}):
            first = 0
            while True:
                query = asked | {"first": first}
                page = await self.reader.read("users", query)
                for one in page:
                    held = one.get("id"), one.get("username")
                    if not all(isinstance(value, str) for value in held):
                        raise UnavailableError("keycloak names an account without id or name")
                    yield str(held[0]), str(held[1])
                if len(page) < PAGE:
                    break
                first += PAGE - OVERLAP
