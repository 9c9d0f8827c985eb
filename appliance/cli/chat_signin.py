"""Sign-in of a terminal: device authorization, tokens in a 0600 file, refresh with rotation.

A refresh token works once. Two terminals of one person share the file, so whoever refreshes holds its lock, and the
other reads what came of it; without the lock one would spend a token twice and Keycloak would end the session.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from appliance.errors import UnavailableError, UsageError
from appliance.identity.oidc import GrantError, OidcClient, Tokens
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from appliance.identity.oidc import DeviceGrant

_EARLY_SECONDS = 30  # refresh before the token ends, not after the gateway refused it


@dataclass(frozen=True)
class Discovery:
    """What the gateway says about signing in to it."""

    issuer: str
    client_id: str


class TerminalSession:
    """A person's session with one gateway. ``announce`` shows them where to confirm which code."""

    def __init__(
        self, discovery: Discovery, trust: ssl.SSLContext, file: Path, announce: Callable[[DeviceGrant], None]
    ) -> None:
        self._discovery = discovery
        self._trust = trust
        self._file = file
        self._announce = announce

    def access_token(self) -> str:
        """An access token with some life left; signs in when there is no session. Raises as ``OidcClient`` does."""
        with _locked(self._file):
            kept = self._load()
            if kept and float(kept["expires_at"]) - time.time() > _EARLY_SECONDS:
                return str(kept["access_token"])
            tokens = anyio.run(self._obtain, kept.get("refresh_token"))
            self._save(tokens)
            return tokens.access_token

    def forget(self) -> None:
        """Drop the access token, so that the next one is fetched anew: the gateway refused it."""
        with _locked(self._file):
            kept = self._load()
            if kept:
                write_private(self._file, json.dumps({**kept, "expires_at": 0}).encode())

    def sign_out(self) -> None:
        """End the session at Keycloak and forget its tokens."""
        with _locked(self._file):
            refresh_token = self._load().get("refresh_token")
            if refresh_token:
                anyio.run(self._end, refresh_token)
            self._file.unlink(missing_ok=True)

    async def _obtain(self, refresh_token: str | None) -> Tokens:
        async with httpx.AsyncClient(verify=self._trust, trust_env=False, timeout=30) as http:
            client = OidcClient(self._discovery.issuer, self._discovery.client_id, None, http)
            if refresh_token:
                try:
                    return await client.refresh(refresh_token)
                except GrantError:
                    pass  # the session has ended: sign in again
            grant = await client.start_device()
            self._announce(grant)
            return await _wait_for_person(client, grant)

    async def _end(self, refresh_token: str) -> None:
        async with httpx.AsyncClient(verify=self._trust, trust_env=False, timeout=30) as http:
            client = OidcClient(self._discovery.issuer, self._discovery.client_id, None, http)
            try:
                await client.end_session(refresh_token)
            except GrantError:
                return  # it had ended already

    def _load(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._file.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        # Tokens of another issuer or client would only be refused.
        return kept if isinstance(kept, dict) and kept.get("issuer") == self._discovery.issuer else {}

    def _save(self, tokens: Tokens) -> None:
        kept = {
            "issuer": self._discovery.issuer,
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "expires_at": time.time() + tokens.expires_in,
        }
        write_private(self._file, json.dumps(kept).encode())


def token_file(gateway: str) -> Path:
    """Where tokens for ``gateway`` are kept: one file each, in a folder that only its owner can enter."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "sovereign"
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    state.chmod(0o700)
    return state / f"tokens-{hashlib.sha256(gateway.encode()).hexdigest()[:16]}.json"


def discover(gateway: str, http: httpx.Client) -> Discovery:
    """Ask the gateway who signs people in. Raises ``UnavailableError``, or ``UsageError`` where no gateway answers."""
    try:
        answer = http.get(f"{gateway}/.well-known/sovereign")
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"{gateway} does not answer: {str(error).lower()}", "check --url, and --ca for the site's certificate"
        ) from error
    try:
        body = answer.raise_for_status().json()
        return Discovery(issuer=str(body["issuer"]), client_id=str(body["cli_client_id"]))
    except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{gateway} is no sovereign gateway", "check --url") from error


async def _wait_for_person(client: OidcClient, grant: DeviceGrant) -> Tokens:
    while time.monotonic() < grant.expires_at:
        await anyio.sleep(grant.interval)
        if tokens := await client.poll_device(grant):
            return tokens
    raise GrantError("expired_token")


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
