"""Tools in bodies of the OpenAI-compatible API. Source: OpenAI API reference, "Chat completions" (``tools``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from appliance.engine.protocol import Tool
from appliance.engine.wire import CallId, ToolName, offerable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.protocol import ToolCall

MAX_DESCRIPTION = 8192
MAX_ARGUMENTS = 262_144


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FunctionPart(_Part):
    """A tool by its name and the schema of its arguments. ``strict`` is always so here: the grammar admits no other."""

    name: Annotated[ToolName, AfterValidator(offerable)]
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION)] | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolPart(_Part):
    """A tool; functions are the only kind."""

    type: Literal["function"]
    function: FunctionPart

    def plain(self) -> Tool:
        """As the engine is told of it."""
        return Tool(self.function.name, self.function.description or "", self.function.parameters)


class NamePart(_Part):
    """A function by its name."""

    name: Annotated[ToolName, AfterValidator(offerable)]


class ToolChoice(_Part):
    """The one tool that must be called."""

    type: Literal["function"]
    function: NamePart


class CalledPart(_Part):
    """What was called, with its arguments as JSON text."""

    name: ToolName
    arguments: Annotated[str, Field(max_length=MAX_ARGUMENTS)]


class CallPart(_Part):
    """A call that an earlier answer made."""

    id: CallId
    type: Literal["function"]
    function: CalledPart

    def plain(self) -> dict[str, str]:
        """Id, name and arguments."""
        return {"id": self.id, "name": self.function.name, "arguments": self.function.arguments}


def worded(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """``message.tool_calls`` of an answer."""
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]


def worded_piece(call: ToolCall, number: int) -> dict[str, Any]:
    """``delta.tool_calls`` of a stream: one call, whole, the ``number``-th of its answer from 0."""
    return {"tool_calls": [{"index": number, **worded([call])[0]}]}
