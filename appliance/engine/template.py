"""The signed chat template, rendered in a sandbox that offers it little.

The text is signed, and still gets no globals but ``namespace`` and ``raise_exception``, a short list of filters, and
bounds on what it may do and produce (``template_bounds``). Loops can only run over the conversation: there is no
``range``.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, NoReturn

import jinja2
from jinja2.utils import Namespace

from appliance.engine.errors import EngineRefusedError, ModelLoadError
from appliance.engine.protocol import Message, Tool, ToolCall
from appliance.engine.template_bounds import Absent, BoundedSandbox, budget
from appliance.engine.tools.families import family_of
from appliance.engine.tools.words import arguments_of

if TYPE_CHECKING:
    from collections.abc import Sequence

TEMPLATE_MAX_CHARS = 65_536
OUTPUT_MAX_CHARS = 4_194_304
_FILTERS = (
    "default",
    "first",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "replace",
    "string",
    "tojson",
    "trim",
)


class _RefusedByTemplateError(Exception):
    """The template called ``raise_exception``."""


def _raise_exception(message: object) -> NoReturn:
    raise _RefusedByTemplateError(str(message)[:200])


class ChatTemplate:
    """A template that was compiled and tried on one message; ``stops`` are the strings that end a turn of it.

    ``family`` is how it words calls of tools; None where it does not.

    Raises ``ModelLoadError`` when it is too long, no Jinja, or does not render a plain question.
    """

    def __init__(self, source: str, stops: tuple[str, ...] = ()) -> None:
        self.stops = stops
        if len(source) > TEMPLATE_MAX_CHARS:
            raise ModelLoadError(f"the chat template is longer than {TEMPLATE_MAX_CHARS} characters")
        environment = BoundedSandbox(
            _FILTERS,
            autoescape=False,  # the output is a prompt for a model, never HTML
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=Absent,
        )
        environment.globals.clear()
        environment.globals.update(namespace=Namespace, raise_exception=_raise_exception)
        try:
            with budget():
                self._template = environment.from_string(source)
            self.render((Message("user", "?"),))
        except (jinja2.TemplateError, EngineRefusedError) as error:
            raise ModelLoadError(f"the chat template cannot be used: {error}") from error
        family = family_of(source)
        self.family = family if family is not None and self._words_tools() else None

    def _words_tools(self) -> bool:
        """Whether a tool, a call of it and what came of the call all find their way into the text."""
        name, argument, result = (f"probe_{secrets.token_hex(4)}" for _ in range(3))
        call = ToolCall("call_0", name, json.dumps({"value": argument}))
        turns = (Message("user", "?"), Message("assistant", "", tool_calls=(call,)))
        try:
            offered = self.render(turns[:1], (Tool(name),))
            answered = self.render((*turns, Message("tool", result, tool_call_id=call.id)), (Tool(name),))
        except EngineRefusedError:
            return False
        return name in offered and all(word in answered for word in (argument, result))

    def render(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> str:
        """The conversation as one text, ending where the assistant speaks next.

        Raises ``EngineRefusedError`` ``template_refused`` when the template cannot or will not render it.
        """
        pieces: list[str] = []
        room = OUTPUT_MAX_CHARS
        try:
            with budget():
                for piece in self._template.generate(
                    messages=[_worded(message) for message in messages],
                    add_generation_prompt=True,
                    bos_token="",  # the tokenizer adds it
                    eos_token="",
                    tools=[_offered(tool) for tool in tools] or None,
                ):
                    room -= len(piece)
                    if room < 0:
                        raise EngineRefusedError("template_refused", "the rendered conversation is too long")
                    pieces.append(piece)
        except (jinja2.TemplateError, _RefusedByTemplateError, TypeError, ValueError) as error:
            raise EngineRefusedError(
                "template_refused", f"the chat template refuses this conversation: {error}"
            ) from error
        return "".join(pieces)


def _worded(message: Message) -> dict[str, Any]:
    """A message as templates know it: arguments of calls are values there, not text."""
    worded: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        worded["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}
            for call in message.tool_calls
        ]
    if message.role == "tool":
        worded["tool_call_id"] = message.tool_call_id
    return worded


def _arguments(call: ToolCall) -> dict[str, Any]:
    try:
        return arguments_of(call.arguments)
    except ValueError as error:
        raise EngineRefusedError(
            "invalid_tool_call", f"the arguments of the call {call.id:.40} are no JSON object that can be used"
        ) from error


def _offered(tool: Tool) -> dict[str, Any]:
    parameters = tool.parameters if tool.parameters is not None else {"type": "object", "properties": {}}
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }
