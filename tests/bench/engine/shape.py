"""The thin adapter: OpenAI's ``/v1/completions`` on one side, the engine's own requests and events on the other. Pure.

Only what load generators send is known; the rest of a body is ignored, so that anyone's generator can be pointed here.
``user`` and ``group`` tell people apart, as the gateway's sign-in would; ``site_characters`` and ``group_characters``
say how much of a prompt the site or the group wrote, as the gateway knows of its system prompts and briefs.
"""

from __future__ import annotations

import itertools
from typing import Any

from appliance.engine.protocol import Admitted, End, Event, Failed, Request, Token
from tests.engine import asking

_numbers = itertools.count()
_DEFAULT_TOKENS = 16  # OpenAI's, where a body names none


def request(body: dict[str, Any]) -> Request:
    """The engine's request for ``body``. Raises ``ValueError`` when its prompt is no text."""
    prompt = body.get("prompt")
    if not isinstance(prompt, str):
        raise ValueError("prompt: a text is expected")  # noqa: TRY004 - one kind of error for a wrong body
    stop = body.get("stop") or ()
    return asking.request(
        id=f"bench-{next(_numbers)}",
        user=str(body.get("user", "analyst")),
        group=str(body.get("group", "bench")),
        priority=int(body.get("priority", 0)),
        prompt=prompt,
        max_tokens=int(body.get("max_tokens", body.get("n_predict", _DEFAULT_TOKENS))),
        temperature=float(body.get("temperature", 1.0)),
        top_p=float(body.get("top_p", 1.0)),
        top_k=body.get("top_k") or None,
        seed=body.get("seed"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        site_characters=int(body.get("site_characters", 0)),
        group_characters=int(body.get("group_characters", 0)),
    )


def chunk(event: Event) -> dict[str, Any] | None:
    """The streamed chunk for ``event``; ``None`` where OpenAI's stream says nothing."""
    match event:
        case Admitted():
            return None
        case Token():
            return _choice(event.text, None)
        case End():
            return {**_choice("", event.finish_reason), "usage": usage(event)}
        case Failed():
            return {"error": {"code": event.code, "message": event.message}}


def _choice(text: str, reason: str | None) -> dict[str, Any]:
    return {"object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": reason}]}


def usage(event: End) -> dict[str, Any]:
    """Token counts in OpenAI's words."""
    counted = event.usage
    return {
        "prompt_tokens": counted.prompt_tokens,
        "completion_tokens": counted.completion_tokens,
        "total_tokens": counted.prompt_tokens + counted.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": counted.cached_tokens},
    }


def completion(text: str, event: End) -> dict[str, Any]:
    """The whole answer, for a body that asks for no stream."""
    return {**_choice(text, event.finish_reason), "usage": usage(event)}
