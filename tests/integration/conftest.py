"""Services that integration tests share: started once for the whole run, on free ports of loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.keycloak_site import KeycloakSite, running_site

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def keycloak_site() -> Iterator[KeycloakSite]:
    """Keycloak with the realm of a small site applied, over real PostgreSQL and the site's own TLS."""
    with running_site() as site:
        yield site
