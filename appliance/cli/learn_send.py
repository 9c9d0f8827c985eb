"""`sovereign learn approve` and `send`: persons sign a draft's very bytes; only then it leaves, as a return bundle."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer

from airgap_bundle import durable
from airgap_bundle.media.return_bundle import describe
from appliance.cli.learn_draft import (
    approvers_of,
    exchange_of,
    read_bounded,
    read_draft,
    read_lines_of_work,
    redactor_of,
)
from appliance.cli.learn_export import (  # noqa: TC001 - as above
    DraftArgument,
    WithoutAccountsOption,
)
from appliance.cli.learn_site import described_site, enter
from appliance.cli.reached import reached, vault_of
from appliance.cli.signers import PinFdOption, YesOption, consent, opened
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
)
from appliance.errors import UsageError
from appliance.install.exchange_record import Sent, read_sent, write_sent
from appliance.install.lock import site_lock
from appliance.install.site_export import export as write_export
from appliance.install.site_identity import EXCHANGE_SECRETS, site_signer
from appliance.learning.errors import ExchangeRefusedError
from appliance.learning.exchange.approval import approve as sign_approval
from appliance.learning.exchange.approval import require_approved
from appliance.learning.exchange.draft import Drafted
from appliance.learning.exchange.export import NAME
from appliance.learning.exchange.sheet import going

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airgap_bundle.digest import Digest
    from airgap_bundle.keys import Signer
    from airgap_bundle.media.return_bundle import Manifest
    from appliance.learning.exchange.export import Export
    from appliance.learning.exchange.redactor import Redactor
    from appliance.site.paths import SitePaths

_MAX_APPROVAL = 64 << 10
KIND = "learning"


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``learn``."""
    app.command()(approve)
    app.command()(send)
    app.command()(key)


def approve(  # noqa: PLR0913 - a key needs two descriptors where nobody types
    draft: DraftArgument,
    *,
    key: Annotated[Path, typer.Option("--key", metavar="NAME.key", help="Your key: an officer who approves.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="New file that receives the approval.")],
    yes: YesOption = False,
    passphrase_fd: PassphraseFdOption = None,
    pin_fd: PinFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Sign a draft's bytes, having read all of it. A copy of its exchange.jsonl in a folder is enough, on any machine.

    What is shown comes from the bytes that are signed. An approval counts for these bytes alone.
    """
    export = read_draft(draft)
    if out.exists():
        raise UsageError(f"{out} exists", "name a new file")
    consent(going(export), "may exactly this leave the site?", yes=yes)
    with opened(key, passphrase_fd, pin_fd) as signer:
        durable.replace(out, sign_approval(export, signer, datetime.now(UTC)))
        shown = {"approver": signer.name, "approval": str(out), "export": export.digest}
    emit(
        shown,
        output,
        lambda console: console.print(f"{out}: {shown['approver']} approves {export.digest}", markup=False),
    )


def send(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    draft: DraftArgument,
    *,
    approval: Annotated[list[Path], typer.Option("--approval", metavar="FILE", help="An approval; repeatable.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="New file that receives the return bundle.")],
    without_accounts: WithoutAccountsOption = False,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Put an approved draft into a signed return bundle, under the name that the site has outside.

    Refused without enough approvals of these very bytes, and where a text is flagged. The audit log has it first.
    """
    paths = reached(context)
    site = described_site(paths)
    exchange = exchange_of(site)
    export = read_draft(draft)
    if export.head.site != exchange.name:
        raise ExchangeRefusedError(f"the draft is of {export.head.site}, and this site is {exchange.name} outside")
    given = [read_bounded(path, _MAX_APPROVAL) for path in approval]
    names = require_approved(export, given, approvers_of(paths, exchange), exchange.threshold, datetime.now(UTC))
    if export.head.accounts and without_accounts:
        raise UsageError("the draft says that texts were looked through for accounts", "leave out --without-accounts")
    _check_clean(export, redactor_of(paths, site, passphrase_fd, without_accounts=without_accounts))
    work = Drafted(export, read_lines_of_work(draft)).sent
    _next(export, read_sent(paths.exchange), work)
    content = io.BytesIO(export.to_bytes())
    manifest = describe(exchange.name, datetime.now(UTC).replace(microsecond=0), {NAME: (KIND, content)})

    def note(digest: Digest, _: Manifest) -> None:
        said = {"approved_by": list(names), "bundle": str(digest), "looked_again": not without_accounts}
        with site_lock(paths):  # of two drafts with one number that are sent at once, one goes
            sent = _next(export, read_sent(paths.exchange), work)
            enter(paths, what="exchange", target=str(digest), figures={**export.figures(), **said})
            write_sent(paths.exchange, sent)

    digest = write_export(out, manifest, {NAME: content}, _signer(paths, exchange.name, passphrase_fd), note)
    shown = {"file": str(out), "sha256": digest.hex, "approved_by": list(names), **export.figures()}
    emit(shown, output, lambda console: console.print(f"{out}\nsha256 {digest.hex}", markup=False, soft_wrap=True))


def key(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="NAME.pub", help="New file that receives the public key.")],
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Write the public key that this site sends its learning under; a builder puts it into FOLDER/keys.

    It is another key than that of `sovereign return key`: nothing links the two. Read its digest out on another way.
    """
    paths = reached(context)
    name = exchange_of(described_site(paths)).name
    if out.exists():
        raise UsageError(f"{out} exists", "name a new file")
    public = _signer(paths, name, passphrase_fd).public
    durable.replace(out, public.to_bytes())
    shown = {"file": str(out), "site": name, "sha256": public.fingerprint.hex}
    emit(shown, output, lambda console: console.print(f"{out}\nsha256 {shown['sha256']}", markup=False, soft_wrap=True))


def _check_clean(export: Export, redactor: Redactor) -> None:
    """Raise ``ExchangeRefusedError`` for a flagged text: whoever wrote it past the draft, or an account that is new."""
    found: Sequence[tuple[str, str]] = [
        (line.digest, finding.what)
        for line in export.cases
        for text in line.case.texts
        for finding in redactor.findings(text)
    ]
    words = [finding.what for line in export.failures for word in line.name for finding in redactor.findings(word)]
    if found or words:
        where, what = found[0] if found else ("a name of a cluster", words[0])
        raise ExchangeRefusedError(f"{where} holds what stays here: {what}", "`sovereign learn revise` the draft")


def _next(export: Export, sent: Sent, cases: dict[str, tuple[str, ...]]) -> Sent:
    """The record once this has left, with which ``cases`` of the site each digest is.

    Raises ``ExchangeRefusedError`` for a draft that another export overtook, and for one whose cases are not those of
    work.jsonl: nobody could tell later whether the site retired them.
    """
    head = export.head
    if not sent.may_go(head.number, export.digest):
        raise ExchangeRefusedError(f"export {sent.number} has left since this draft was made", "make a new draft")
    of = {line.digest: cases.get(line.digest, ()) for line in export.cases}
    if not all(of.values()):
        raise ExchangeRefusedError("the draft's cases are not those of its work.jsonl", "`sovereign learn revise` it")
    return Sent(head.number, export.digest, {**sent.cases, **of})


def _signer(paths: SitePaths, name: str, passphrase_fd: int | None) -> Signer:
    vault = vault_of(paths, passphrase_fd)
    return site_signer(paths, vault, name, EXCHANGE_SECRETS)
