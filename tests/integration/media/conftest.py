"""A log to write to."""

from __future__ import annotations

from tests.audit.bench import anyio_backend, bench

__all__ = ["anyio_backend", "bench"]
