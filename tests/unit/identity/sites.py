"""Sites for unit tests of identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.site.config import SiteConfig
from appliance.site.paths import SitePaths

PATHS = SitePaths(Path("/srv/site"))


def site(**changes: Any) -> SiteConfig:
    """A site behind its own CA; ``changes`` replace top-level fields."""
    return SiteConfig.model_validate(
        {
            "schema": 1,
            "name": "ministry",
            "listen": {"host": "0.0.0.0", "hostname": "assistant.example"},
            "models": [{"name": "gemma3-270m"}],
            "groups": [{"name": "analysts"}, {"name": "auditors", "roles": ["auditor"]}],
            "service_clients": [{"id": "batch", "groups": ["analysts"]}],
            **changes,
        }
    )


def loopback_site(**changes: Any) -> SiteConfig:
    """A site without TLS, for one host."""
    return site(listen={"host": "127.0.0.1", "hostname": "localhost"}, tls={"mode": "off"}, **changes)
