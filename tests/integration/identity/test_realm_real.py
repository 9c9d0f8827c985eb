"""The realm as code against a real Keycloak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.keycloak_site import KeycloakSite

pytestmark = pytest.mark.network


def test_applying_again_changes_nothing(keycloak_site: KeycloakSite) -> None:
    assert keycloak_site.apply() == ()
