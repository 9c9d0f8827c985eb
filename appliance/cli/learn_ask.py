"""Asking the running site as people of a group are answered: through its API, as a service client that evaluates."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx

from appliance.errors import NotAllowedError, UnavailableError
from appliance.gateway.evaluation import BRIEF_HEADER, CHANGE_HEADER, HEADER, PACK_HEADER
from appliance.learning.errors import CaseRefusedError, SpentError
from appliance.learning.running import Answered

if TYPE_CHECKING:
    from appliance.identity.oidc import OidcClient
    from appliance.learning.results import Run

_PATIENCE = 60
"""Seconds that a refusal for now may ask to wait; a longer one is a quota that is used up."""
_ATTEMPTS = 20
_MARGIN = 30.0
_SECONDS = 900.0
_OF_ALL = frozenset({"no_group", "no_brief", "no_such_change"})
"""Refusals with a client's status that are about the run and not about a case."""


class NotCapableError(NotAllowedError):
    """The model answers no questions: it is one for embeddings."""


class SiteAsker:
    """Asks in the name of a group; its token is renewed before it ends. ``brief``: one to try, or ``none``."""

    def __init__(
        self, http: httpx.AsyncClient, sign_in: OidcClient, run: Run, url: str, brief: str | None = None
    ) -> None:
        self._http, self._sign_in, self._run, self._url = http, sign_in, run, url
        self._named = {BRIEF_HEADER: brief} if brief is not None else {}
        self._token, self._until = "", 0.0
        self._signing_in = asyncio.Lock()

    async def ask(self, group: str, question: str, seed: int, *, documents: bool = False) -> Answered:
        """The answer and its receipt. Raises ``SpentError``, or what ``_refused`` makes of a refusal."""
        body: dict[str, Any] = {
            "model": self._run.model,
            "messages": [{"role": "user", "content": question}],
            "max_tokens": self._run.max_tokens,
            "temperature": self._run.temperature,
            "top_p": self._run.top_p,
            "seed": seed,
            **({"documents": {}} if documents else {}),
        }
        for _ in range(_ATTEMPTS):
            answer = await self._post(body, group)
            if answer.is_success:
                said = answer.json()
                return Answered(said["choices"][0]["message"]["content"] or "", said["sovereign"]["receipt"])
            if answer.status_code not in {429, 503}:
                raise _refused(answer)
            wait = int(answer.headers.get("Retry-After", "5"))
            if answer.status_code == httpx.codes.TOO_MANY_REQUESTS and wait > _PATIENCE:
                raise SpentError("a quota is used up", f"it is filled again in {wait} s")
            await asyncio.sleep(min(wait, _PATIENCE))
        raise UnavailableError("the assistant is busy for too long", "run it again: it goes on where it was")

    async def _post(self, body: dict[str, Any], group: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self._bearer()}", HEADER: group, **self._named}
        if self._run.pack is not None:
            headers[PACK_HEADER] = self._run.pack
        if self._run.change is not None:
            headers[CHANGE_HEADER] = self._run.change
        try:
            return await self._http.post(
                f"{self._url}/v1/chat/completions", json=body, headers=headers, timeout=_SECONDS
            )
        except httpx.HTTPError as error:
            cause = f"the gateway does not answer: {str(error).lower() or type(error).__name__}"
            raise UnavailableError(
                cause, "run `sovereign status`; run it again, and it goes on where it was"
            ) from error

    async def _bearer(self) -> str:
        async with self._signing_in:
            if time.monotonic() >= self._until:
                tokens = await self._sign_in.client_credentials()
                self._token, self._until = tokens.access_token, time.monotonic() + tokens.expires_in - _MARGIN
        return self._token


def _refused(answer: httpx.Response) -> Exception:
    """What a refusal means: for the case alone, where it is about what the case asks, else for the whole run."""
    try:
        error = answer.json()["error"]
        cause, code = str(error["message"]), str(error["code"])
    except (ValueError, KeyError, TypeError):
        cause, code = f"the gateway answered {answer.status_code}", ""
    if code == "model_not_capable":
        return NotCapableError(cause, "name a model that answers")
    if answer.status_code in {401, 403} or code in _OF_ALL:
        return NotAllowedError(cause, "see `evaluates` of service_clients in site.yaml, then run `sovereign install`")
    if answer.is_client_error:
        return CaseRefusedError(cause, code or str(answer.status_code))
    return UnavailableError(cause, "run `sovereign status`; run it again, and it goes on where it was")
