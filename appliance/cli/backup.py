"""`sovereign backup`: a recovery key, backups sealed to it, and a check of one. `sovereign restore` is the way back."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airgap_bundle import keys
from appliance.cli.signers import NewPassphrase
from appliance.cli.sizes import size_text
from appliance.cli.terminal import (
    OutputFormat,
    OutputOption,
    PassphraseFdOption,
    emit,
    progress,
    read_passphrase,
    say,
    site_paths,
)
from appliance.cluster.backup.creating import create_backup as create_cluster_backup
from appliance.cluster.standing import is_cluster, standing
from appliance.errors import UsageError
from appliance.install.backup.creating import create_backup
from appliance.install.backup.recovery_key import load_recipient, make_recovery_key, open_recovery_key
from appliance.install.backup.restoring import Pair, open_pair
from appliance.install.backup.statement import SEALED
from appliance.install.vault import Vault

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.install.backup.statement import Statement

app = typer.Typer(no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(metavar="BACKUP", help="A backup's folder.")]
SubjectKeysOption = Annotated[
    Path, typer.Option("--subject-keys", metavar="DIR", help="The folder with the keys of people's contents.")
]
SiteKeyOption = Annotated[
    Path, typer.Option("--site-key", metavar="SITE.pub", help="The site's public key, from `sovereign return key`.")
]
RecoveryFdOption = Annotated[
    int | None,
    typer.Option("--recovery-fd", metavar="FD", help="Read the recovery key's passphrase from this descriptor."),
]


@app.command()
def key(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="New file for the private half; FILE.pub beside.")],
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Make a recovery key, on a machine of its own: backups are sealed to FILE.pub, and FILE alone opens them.

    Keep FILE and its passphrase apart from the site and from the backups, and a second copy of both somewhere else:
    without them every backup is lost.
    """
    recipient = make_recovery_key(out, lambda: NewPassphrase(passphrase_fd).passphrase("new passphrase of the key"))
    data = {"private": str(out), "public": f"{out}.pub", "fingerprint": recipient.fingerprint}
    lines = f"{out}      keep it, and its passphrase, away from the site\n{out}.pub  give it to the site\n"
    emit(data, output, lambda console: console.print(lines + recipient.fingerprint, markup=False, soft_wrap=True))


@app.command()
def create(  # noqa: PLR0913 - typer: one parameter per option
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="BACKUP", help="New folder that receives the backup.")],
    *,
    subject_keys: Annotated[
        Path,
        typer.Option(
            "--subject-keys",
            metavar="DIR",
            help="Folder, on another medium, for the keys of people's contents; those of the last backup go.",
        ),
    ],
    recovery_key: Annotated[
        list[Path], typer.Option("--recovery-key", metavar="FILE.pub", help="Seal to this recovery key; repeatable.")
    ],
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Back up the running site: conversations, people, secrets, trust and the audit log, sealed and signed.

    Of a cluster its hosts are asked over ssh, for a snapshot of etcd as well.

    The keys of people's contents go into a folder of their own, which is to lie elsewhere and to be kept briefly: when
    somebody is erased, back up again, and no older backup opens what was theirs. The store is left out: keep the
    release's bundle.
    """
    paths = site_paths(context)
    recipients = [load_recipient(path) for path in recovery_key]
    vault = Vault(paths, lambda: read_passphrase("passphrase of the site key", passphrase_fd))
    with progress("back up", unit="steps") as advance:
        of_cluster = partial(create_cluster_backup, paths, standing(paths)) if is_cluster(paths) else None
        done = (of_cluster or partial(create_backup, paths))(
            out=out, subject_keys=subject_keys, recipients=recipients, vault=vault, advance=advance
        )
    data = {"backup": str(out), "subject_keys": str(subject_keys), "digest": str(done.digest)}
    emit({**data, **done.statement.to_json()}, output, lambda console: render_statement(done.statement, console))
    say(f"written: {out} and {subject_keys}; in the audit log as {done.digest}")


@app.command()
def verify(  # noqa: PLR0913, PLR0917 - typer: one parameter per option
    folder: FolderArgument,
    subject_keys: SubjectKeysOption,
    site_key: SiteKeyOption,
    recovery_key: Annotated[
        Path | None, typer.Option("--recovery-key", metavar="FILE", help="Also open every file with it, to its end.")
    ] = None,
    recovery_fd: RecoveryFdOption = None,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Check every byte of a backup against the site's key, anywhere; nothing is changed."""
    with progress("check the backup") as advance:
        pair = open_pair(folder, subject_keys, [keys.load_public(site_key)], advance)
    if recovery_key is not None:
        _open_all(pair, recovery_key, recovery_fd)
    verdict = "every byte as signed" + (", and it opens with this key" if recovery_key else "")
    verdict += f"\n{pair.main.digest}"
    data = {
        "verified": True,
        "digest": str(pair.main.digest),
        "opened": recovery_key is not None,
        **pair.main.statement.to_json(),
    }
    emit(data, output, lambda console: render_statement(pair.main.statement, console, verdict))


def _open_all(pair: Pair, recovery_key: Path, recovery_fd: int | None) -> None:
    opened = open_recovery_key(recovery_key, lambda: read_passphrase("passphrase of the recovery key", recovery_fd))
    with progress("open the backup", unit="steps") as advance:
        files = [(backup, file.name) for backup in (pair.main, pair.subject_keys) for file in backup.statement.files]
        for number, (backup, name) in enumerate(files, 1):
            with backup.open(name, opened) as content:
                try:
                    while content.read(1 << 20):
                        pass
                except OSError as error:
                    raise UsageError(f"{backup.folder} cannot be read: {error.strerror}") from error
            advance(number, len(files))


def render_statement(told: Statement, console: Console, verdict: str | None = None) -> None:
    """What a backup holds, for whom, and ``verdict`` on it."""
    console.print(f"{told.site}, {told.made:%Y-%m-%d %H:%M} UTC, release {told.release}", markup=False)
    for file in told.files:
        console.print(f"  {size_text(file.size):>10}  {file.name}{SEALED}", markup=False)
    for recipient in told.recipients:
        console.print(f"  opens with the recovery key {recipient}", markup=False, soft_wrap=True)
    console.print(f"  audit log of {told.log_size} entries, root {told.log_root}", markup=False, soft_wrap=True)
    if told.imported_models:
        names = ", ".join(told.imported_models)
        console.print(f"  not in it, to be imported and promoted again: {names}", markup=False, soft_wrap=True)
    if verdict:
        console.print(verdict, markup=False, style="bold")
