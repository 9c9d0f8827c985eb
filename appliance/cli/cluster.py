"""`sovereign install --profile cluster`: hosts over ssh, told task by task."""

from __future__ import annotations

import enum
from dataclasses import asdict
from typing import TYPE_CHECKING, Self

from rich.console import Console

from appliance.cli.terminal import emit, progress, say
from appliance.cluster.events import TaskStarted
from appliance.cluster.install import install
from appliance.cluster.playbook import HostsRefusedError, table
from appliance.errors import UsageError

if TYPE_CHECKING:
    from types import TracebackType

    from appliance.cli.terminal import OutputFormat
    from appliance.cluster.events import Event
    from appliance.cluster.install import Installed
    from appliance.install.host import Request
    from appliance.site.paths import SitePaths

_ARGUMENTS = "Validating arguments"


class Profile(enum.StrEnum):
    """Where a site runs."""

    host = "host"
    cluster = "cluster"


class TaskProgress:
    """A line for each task of a playbook; on a terminal one line that names the task under way, by role."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("hosts")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def watch(self, event: Event) -> None:
        """Tell what begins. What fails is told by the error that ends the run."""
        if not isinstance(event, TaskStarted) or event.name.startswith(_ARGUMENTS):
            return
        text = f"{event.role}: {event.name.lower()}" if event.role else event.name.lower()
        if self._console.is_terminal:
            self._status.update(text)
        else:
            say(f"  {text}")


def install_cluster(paths: SitePaths, request: Request, output: OutputFormat, *, dry_run: bool) -> None:
    """Verify a bundle and bring the hosts of the site file to it. Findings of the hosts are a table on stdout."""
    if dry_run:
        raise UsageError("--dry-run is of the host profile", "a cluster's hosts are judged before the first change")
    try:
        with progress("verify and import") as advance, TaskProgress() as tasks:
            done = install(paths, request, watch=tasks.watch, progress=advance)
    except HostsRefusedError as error:
        found = [asdict(finding) for finding in error.findings]
        shown = table(error.findings)
        emit({"findings": found}, output, lambda console: console.print(shown, markup=False, soft_wrap=True))
        raise
    data = {"release": done.version, "changed": dict(done.changed), "endpoint": done.endpoint}
    emit(data, output, lambda console: _render(done, console))


def _render(done: Installed, console: Console) -> None:
    moved = {host: count for host, count in sorted(done.changed.items()) if count}
    what = ", ".join(f"{host}: {count} changes" for host, count in moved.items()) or "nothing to do"
    console.print(f"release {done.version} is on the cluster ({what})", markup=False)
    console.print(f"signed by {', '.join(done.signers)}", markup=False)
    console.print(
        f"its API answers at {done.endpoint}; the assistant's own charts are not part of it yet", markup=False
    )
