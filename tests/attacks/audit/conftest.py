"""A log to work on, and an auditor who watches it."""

from __future__ import annotations

from tests.audit.auditor import auditor
from tests.audit.bench import anyio_backend, bench
from tests.audit.running import serve

__all__ = ["anyio_backend", "auditor", "bench", "serve"]
