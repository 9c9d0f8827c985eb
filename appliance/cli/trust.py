"""`sovereign trust`: roots, signers' keys, and signed waivers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airgap_bundle import keys
from airgap_bundle.ceremony import build_root
from airgap_bundle.digest import Digest
from airgap_bundle.errors import FormatError
from airgap_bundle.metadata import format_time, parse_root
from airgap_bundle.root_policy import check_root, persons, require
from airgap_bundle.sign import sign_root
from airgap_bundle.statement import WAIVER_TYPE, sign_statement
from airgap_bundle.trust_state import TrustState, fingerprint
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    read_passphrase,
    say,
    site_paths,
)
from appliance.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(help="Make and show the root of trust, signers' keys and waivers.", no_args_is_help=True)

RELEASE_SIGNER = "release"
MAX_WAIVER_DAYS = 366
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that receives the files.")]


@app.command()
def init(
    signers: Annotated[str, typer.Option("--signers", metavar="A,B,C", help="Names of the persons who sign releases.")],
    threshold: Annotated[int, typer.Option("--threshold", metavar="K", help="How many of them a release needs.")],
    out: OutOption,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Make the first root of trust: a ceremony with every person at one machine that has no network.

    Each person types a passphrase and takes NAME.key away; release.key seals bundles. Publish 1.root.json's
    fingerprint where the sites can compare it. With --passphrase-fd one passphrase opens all keys: for trials only.
    """
    names = [name.strip() for name in signers.split(",")]
    made = {name: _generate(name) for name in (*names, RELEASE_SIGNER)}
    root = build_root(
        [made[name].public for name in names], made[RELEASE_SIGNER].public, threshold, now=datetime.now(UTC)
    )
    shared = None if passphrase_fd is None else read_passphrase("passphrase", passphrase_fd)
    out.mkdir(parents=True, exist_ok=True)
    for name, signer in made.items():
        keys.save(signer, out, shared or _new_passphrase(name))
        say(f"{out / name}.key")
    data = sign_root(root, [made[name] for name in names])
    (out / "1.root.json").write_bytes(data)
    summary = _root_summary(data)
    emit(summary, output, lambda console: _render_root(console, summary))


@app.command()
def keygen(
    name: Annotated[str, typer.Argument(help="Name of the person, as it will be shown beside signatures.")],
    out: OutOption,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Make one person's key file (NAME.key, encrypted) and its public half (NAME.pub), as for a site's officer."""
    signer = _generate(name)
    phrase = _new_passphrase(name) if passphrase_fd is None else read_passphrase("passphrase", passphrase_fd)
    out.mkdir(parents=True, exist_ok=True)
    key_file, public_file = keys.save(signer, out, phrase)
    made = {"name": name, "key": str(key_file), "public": str(public_file)}

    def render(console: Console) -> None:
        console.print(f"{key_file} (keep it)\n{public_file} (give it away)", markup=False)

    emit(made, output, render)


@app.command()
def show(
    context: typer.Context,
    root: Annotated[Path | None, typer.Argument(metavar="[N.root.json]", help="A root; default: the site's.")] = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Show a root: fingerprint, who signs what, thresholds, expiry; without a file, what this site trusts."""
    if root is not None:
        summary = _root_summary(_read(root))
    else:
        state = TrustState.load(site_paths(context).trust)
        summary = _root_summary(state.root or b"")
        summary["site"] = {
            "pinned": state.pinned,
            "release_floor": state.release_number,
            "min_release": state.min_release,
            "versions": dict(state.versions),
        }
    emit(summary, output, lambda console: _render_root(console, summary))


@app.command()
def waive(  # noqa: PLR0913 - one option per field of a waiver
    *,
    key: Annotated[Path, typer.Option("--key", metavar="NAME.key", help="Key file of an officer of the site.")],
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Model that the waiver is about.")],
    digest: Annotated[str, typer.Option("--digest", metavar="sha256:…", help="Digest of its weights.")],
    waives: Annotated[list[str], typer.Option("--waives", metavar="CHECK", help="Check to waive; repeatable.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in a sentence that an auditor will read.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File that receives the signed waiver.")],
    days: Annotated[int, typer.Option("--days", min=1, max=MAX_WAIVER_DAYS, help="Days until it ends.")] = 90,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Sign a waiver: an officer accepts, for a reason and until a date, that one model misses checks of the policy."""
    subject = _digest(digest)
    if not reason.strip():
        raise UsageError("a waiver needs a reason", "say it with --reason")
    signer = keys.load(key, read_passphrase(f"passphrase of {key.name}", passphrase_fd))
    issued = datetime.now(UTC)
    payload: dict[str, Any] = {
        "schema": 1,
        "kind": "model",
        "subject": {"name": model, "sha256": subject.hex},
        "waives": sorted(set(waives)),
        "reason": reason.strip(),
        "issued": format_time(issued),
        "expires": format_time(issued + timedelta(days=days)),
        "officer": signer.name,
    }
    out.write_bytes(sign_statement(payload, WAIVER_TYPE, signer))

    def render(console: Console) -> None:
        console.print(f"{out}: {signer.name} waives {', '.join(payload['waives'])} of {model}", markup=False)
        console.print(f"until {payload['expires']}", markup=False)

    emit(payload, output, render)


def _generate(name: str) -> keys.Signer:
    try:
        return keys.generate(name)
    except FormatError as error:
        raise UsageError(error.cause) from error


def _digest(text: str) -> Digest:
    try:
        return Digest.parse(text if text.startswith("sha256:") else f"sha256:{text}")
    except FormatError as error:
        raise UsageError(error.cause, "`sha256sum` of the weights gives it") from error


def _new_passphrase(name: str) -> bytes:
    phrase = read_passphrase(f"new passphrase of {name}", None)
    if read_passphrase(f"once more, {name}", None) != phrase:
        raise UsageError("the passphrases differ", "begin again")
    return phrase


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _root_summary(data: bytes) -> dict[str, Any]:
    metadata = parse_root(data)
    root = metadata.signed
    check_root(root)
    signed = require(root, "root", metadata, others=frozenset(metadata.signatures))
    roles = {
        role: {"threshold": entry.threshold // 2, "persons": sorted(persons(root, role))}
        for role, entry in sorted(root.roles.items())
    }
    return {
        "fingerprint": str(fingerprint(data)),
        "version": root.version,
        "expires": format_time(root.expires),
        "signed_by": list(signed.signed),
        "roles": roles,
    }


def _render_root(console: Console, summary: dict[str, Any]) -> None:
    console.print(f"root {summary['version']}, expires {summary['expires']}", markup=False)
    console.print(f"fingerprint {summary['fingerprint']}", markup=False, soft_wrap=True)
    for role, entry in summary["roles"].items():
        names = ", ".join(entry["persons"])
        console.print(f"  {role:<10} {entry['threshold']} of {len(entry['persons'])}: {names}", markup=False)
    if "site" in summary:
        site = summary["site"]
        console.print(f"release floor {site['release_floor']}; may roll back to {site['min_release']}", markup=False)
