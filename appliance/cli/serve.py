"""`sovereign serve NAME`: one service of the site in the foreground, as its service manager starts it.

This is where the parts meet: each subpackage offers a ``serve`` that knows nothing of the others, and the model's
verified file descriptor goes from the gate to the engine here, so that no path is opened a second time.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

import appliance.audit
import appliance.engine
import appliance.gateway
from airgap_bundle.store import Store
from appliance.cli.terminal import site_paths
from appliance.errors import UsageError
from appliance.identity.keycloak_server import exec_keycloak
from appliance.install.database import exec_postgres
from appliance.models.gate import open_verified
from appliance.models.officers import load_officers
from appliance.site.credentials import Credentials
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, IDENTITY, engine_service

if TYPE_CHECKING:
    from appliance.site.config import Model, SiteConfig
    from appliance.site.paths import SitePaths


def serve(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="database, identity, audit, gateway or engine-<model>")],
) -> None:
    """Run one service in the foreground (called by the service manager)."""
    paths = site_paths(context)
    config = load_site(paths.site_yaml)
    credentials = Credentials.from_environment(paths.credentials(service))
    if service == DATABASE:
        exec_postgres(config, paths)
    elif service == IDENTITY:
        exec_keycloak(config, paths, credentials)
    elif service == AUDIT:
        _serve_audit(config, paths, credentials)
    elif service == GATEWAY:
        appliance.gateway.serve(config=config, paths=paths, credentials=credentials)
    else:
        _serve_engine(_model_of(service, config), paths)
