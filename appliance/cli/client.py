"""`sovereign client`: the programs that call the API with credentials of their own."""

from __future__ import annotations

import os
import secrets
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated

import typer

from appliance.audit.client import SyncAuditClient
from appliance.audit.events import admin_change
from appliance.audit.roles import OPERATOR
from appliance.cli.reached import reached, vault_of
from appliance.cli.terminal import PassphraseFdOption, say
from appliance.errors import UsageError
from appliance.install.vault import client_secret
from appliance.site.load import load_site
from appliance.site.paths import AUDIT
from appliance.site.secrets import write_private

app = typer.Typer(no_args_is_help=True)


@app.command("secret")
def secret_command(
    context: typer.Context,
    client: Annotated[str, typer.Argument(help="Id of the service client, as in site.yaml.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="New file (0600) that receives the secret.")],
    passphrase_fd: PassphraseFdOption = None,
) -> None:
    """Hand out a service client's secret: to a file, never to the screen, and with an entry in the audit log."""
    paths = reached(context)
    known = [entry.id for entry in load_site(paths.administered).service_clients]
    if client not in known:
        raise UsageError(f"{client} is no service client of this site", f"it has {', '.join(known) or 'none'}")
    if out.exists():
        raise UsageError(f"{out} exists", "name a new file")
    value = vault_of(paths, passphrase_fd).store().get(client_secret(client))
    event = admin_change(actor=f"uid {os.getuid()}", action="read", kind="client secret", target=client)
    with SyncAuditClient(paths.socket(AUDIT)) as audit:
        audit.append(event, id=OPERATOR.id("client-secret", secrets.token_hex(16)))
    write_private(out, value)
    say(f"{out} holds the secret of {client}")
