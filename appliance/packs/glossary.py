"""A glossary as people write it: a table of three columns, ``term,use,note``, in CSV. Pure."""

from __future__ import annotations

import csv
from typing import Any

COLUMNS = ["term", "use", "note"]
MAX_BYTES = 256 << 10


def read_glossary(text: str) -> list[dict[str, Any]]:
    """Terms as ``Term`` reads them; an empty note is none. Raises ``ValueError`` with the line's number."""
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    found: list[dict[str, Any]] = []
    try:
        for number, row in enumerate(reader, start=1):
            if number == 1:
                if row != COLUMNS:
                    raise ValueError(f"line 1: the columns are {','.join(COLUMNS)}")
                continue
            if len(row) != len(COLUMNS):
                raise ValueError(f"line {reader.line_num}: {len(row)} columns, and there are {len(COLUMNS)}")
            said = dict(zip(COLUMNS, row, strict=True))
            found.append({name: value for name, value in said.items() if name != "note" or value.strip()})
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error
    return found
