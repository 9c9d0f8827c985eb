"""Debian's control files (deb822): paragraphs of fields, as far as a builder needs them. Pure."""

from __future__ import annotations

import re

_FIELD = re.compile(r"^(?P<name>[!-9;-~]+):[ \t]*(?P<value>.*)$")


def paragraphs(text: str) -> list[dict[str, str]]:
    """Every paragraph of ``text``: field names as they are spelled, continuation lines joined by newlines.

    Lines that are neither are ignored: what depends on a field asks for it.
    """
    found: list[dict[str, str]] = []
    for block in re.split(r"\n[ \t]*\n", text):
        entry: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line[:1] in {" ", "\t"} and name:
                entry[name] += "\n" + line.strip()
            elif match := _FIELD.match(line):
                name = match["name"]
                entry[name] = match["value"].strip()
        if entry:
            found.append(entry)
    return found
