"""An evaluating client signed in: what asks the running site's gateway in the name of its groups."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from appliance.cli.learn_ask import SiteAsker
from appliance.cli.reached import vault_of
from appliance.gateway.issuer import issuer_client
from appliance.identity.oidc import OidcClient
from appliance.install.vault import client_secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from appliance.learning.results import Run
    from appliance.learning.running import Asker
    from appliance.site.config import SiteConfig
    from appliance.site.groups import ServiceClient
    from appliance.site.paths import SitePaths


@asynccontextmanager
async def asking(
    paths: SitePaths, site: SiteConfig, program: ServiceClient, passphrase_fd: int | None
) -> AsyncIterator[Callable[[Run], Asker]]:
    """Makes askers for runs of ``program``."""
    secret = vault_of(paths, passphrase_fd).store()
    password = secret.get(client_secret(program.id)).decode()
    async with issuer_client(site, paths) as http:
        sign_in = OidcClient(site.issuer, program.id, password, http)
        yield lambda run: SiteAsker(http, sign_in, run, site.gateway_url)
