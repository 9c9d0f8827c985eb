"""The schema that the installer lays down is, statement for statement, what this Keycloak's own migrations make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.identity.schema import FOLDER, initial_schema
from tests.integration import keycloak_schema, processes

if TYPE_CHECKING:
    from tests.integration.keycloak_site import KeycloakSite

pytestmark = pytest.mark.network


def test_the_schema_is_what_keycloak_would_make_itself(keycloak_site: KeycloakSite) -> None:
    """That database is the migrations' work: tests never lay the schema down."""
    assert keycloak_schema.dump(keycloak_site).splitlines() == list(initial_schema(processes.KEYCLOAK_VERSION)), (
        "`make keycloak-schema` writes it again"
    )


def test_a_keycloak_that_is_not_known_gets_no_schema() -> None:
    assert [path.stem for path in FOLDER.glob("*.sql")] == [processes.KEYCLOAK_VERSION]
    assert initial_schema("26.7.2") == ()
