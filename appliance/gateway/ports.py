"""What the gateway needs of its neighbours, as protocols: tests put small fakes here, ``server`` the real clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from typing import Any

    from appliance.audit.client import Position
    from appliance.audit.reader import Page
    from appliance.audit.search import Wanted
    from appliance.engine.client import ModelInfo
    from appliance.engine.protocol import Event, Request
    from appliance.engine.tiers import EngineTiers
    from appliance.identity.oidc import Tokens
    from appliance.identity.tokens import LogoutToken, Principal


class Engine(Protocol):
    """One model's engine (``appliance.engine.client.EngineClient``)."""

    def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        """Events of one request; closing the iterator cancels it."""

    async def model(self) -> ModelInfo:
        """What the engine serves."""

    async def healthy(self) -> bool:
        """Whether it takes requests now."""

    async def tiers(self) -> EngineTiers:
        """What lies in its memory."""


class Audit(Protocol):
    """The log's writer (``appliance.audit.client.AuditClient``)."""

    instance: str
    """The name of this process, which the writer takes to be alive as long as it is connected."""

    async def append(self, event: dict[str, Any], *, id: str, proven: bool = False) -> Position:  # noqa: A002 - the contract's name
        """Where the entry lies, and ``proven`` its proof; returns only when it is durable."""

    async def healthy(self) -> bool:
        """Whether appending works at the moment."""


class LogReader(Protocol):
    """The log as auditors read it (``appliance.audit.reader.LogReader``)."""

    async def state(self) -> dict[str, Any]:
        """Origin, size, checkpoint and witnesses."""

    async def usage(self, since: str | None, until: str | None) -> dict[str, Any]:
        """Figures of a period of days."""

    async def export(self, first: int, last: int) -> bytes:
        """Entries with their proofs and what checks them."""

    async def search(self, wanted: Wanted, *, before: int | None = None, limit: int = 50) -> Page:
        """Entries that are as wanted, latest first."""


class Verifier(Protocol):
    """Keycloak's tokens (``appliance.identity.tokens.TokenVerifier``)."""

    async def verify(self, token: str) -> Principal:
        """The caller of an access token."""

    async def verify_id_token(self, token: str, *, client_id: str, nonce: str) -> Mapping[str, Any]:
        """Claims of an id token made for this sign-in."""

    async def verify_logout_token(self, token: str, *, client_id: str) -> LogoutToken:
        """Claims of a back-channel logout token."""

    async def ready(self) -> None:
        """Return when the issuer's keys are at hand, raise when they cannot be had."""


class SignIn(Protocol):
    """The code flow with Keycloak (``appliance.identity.oidc.OidcClient``)."""

    async def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, code_verifier: str) -> str:
        """Where to send the browser."""

    async def exchange_code(self, *, code: str, redirect_uri: str, code_verifier: str) -> Tokens:
        """Tokens for the code that the browser brought back."""

    async def refresh(self, refresh_token: str) -> Tokens:
        """Fresh tokens; the old refresh token is spent."""

    async def end_session_url(self, *, id_token_hint: str, post_logout_redirect_uri: str) -> str:
        """Where to send the browser to sign out of Keycloak as well."""
