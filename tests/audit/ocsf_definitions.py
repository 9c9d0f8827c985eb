"""OCSF's own definitions of what our events consist of, taken from an official export:

    python -m tests.audit.ocsf_definitions EXPORT

EXPORT is what the schema server of OCSF gives under ``/1.8.0/export/v2/schema``, as the package ocsf-json-schema 1.2.0
has it (``ocsf_json_schema/ocsf/1.8.0.json``). Of that, ``ocsf.json`` beside this file keeps, word for word, the classes
and objects of our events with those attributes that an event has, or must have: no more of some megabytes is asked for.

No export of 1.9.0 was to be had. A minor version of OCSF takes nothing away, and of what it adds our events need what
stands in ``ADDED``, by OCSF's list of changes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.audit.every_event import cases
from tests.audit.former import former

FILE = Path(__file__).with_name("ocsf.json")
EXPORTED = "1.8.0"
ADDED = {"application_lifecycle": ("api_activity", ("ai_model", "message_context"))}
"""1.9.0, ocsf-schema pull request 1641: the profile ai_operation belongs to all classes of applications, not to API
Activity and few others alone. Class, where its definitions stand, and which."""
_ATTRIBUTE = ("type", "object_type", "is_array", "requirement", "profiles", "sibling", "@deprecated")
_TYPE = ("type", "regex", "max_len", "range")
Definitions = dict[str, Any]


class _Extract:
    """What is kept of ``export``, event by event."""

    def __init__(self, export: Definitions) -> None:
        self._export = export
        self._by_uid = {one["uid"]: one for one in export["classes"].values()}
        for name, (source, attributes) in ADDED.items():
            given = export["classes"][source]["attributes"]
            export["classes"][name]["attributes"] |= {one: given[one] for one in attributes}
        self.kept: Definitions = {"types": {}, "objects": {}, "classes": {}}

    def add(self, event: Definitions) -> None:
        """An event's class, and all that it has; attributes that OCSF does not know are left for tests to find."""
        definition = self._by_uid[event["class_uid"]]
        self._add("classes", definition["name"], definition, event)

    def _add(self, sort: str, name: str, definition: Definitions, value: Definitions) -> None:
        known, constraints = definition["attributes"], definition.get("constraints") or {}
        kept = self.kept[sort].setdefault(name, {"attributes": {}, "constraints": constraints})
        if sort == "classes":
            kept |= {"uid": definition["uid"], "caption": definition["caption"]}
        must = {one for one, attribute in known.items() if attribute["requirement"] == "required"}
        for attribute in sorted((must | set(value)) & set(known)):
            kept["attributes"][attribute] = self._attribute(known[attribute])
            one = value.get(attribute)
            for each in one if isinstance(one, list) else [one]:
                if isinstance(each, dict):
                    object_name = known[attribute]["object_type"]
                    self._add("objects", object_name, self._export["objects"][object_name], each)

    def _attribute(self, known: Definitions) -> Definitions:
        kept = {name: known[name] for name in _ATTRIBUTE if known.get(name)}
        if "enum" in known:
            kept["enum"] = {value: said["caption"] for value, said in known["enum"].items()}
        if "object_type" not in known:
            definition = self._export["dictionary"]["types"]["attributes"][known["type"]]
            self.kept["types"][known["type"]] = {name: definition[name] for name in _TYPE if name in definition}
        return kept


def extract(export: Definitions) -> Definitions:
    """The part of ``export`` that our events touch, and those of earlier releases."""
    made = _Extract(export)
    for _, event in cases():
        made.add(former(event))
    source = f"OCSF {export['version']}, schema server's export v2; of 1.9.0 what ocsf_definitions.py says it added"
    return {"source": source, "licence": "Apache-2.0, the Open Cybersecurity Schema Framework", **made.kept}


def main() -> None:
    """Write the file."""
    export = json.loads(Path(sys.argv[1]).read_bytes())
    assert export["version"] == EXPORTED
    FILE.write_text(json.dumps(extract(export), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
