"""Reads a part of Keycloak's administration as a client of the gateway's that may read that part and nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx

from appliance.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_EARLY_SECONDS = 60.0
_HINT = "`sovereign status` shows whether Keycloak runs"


class ServiceReader:
    """Keycloak's administration of the realm ``issuer``, to ``client``.

    ``http`` carries the trust in the site's CA; it is the caller's to close. ``what`` names what is read, in errors.
    """

    def __init__(  # noqa: PLR0913 - its neighbours, by keyword but for the issuer
        self,
        issuer: str,
        *,
        client: str,
        secret: str,
        what: str,
        http: httpx.AsyncClient,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        server, _, realm = issuer.rpartition("/realms/")
        self.address = f"{server}/admin/realms/{realm}"
        self._token_url = f"{issuer}/protocol/openid-connect/token"
        self._client = client
        self._secret = secret
        self._what = what
        self._http = http
        self._clock = clock
        self._token = ""
        self._until = 0.0

    async def read(self, path: str, query: Mapping[str, str | int]) -> list[dict[str, Any]]:
        """The list of objects at ``path``. Raises ``UnavailableError``."""
        answer = await self._asked(path, query)
        if answer.status_code == httpx.codes.UNAUTHORIZED:  # the realm's keys, or the client, are new
            self._token = ""
            answer = await self._asked(path, query)
        found = self._json(answer)
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise UnavailableError(f"keycloak's answer about its {self._what} makes no sense", _HINT)
        return found

    async def token(self) -> str:
        """An access token that is good for a minute at least. Raises ``UnavailableError``."""
        if not self._token or self._clock() > self._until:
            form = {"grant_type": "client_credentials", "client_id": self._client, "client_secret": self._secret}
            try:
                answer = self._json(await self._http.post(self._token_url, data=form))
            except httpx.HTTPError as error:
                raise UnavailableError(f"keycloak does not answer: {type(error).__name__}", _HINT) from error
            token, seconds = answer.get("access_token"), answer.get("expires_in")
            if not isinstance(token, str) or not isinstance(seconds, int):
                raise UnavailableError("keycloak's answer holds no token", _HINT)
            self._token, self._until = token, self._clock() + seconds - _EARLY_SECONDS
        return self._token

    async def _asked(self, path: str, query: Mapping[str, str | int]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self.token()}"}
        try:
            return await self._http.get(f"{self.address}/{path}", params=dict(query), headers=headers)
        except httpx.HTTPError as error:
            raise UnavailableError(f"keycloak does not answer: {type(error).__name__}", _HINT) from error

    def _json(self, answer: httpx.Response) -> Any:
        if not answer.is_success:
            raise UnavailableError(f"keycloak answers {answer.status_code} to whoever reads its {self._what}", _HINT)
        try:
            return answer.json()
        except ValueError as error:
            raise UnavailableError("keycloak answers without JSON", _HINT) from error
