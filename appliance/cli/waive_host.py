"""`sovereign trust waive-host`: an officer accepts that this site's host lacks a layer of the engines' confinement."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from airgap_bundle import durable
from airgap_bundle.metadata import format_time
from airgap_bundle.statement import WAIVER_TYPE, sign_statement
from appliance.cli.signers import PinFdOption, opened
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit
from appliance.errors import UsageError
from appliance.models.host_waiver import HOST_WAIVER_DAYS
from appliance.models.waiver import MAX_REASON, MIN_REASON
from appliance.site.layers import WAIVABLE_LAYERS
from appliance.site.shapes import Slug

if TYPE_CHECKING:
    from rich.console import Console

KeyOption = Annotated[Path, typer.Option("--key", metavar="NAME.key", help="Key of an officer of the site.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="FILE", help="File that receives the signed waiver.")]


def register(app: typer.Typer) -> None:
    """Mount the command."""
    app.command("waive-host")(waive_host)


def waive_host(  # noqa: PLR0913 - one option per field of a waiver
    *,
    key: KeyOption,
    site: Annotated[str, typer.Option("--site-name", metavar="NAME", help="Name of the site, as in its site.yaml.")],
    waives: Annotated[list[str], typer.Option("--waives", metavar="LAYER", help="seccomp or landlock; repeatable.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in a sentence that an auditor will read.")],
    out: OutOption,
    days: Annotated[int, typer.Option("--days", min=1, max=HOST_WAIVER_DAYS, help="Days until it ends.")] = 90,
    passphrase_fd: PassphraseFdOption = None,
    pin_fd: PinFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Sign a waiver: an officer accepts, for a reason and until a date, that a host cannot confine engines fully."""
    if beyond := sorted(set(waives) - WAIVABLE_LAYERS):
        raise UsageError(f"{beyond[0]} can be waived by nobody", f"one of {', '.join(sorted(WAIVABLE_LAYERS))}")
    _require_site_name(site)
    if not MIN_REASON <= len(reason.strip()) <= MAX_REASON:
        raise UsageError(f"a waiver needs a reason of {MIN_REASON} to {MAX_REASON} characters", "say it with --reason")
    issued = datetime.now(UTC)
    payload: dict[str, Any] = {
        "schema": 1,
        "kind": "host",
        "subject": {"site": site},
        "waives": sorted(set(waives)),
        "reason": reason.strip(),
        "issued": format_time(issued),
        "expires": format_time(issued + timedelta(days=days)),
    }
    with opened(key, passphrase_fd, pin_fd) as signer:
        payload["officer"] = signer.name
        durable.replace(out, sign_statement(payload, WAIVER_TYPE, signer))

    def render(console: Console) -> None:
        waived = ", ".join(payload["waives"])
        console.print(f"{out}: {payload['officer']} lets the host of {site} run engines without {waived}", markup=False)
        console.print(f"until {payload['expires']}; name it in site.yaml under waivers", markup=False)

    emit(payload, output, render)


def _require_site_name(name: str) -> None:
    try:
        TypeAdapter(Slug).validate_python(name)
    except ValidationError as error:
        raise UsageError(f"{name!r:.80} is no site's name", "site.yaml says it under name") from error
