"""`sovereign trust waive`: an officer accepts, in writing, that a model misses checks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airgap_bundle import durable
from airgap_bundle.digest import Digest
from airgap_bundle.errors import FormatError
from airgap_bundle.metadata import format_time
from airgap_bundle.statement import WAIVER_TYPE, sign_statement
from appliance.cli.signers import PinFdOption, opened
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit
from appliance.errors import UsageError
from appliance.models.waiver import MAX_REASON, MIN_REASON

if TYPE_CHECKING:
    from rich.console import Console

MAX_WAIVER_DAYS = 366
KeyOption = Annotated[Path, typer.Option("--key", metavar="NAME.key", help="Key of an officer of the site.")]


def register(app: typer.Typer) -> None:
    """Add the command to the group ``trust``."""
    app.command()(waive)


def waive(  # noqa: PLR0913 - one option per field of a waiver
    *,
    key: KeyOption,
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Model that the waiver is about.")],
    digest: Annotated[str, typer.Option("--digest", metavar="sha256:…", help="Digest of its weights.")],
    waives: Annotated[list[str], typer.Option("--waives", metavar="CHECK", help="Check to waive; repeatable.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in a sentence that an auditor will read.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File that receives the signed waiver.")],
    days: Annotated[int, typer.Option("--days", min=1, max=MAX_WAIVER_DAYS, help="Days until it ends.")] = 90,
    passphrase_fd: PassphraseFdOption = None,
    pin_fd: PinFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Sign a waiver: an officer accepts, for a reason and until a date, that one model misses checks of the policy."""
    subject = _digest(digest)
    if not MIN_REASON <= len(reason.strip()) <= MAX_REASON:
        raise UsageError(f"a waiver needs a reason of {MIN_REASON} to {MAX_REASON} characters", "say it with --reason")
    issued = datetime.now(UTC)
    payload: dict[str, Any] = {
        "schema": 1,
        "kind": "model",
        "subject": {"name": model, "sha256": subject.hex},
        "waives": sorted(set(waives)),
        "reason": reason.strip(),
        "issued": format_time(issued),
        "expires": format_time(issued + timedelta(days=days)),
    }
    with opened(key, passphrase_fd, pin_fd) as signer:
        payload["officer"] = signer.name
        durable.replace(out, sign_statement(payload, WAIVER_TYPE, signer))

    def render(console: Console) -> None:
        console.print(f"{out}: {payload['officer']} waives {', '.join(payload['waives'])} of {model}", markup=False)
        console.print(f"until {payload['expires']}", markup=False)

    emit(payload, output, render)


def _digest(text: str) -> Digest:
    try:
        return Digest.parse(text if text.startswith("sha256:") else f"sha256:{text}")
    except FormatError as error:
        raise UsageError(error.cause, "`sha256sum` of the weights gives it") from error
