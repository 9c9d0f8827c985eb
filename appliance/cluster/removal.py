"""Takes a cluster away: every host becomes what it was, then what was kept here of it goes.

That it begins is in the cluster's log before the first host is touched, where the log can be had; a removal that fails
is, too. One that goes through takes log and journal along.
"""

from __future__ import annotations

import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle.errors import StoreError
from appliance.cluster.acts import Acting, in_force
from appliance.cluster.events import Reading
from appliance.cluster.log_fate import log_host, require_fate
from appliance.cluster.playbook import run
from appliance.cluster.state import write_state
from appliance.errors import DeploymentError, SovereignError, UsageError
from appliance.install.act_record import Release
from appliance.install.lock import site_lock
from appliance.install.log_fate import UNSAID, LogFate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from appliance.cluster.events import Event
    from appliance.cluster.log_fate import LetGo
    from appliance.cluster.playbook import Watch
    from appliance.cluster.standing import Standing
    from appliance.site.paths import SitePaths

ON_HOSTS = Path("/var/lib/sovereign")
"""What hosts hold, which goes with them."""
MARKED, REMOVED, QUIET = "marked", "removed", "quiet"


@dataclass(frozen=True)
class Removed:
    """What went away: the site's files below ``root`` here, and the appliance on these hosts.

    ``unlogged`` says why the log that went with it did not have its beginning; None: it had, or there was none.
    """

    root: Path
    hosts: tuple[str, ...]
    unlogged: str | None = None


def refuse(paths: SitePaths, known: Standing) -> None:
    """Raises ``UsageError`` where hosts that would be entered are not those that were installed, or this machine."""
    described = {host.name: host.address for host in known.described.cluster.hosts}
    for host in known.state.hosts:
        now = described.get(host.name, host.address)
        if now != host.address:
            raise UsageError(
                f"{known.source} has {host.name} at {now}, and the last run had it at {host.address}",
                "put the address of the last run back, or run `sovereign install` with the new one first",
            )
        if paths.root.resolve().is_relative_to(ON_HOSTS) and _is_here(host.address):
            raise UsageError(
                f"{host.name} is this machine, where {ON_HOSTS} would go with the site's keys before all is done",
                f"move {paths.root} elsewhere, and name it with --site",
            )


def uninstall(
    paths: SitePaths, known: Standing, fate: LogFate = UNSAID, *, watch: Watch, enter: Sequence[str] = ()
) -> Removed:
    """Remove the appliance from every host that it was on, and what is the site's here. Safe to repeat.

    A log that is to be kept does not go unless ``fate`` says where it is kept, or that it goes: see ``require_fate``.
    A host with another site's mark is left alone. Raises ``DeploymentError`` for the first host that could not be
    cleaned, or that showed no mark though an installation went through; the others are cleaned, and keys and state
    stay here until all are. Raises ``UsageError`` as ``refuse`` does. Files of others in the site root stay.
    """
    refuse(paths, known)
    marked, removed = set[str](), set[str]()

    def note(event: Event) -> None:
        if isinstance(event, Reading):
            marked.update({event.host} if event.value.get(MARKED) else ())
            removed.update({event.host} if event.value.get(REMOVED) else ())
            if event.value.get(QUIET) and gone is not None:
                with suppress(SovereignError, OSError):  # a disk that is full holds no removal up
                    acting.note(gone.record())
        watch(event)

    with site_lock(paths), Acting(paths, known.described, known.source.parent, enter) as acting:
        gone = require_fate(paths, known, fate, enter)
        known = _with_its_host(paths, known, gone)
        unlogged = _announced(paths, acting, known, fate, gone)
        try:
            run("removal.yml", known.touched().inventory(), note, enter=enter)
        finally:
            _forget(paths, known, marked & removed)
        unmarked = [host for host in known.state.hosts if host.name not in marked]
        if known.state.release and unmarked:
            raise DeploymentError(
                f"{unmarked[0].name} ({unmarked[0].address}) bears no mark of this site; its keys stay here",
                "see whether another machine has that address; a host that was made anew leaves with "
                "`sovereign install` once the site file names it no more",
            )
        acting.took_the_log()
        for path in _ours(paths):
            _remove(path)
    with suppress(OSError):  # it holds files of others, or is a mount point
        paths.root.rmdir()
    return Removed(paths.root, tuple(host.name for host in known.state.hosts), unlogged)


def _with_its_host(paths: SitePaths, known: Standing, gone: LetGo | None) -> Standing:
    """The same with the host of the log noted: once it is clean, a run that goes on finds none any more."""
    if gone is None or known.state.state_host == gone.host:
        return known
    write_state(paths.cluster_state, replace(known.state, state_host=gone.host))
    return replace(known, state=replace(known.state, state_host=gone.host))


def _announced(paths: SitePaths, acting: Acting, known: Standing, fate: LogFate, gone: LetGo | None) -> str | None:
    """Why the log does not say that the removal begins; None: it does. Neither log nor journal holds a removal up."""
    try:
        now = in_force(paths)
    except StoreError:  # an earlier removal was cut off once it had the store
        now = Release(known.state.release)
    try:
        ended = gone.record() if gone is not None and gone.ended else {}
        acting.begin("uninstall", now, Release(), {**fate.record(), **ended})
    except (SovereignError, OSError) as error:
        return error.cause if isinstance(error, SovereignError) else str(error)
    return acting.unlogged


def _forget(paths: SitePaths, known: Standing, clean: set[str]) -> None:
    """Hosts that bear no mark any more because it was taken from them are not looked for again, nor is their log."""
    left = tuple(host for host in known.state.hosts if host.name not in clean)
    if left != known.state.hosts:
        cleaned = log_host(known) if log_host(known) in clean else known.state.cleaned
        write_state(paths.cluster_state, replace(known.state, hosts=left, cleaned=cleaned))


def _ours(paths: SitePaths) -> Iterator[Path]:
    """What a cluster's site has here. What says how hosts are entered goes last; a site file is the operator's."""
    yield from (paths.current, paths.release("x").parent, paths.store, paths.secrets, paths.tls, paths.policies)
    yield paths.packs
    yield from (paths.trust, paths.serving("x").parent, paths.journal.parent, paths.log("x").parent, paths.restoring)
    folder = paths.cluster_state.parent
    yield from (path for path in sorted(folder.iterdir()) if path != paths.cluster_state)
    yield from (paths.cluster_state, folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_here(address: str) -> bool:
    """Whether this machine has an address: only then can it be listened on."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
    return True
