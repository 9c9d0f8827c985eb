"""`sovereign trust`: roots, signers' keys, and signed waivers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from airgap_bundle.signing.roots_folder import read_folder, read_root
from airgap_bundle.trust_state import TrustState
from appliance.cli import exchange, trust_first_root, trust_keys, trust_roots, trust_waivers
from appliance.cli.root_view import render_root, root_summary
from appliance.cli.terminal import OutputFormat, OutputOption, emit, site_paths

RootArgument = Annotated[Path | None, typer.Argument(metavar="[N.root.json]", help="A root; default: the site's.")]

app = typer.Typer(no_args_is_help=True)
for _module in (trust_first_root, trust_keys, trust_roots):
    _module.register(app)
exchange.register_roots(app)
trust_waivers.register(app)


@app.command()
def show(
    context: typer.Context,
    root: RootArgument = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Show a root: fingerprint, who signs what, thresholds, who has signed; without a file, what this site trusts.

    Whether enough persons of the root before it signed is told where that root lies beside it.
    """
    if root is not None:
        summary = root_summary(read_root(root), read_folder(root.parent))
    else:
        state = TrustState.load(site_paths(context).trust)
        summary = root_summary(state.root or b"", {})
        summary["site"] = {
            "pinned": state.pinned,
            "release_floor": state.release_number,
            "min_release": state.min_release,
            "versions": dict(state.versions),
        }
    emit(summary, output, lambda console: render_root(console, summary))
