"""Sizes as people write them on media (4GB, 3.9GiB) and as they read them in tables."""

from __future__ import annotations

import re

from appliance.errors import UsageError

_UNITS = {
    "": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,3}))? ?([KMGT]I?B)?", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Bytes in ``text``: 4GB is decimal, as media are sold; 4GiB is binary. Raises ``UsageError``."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r:.40} is no size", "as in 4GB, 3.9GiB or 700MB")
    whole, decimals, unit = match.groups()
    factor = _UNITS[(unit or "").upper()]
    return int(whole) * factor + (int(decimals) * factor // 10 ** len(decimals) if decimals else 0)


def size_text(count: int) -> str:
    """``count`` bytes for a table."""
    for name, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= factor:
            return f"{count / factor:.1f} {name}"
    return f"{count} B"
