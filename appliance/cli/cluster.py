"""`sovereign install --profile cluster`: hosts over ssh, told task by task."""

from __future__ import annotations

import enum
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from appliance.cli.terminal import emit, progress, say
from appliance.cluster.events import Note, TaskStarted
from appliance.cluster.install import install
from appliance.cluster.playbook import HostsRefusedError, table
from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from appliance.cli.terminal import OutputFormat
    from appliance.cluster.events import Event
    from appliance.cluster.install import Installed
    from appliance.install.host import Request
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase

_ARGUMENTS = "Validating arguments"
_PARTS = {"validate_inputs": "preflight", "whole": "readiness"}
_WIDTH = 48
_BUNDLE = "verify and import"


class Profile(enum.StrEnum):
    """Where a site runs."""

    host = "host"
    cluster = "cluster"


class TaskProgress:
    """What an installation does: a line for each task; on a terminal a line for each part, with the task under way.

    A part is the bundle, or a role. Parts that took no time worth telling stay in sight too: the list is what was done.
    """

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False)
        self._live = console.is_terminal
        columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), TextColumn("{task.fields[now]}"))
        self._bar = Progress(*columns, TimeElapsedColumn(), console=console)
        self._plain = ExitStack()
        self._count: Callable[[int, int], None] | None = None
        self._part: str | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if not self._live:
            self._count = self._plain.enter_context(progress(_BUNDLE))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._plain.close()
        if self._task is None:
            return
        if error is None:
            self._finish()
        else:
            self._bar.update(self._task, now="failed")
            self._bar.stop_task(self._task)
        self._bar.stop()

    def verified(self, done: int, total: int) -> None:
        """How much of the bundle is verified and imported, in bytes."""
        if self._count is not None:
            self._count(done, total)
        else:
            self._show("bundle", f"{_BUNDLE}: {done / 2**30:.2f} of {total / 2**30:.2f} GiB")

    def watch(self, event: Event) -> None:
        """Tell what begins, and what is to be known of a host. What fails is told by the error that ends the run."""
        if isinstance(event, Note):
            self._bar.console.print(
                f"note: {event.host}: {event.check}: {event.found}; {event.hint}", markup=False, soft_wrap=True
            )
            return
        if not isinstance(event, TaskStarted) or event.name.startswith(_ARGUMENTS):
            return
        if not self._live:
            say(f"  {event.role}: {event.name.lower()}" if event.role else f"  {event.name.lower()}")
            return
        self._show(self._part_of(event), event.name.lower())

    def _part_of(self, event: TaskStarted) -> str:
        """A task of no role belongs to the part before it; the first ones look at the hosts."""
        if event.role:
            return _PARTS.get(event.role, event.role.replace("_", " "))
        return self._part if self._part not in {None, "bundle"} else _PARTS["validate_inputs"]

    def _show(self, part: str, now: str) -> None:
        if part != self._part:
            self._finish()
            self._bar.start()
            self._part, self._task = part, self._bar.add_task(f"{part:<16}", total=None, now="")
        assert self._task is not None
        self._bar.update(self._task, now=f"{now[:_WIDTH]:<{_WIDTH}}")  # of one width: the time beside it stands still

    def _finish(self) -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=1, total=1, now="")


def install_cluster(
    paths: SitePaths, request: Request, output: OutputFormat, *, passphrase: Passphrase, dry_run: bool
) -> None:
    """Verify a bundle and bring the hosts of the site file to it. Findings of the hosts are a table on stdout."""
    if dry_run:
        raise UsageError("--dry-run is of the host profile", "a cluster's hosts are judged before the first change")
    with telling(output) as tasks:
        done = install(paths, request, watch=tasks.watch, progress=tasks.verified, passphrase=passphrase)
    tell_installed(done, output)


@contextmanager
def telling(output: OutputFormat) -> Iterator[TaskProgress]:
    """The tasks of a run as they begin; where the hosts are refused, every finding of theirs as a table on stdout."""
    try:
        with TaskProgress() as tasks:
            yield tasks
    except HostsRefusedError as error:
        found = [asdict(finding) for finding in error.findings]
        shown = table(error.findings)
        emit({"findings": found}, output, lambda console: console.print(shown, markup=False, soft_wrap=True))
        raise


def tell_installed(done: Installed, output: OutputFormat) -> None:
    """What is on the cluster now."""
    data: dict[str, object] = {
        "release": done.version,
        "changed": dict(done.changed),
        "endpoint": done.endpoint,
        "url": done.url,
    }
    data |= {"unlogged": done.unlogged, "silent": list(done.silent)}
    emit(data, output, lambda console: render_installed(done, console))
    if done.unlogged is not None:
        say(f"not in the audit log yet: {done.unlogged}; the next run enters it")
    for host in done.silent:
        say(
            f"{host} did not answer: it left the cluster and is not clean; keep it off, or run this again when it is on"
        )


def render_installed(done: Installed, console: Console) -> None:
    """What is in force now."""
    moved = {host: count for host, count in sorted(done.changed.items()) if count}
    what = ", ".join(f"{host}: {count} changes" for host, count in moved.items()) or "nothing to do"
    console.print(f"release {done.version} is on the cluster ({what})", markup=False)
    console.print(f"signed by {', '.join(done.signers)}", markup=False)
    console.print(f"its API answers at {done.endpoint}", markup=False)
    if done.url is not None:
        console.print(f"open {done.url}", markup=False)
