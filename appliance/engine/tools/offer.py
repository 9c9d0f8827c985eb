"""What a request offers the model: which tools, whether it must call one, and the grammar that holds it to them.

The answer is free until a call begins, and from there on it can only be a call of an offered tool, with arguments that
fit its schema: the text before is matched by rules that follow the opening mark letter by letter, so that no mark slips
by. What a stranger may put into this is bounded: tools are counted, and their schemas together have the bounds of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.engine.errors import EngineRefusedError
from appliance.engine.grammar import gbnf_of
from appliance.engine.protocol import CHOICES
from appliance.engine.readings import require_few_readings
from appliance.engine.schema import SchemaReader, refuse

if TYPE_CHECKING:
    from appliance.engine.protocol import Request, Tool
    from appliance.engine.tools.families import Family

_NO_ARGUMENTS = {"type": "object", "additionalProperties": False}


@dataclass(frozen=True)
class Offer:
    """``grammar`` of an answer to a request that offers tools."""

    family: Family
    grammar: str


def offer_of(request: Request, family: Family | None) -> Offer | None:
    """None where nothing may be called. Raises ``EngineRefusedError``: the model has no such calls, or a schema."""
    if not request.tools or request.tool_choice == "none":
        return None
    if family is None:
        raise EngineRefusedError("tools_unsupported", "the model's chat template has no calls of tools")
    if request.json_schema is not None:
        raise EngineRefusedError("tools_unsupported", "an answer is bound to a schema or offered tools, not both")
    names = [tool.name for tool in request.tools]
    if not CHOICES.isdisjoint(names):
        raise EngineRefusedError("invalid_tools", f"no tool can be called {', '.join(sorted(CHOICES))}")
    if len(set(names)) != len(names):
        raise EngineRefusedError("invalid_tools", "two tools have one name")
    if request.tool_choice not in {"auto", "required"} and request.tool_choice not in names:
        raise EngineRefusedError("invalid_tools", "tool_choice names none of the tools")
    callable_now = [tool for tool in request.tools if request.tool_choice in {"auto", "required", tool.name}]
    several = request.parallel_calls and request.tool_choice in {"auto", "required"}
    rules = _call_rules(callable_now, family)
    return Offer(family, "\n".join([*_root(family, several=several, free=request.tool_choice == "auto"), rules]))


def _call_rules(tools: list[Tool], family: Family) -> str:
    """Rules of which ``call`` matches one call of any of ``tools``."""
    reader = SchemaReader()
    options: list[dict[str, Any]] = []
    definitions: dict[str, Any] = {}
    for number, tool in enumerate(tools):
        try:
            root, defined = _arguments(tool, reader)
        except EngineRefusedError as error:
            raise EngineRefusedError("invalid_tools", f"tool {tool.name}: {error.message}") from error
        names = {name: f"{name}-of-{number}" for name in defined}
        definitions |= {names[name]: _renamed(node, names) for name, node in defined.items()}
        options.append(_call(tool.name, _renamed(root, names), family))
    return gbnf_of({"anyOf": options}, definitions, root="call")


def _arguments(tool: Tool, reader: SchemaReader) -> tuple[dict[str, Any], dict[str, Any]]:
    root, defined = reader.read(tool.parameters or _NO_ARGUMENTS)
    if root.get("type") != "object":
        raise refuse("", "arguments are an object")
    require_few_readings(root, defined)
    return root, defined


def _call(name: str, arguments: dict[str, Any], family: Family) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, family.arguments: arguments},
        "required": ["name", family.arguments],
        "additionalProperties": False,
    }


def _renamed(node: Any, names: dict[str, str]) -> Any:
    """``node`` with its references by their new names."""
    if isinstance(node, list):
        return [_renamed(each, names) for each in node]
    if not isinstance(node, dict):
        return node
    if isinstance(ref := node.get("$ref"), str) and ref in names:
        return {"$ref": names[ref]}
    return {key: _renamed(value, names) for key, value in node.items()}


def _root(family: Family, *, several: bool, free: bool) -> list[str]:
    if not family.opening:
        text = r"text ::= ([^{ \t\n] anything)?"
        return ["root ::= call | text", text, r"anything ::= [^\x00]*"] if free else ["root ::= call"]
    rest = f'rest ::= gap call gap "{family.closing}"' + (" (gap start rest)?" if several else "")
    start = f'start ::= "{family.opening}"\ngap ::= [ \\n]?'
    if not free:
        return ["root ::= start rest", start, rest]
    return ["root ::= text-0", *_free_text(family.opening), start, rest]


def _free_text(opening: str) -> list[str]:
    """Rules for text that may end anywhere, and that goes on with ``rest`` as soon as it has ended with ``opening``.

    ``text-N``: the last N characters were the first N of ``opening``.
    """
    first, last = opening[0], len(opening) - 1
    rules = []
    for number, character in enumerate(opening):
        onward = f'"{character}" ' + ("rest" if number == last else f"text-{number + 1}")
        again = "" if number == 0 else f' | "{first}" text-1'
        others = f"[^{character}]" if number == 0 else f"[^{first}{character}]"
        rules.append(f"text-{number} ::= ({onward}{again} | {others} text-0)?")
    return rules
