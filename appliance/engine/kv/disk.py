"""What an engine brings along for keeping beginnings on disk: an open file and a key. Got before it is confined."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Disk:
    """``descriptor`` of an arena (``arena.open_arena``) and the 32 secret bytes that its lists' keys come from."""

    descriptor: int
    key: bytes = field(repr=False)
