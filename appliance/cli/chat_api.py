"""The gateway's API as the terminal uses it: models, and a streamed chat answer with its receipt.

Refusals become the appliance's errors with the gateway's own words. Text of a model is untrusted: control characters,
which could move the cursor or set the clipboard, are dropped before anything is printed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from appliance.errors import NotAllowedError, SovereignError, UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_DATA = "data: "
_SPENT = "[DONE]"
_KEPT_CONTROLS = frozenset("\n\t")


class SignedOutError(NotAllowedError):
    """The gateway does not accept the access token."""


@dataclass
class Answer:
    """An answer as it grows; ``receipt`` and ``finish_reason`` arrive with its end."""

    text: str = ""
    finish_reason: str | None = None
    receipt: Mapping[str, Any] | None = None
    model: str | None = None
    notes: list[str] = field(default_factory=list)


def models(http: httpx.Client, token: str) -> tuple[str, ...]:
    """The models this person may use."""
    with _explained():
        answer = http.get("/v1/models", headers=_bearer(token))
        _raise_for_refusal(answer)
        return tuple(str(model["id"]) for model in answer.json()["data"])


def ask(
    http: httpx.Client, token: str, model: str, messages: Sequence[Mapping[str, str]], answer: Answer
) -> Iterator[str]:
    """Printable pieces of the answer, as they come; ``answer`` is filled in on the way.

    Leaving the loop early closes the connection, which makes the gateway stop the model.
    """
    body = {"model": model, "messages": list(messages), "stream": True, "stream_options": {"include_usage": True}}
    with _explained(), http.stream("POST", "/v1/chat/completions", json=body, headers=_bearer(token)) as response:
        if response.is_error:
            response.read()
        _raise_for_refusal(response)
        for line in response.iter_lines():
            if not line.startswith(_DATA) or line == _DATA + _SPENT:
                continue
            yield from _take(json.loads(line.removeprefix(_DATA)), answer)


def printable(text: str) -> str:
    """``text`` without control characters, newline and tab excepted (C0, DEL and C1)."""
    return "".join(c for c in text if c in _KEPT_CONTROLS or not (ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F))  # noqa: PLR2004 - code points


def _take(chunk: Mapping[str, Any], answer: Answer) -> Iterator[str]:
    if "error" in chunk:
        raise UnavailableError(printable(f"the answer broke off: {chunk['error'].get('message', 'no reason given')}"))
    answer.model = chunk.get("model", answer.model)
    if receipt := chunk.get("sovereign", {}).get("receipt"):
        answer.receipt = receipt
    for choice in chunk.get("choices", ()):
        answer.finish_reason = choice.get("finish_reason") or answer.finish_reason
        if piece := printable(choice.get("delta", {}).get("content") or ""):
            answer.text += piece
            yield piece


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _raise_for_refusal(response: httpx.Response) -> None:
    if response.is_success:
        return
    message = printable(_message(response))
    match response.status_code:
        case 401:
            raise SignedOutError(message, "sign in again")
        case 403:
            raise NotAllowedError(message, "ask the operator which groups you belong to")
        case 404:
            raise UsageError(message, "leave --model out, or name one of your models")
        case 429:
            wait = response.headers.get("Retry-After")
            raise UnavailableError(message, f"try again in {wait} seconds" if wait else "try again later")
        case 503:
            raise UnavailableError(message, "try again later; the operator sees why with `sovereign status`")
        case status if status < 500:  # noqa: PLR2004 - the boundary of the status classes
            raise UsageError(message)
        case status:
            raise SovereignError(f"the gateway fails with status {status}: {message}", "tell the operator")


def _message(response: httpx.Response) -> str:
    try:
        body = response.json()
        return str(body["error"]["message"] if "error" in body else body["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the gateway answered {response.status_code}"


class _explained:  # noqa: N801 - reads as a statement: with _explained()
    """Turns failures of the connection into one of the appliance's errors."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, httpx.HTTPError):
            raise UnavailableError(
                f"the gateway does not answer: {str(error).lower()}", "check --url, and --ca for the site's certificate"
            ) from error
