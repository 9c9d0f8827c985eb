"""Reads what Keycloak recorded, oldest first, by its administration's interface, as a client that may do only that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx

from appliance.errors import UnavailableError
from appliance.identity.clients import EVENTS_CLIENT

if TYPE_CHECKING:
    from collections.abc import Callable

USER_EVENTS = "events"
ADMIN_EVENTS = "admin-events"
_EARLY_SECONDS = 60.0
_HINT = "`sovereign status` shows whether Keycloak runs"


class EventSource:
    """The events of the realm ``issuer``. ``http`` carries the trust in the site's CA; it is the caller's to close."""

    def __init__(
        self, issuer: str, secret: str, http: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        server, _, realm = issuer.rpartition("/realms/")
        self._token_url = f"{issuer}/protocol/openid-connect/token"
        self._address = f"{server}/admin/realms/{realm}"
        self._secret = secret
        self._http = http
        self._clock = clock
        self._token = ""
        self._until = 0.0

    async def page(self, kind: str, since: int, most: int) -> list[dict[str, Any]]:
        """The earliest events of ``kind`` recorded at ``since`` (ms) or later, ``most`` at most, oldest first.

        Raises ``UnavailableError``. Fewer than ``most``: there are no others yet.
        """
        query = {"dateFrom": since, "direction": "asc", "first": 0, "max": most}
        answer = await self._asked(kind, query)
        if answer.status_code == httpx.codes.UNAUTHORIZED:  # the realm's keys, or the client, are new
            self._token = ""
            answer = await self._asked(kind, query)
        found = _json(answer)
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise UnavailableError("keycloak's answer about its events makes no sense", _HINT)
        return found

    async def _asked(self, kind: str, query: dict[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self._fresh_token()}"}
        try:
            return await self._http.get(f"{self._address}/{kind}", params=query, headers=headers)
        except httpx.HTTPError as error:
            raise UnavailableError(f"keycloak does not answer: {type(error).__name__}", _HINT) from error

    async def _fresh_token(self) -> str:
        if not self._token or self._clock() > self._until:
            form = {"grant_type": "client_credentials", "client_id": EVENTS_CLIENT, "client_secret": self._secret}
            try:
                answer = _json(await self._http.post(self._token_url, data=form))
            except httpx.HTTPError as error:
                raise UnavailableError(f"keycloak does not answer: {type(error).__name__}", _HINT) from error
            token, seconds = answer.get("access_token"), answer.get("expires_in")
            if not isinstance(token, str) or not isinstance(seconds, int):
                raise UnavailableError("keycloak's answer holds no token", _HINT)
            self._token, self._until = token, self._clock() + seconds - _EARLY_SECONDS
        return self._token


def _json(answer: httpx.Response) -> Any:
    if not answer.is_success:
        raise UnavailableError(f"keycloak answers {answer.status_code} to whoever reads its events", _HINT)
    try:
        return answer.json()
    except ValueError as error:
        raise UnavailableError("keycloak answers without JSON", _HINT) from error
