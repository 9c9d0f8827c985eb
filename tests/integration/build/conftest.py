"""The fixtures of the unit tests: these tests start real clients with them."""

from __future__ import annotations

from tests.unit.build.conftest import make_release, shared_cache, synthetic

__all__ = ["make_release", "shared_cache", "synthetic"]
