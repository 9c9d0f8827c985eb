"""Requests as JSON on the engine's socket: one object, in which unknown fields are refused. Events: ``wire_events``.

Both directions live here, so that client and server cannot disagree.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from appliance.engine.errors import EngineRefusedError
from appliance.engine.protocol import (
    CHOICES,
    MAX_TOP_LOGPROBS,
    Message,
    Request,
    Tool,
    ToolCall,
)

BODY_MAX_BYTES = 2 << 20
MAX_TOOLS = 32
"""As many names as an entry of the log has room for, so that each tool that was called is counted there."""
MAX_CALLS = 64

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
