"""Every text of a conversation and of what it offers: where a person's words may stand, and one way to change all."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from appliance.engine.protocol import ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from appliance.engine.protocol import Message, Tool


def words(messages: Sequence[Message], tools: Sequence[Tool]) -> Iterator[str]:
    """All that people wrote, names and keys included."""
    for message in messages:
        yield message.content
        yield message.tool_call_id
        for call in message.tool_calls:
            yield from (call.id, call.name)
            yield from _texts(_value(call.arguments))
    for tool in tools:
        yield from (tool.name, tool.description)
        yield from _texts(tool.parameters)


def rewritten(message: Message, change: Callable[[str], str]) -> Message:
    """``message`` with every text changed."""
    calls = tuple(
        ToolCall(change(call.id), change(call.name), json.dumps(_changed(_value(call.arguments), change)))
        for call in message.tool_calls
    )
    content, answers = change(message.content), change(message.tool_call_id)
    return replace(message, content=content, tool_calls=calls, tool_call_id=answers)


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


def arguments_of(text: str) -> dict[str, Any]:
    """The arguments that the JSON ``text`` of a call says. Raises ``ValueError`` where they could not be said again.

    Those are what is no object, and what JSON can spell and a text cannot hold: numbers beyond every float, and halves
    of surrogate pairs.
    """
    try:
        found = json.loads(text, parse_float=_float, parse_constant=_float)
    except RecursionError as error:
        raise ValueError("it is too deep") from error
    if not isinstance(found, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - one kind of error for what is no arguments
    for each in _texts(found):
        each.encode()
    return found


def _float(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(f"{literal:.20} is no number that can be kept")
    return value


def _value(arguments: str) -> Any:
    """What the JSON text says, so that no escape hides a text; text that is none is refused where it is rendered."""
    try:
        return arguments_of(arguments)
    except ValueError:
        return None
