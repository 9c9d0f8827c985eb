"""Giving up a decode under way: ggml asks a function after every node of its graph, and stops where it says so.

It asks some thousand times a batch, on the thread that computes. A function of Python's would wait for the
interpreter's lock each time; so the C library's ``strlen`` is asked, of a text that is empty unless somebody wants the
decode to end. What it returns is read as C's ``bool``: the lowest byte of 0 or 1.
"""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp

from appliance.engine import llama_log

_STRLEN = ctypes.cast(ctypes.CDLL(None).strlen, llama_cpp.ggml_abort_callback)
_TEXT_BYTES = 64


class Abort:
    """Of one context, which it must outlive; only ggml's code for processors asks."""

    def __init__(self, context: Any) -> None:
        self._text = ctypes.create_string_buffer(_TEXT_BYTES)
        llama_cpp.llama_set_abort_callback(context, _STRLEN, ctypes.cast(self._text, ctypes.c_void_p))

    def want(self, wanted: bool) -> None:  # noqa: FBT001 - the one thing that it is told
        """Whether decodes end early from now on. May be called from any thread."""
        llama_log.awaited(id(self), now=wanted)
        self._text[0] = b"\x01" if wanted else b"\x00"
