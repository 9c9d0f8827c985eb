"""The signed chat template, rendered in a sandbox that offers it little.

The text is signed, and still gets no globals but ``namespace`` and ``raise_exception``, a short list of filters, and
bounds on what it may do and produce (``template_bounds``). Loops can only run over the conversation: there is no
``range``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import jinja2
from jinja2.utils import Namespace

from appliance.engine.errors import EngineRefusedError, ModelLoadError
from appliance.engine.protocol import Message
from appliance.engine.template_bounds import BoundedSandbox, budget

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
            undefined=jinja2.StrictUndefined,
        )
        environment.globals.clear()
        environment.globals.update(namespace=Namespace, raise_exception=_raise_exception)
        try:
            with budget():
                self._template = environment.from_string(source)
            self.render((Message("user", "?"),))
        except (jinja2.TemplateError, EngineRefusedError) as error:
            raise ModelLoadError(f"the chat template cannot be used: {error}") from error

    def render(self, messages: Sequence[Message]) -> str:
        """The conversation as one text, ending where the assistant speaks next.

        Raises ``EngineRefusedError`` ``template_refused`` when the template cannot or will not render it.
        """
        pieces: list[str] = []
        room = OUTPUT_MAX_CHARS
        try:
            with budget():
                for piece in self._template.generate(
                    messages=[{"role": m.role, "content": m.content} for m in messages],
                    add_generation_prompt=True,
                    bos_token="",  # the tokenizer adds it
                    eos_token="",
                    tools=None,
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
