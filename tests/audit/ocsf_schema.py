"""Events held against OCSF's own definitions (``ocsf_definitions``), as JSON Schema: with nothing that OCSF does not
know, and in which each caption is that of its number.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from tests.audit.ocsf_definitions import FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRIMITIVES = {"boolean_t": "boolean", "integer_t": "integer", "long_t": "integer", "float_t": "number"}
_OTHER = 99
_ANYTHING = "object"
"""The object that holds what OCSF has no name for."""
_LONG = 1 << 63
Plain = dict[str, Any]


def faults(event: Plain) -> list[str]:
    """What OCSF would find wrong with ``event``, each with where it stands."""
    definitions = _definitions()
    name = next((one for one, known in definitions["classes"].items() if known["uid"] == event.get("class_uid")), None)
    if name is None:
        return [f"class_uid {event.get('class_uid')!r} is no class that we use"]
    profiles = tuple(event.get("metadata", {}).get("profiles", ()))
    found = [f"{one.json_path}: {one.message}" for one in _validator(name, profiles).iter_errors(event)]
    if not found:
        found += _wrong_words(event, definitions["classes"][name], "$")
    if not found and event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
        found.append(f"type_uid {event['type_uid']} is not of this class and activity")
    return found


@cache
def _definitions() -> Plain:
    made: Plain = json.loads(FILE.read_bytes())
    return made


@cache
def _validator(name: str, profiles: tuple[str, ...]) -> Draft202012Validator:
    known = _definitions()
    schema = _object(known["classes"][name], profiles)
    schema["$defs"] = {one: _object(definition, profiles) for one, definition in known["objects"].items()}
    schema["$defs"][_ANYTHING]["additionalProperties"] = True
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def _object(definition: Plain, profiles: tuple[str, ...]) -> Plain:
    """An attribute of a profile is there only where the event says that it applies the profile."""
    here = {
        name: attribute
        for name, attribute in definition["attributes"].items()
        if not attribute.get("profiles") or set(attribute["profiles"]) & set(profiles)
    }
    made: Plain = {
        "type": "object",
        "properties": {name: _attribute(attribute) for name, attribute in here.items()},
        "required": [name for name, attribute in here.items() if attribute["requirement"] == "required"],
        "additionalProperties": False,
    }
    for constraint, names in definition["constraints"].items():
        how = {"at_least_one": "anyOf", "just_one": "oneOf"}[constraint]
        made[how] = [{"required": [name]} for name in names]
    return made


def _attribute(attribute: Plain) -> Plain:
    if "object_type" in attribute:
        made: Plain = {"$ref": f"#/$defs/{attribute['object_type']}"}
    else:
        made = _scalar(attribute["type"])
        if "enum" in attribute:
            made["enum"] = [int(one) if made["type"] == "integer" else one for one in attribute["enum"]]
    return {"type": "array", "items": made} if attribute.get("is_array") else made


def _scalar(name: str) -> Plain:
    known = _definitions()["types"][name]
    made: Plain = {"type": _PRIMITIVES.get(known.get("type", name), "string")}
    if made["type"] == "integer":
        made |= {"minimum": -_LONG, "maximum": _LONG - 1}
    if "regex" in known:
        made["pattern"] = known["regex"]
    if "max_len" in known:
        made["maxLength"] = known["max_len"]
    if "range" in known:
        made |= dict(zip(("minimum", "maximum"), known["range"], strict=True))
    return made


def _wrong_words(value: Plain, definition: Plain, at: str) -> Iterator[str]:
    """Captions that are not those of their numbers, and what OCSF gave up."""
    for name, one in value.items():
        attribute = definition["attributes"].get(name)
        if attribute is None:
            continue  # of the object that holds anything
        if "@deprecated" in attribute:
            yield f"{at}.{name}: given up in {attribute['@deprecated'].get('since')}"
        sibling = attribute.get("sibling")
        if sibling in value and "enum" in attribute and one != _OTHER:
            said = attribute["enum"][str(one)]
            if value[sibling] != said:
                yield f"{at}.{sibling}: {value[sibling]!r} is not {said!r}, which {name} {one} stands for"
        for place, each in enumerate(one) if isinstance(one, list) else [("", one)]:
            if isinstance(each, dict):
                inside = _definitions()["objects"][attribute["object_type"]]
                yield from _wrong_words(each, inside, f"{at}.{name}{place}")
