"""The administrative connection to Keycloak: as the master realm's service client, over the site's CA.

``administration`` is the only way in. It closes what it opened, uses no proxy that the environment names, and turns the
library's errors into the appliance's.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from keycloak import KeycloakAdmin, KeycloakOpenIDConnection
from keycloak.exceptions import KeycloakAuthenticationError, KeycloakConnectionError, KeycloakError

from appliance.errors import DeploymentError, NotAllowedError, UnavailableError
from appliance.identity.keycloak_server import ADMIN_CLIENT
from appliance.identity.realm import MASTER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.site.config import SiteConfig

_TIMEOUT_SECONDS = 120  # a busy host needs half a minute to create a realm


@contextmanager
def administration(
    config: SiteConfig, *, secret: str, ca: Path | None, address: str | None = None
) -> Iterator[KeycloakAdmin]:
    """A connection of the master realm. ``ca`` is the site CA's certificate; None where TLS is off.

    ``address`` is where Keycloak itself listens, behind an edge that has the TLS: what is asked there is told as the
    edge would tell it.

    Raises ``UnavailableError`` when Keycloak does not answer, ``NotAllowedError`` when it refuses the client's secret,
    ``DeploymentError`` for every other refusal.
    """
    connection = KeycloakOpenIDConnection(
        server_url=f"{address or origin(config)}/",  # the library joins paths to it, and one of its own would go
        realm_name=MASTER,
        user_realm_name=MASTER,
        client_id=ADMIN_CLIENT,
        client_secret_key=secret,
        timeout=_TIMEOUT_SECONDS,
        custom_headers={"X-Forwarded-Proto": "https"} if address else None,
        max_retries=0,  # a second POST of what Keycloak is still working on would be a duplicate
    )
    managers = [connection, connection.keycloak_openid.connection]
    for manager in managers:
        manager._s.trust_env = False  # noqa: SLF001 - the library offers no switch, and a proxy must not see this
        if ca is not None:
            manager.verify = str(ca)  # set here: given to the constructor, its unused asynchronous half warns
    try:
        yield KeycloakAdmin(connection=connection)
    except KeycloakConnectionError as error:
        raise UnavailableError(
            f"keycloak does not answer at {address or origin(config)}", "run `sovereign status`"
        ) from error
    except KeycloakAuthenticationError as error:
        raise NotAllowedError(
            "keycloak refuses the administration client's secret", "the site's secrets belong to another database"
        ) from error
    except KeycloakError as error:
        raise DeploymentError(
            f"keycloak refused a change: {error.response_code} {_reason(error)}", "run `sovereign status`"
        ) from error
    finally:
        for manager in managers:
            manager._s.close()  # noqa: SLF001 - the library closes it only when collected; its other half opens nothing


def origin(config: SiteConfig) -> str:
    """Keycloak's own address, without the realm."""
    return config.issuer.removesuffix("/realms/sovereign")


def _reason(error: KeycloakError) -> str:
    text = (
        error.error_message.decode(errors="replace") if isinstance(error.error_message, bytes) else error.error_message
    )
    return " ".join(text.split())[:200]
