"""Requests and events as JSON on the engine's socket.

A request body is one JSON object; unknown fields are refused. Events are one ASCII JSON object per line (ASCII, so that
no reader takes U+2028 for the end of a line). Both directions live here, so that client and server cannot disagree.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import re
import struct
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from appliance.engine.errors import EngineRefusedError
from appliance.engine.protocol import (
    CHOICES,
    MAX_TOP_LOGPROBS,
    Admitted,
    End,
    Energy,
    Event,
    Failed,
    Message,
    Request,
    Timing,
    Token,
    TokenLogprob,
    Tool,
    ToolCall,
    Usage,
    Vectors,
)

BODY_MAX_BYTES = 2 << 20
MAX_TOOLS = 32
"""As many names as an entry of the log has room for, so that each tool that was called is counted there."""
MAX_CALLS = 64

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")
ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
"""As OpenAI's API has them."""
CallId = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
"""What templates may print: nothing that a template or a tokeniser gives a meaning."""
_Name = Annotated[str, Field(max_length=256)]
_SCOPES = ("site", "group", "user")
_Stop = Annotated[str, Field(min_length=1, max_length=256)]


def offerable(name: str) -> str:
    """``name`` of a tool. Raises ``ValueError`` for a word that says something else where a tool is chosen."""
    if name in CHOICES:
        raise ValueError(f"no tool can be called {name}: tool_choice means something else by it")
    return name


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _WireCall(_Strict):
    id: CallId
    name: ToolName
    arguments: str


class _WireTool(_Strict):
    name: Annotated[ToolName, AfterValidator(offerable)]
    description: str = ""
    parameters: dict[str, Any] | None = None


class _WireMessage(_Strict):
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    scope: Literal["site", "group", "user"] = "user"
    tool_calls: Annotated[list[_WireCall], Field(max_length=MAX_CALLS)] = []
    tool_call_id: CallId | Literal[""] = ""

    def message(self) -> Message:
        calls = tuple(ToolCall(call.id, call.name, call.arguments) for call in self.tool_calls)
        return Message(self.role, self.content, self.scope, calls, self.tool_call_id)


class _WireRequest(_Strict):
    id: Annotated[str, Field(min_length=1, max_length=128)]
    user: _Name
    group: _Name
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    prompt: str | None = None
    messages: Annotated[list[_WireMessage], Field(min_length=1, max_length=1024)] | None = None
    inputs: Annotated[list[str], Field(min_length=1, max_length=256)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=131_072)] = 512
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None
    stop: Annotated[list[_Stop], Field(max_length=16)] = []
    json_schema: dict[str, Any] | None = None
    weight: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    site_characters: Annotated[int, Field(ge=0)] = 0
    group_characters: Annotated[int, Field(ge=0)] = 0
    replay: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    adapter: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    tools: Annotated[list[_WireTool], Field(max_length=MAX_TOOLS)] = []
    tool_choice: ToolName = "auto"
    parallel_calls: bool = True
    receipt_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    kept: bool = True

    @model_validator(mode="after")
    def _one_question(self) -> _WireRequest:
        if sum(given is not None for given in (self.prompt, self.messages, self.inputs)) != 1:
            raise ValueError("exactly one of prompt, messages and inputs is given")
        scopes = [_SCOPES.index(message.scope) for message in self.messages or ()]
        if scopes != sorted(scopes):
            raise ValueError("scopes of messages narrow: site, then group, then user")
        return self


def encode_request(request: Request) -> bytes:
    """The body of ``POST /generate``."""
    return json.dumps(dataclasses.asdict(request)).encode("ascii")


def decode_request(body: bytes) -> Request:
    """The request in ``body``. Raises ``EngineRefusedError`` ``invalid_request`` naming the first wrong field."""
    try:
        wire = _WireRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise EngineRefusedError("invalid_request", f"{where}: {first['msg']}") from error
    fields = {name: getattr(wire, name) for name in _WireRequest.model_fields}
    if wire.messages is not None:
        fields["messages"] = tuple(m.message() for m in wire.messages)
    if wire.inputs is not None:
        fields["inputs"] = tuple(wire.inputs)
    fields["tools"] = tuple(Tool(tool.name, tool.description, tool.parameters) for tool in wire.tools)
    return Request(**{**fields, "stop": tuple(wire.stop)})


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
            return End(
                finish_reason=_one_of(body["finish_reason"], "stop", "length", "cancelled"),
                usage=Usage(**{name: _count(value) for name, value in body["usage"].items()}),
                timing=Timing(**{name: _amount(value) for name, value in body["timing"].items()}),
                energy=Energy(
                    method=_one_of(body["energy"]["method"], "estimated", "measured"),
                    **{name: _amount(value) for name, value in energy.items()},
                ),
            )
        case "error":
            return Failed(body["code"], body["message"])
        case other:
            raise ValueError(f"unknown event type {other!r:.40}")


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
