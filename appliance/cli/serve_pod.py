"""What runs in a cluster's pods alone: links between them, and the hook that settles the sign-in realm.

Imports lie inside the functions, as in ``serve``: a process loads the code of its own service and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from appliance.cli.terminal import site_paths
from appliance.site.credentials import Credentials
from appliance.site.paths import AUDIT, COLLECTOR, IDENTITY

if TYPE_CHECKING:
    from appliance.site.paths import SitePaths

LINK = "link-"


def register(app: typer.Typer) -> None:
    """Add the commands to the tree of the services."""
    app.command("settle-realm", hidden=True)(settle_realm)


def serve_link(name: str, paths: SitePaths) -> None:
    """A link between pods; it reads its own file and certificates, and nothing else of the site."""
    from appliance.link.relay import serve
    from appliance.link.ways import load_ways

    serve(load_ways(paths.ways(name)), Credentials.from_environment(paths.credentials(f"{LINK}{name}")).directory)


def serve_collector(paths: SitePaths) -> None:
    """What a cluster's hosts observed, into the log; it reads who the hosts are, its certificate, and no site file."""
    from appliance.cluster.seats import COLLECTOR_PORT
    from appliance.collector.service import serve
    from appliance.collector.told import HOSTS

    credentials = Credentials.from_environment(paths.credentials(COLLECTOR)).directory
    serve(socket=paths.socket(AUDIT), port=COLLECTOR_PORT, hosts=paths.links / HOSTS, credentials=credentials)


def settle_realm(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="Keycloak's own address, within reach of this pod.")],
) -> None:
    """Bring the sign-in realm of a cluster to the site file (called by the chart's hook, once per release)."""
    from appliance.identity.apply import apply_realm
    from appliance.site.load import load_site

    paths = site_paths(context)
    config = load_site(paths.site_yaml)
    held = Credentials.from_environment(paths.credentials(IDENTITY))
    secrets = {"sovereign-web": held.text("oidc_client_secret")}
    secrets |= {client.id: held.text(f"client-{client.id}") for client in config.service_clients}
    admin = held.text("bootstrap_admin_secret")
    for change in apply_realm(config, admin_secret=admin, client_secrets=secrets, ca=None, address=address):
        typer.echo(change)
