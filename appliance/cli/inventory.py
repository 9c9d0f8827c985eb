"""`sovereign inventory`: what this site holds, as a signed file from which a builder makes a delta."""

from __future__ import annotations

import io
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from airgap_bundle.media.inventory import take_inventory
from appliance.cli.returns import OutFileOption, YesOption, send
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, progress, say, site_paths
from appliance.cluster.standing import is_cluster, standing
from appliance.errors import UsageError
from appliance.install.release_description import active_version
from appliance.site.load import load_site

if TYPE_CHECKING:
    from appliance.site.paths import SitePaths

app = typer.Typer(no_args_is_help=True)


@app.command("export")
def export_command(
    context: typer.Context,
    *,
    out: OutFileOption,
    yes: YesOption = False,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Hash the store and write what is whole in it: digests, sizes, versions, floors; no content, nobody's name.

    A damaged blob is left out, so that the next delta brings it again.
    """
    paths = site_paths(context)
    site = load_site(paths.administered).name
    with progress("reading the store") as advance:
        taken = take_inventory(
            paths.trust,
            paths.store,
            site=site,
            active=_active(paths),
            now=datetime.now(UTC).replace(microsecond=0),
            progress=advance,
        )
    for digest in taken.damaged:
        say(f"note: blob {digest} in the store is damaged; the inventory leaves it out")
    held, data = taken.inventory, taken.inventory.to_bytes()
    say(f"{len(held.blobs)} blobs, releases {', '.join(held.releases)}; active: {held.active or 'none'}")
    content = {"inventory.json": ("inventory", io.BytesIO(data))}
    send(context, content, out, yes=yes, passphrase_fd=passphrase_fd, output=output)


def _active(paths: SitePaths) -> str | None:
    if is_cluster(paths):
        return standing(paths).state.release or None
    with suppress(UsageError):
        return active_version(paths)
    return None
