"""Whom pseudonyms stand for, for an auditor who may know: asked of Keycloak each time, and kept nowhere.

A pseudonym whose account is gone has no name: whoever was erased stays so (``people``), and nothing here remembers
what they were called.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from appliance.gateway.pseudonyms import subject_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable


class Accounts(Protocol):
    """The realm's accounts (``appliance.identity.account_source.AccountSource``)."""

    def accounts(self) -> AsyncGenerator[tuple[str, str], None]:
        """Id and name of every account. Raises ``UnavailableError``."""


class AccountNames:
    """Names by ``accounts``; ``key`` makes pseudonyms."""

    def __init__(self, accounts: Accounts, key: bytes) -> None:
        self._accounts = accounts
        self._key = key

    async def of(self, subjects: Iterable[str]) -> dict[str, str | None]:
        """The name of each of ``subjects``; None where no account leads to it. Raises ``UnavailableError``."""
        found: dict[str, str | None] = dict.fromkeys(subjects)
        left = set(found)
        async with aclosing(self._accounts.accounts()) as accounts:
            async for account, name in accounts:
                subject = subject_of(account, self._key)
                if subject in left:
                    found[subject] = name
                    left.remove(subject)
                if not left:
                    break
        return found
