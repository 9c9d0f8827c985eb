"""From an accepted JSON schema to GBNF, by the converter that llama-cpp-python ships."""

from __future__ import annotations

from typing import Any

from llama_cpp.llama_grammar import SchemaConverter

from appliance.engine.readings import require_few_readings
from appliance.engine.schema import SchemaReader, refuse

_STRING_CHARACTER = r'[^"\\\x7F\x00-\x1F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F])'
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})


class _Converter(SchemaConverter):
    """The shipped converter, mended in two places.

    Its ``_format_literal`` leaves backslashes alone, so that a quotation mark in a name or value ends its
    literal early: the answer would be no JSON, and a schema could write grammar of its own.
    """

    def _format_literal(self, literal: str) -> str:
        return f'"{literal.translate(_ESCAPES)}"'

    def define(self, definitions: dict[str, Any]) -> None:
        """References that the schema may use; nothing is ever looked up elsewhere."""
        self._refs = definitions

    def forbid_control_characters(self) -> None:
        """The shipped rule lets a string hold a raw line break, which JSON forbids (RFC 8259, section 7)."""
        if "char" in self._rules:
            self._rules["char"] = _STRING_CHARACTER


def grammar_of(schema: object) -> str:
    """GBNF text whose every sentence is JSON that fits ``schema``. Raises ``EngineRefusedError`` (422)."""
    root, definitions = SchemaReader().read(schema)
    require_few_readings(root, definitions)
    return gbnf_of(root, definitions)


def gbnf_of(read: dict[str, Any], definitions: dict[str, Any], *, root: str = "root") -> str:
    """Rules for a schema as ``SchemaReader`` rebuilt it; the one named ``root`` matches it whole."""
    converter: Any = _Converter(  # type: ignore[no-untyped-call]  # the shipped converter has no annotations
        prop_order={}, allow_fetch=False, dotall=False, raw_pattern=False
    )
    converter.define(definitions)
    try:
        converter.visit(read, "" if root == "root" else root)
    except (AssertionError, KeyError, ValueError, RecursionError) as error:
        raise refuse("", f"cannot be turned into a grammar: {error}") from error
    converter.forbid_control_characters()
    text: str = converter.format_grammar()
    return text
