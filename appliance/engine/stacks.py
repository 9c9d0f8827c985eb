"""Stacks of native threads, bounded: llama.cpp checks a model's tensors in a thread each, hundreds at once.

A whole stack counts as memory that the process may write to (``RLIMIT_DATA``, getrlimit(2)), used or not, and glibc
gives every thread the eight mebibytes that a login shell has. What llama.cpp runs in threads needs some tens of
kibibytes.
"""

from __future__ import annotations

import ctypes

STACK_BYTES = 512 * 1024
_ATTRIBUTES_BYTES = 64  # sizeof(pthread_attr_t) is 56 on x86-64 and 64 on aarch64


def bound_stacks() -> None:
    """Give every thread that is started from now on a stack of ``STACK_BYTES``, Python's own threads too.

    Raises ``OSError`` when the C library refuses (pthread_setattr_default_np(3), glibc 2.18 and newer).
    """
    libc = ctypes.CDLL(None)
    attributes = ctypes.create_string_buffer(_ATTRIBUTES_BYTES)
    _done(libc.pthread_attr_init(attributes), "pthread_attr_init")
    try:
        _done(libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(STACK_BYTES)), "pthread_attr_setstacksize")
        _done(libc.pthread_setattr_default_np(attributes), "pthread_setattr_default_np")
    finally:
        libc.pthread_attr_destroy(attributes)


def _done(error: int, call: str) -> None:
    if error:
        raise OSError(error, f"{call} failed")
