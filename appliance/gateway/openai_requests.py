"""Request bodies of the OpenAI-compatible API, as far as this appliance means them.

A parameter that would change the answer and is not implemented is refused unless it has its neutral value: silently
ignoring ``logit_bias`` would be a lie. Unknown parameters are refused for the same reason.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from appliance.engine.protocol import MAX_TOP_LOGPROBS
from appliance.engine.wire import MAX_CALLS, MAX_TOOLS, CallId
from appliance.gateway.openai_tools import CallPart, ToolChoice, ToolPart
from appliance.gateway.sampling import Sampling, default_max_tokens, new_seed
from appliance.gateway.tools import NO_TOOLS, Tools

if TYPE_CHECKING:
    from appliance.gateway.history import ChatMessage

MAX_MESSAGES = 1000
MAX_COMPLETION_LOGPROBS = 5
MAX_CHOICES = 8
_SEED_SPACE = 2**31
_StopText = Annotated[str, Field(min_length=1, max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class TextPart(_Body):
    """A part of a message; text is the only kind."""

    type: Literal["text"]
    text: str


class RequestMessage(_Body):
    """One message of a chat."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    name: str | None = None
    refusal: None = None
    tool_calls: Annotated[list[CallPart], Field(min_length=1, max_length=MAX_CALLS)] | None = None
    tool_call_id: CallId | None = None

    @model_validator(mode="after")
    def _fields_of_its_role(self) -> Self:
        if (self.role == "tool") != (self.tool_call_id is not None):
            raise ValueError("tool_call_id goes with the role tool, and only with it")
        if self.tool_calls is not None and self.role != "assistant":
            raise ValueError("tool_calls goes with the role assistant")
        if self.content is None and self.tool_calls is None:
            raise ValueError("content is missing")
        return self

    def plain(self) -> ChatMessage:
        """Role and text; OpenAI's ``developer`` is what others call ``system``. Calls are JSON text in it."""
        content = self.content or ""
        text = content if isinstance(content, str) else "".join(part.text for part in content)
        said = {"role": "system" if self.role == "developer" else self.role, "content": text}
        if self.tool_calls is not None:
            said["tool_calls"] = json.dumps([call.plain() for call in self.tool_calls], ensure_ascii=False)
        if self.tool_call_id is not None:
            said["tool_call_id"] = self.tool_call_id
        return said


class JsonSchema(_Body):
    """The schema that an answer must follow. ``strict`` is always so here: the grammar admits nothing else."""

    name: str = Field(max_length=64)
    description: str | None = None
    json_schema: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class ResponseFormat(_Body):
    """Free text, any JSON object, or JSON by a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _schema_where_wanted(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema goes with the type json_schema, and only with it")
        return self

    def schema_wanted(self) -> dict[str, Any] | None:
        """The schema for the engine."""
        if self.type == "json_schema" and self.json_schema is not None:
            return self.json_schema.json_schema
        return {"type": "object"} if self.type == "json_object" else None


class StreamOptions(_Body):
    """What a stream carries besides text."""

    include_usage: bool = False
    include_obfuscation: Literal[False] | None = None


class _Sampled(_Body):
    """What chats and completions share."""

    model: str = Field(min_length=1, max_length=200)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: _StopText | Annotated[list[_StopText], Field(max_length=4)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    user: str | None = Field(default=None, max_length=512, description="Ignored: the token says who calls.")
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None

    def stops(self) -> tuple[str, ...]:
        """Stop strings as a tuple."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    def sampling(self, context_tokens: int) -> Sampling:
        """Every value settled, for an engine with this context."""
        return Sampling(
            max_tokens=min(self.wanted_tokens() or default_max_tokens(context_tokens), context_tokens),
            temperature=1.0 if self.temperature is None else float(self.temperature),
            top_p=1.0 if self.top_p is None else float(self.top_p),
            seed=new_seed() if self.seed is None else self.seed % _SEED_SPACE,
            stop=self.stops(),
            json_schema=self.schema_wanted(),
            top_logprobs=self.wanted_logprobs(),
        )

    def wanted_logprobs(self) -> int | None:
        """How many likeliest tokens are named beside each of the answer's; None: no log probabilities."""
        return None

    def wanted_tokens(self) -> int | None:
        """The most tokens that the caller wants."""
        return self.max_tokens

    def schema_wanted(self) -> dict[str, Any] | None:
        """The JSON schema that the caller wants."""
        return None

    @property
    def choices(self) -> int:
        """How many answers are wanted."""
        return self.n or 1

    @property
    def usage_wanted(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        return self.stream_options is not None and self.stream_options.include_usage


class DocumentsPart(_Body):
    """An extension, for clients in ``extra_body``: answer from the site's documents. ``{}`` is the site's own way."""

    passages: Annotated[int, Field(ge=1, le=12)] | None = None


class ChatRequest(_Sampled):
    """POST /v1/chat/completions.

    ``documents`` goes with ``n``, streams and log probabilities. It does not go with tools, since no document may make
    a model call one, nor with a format, since citations are of sentences.
    """

    messages: list[RequestMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    tools: Annotated[list[ToolPart], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    metadata: dict[str, str] | None = Field(default=None, description="Accepted and not kept.")
    store: Literal[False] | None = None
    documents: DocumentsPart | None = None

    @model_validator(mode="after")
    def _documents_alone(self) -> Self:
        if self.documents is not None and (self.tools or self.schema_wanted() is not None):
            raise ValueError("documents goes neither with tools nor with a response_format other than text")
        return self

    @model_validator(mode="after")
    def _top_of_some(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs goes with logprobs")
        return self

    @model_validator(mode="after")
    def _choice_of_some(self) -> Self:
        if not self.tools and (isinstance(self.tool_choice, ToolChoice) or self.tool_choice == "required"):
            raise ValueError("tool_choice goes with tools")
        return self

    def offered(self) -> Tools:
        """What the model may call, and whether it must."""
        if not self.tools:
            return NO_TOOLS
        choice = self.tool_choice.function.name if isinstance(self.tool_choice, ToolChoice) else self.tool_choice
        return Tools(
            tuple(tool.plain() for tool in self.tools), choice or "auto", self.parallel_tool_calls is not False
        )

    def wanted_logprobs(self) -> int | None:
        """How many beside each token; none at all where ``logprobs`` is not set."""
        return (self.top_logprobs or 0) if self.logprobs else None

    def wanted_tokens(self) -> int | None:
        """The newer name wins."""
        return self.max_completion_tokens or self.max_tokens

    def schema_wanted(self) -> dict[str, Any] | None:
        """From ``response_format``."""
        return self.response_format.schema_wanted() if self.response_format is not None else None


class CompletionRequest(_Sampled):
    """POST /v1/completions: one prompt, continued as it is."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=1)]
    best_of: Literal[1] | None = None
    echo: Literal[False] | None = None
    logprobs: Annotated[int, Field(ge=0, le=MAX_COMPLETION_LOGPROBS)] | None = None
    suffix: Literal[""] | None = None

    def wanted_logprobs(self) -> int | None:
        """The number given, 0 included."""
        return self.logprobs

    def text(self) -> str:
        """The one prompt."""
        return self.prompt if isinstance(self.prompt, str) else self.prompt[0]
