"""A log to work on, and an auditor who watches it."""

from __future__ import annotations

from tests.audit.auditor import auditor
from tests.audit.bench import anyio_backend, bench
from tests.audit.counted import cache, log
from tests.audit.running import serve, service
from tests.audit.used import report

__all__ = ["anyio_backend", "auditor", "bench", "cache", "log", "report", "serve", "service"]
