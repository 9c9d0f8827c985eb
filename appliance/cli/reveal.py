"""``sovereign reveal``: what was said behind an entry of the log, when two auditors agree; entered before shown.

Or, of an entry whose long texts are kept apart, these; where it is both, both.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airgap_bundle import durable
from appliance.audit.apart import items_of, subject_of
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import RevealError
from appliance.audit.merkle import leaf_hash
from appliance.audit.prove import prove
from appliance.audit.reveal import MAX_DAYS, SECOND, Reveal, agreed, open_request, sign_approval, sign_request
from appliance.cli.audit_options import LogOption, VkeysOption, log_folder, verifier_keys
from appliance.cli.reached import own_log, reached, service_secret
from appliance.cli.signers import PinFdOption, consent, opened
from appliance.cli.site_database import site_pool
from appliance.cli.terminal import PassphraseFdOption, say
from appliance.errors import UsageError
from appliance.gateway.behind import Said, said_behind
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.pseudonyms import Subject
from appliance.install.model_check import AUDITORS
from appliance.models.officers import load_officers
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, GATEWAY, SitePaths

if TYPE_CHECKING:
    from airgap_bundle.keys import PublicSigner
    from appliance.audit.apart import Item
    from appliance.audit.wire import Text

app = typer.Typer(help="Show what was said behind an entry, when two auditors agree.", no_args_is_help=True)
KeyOption = Annotated[Path, typer.Option("--key", metavar="NAME.key", help="Your key, of an auditor in site.yaml.")]
DaysOption = Annotated[int, typer.Option("--days", min=1, max=MAX_DAYS, help="Days until your word ends.")]
RequestArgument = Annotated[Path, typer.Argument(metavar="REQUEST", help="What `reveal request` wrote.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask, where nobody can be asked.")]


@app.command()
def request(  # noqa: PLR0913 - typer: one parameter per option
    context: typer.Context,
    index: Annotated[int, typer.Argument(help="Position of the entry of the request, as a report or export names it.")],
    *,
    key: KeyOption,
    reason: Annotated[str, typer.Option("--reason", help="Why, in a sentence that stays in the log.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The request, for the second person.")],
    days: DaysOption = 3,
    log: LogOption = None,
    vkeys: VkeysOption = None,
    passphrase_fd: PassphraseFdOption = None,
    pin_fd: PinFdOption = None,
) -> None:
    """Ask for what was said behind an entry; a second person approves. Works on a copy of the log.

    Example: `sovereign reveal request 42 --key custodian.key --reason "complaint of 3 May" --out request`.
    """
    bundle = prove(log_folder(context, log), index, vkeys=verifier_keys(context, vkeys))
    _hidden(json.loads(base64.b64decode(bundle["entry"])), index)
    with opened(key, passphrase_fd, pin_fd) as signer:
        data = sign_request(
            signer,
            origin=bundle["origin"],
            index=index,
            leaf=base64.b64decode(bundle["leaf_hash"]),
            reason=reason,
            now=datetime.now(UTC),
            days=days,
        )
    durable.replace(out, data)
    say(f"written: {out}; a second auditor approves it with `sovereign reveal approve {out}`")


@app.command()
def approve(  # noqa: PLR0913 - typer: one parameter per option
    context: typer.Context,
    asked: RequestArgument,
    *,
    key: KeyOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Your approval.")],
    auditors: Annotated[
        Path | None, typer.Option("--auditors", metavar="DIR", help="Auditors' .pub files; default: the site's.")
    ] = None,
    days: DaysOption = 3,
    vkeys: VkeysOption = None,
    yes: YesOption = False,
    passphrase_fd: PassphraseFdOption = None,
    pin_fd: PinFdOption = None,
) -> None:
    """Agree, as the second person, to what a request asks for; it is shown to you first.

    Example: `sovereign reveal approve request --key deputy.key --out approval`.
    """
    data, now = _read(asked), datetime.now(UTC)
    known = _auditors(context, auditors)
    told = open_request(data, known, verifier_keys(context, vkeys)[0].name, now)
    with opened(key, passphrase_fd, pin_fd) as signer:
        if signer.name == told["by"]:
            raise RevealError(f"{signer.name} asked for it", SECOND)
        asks = f"{told['by']} asks for what was said behind entry {told['entry']} of {told['origin']}"
        consent([asks, f"because: {told['reason']}"], f"approve it as {signer.name}?", yes=yes)
        approval = sign_approval(signer, data, now=now, days=days)
    durable.replace(out, approval)
    say(f"written: {out}; on the site: `sovereign reveal show {asked} {out}`")


@app.command()
def show(
    context: typer.Context,
    asked: RequestArgument,
    approval: Annotated[Path, typer.Argument(metavar="APPROVAL", help="What `reveal approve` wrote.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A new file (0600) for the auditors.")],
    passphrase_fd: PassphraseFdOption = None,
) -> None:
    """On the site: write what was said behind the entry, once both statements and this act are in the log.

    Example: `sovereign reveal show request approval --out said.json`.
    """
    paths, keys = reached(context), verifier_keys(context, None)
    auditors, now = _auditors(context, None), datetime.now(UTC)
    allowed = agreed(_read(asked), _read(approval), auditors, origin=keys[0].name, now=now)
    if out.exists():
        raise UsageError(f"{out} exists", "name a new file")
    bundle = prove(own_log(paths), allowed.index, vkeys=keys)
    entry = base64.b64decode(bundle["entry"])
    if leaf_hash(entry) != allowed.leaf:
        raise RevealError(f"entry {allowed.index} is not the one that the request names")
    event = json.loads(entry)
    commitment, apart = _hidden(event, allowed.index)
    subject = Subject(subject_of(event))
    texts = _enter(paths, allowed, apart=apart)
    said = asyncio.run(_said(paths, subject, commitment, passphrase_fd)) if commitment else None
    if said is None and not texts:
        cause = f"nothing is held of what was said behind entry {allowed.index}"
        raise UsageError(cause, "it was erased, or never kept")
    told = {"entry": allowed.index, "subject": subject, **(asdict(said) if said else {})}
    if texts:
        told["apart"] = [{"at": one.at, "salt": one.salt.hex(), "text": one.text} for one in texts]
    _write_private(out, json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    say(f"written: {out}; entered as read by {allowed.requester} and {allowed.approver}")


def _enter(paths: SitePaths, allowed: Reveal, *, apart: tuple[Item, ...]) -> list[Text]:
    """Enter the act; then the texts that the entry names as kept apart, where it names any: those and no others."""
    with SyncAuditClient(paths.socket(AUDIT)) as audit:
        for entry_id, event in (*allowed.entries(), allowed.shown(f"uid {os.getuid()}", secrets.token_hex(16))):
            audit.append(event, id=entry_id)
        texts = audit.apart(allowed.index) if any(one.file for one in apart) else []
    if {(one.at, one.commitment) for one in texts} - {(one.at, one.commitment) for one in apart}:
        raise RevealError(f"what the writer gave out is not what entry {allowed.index} commits to")
    return texts


async def _said(paths: SitePaths, subject: Subject, commitment: str, passphrase_fd: int | None) -> Said | None:
    content_key = service_secret(paths, GATEWAY, "content_key", passphrase_fd)
    async with site_pool(paths, passphrase_fd) as pool:
        return await said_behind(pool, ConversationStore(pool, content_key), subject, commitment)


def _hidden(event: dict[str, Any], index: int) -> tuple[str | None, tuple[Item, ...]]:
    """The prompt's commitment, of a request's entry, and what is kept apart. Raises ``UsageError`` where neither is."""
    ours = event.get("unmapped", {}).get("sovereign", {})
    commitment = ours.get("prompt_commitment")
    apart = items_of(event)
    if ours.get("kind") != "request" or not isinstance(commitment, str):
        commitment = None
    if commitment is None and not apart:
        cause = f"entry {index} is no request: nothing was said behind it, nor is anything of it kept apart"
        raise UsageError(cause, "name the entry of the request")
    return commitment, apart


def _auditors(context: typer.Context, given: Path | None) -> tuple[PublicSigner, ...]:
    if given is not None:
        return load_officers(given, sorted(path.stem for path in given.glob("*.pub")))
    paths = reached(context)
    return load_officers(paths.policies / AUDITORS, [one.name for one in load_site(paths.site_yaml).auditors])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _write_private(out: Path, text: str) -> None:
    try:
        durable.write_new(out, text.encode(), 0o600)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error}", "name a new file with room") from error
