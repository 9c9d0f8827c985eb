"""`sovereign bundle verify`, `inspect` and `sign`; signing over a distance is in `exchange`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table

from airgap_bundle.errors import VerificationError
from airgap_bundle.inspection import Inspection, inspect_bundle
from airgap_bundle.metadata import parse_time
from airgap_bundle.model_bundle import verify_models
from airgap_bundle.sign import sign_bundle
from airgap_bundle.sign_models import sign_models
from airgap_bundle.store import Store
from airgap_bundle.supply import Nowhere, StoreSupply
from airgap_bundle.trust_state import TrustState, fingerprint
from airgap_bundle.verify import verify as verify_bundle
from appliance.cli import exchange
from appliance.cli.root_files import RootOption, read_roots
from appliance.cli.signers import PinFdOption, opened
from appliance.cli.sizes import size_text
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, progress, say, site_paths

if TYPE_CHECKING:
    from rich.console import Console

    from airgap_bundle.report import Report

app = typer.Typer(no_args_is_help=True)

exchange.register_bundles(app)

BundleArgument = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A bundle: its folder, a packed file, or a split set's folder.")
]
FingerprintOption = Annotated[
    str | None,
    typer.Option("--root-fingerprint", metavar="sha256:…", help="Trust the root with this fingerprint."),
]
_MARKS = {"pass": "[green]pass[/]", "fail": "[red]fail[/]", "not established": "[yellow]not established[/]"}


@app.command()
def verify(  # noqa: PLR0913 - typer: one parameter per option
    context: typer.Context,
    bundle: BundleArgument,
    *,
    root_fingerprint: FingerprintOption = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="INSTANT", help="Judge freshness at 2026-01-31T12:00:00Z, say, instead of now."),
    ] = None,
    models: exchange.ModelsOption = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Check every byte of a bundle against the site's pinned root, or against a root's fingerprint. Changes nothing."""
    now = datetime.now(UTC) if at is None else parse_time(at)
    trust = trust_for(context, root_fingerprint)
    paths = site_paths(context)
    of_site = trust == TrustState.find(paths.trust)  # a fingerprint of others is not helped out by this site's store
    supply = StoreSupply(Store(paths.store)) if of_site else Nowhere()
    with progress("verifying") as report_progress:
        verify_it = verify_models if models else verify_bundle
        report = verify_it(bundle, trust, now=now, supply=supply, progress=report_progress)
    emit(report.to_json(), output, lambda console: _render_report(console, report))
    if report.ok and report.freshness is not None and report.freshness.status != "pass":
        say(f"note: freshness: {report.freshness.detail}")
    failure = report.failure
    if failure is not None:
        hint = failure.error.hint if failure.error else None
        raise VerificationError(f"{failure.name}: {failure.detail}", hint, report=report)


@app.command()
def inspect(
    context: typer.Context,
    bundle: BundleArgument,
    root_fingerprint: FingerprintOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Show what a bundle says it holds; without a trusted root nothing of it is verified, and the output says so."""
    trust = trust_for(context, root_fingerprint)
    found = inspect_bundle(bundle, trust, now=datetime.now(UTC))
    emit(found.to_json(), output, lambda console: _render_inspection(console, found))


@app.command()
def sign(  # noqa: PLR0913 - a key needs two descriptors where nobody types
    bundle: BundleArgument,
    key: Annotated[
        Path, typer.Option("--key", metavar="NAME.key", help="Your key file or key description, or the release key's.")
    ],
    *,
    root: RootOption = None,
    models: exchange.ModelsOption = False,
    passphrase_fd: PassphraseFdOption = None,
    pin_fd: PinFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Add one signer's signatures to a bundle.

    Persons sign first, in any order and on any machine that the bundle is carried to; the first brings the root. Each
    signature reads every blob before. When enough persons have signed, the release key seals the bundle: it binds the
    metadata so that nothing can be exchanged, and after that nothing can be added.

    With --models the bundle brings models and nothing else to sites that run already (`sovereign model import`): those
    sign it to whom the root grants that, and nobody seals it.
    """
    roots = read_roots(root)
    with opened(key, passphrase_fd, pin_fd) as signer, progress("reading") as report_progress:
        sign_it = sign_models if models else sign_bundle
        done = sign_it(bundle, signer, now=datetime.now(UTC), roots=roots, progress=report_progress)

    def render(console: Console) -> None:
        console.print(f"{done.signer} signed {done.release}", markup=False)
        console.print(f"index.json {done.index}", markup=False, soft_wrap=True)
        console.print(f"{'models' if models else 'targets'}: {done.targets}", markup=False)
        missing = "more signatures are needed" if models else "not sealed yet"
        ready = "ready to travel" if models else "sealed: ready to travel"
        console.print(ready if done.sealed else missing, markup=False)

    emit(asdict(done), output, render)


def trust_for(context: typer.Context, root_fingerprint: str | None) -> TrustState:
    """The fingerprint that was typed, else what the site has pinned, else nothing."""
    pinned = TrustState.find(site_paths(context).trust)
    if root_fingerprint is None:
        return pinned or TrustState.expecting(None)
    asked = TrustState.expecting(root_fingerprint)
    known = pinned is not None and asked.pinned in {pinned.pinned, fingerprint(pinned.root or b"")}
    if pinned is not None and not known:
        say("note: this site trusts another root; checking against the fingerprint given, not against the site")
    return pinned if pinned is not None and known else asked


def _render_report(console: Console, report: Report) -> None:
    table = Table("check", "verdict", Column("detail", overflow="fold"), box=None, pad_edge=False)
    for check in report.checks:
        table.add_row(check.name, _MARKS[check.status], _plain(check.detail))
    console.print(table)
    if report.release:
        info = report.release
        console.print(f"release {info.name} {info.version}, number {info.number}", markup=False)
    if report.signers:
        waiting = f"; waiting for {', '.join(report.waiting_for)}" if report.waiting_for else ""
        console.print(f"signed by {', '.join(report.signers)}{waiting}", markup=False)


def _render_inspection(console: Console, found: Inspection) -> None:
    info = found.release
    console.print(
        f"{info.name} {info.version}, number {info.number}, may roll back to {info.min_release}", markup=False
    )
    console.print(f"support until {found.support_until}", markup=False)
    for artifact in found.artifacts:
        console.print(f"{artifact.kind} {artifact.name} {artifact.version}, {size_text(artifact.size)}", markup=False)
        console.print(f"  {artifact.digest}", markup=False, soft_wrap=True)
        for name, claim in artifact.image.items():
            console.print(f"  {name} {claim}", markup=False, soft_wrap=True)
        for name, file in artifact.files.items():
            console.print(f"  {size_text(file.size):>12}  {name}", markup=False, soft_wrap=True)
    for role, state in found.signatures.items():
        console.print(f"{role}: {state}", markup=False)
    console.print(found.verdict, markup=False, style="bold", soft_wrap=True)


def _plain(text: Any) -> str:
    """Text that rich prints as it is."""
    return str(text).replace("[", r"\[")
