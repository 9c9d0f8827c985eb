"""`sovereign restore` of a cluster's backup: told task by task, as an installation is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from appliance.cli.cluster import TaskProgress, render_installed
from appliance.cli.restore_erasures import erase_again_on_cluster
from appliance.cli.restore_later import later_data, say_later
from appliance.cli.terminal import emit, say
from appliance.cluster.backup.lost_host import lost_host
from appliance.cluster.backup.restoring import plan, restore
from appliance.cluster.backup.site_part import lay_out_given, lay_out_snapshot
from appliance.cluster.playbook import HostsRefusedError, table
from appliance.errors import RefusedError, UsageError
from appliance.site.site_key import key_kind

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.audit.later import LaterLog
    from appliance.cli.terminal import OutputFormat
    from appliance.install.backup.recovery_key import RecoveryKey
    from appliance.install.backup.restoring import Pair
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase


@dataclass(frozen=True)
class ClusterRequest:
    """A verified backup, the key that opens it, the release's bundle, where the site file is, and a later log.

    ``site_files`` and ``etcd_snapshot`` are where the backup's own are to be written, and nothing else done.
    """

    pair: Pair
    key: RecoveryKey
    bundle: Path
    config: Path | None
    site_files: Path | None
    etcd_snapshot: Path | None
    later: LaterLog | None = None


def restore_cluster(
    paths: SitePaths, asked: ClusterRequest, output: OutputFormat, *, passphrase: Passphrase, dry_run: bool
) -> None:
    """Bring the cluster back, or tell what would be begun with. Findings of the hosts are a table on stdout."""
    if asked.site_files is not None:
        lay_out_given(asked.pair, asked.key, asked.site_files)
        say(f"written: {asked.site_files}; write into it where the hosts are now, and the key that enters them")
    if asked.etcd_snapshot is not None:
        lay_out_snapshot(asked.pair, asked.key, asked.etcd_snapshot)
        say(f"written: {asked.etcd_snapshot}; it is for the control plane that it was taken from, and no other")
    if asked.site_files or asked.etcd_snapshot:
        return
    if asked.config is None:
        raise UsageError(
            "a cluster comes back on the hosts of a site file", "name it with --config; --site-files writes the old one"
        )
    if dry_run:
        _plan(paths, asked, asked.config, output)
        return
    if lost := lost_host(asked.pair, asked.key, asked.config):
        say(str(lost))
    try:
        with TaskProgress() as tasks:
            done = restore(
                paths,
                asked.pair,
                asked.key,
                asked.bundle,
                asked.config,
                watch=tasks.watch,
                progress=tasks.verified,
                passphrase=passphrase,
                erase=erase_again_on_cluster,
                later=asked.later,
            )
    except HostsRefusedError as error:
        found, shown = [asdict(finding) for finding in error.findings], table(error.findings)
        emit({"findings": found}, output, lambda console: console.print(shown, markup=False, soft_wrap=True))
        raise
    told = asked.pair.main.statement
    data = {"release": done.version, "changed": dict(done.changed), "url": done.url, "log_root": told.log_root}
    emit(data | later_data(asked.later), output, lambda console: render_installed(done, console))
    say(f"restored as of {told.made:%Y-%m-%d %H:%M} UTC; the log went on from entry {told.log_size}")
    say_later(asked.later)
    if done.unlogged is not None:
        say(f"not in the audit log yet: {done.unlogged}; the next run enters it")


def _plan(paths: SitePaths, asked: ClusterRequest, config: Path, output: OutputFormat) -> None:
    found = plan(paths, asked.pair, asked.key, asked.bundle, config, later=asked.later)
    lost = lost_host(asked.pair, asked.key, config)
    verdict = "verified" if found.bundle.ok else "refused"
    data = {
        "ok": found.bundle.ok,
        "backup": asked.pair.main.statement.to_json(),
        "bundle": found.bundle.to_json(),
        "state_host": found.state_host,
        "keep_off": lost.host if lost else None,
        "site_key": key_kind(paths.secrets) is not None,
        **later_data(asked.later),
    }
    lines = (
        f"bundle: {verdict}\nstate: to {found.state_host}, which holds none\nhosts are judged before the first change"
    )
    lines += f"\n{lost}" if lost else ""
    emit(data, output, lambda console: console.print(lines, markup=False))
    say_later(asked.later)
    if not found.bundle.ok:
        raise typer.Exit(RefusedError.exit_code)
