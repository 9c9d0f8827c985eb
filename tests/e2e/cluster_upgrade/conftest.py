"""The stage of the upgrade's journey: two hosts on a bridge with no way out (`make test-cluster-upgrade`, as root)."""

from __future__ import annotations

from tests.e2e.two_hosts.conftest import lab

__all__ = ["lab"]
