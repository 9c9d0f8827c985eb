"""llama.cpp's own messages: warnings and errors go to the engine's log, quoted, because a model file words them."""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp
import structlog

_LEVELS = {3: "warning", 4: "error"}
_log = structlog.get_logger("llama.cpp")
_awaited: set[int] = set()


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]  # a ctypes function type
def _receive(level: int, text: bytes, _data: Any) -> None:
    if level in _LEVELS and text.strip() and not _awaited:
        _log.warning("llama_message", severity=_LEVELS[level], text=ascii(text.decode(errors="replace").strip()))


def keep_log_quiet() -> None:
    """Take over llama.cpp's messages, for the whole process. The callback is a module's value: it is never freed."""
    llama_cpp.llama_log_set(_receive, ctypes.c_void_p(None))


def awaited(abort: int, *, now: bool) -> None:
    """While ``abort`` is wanted ``now``, what llama.cpp says of it is no news: it words that as a failure."""
    (_awaited.add if now else _awaited.discard)(abort)
