"""Options that the commands on the audit log share, and what they stand for where they are left out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance.audit.charges import Prices
from appliance.audit.checkpoint import read_vkeys
from appliance.audit.cosigned import Witnessed, brought_back, read_witnesses
from appliance.cli.reached import own_log, reached
from appliance.cli.terminal import say, site_paths
from appliance.errors import UsageError
from appliance.site.load import load_site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.audit.note import VerifierKey

WITNESSES = "audit-witnesses"

LogOption = Annotated[
    Path | None, typer.Option("--log", metavar="DIR", help="The log's folder; default: the site's own.")
]
VkeysOption = Annotated[
    Path | None,
    typer.Option("--vkeys", metavar="FILE", help="Verifier keys; default: the site's policies/audit-vkeys."),
]
KeptOption = Annotated[
    Path | None,
    typer.Option("--kept", metavar="FILE", help="A checkpoint kept from an earlier look: the log must extend it."),
]
WitnessesOption = Annotated[
    Path | None,
    typer.Option(
        "--witnesses", metavar="FILE", help="Witnesses' verifier keys; default: the site's policies/audit-witnesses."
    ),
]


def log_folder(context: typer.Context, given: Path | None) -> Path:
    """The log to read."""
    return given if given is not None else own_log(reached(context))


def site_prices(context: typer.Context, given: Path | None, log: Path | None) -> Prices | None:
    """The prices of the site file that was named; else, for the site's own log, of the site here, if it has any."""
    if given is None and log is not None:
        return None
    path = given if given is not None else site_paths(context).administered
    if given is None and not path.is_file():
        return None
    price = load_site(path).audit.price
    if price is None and given is not None:
        raise UsageError(f"{given} states no prices", "add audit: price: to it")
    return Prices(price.currency, price.per_1000_tokens, price.per_kwh) if price else None


def verifier_keys(context: typer.Context, given: Path | None) -> tuple[VerifierKey, ...]:
    """The log's verifier keys."""
    return read_vkeys(given if given is not None else site_paths(context).policies / "audit-vkeys")


def kept_checkpoint(path: Path | None) -> str | None:
    """The checkpoint that the auditor kept."""
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the kept checkpoint {path} cannot be read: {error}") from error


def witnessed(
    context: typer.Context, log: Path, keys: Sequence[VerifierKey], given: Path | None
) -> tuple[Witnessed, ...]:
    """What witnesses cosigned of ``log``, as far as it lies beside it."""
    path = given if given is not None else site_paths(context).policies / WITNESSES
    if given is not None and not given.exists():
        raise UsageError(f"there is no file {given}")
    return brought_back(log, keys, read_witnesses(path))


def write_text(text: str, out: Path) -> None:
    """Write a result to the file that the caller named."""
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}") from error
    say(f"written: {out}")
