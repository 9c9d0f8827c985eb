"""`sovereign restore`: a site from its backup, on a host that has none."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer

from airgap_bundle import keys
from appliance.cli.backup import (  # noqa: TC001 - as above
    FolderArgument,
    RecoveryFdOption,
    SiteKeyOption,
    SubjectKeysOption,
)
from appliance.cli.cluster_restore import ClusterRequest, restore_cluster
from appliance.cli.host import first_passphrase, tell_kept_down
from appliance.cli.host_installed import render_installed
from appliance.cli.host_tables import render_preflight
from appliance.cli.restore_erasures import erase_again
from appliance.cli.restore_later import LaterLogOption, later_data, open_given, say_later
from appliance.cli.signers import NewPassphrase
from appliance.cli.step_progress import StepProgress
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
from appliance.errors import PreflightError, RefusedError, UsageError
from appliance.install.backup.recovery_key import open_recovery_key
from appliance.install.backup.restoring import open_pair, plan
from appliance.install.backup.restoring import restore as bring_back

if TYPE_CHECKING:
    from rich.console import Console

    from appliance.install.backup.restoring import Pair, Plan


def register(app: typer.Typer) -> None:
    """Mount the command at the top level."""
    app.command("restore")(restore)


def restore(  # noqa: PLR0913 - typer: one parameter per option
    context: typer.Context,
    folder: FolderArgument,
    *,
    subject_keys: SubjectKeysOption,
    site_key: SiteKeyOption,
    recovery_key: Annotated[
        Path, typer.Option("--recovery-key", metavar="FILE", help="The private recovery key that opens the backup.")
    ],
    bundle: Annotated[Path, typer.Option("--bundle", help="The bundle of the release that was backed up.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Of a cluster: the site file, with the hosts that it is to come back on."),
    ] = None,
    site_files: Annotated[
        Path | None,
        typer.Option("--site-files", metavar="DIR", help="Of a cluster: write what was its site file to DIR, and end."),
    ] = None,
    etcd_snapshot: Annotated[
        Path | None,
        typer.Option("--etcd-snapshot", metavar="FILE", help="Of a cluster: write its snapshot to FILE, and end."),
    ] = None,
    later_log: LaterLogOption = None,
    recovery_fd: RecoveryFdOption = None,
    passphrase_fd: PassphraseFdOption = None,
    output: OutputOption = OutputFormat.table,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check backup, host and bundle; change nothing.")] = False,
) -> None:
    """Make the site of a backup again, on a host that has none; run again it goes on where it stopped.

    A cluster comes back from the administrator's machine, on the hosts of --config; none of them may hold a state.

    Log, people, conversations and keys are those of the backup; the site key is new. Whoever the log says was erased
    is erased again before anybody can sign in, and so is whoever a later copy of the log says was (--later-log); it is
    verified against the backup first. What else happened after the backup is lost, and the log goes on from it: an
    auditor who kept a later checkpoint will be told so by `sovereign audit verify --kept`.
    """
    paths = site_paths(context)
    with progress("check the backup") as advance:
        pair = open_pair(folder, subject_keys, [keys.load_public(site_key)], advance)
    opened = open_recovery_key(recovery_key, lambda: read_passphrase("passphrase of the recovery key", recovery_fd))
    later = open_given(paths, later_log, pair, opened)
    if pair.main.statement.of_cluster:
        asked = ClusterRequest(pair, opened, bundle, config, site_files, etcd_snapshot, later)
        secret = first_passphrase(paths, passphrase_fd)
        restore_cluster(paths, asked, output, passphrase=secret, dry_run=dry_run)
        return
    if config or site_files or etcd_snapshot:
        raise UsageError("it is a backup of a single host", "leave out --config, --site-files and --etcd-snapshot")
    if dry_run:
        found = plan(paths, pair, opened, bundle, later)
        emit(_data(pair, found) | later_data(later), output, lambda console: _render(found, console))
        say_later(later)
        if not found.preflight.ok or not found.bundle.ok:
            raise typer.Exit((PreflightError if not found.preflight.ok else RefusedError).exit_code)
        return
    with progress("verify and import") as advance, StepProgress() as observer:
        done = bring_back(
            paths,
            pair,
            opened,
            bundle,
            passphrase=lambda: NewPassphrase(passphrase_fd).passphrase("new passphrase of the site key"),
            erase=erase_again,
            observer=observer,
            progress=advance,
            later=later,
        )
    told = pair.main.statement
    data = {"release": done.release.version, "steps": list(done.ran), "url": done.url, "log_root": told.log_root}
    emit(data | later_data(later), output, lambda console: render_installed(done, console))
    say(f"restored as of {told.made:%Y-%m-%d %H:%M} UTC; the log went on from entry {told.log_size}")
    say_later(later)
    if told.imported_models:
        names = ", ".join(told.imported_models)
        say(f"import and promote again: {names}; until then the release's own model serves, where it has one so named")
    tell_kept_down(paths)


def _data(pair: Pair, found: Plan) -> dict[str, object]:
    return {
        "ok": found.preflight.ok and found.bundle.ok,
        "backup": pair.main.statement.to_json(),
        "preflight": found.preflight.data(),
        "bundle": found.bundle.to_json(),
    }


def _render(found: Plan, console: Console) -> None:
    render_preflight(found.preflight, console)
    console.print(f"bundle: {'verified' if found.bundle.ok else 'refused'}", markup=False)
