"""Events as JSON on the engine's socket: one ASCII object per line, so that no reader takes U+2028 for the end of one.

Both directions live here, so that client and server cannot disagree.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import re
import struct
from typing import Any, NoReturn, get_args

from appliance.engine.protocol import (
    MAX_TOP_LOGPROBS,
    Admitted,
    End,
    Energy,
    Event,
    Failed,
    Scope,
    Spared,
    Tier,
    Timing,
    Token,
    TokenLogprob,
    ToolCall,
    Usage,
    Vectors,
)

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")


def encode_event(event: Event) -> bytes:
    """One line."""
    match event:
        case Admitted():
            body = {
                "type": "admitted",
                "prompt_tokens": event.prompt_tokens,
                "queued": event.queue_position,
                "seed": event.seed,
            }
        case Token():
            body = {"type": "token", "text": event.text}
            if event.logprobs:
                body["logprobs"] = [_logprob_out(found) for found in event.logprobs]
        case ToolCall():
            body = {"type": "call", **dataclasses.asdict(event)}
        case Vectors():
            body = {"type": "vectors", "vectors": [base64.b64encode(one).decode() for one in event.vectors]}
        case End():
            body = {"type": "end", **dataclasses.asdict(event)}
        case Failed():
            body = {"type": "error", "code": event.code, "message": event.message}
    return json.dumps(body).encode("ascii") + b"\n"


def decode_event(line: str) -> Event:
    """The event of one line. Raises ``ValueError`` (``KeyError``, ``TypeError``) for anything else.

    An engine that was taken over through its model must not get more out of this than wrong words: what it counts goes
    into quotas, and all of it into the log.
    """
    body = json.loads(line)
    if not isinstance(body, dict):
        raise ValueError("the engine's event is no object")  # noqa: TRY004 - one kind of error for a bad line
    match body.get("type"):
        case "admitted":
            return Admitted(_count(body["queued"]), _count(body["prompt_tokens"]), _count(body["seed"], 1 << 63))
        case "token":
            return Token(_text(body["text"]), tuple(_logprob_in(found) for found in body.get("logprobs", ())))
        case "call":
            return _call_in(body)
        case "vectors":
            return Vectors(tuple(_vector(one) for one in body["vectors"]))
        case "end":
            energy = {name: value for name, value in body["energy"].items() if name != "method"}
            usage = Usage(**{name: _count(value) for name, value in body["usage"].items()})
            return End(
                finish_reason=_one_of(body["finish_reason"], "stop", "length", "cancelled"),
                usage=usage,
                timing=Timing(**{name: _amount(value) for name, value in body["timing"].items()}),
                energy=Energy(
                    method=_one_of(body["energy"]["method"], "estimated", "measured"),
                    **{name: _amount(value) for name, value in energy.items()},
                ),
                spared=_spared(body.get("spared", []), usage.cached_tokens),
            )
        case "error":
            return Failed(body["code"], body["message"])
        case other:
            raise ValueError(f"unknown event type {other!r:.40}")


def _spared(listed: Any, cached: int) -> tuple[Spared, ...]:
    """Where each cached token lay, once; nothing where the engine does not say."""
    if not isinstance(listed, list) or len(listed) > len(get_args(Tier)) * len(get_args(Scope)):
        raise ValueError("the engine's account of cached tokens is none")
    found = tuple(
        Spared(_one_of(one["tier"], *get_args(Tier)), _one_of(one["scope"], *get_args(Scope)), _count(one["tokens"]))
        for one in listed
    )
    if found and sum(one.tokens for one in found) != cached:
        raise ValueError("the engine's account of cached tokens does not add up")
    if len({(one.tier, one.scope) for one in found}) < len(found):
        raise ValueError("the engine counts cached tokens twice")
    return found


def _call_in(body: dict[str, Any]) -> ToolCall:
    name, arguments = _text(body["name"]), _text(body["arguments"])
    called = _text(body["id"])
    if _TOOL_NAME.fullmatch(name) is None or _CALL_ID.fullmatch(called) is None or not _is_object(arguments):
        raise ValueError("the engine's call is none")
    return ToolCall(called, name, arguments)


def _no_number(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is no JSON")


def _is_object(text: str) -> bool:
    """Whether it is a JSON object, and nothing that only Python takes for one."""
    return isinstance(json.loads(text, parse_constant=_no_number), dict)


def _logprob_out(found: TokenLogprob) -> list[Any]:
    """A token as [bytes in hex, logarithm, [[bytes in hex, logarithm], …]]."""
    return [found.piece.hex(), found.logprob, [[piece.hex(), logprob] for piece, logprob in found.top]]


def _logprob_in(found: Any) -> TokenLogprob:
    piece, logprob, top = found
    if len(top) > MAX_TOP_LOGPROBS:
        raise ValueError("the engine gives more log probabilities than anybody may ask for")
    return TokenLogprob(
        bytes.fromhex(piece), _logarithm(logprob), tuple((bytes.fromhex(p), _logarithm(x)) for p, x in top)
    )


def _vector(text: Any) -> bytes:
    """Whole float32 numbers, none of them infinite or missing; all of it about of length 1."""
    raw = base64.b64decode(text, validate=True)
    numbers = struct.unpack(f"<{len(raw) // 4}f", raw) if len(raw) % 4 == 0 else ()
    if not numbers or not math.isclose(math.fsum(number * number for number in numbers), 1.0, abs_tol=1e-3):
        raise ValueError("the engine's vector is none")
    return raw


def _logarithm(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not -math.inf < value <= 0:
        raise ValueError(f"the engine calls {value!r:.40} the logarithm of a probability")
    return value


def _count(value: Any, limit: int = 1 << 31) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise ValueError(f"the engine counts {value!r:.40}")
    return value


def _amount(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise ValueError(f"the engine measures {value!r:.40}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("the engine's text is no text")
    return value


def _one_of(value: Any, *known: Any) -> Any:
    if value not in known:
        raise ValueError(f"the engine says {value!r:.40}")
    return value
