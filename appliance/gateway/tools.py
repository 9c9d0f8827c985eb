"""What a caller's model may call: offered to the engine, read back from it, counted, and never run here."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from appliance.engine.protocol import Message, ToolCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.engine.protocol import Tool
    from appliance.gateway.history import ChatMessage


@dataclass(frozen=True)
class Tools:
    """``choice`` and ``parallel`` as in ``engine.protocol.Request.tool_choice`` and ``parallel_calls``."""

    offered: tuple[Tool, ...] = ()
    choice: str = "auto"
    parallel: bool = True

    @property
    def text(self) -> str:
        """All of it as JSON with sorted keys, no spaces: what a commitment is made of. Empty without tools."""
        if not self.offered:
            return ""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    def offers(self, name: str) -> bool:
        """Whether an answer may call ``name``."""
        return any(tool.name == name for tool in self.offered) and self.choice in {"auto", "required", name}


NO_TOOLS = Tools()


def said(message: ChatMessage) -> Message:
    """A message as the engine is told of it."""
    calls = tuple(ToolCall(**call) for call in json.loads(message.get("tool_calls", "[]")))
    return Message(
        role=message["role"],  # type: ignore[arg-type]  # roles were checked where the request was read
        content=message["content"],
        tool_calls=calls,
        tool_call_id=message.get("tool_call_id", ""),
    )


def counted(calls: Sequence[ToolCall]) -> dict[str, int]:
    """How often which tool was called: what the log is told of it. Arguments are in the commitment alone."""
    return dict(Counter(call.name for call in calls))


def committed(text: str, calls: Sequence[ToolCall]) -> bytes:
    """What the commitment to an answer with calls is made of: JSON with sorted keys, no spaces, UTF-8."""
    whole = {"content": text, "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in calls]}
    return json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
