"""A gateway over a real library, and whoever asks it."""

from __future__ import annotations

from tests.integration.gateway.conftest import anyio_backend, cluster, house, pool

__all__ = ["anyio_backend", "cluster", "house", "pool"]
