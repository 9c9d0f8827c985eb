"""A gateway over a real database, and whoever asks it on the page."""

from __future__ import annotations

from tests.integration.gateway.conftest import anyio_backend, client, cluster, house, page, pool

__all__ = ["anyio_backend", "client", "cluster", "house", "page", "pool"]
