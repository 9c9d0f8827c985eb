"""`sovereign trust init`: the first root, from public halves that persons bring, or made whole for a trial."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from airgap_bundle import keys
from airgap_bundle.ceremony import build_root
from airgap_bundle.errors import FormatError
from airgap_bundle.sign import sign_root
from airgap_bundle.signing.root_draft import RootDraft
from airgap_bundle.signing.root_plan import RootPlan
from airgap_bundle.signing.roots_folder import write_draft
from airgap_bundle.signing.summary import describe_root
from appliance.cli.root_view import render_root, root_summary
from appliance.cli.signers import NewPassphrase
from appliance.cli.terminal import OutputFormat, OutputOption, PassphraseFdOption, emit, say
from appliance.errors import UsageError

RELEASE_SIGNER = "release"
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that receives the root.")]
PublicOption = Annotated[
    list[Path] | None,
    typer.Option("--public", metavar="NAME.pub", help="Public half of a person who signs; repeatable."),
]
ReleaseOption = Annotated[
    Path | None, typer.Option("--release", metavar="NAME.pub", help="Public half of the key that seals bundles.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the group ``trust``."""
    app.command()(init)


def init(  # noqa: PLR0913 - two forms of one beginning
    *,
    threshold: Annotated[int, typer.Option("--threshold", metavar="K", help="How many of the persons must sign.")],
    out: OutOption,
    public: PublicOption = None,
    release: ReleaseOption = None,
    signers: Annotated[
        str | None,
        typer.Option("--signers", metavar="A,B,C", help="For a trial: make everybody's keys here, under these names."),
    ] = None,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Make the first root of trust, 1.root.json.

    With --public and --release it is a draft that names the persons by what they made with `trust keygen` on machines
    of their own: no two private keys ever meet. They sign it with `trust sign-root`, or a request carries it to them.

    With --signers it is made whole at one machine, which should have no network: each person types a passphrase and
    takes NAME.key away; release.key seals bundles. With --passphrase-fd one passphrase opens all keys: for trials only.

    Publish the fingerprint of the complete root where the sites can compare it.
    """
    if (signers is None) == (public is None) or (public is None) != (release is None):
        raise UsageError("either --public and --release, or --signers", "for a trial: --signers A,B,C")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "1.root.json"
    if path.exists():
        raise UsageError(f"{path} exists already", "roots are never overwritten; `sovereign trust rotate` succeeds one")
    if public is not None and release is not None:
        data = _draft([keys.load_public(each) for each in public], keys.load_public(release), threshold, out)
    else:
        data = _trial((signers or "").split(","), threshold, out, NewPassphrase(passphrase_fd))
    summary = root_summary(data, {})
    emit(summary, output, lambda console: render_root(console, summary))


def _draft(persons: list[keys.PublicSigner], release: keys.PublicSigner, threshold: int, out: Path) -> bytes:
    now = datetime.now(UTC)
    plan = RootPlan.of(build_root(persons, release, threshold, now=now).signed)
    draft = RootDraft.successor({}, plan, now=now)
    for line in describe_root(draft):
        say(line)
    say(f"written to {write_draft(out, draft)}; next: persons sign it, `sovereign trust sign-root`")
    return draft.data


def _trial(names: list[str], threshold: int, out: Path, person: NewPassphrase) -> bytes:
    names = [name.strip() for name in names]
    made = {name: _generate(name) for name in (*names, RELEASE_SIGNER)}
    root = build_root(
        [made[name].public for name in names], made[RELEASE_SIGNER].public, threshold, now=datetime.now(UTC)
    )
    shared = None if person.passphrase_fd is None else person.passphrase("passphrase")
    for name, signer in made.items():
        keys.save(signer, out, shared or person.passphrase(f"new passphrase of {name}"))
        say(f"{out / name}.key")
    data = sign_root(root, [made[name] for name in names])
    write_draft(out, RootDraft({}, data))
    return data


def _generate(name: str) -> keys.Signer:
    try:
        return keys.generate(name)
    except FormatError as error:
        raise UsageError(error.cause) from error
