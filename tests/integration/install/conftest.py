"""A site to be backed up, and one that comes back from its backup."""

from __future__ import annotations

from tests.install.backed_up import site
from tests.install.lost import lost

__all__ = ["lost", "site"]
