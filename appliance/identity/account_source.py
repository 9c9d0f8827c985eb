"""Who the accounts of the site's realm are: for auditors who may see whom a pseudonym stands for, and nobody else.

Pseudonyms are a keyed hash of an account's id, so a name is found by going through all accounts. Nothing is kept: a
name that Keycloak does not have any more is nowhere else either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.errors import UnavailableError
from appliance.identity.clients import NAMES_CLIENT
from appliance.identity.service_reader import ServiceReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    import httpx

PAGE = 500
OVERLAP = 20
"""Accounts of a page that the next one has again: so many may be deleted meanwhile, and nobody is passed over."""
PROGRAMS = "service-account-"
"""How the names of programs' accounts begin: Keycloak lists these only to whoever asks by name."""
LISTINGS: tuple[Mapping[str, str], ...] = ({}, {"username": PROGRAMS})
"""What is asked for to see every account: people, then programs."""


@dataclass
class Pages:
    """The pages of one of ``LISTINGS``, one after the other until there is none left (``over``)."""

    asked: Mapping[str, str]
    over: bool = False
    _first: int = 0
    _last: frozenset[str] = frozenset()

    @property
    def query(self) -> dict[str, str | int]:
        """What to ask for the next page."""
        return {**self.asked, "briefRepresentation": "true", "max": PAGE, "first": self._first}

    def take(self, page: list[dict[str, Any]]) -> list[tuple[str, str]]:
        """Id and name of each account of the page that was asked for.

        Raises ``UnavailableError`` for one without, and for a page with nobody new, which would be asked for for ever.
        """
        accounts = [(one.get("id"), one.get("username")) for one in page]
        named = [(one, name) for one, name in accounts if isinstance(one, str) and isinstance(name, str)]
        if len(named) != len(page):
            raise UnavailableError("keycloak names an account without id or name")
        ids = frozenset(one for one, _ in named)
        self.over = len(page) < PAGE
        if not self.over and ids <= self._last:
            raise UnavailableError("keycloak names the same accounts again", "try again in a moment")
        self._first, self._last = self._first + PAGE - OVERLAP, ids
        return named


class AccountSource:
    """The accounts of the realm ``issuer``; ``http`` is the caller's, and trusts the site's CA."""

    def __init__(self, issuer: str, secret: str, http: httpx.AsyncClient) -> None:
        self.reader = ServiceReader(issuer, client=NAMES_CLIENT, secret=secret, what="accounts", http=http)

    async def accounts(self) -> AsyncGenerator[tuple[str, str], None]:
        """Id and name of every account, people's first; some come twice. Raises ``UnavailableError``."""
        for asked in LISTINGS:
            pages = Pages(asked)
            while not pages.over:
                for account in pages.take(await self.reader.read("users", pages.query)):
                    yield account
