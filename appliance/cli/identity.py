"""`sovereign identity`: whether the running Keycloak is still what the site file says."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    read_passphrase,
    site_paths,
)
from appliance.errors import DeploymentError
from appliance.identity.drift import realm_drift
from appliance.install.vault import Vault
from appliance.site.load import load_site
from appliance.site.paths import IDENTITY

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(no_args_is_help=True)
_ADMIN = f"{IDENTITY}/bootstrap_admin_secret"


@app.command()
def drift(
    context: typer.Context, passphrase_fd: PassphraseFdOption = None, output: OutputOption = OutputFormat.table
) -> None:
    """Show what was changed in Keycloak behind the site file's back; exits 5 when something was."""
    paths = site_paths(context)
    config = load_site(paths.administered)
    vault = Vault(paths, lambda: read_passphrase("passphrase of the site key", passphrase_fd))
    ca = paths.tls / "ca.pem" if config.scheme == "https" else None
    found = realm_drift(config, admin_secret=vault.store().get(_ADMIN).decode(), ca=ca)

    def render(console: Console) -> None:
        for difference in found:
            console.print(
                f"{difference.path}: wanted {difference.wanted}, found {difference.found}", markup=False, soft_wrap=True
            )
        console.print(f"{len(found)} differences" if found else "the realm is what the site file says", markup=False)

    emit([asdict(difference) for difference in found], output, render)
    if found:
        raise typer.Exit(DeploymentError.exit_code)
