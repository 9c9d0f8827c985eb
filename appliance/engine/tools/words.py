"""Every text of a conversation and of what it offers: where a person's words may stand, and one way to change all."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from appliance.engine.protocol import Message, Tool


def words(messages: Sequence[Message], tools: Sequence[Tool]) -> Iterator[str]:
    """All that people wrote, names and keys included."""
    for message in messages:
        yield message.content
        for call in message.tool_calls:
            yield call.name
            yield from _texts(_value(call.arguments))
    for tool in tools:
        yield from (tool.name, tool.description)
        yield from _texts(tool.parameters)


def rewritten(message: Message, change: Callable[[str], str]) -> Message:
    """``message`` with every text changed."""
    calls = tuple(
        replace(call, name=change(call.name), arguments=json.dumps(_changed(_value(call.arguments), change)))
        for call in message.tool_calls
    )
    return replace(message, content=change(message.content), tool_calls=calls)


def tool_rewritten(tool: Tool, change: Callable[[str], str]) -> Tool:
    """``tool`` with every text changed."""
    parameters = None if tool.parameters is None else _changed(tool.parameters, change)
    return replace(tool, name=change(tool.name), description=change(tool.description), parameters=parameters)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _texts(each)


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(each, change) for each in value]
    if isinstance(value, dict):
        return {change(key): _changed(each, change) for key, each in value.items()}
    return value


def _value(arguments: str) -> Any:
    """What the JSON text says, so that no escape hides a text; text that is none is refused where it is rendered."""
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return None
