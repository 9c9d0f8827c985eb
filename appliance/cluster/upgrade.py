"""`sovereign upgrade` on a cluster: the questions of a host, and those that Kubernetes asks. Nothing here prints.

What is refused leaves store, trust and hosts as they were. Order of the way: `kubernetes.yml` host by host where the
release has another Kubernetes, then what every run brings (ADR 118).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airgap_bundle.store import Store
from appliance.cluster.acts import Acting, in_force
from appliance.cluster.ahead import look_ahead
from appliance.cluster.change import in_turn
from appliance.cluster.install import Installed, judged, put_in_force, site_of
from appliance.cluster.standing import standing
from appliance.cluster.versions import (
    VersionChange,
    Versions,
    cannot_follow,
    cannot_return,
    differences,
    is_newer,
    versions_of,
)
from appliance.cluster.way import refuse_third, refuse_turn
from appliance.errors import RefusedError, UsageError
from appliance.install.act_record import Release
from appliance.install.admission import admit, announced_by
from appliance.install.backup.last import last_backup
from appliance.install.backup.mark import refuse_half_restored
from appliance.install.judged import check as check_judged
from appliance.install.lock import site_lock
from appliance.install.release_change import Held, announced, held
from appliance.install.upgrade import Upgrade, planned

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airgap_bundle.digest import Digest
    from airgap_bundle.oci import Contents
    from airgap_bundle.store import VerifiedRelease
    from appliance.cluster.playbook import Watch
    from appliance.cluster.room import NextPod
    from appliance.cluster.standing import Standing
    from appliance.install.admission import Read
    from appliance.install.host import Request
    from appliance.install.runner import Advance
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase


@dataclass(frozen=True)
class ClusterUpgrade:
    """What an upgrade would change: ``found`` as on a host, versions of the cluster's own programs, hosts in order.

    ``order`` is empty where every host keeps its Kubernetes; ``pods`` is known where hosts were asked.
    """

    found: Upgrade
    versions: tuple[VersionChange, ...]
    order: tuple[str, ...]
    pods: NextPod | None = None

    def data(self) -> dict[str, object]:
        """As JSON data."""
        told = {**self.found.data(), "versions": [each.data() for each in self.versions], "hosts": list(self.order)}
        return {**told, "pods": self.pods and self.pods.data()}


@dataclass(frozen=True)
class _Brought:
    """A release as an upgrade compares it."""

    held: Held
    versions: Versions


def plan_upgrade(paths: SitePaths, bundle: Path, known: Standing) -> ClusterUpgrade:
    """Compare ``bundle`` with what is in force; nothing is changed, and its blobs are not all read.

    Raises ``UsageError`` where no installation went through, and where a rollback from this very release was cut off,
    ``RefusedError`` for a third release while hosts are between two, and as ``announced_by``.
    """
    if not known.state.release:
        raise UsageError("no installation of the cluster went through yet", "run `sovereign install` first")
    store = Store(paths.store)
    record = store.record(known.state.release)
    now = _Brought(held(store.open_record(record)), versions_of(record.version, store.contents(record).artifacts))
    new = announced_by(bundle, paths, _brought)
    refuse_turn(known.state, new.held.version)
    refuse_third(known.state, new.held.version)
    way = known.state.way
    found = planned(
        now.held,
        new.held,
        last_backup(paths),
        datetime.now(UTC),
        against=cannot_follow(now.versions, new.versions),
        final=cannot_return(new.versions, now.versions),
        begun=way is not None and way.other == new.held.version,  # and between two releases no backup is made
    )
    before, after = now.versions.kubernetes, new.versions.kubernetes
    there = {host.name for host in known.state.hosts}  # a host that comes new joins with the new one
    hosts = [host for host in known.described.cluster.hosts if host.name in there]
    order = in_turn(hosts, back=is_newer(before, after)) if before != after else ()
    return ClusterUpgrade(found, differences(now.versions, new.versions), order)


def _brought(digest: Digest, contents: Contents, read: Read) -> _Brought:
    return _Brought(announced(digest, contents, read), versions_of(contents.release.info.version, contents.artifacts))


def may_upgrade(paths: SitePaths, request: Request) -> ClusterUpgrade:
    """What ``upgrade`` would change, where it may begin; nothing is changed, and no host is asked.

    Raises ``RefusedError`` where the release cannot take over, where only a backup leads back and there is none of
    today, or where a new host would come first in Kubernetes' own order; ``SiteFileError`` and
    ``UsageError`` for the site file; and as ``plan_upgrade``.
    """
    refuse_half_restored(paths)
    known = standing(paths)
    found = plan_upgrade(paths, request.bundle, known)
    if found.found.refusal is not None:
        raise RefusedError(found.found.refusal, found.found.hint)
    check_site(paths, known, request.config, found)
    return found


def check_site(paths: SitePaths, known: Standing, config: Path | None, found: ClusterUpgrade) -> None:
    """Raise, as ``may_upgrade``, where the site file does not go with the upgrade that was ``found``."""
    site = site_of(known, config)
    if site.files is not None:
        check_judged(paths, site.files.config)
    first = site.described.cluster.control_plane[0].name
    if found.order and first not in {host.name for host in known.state.hosts}:
        raise RefusedError(
            f"{first} is not in the cluster yet, and Kubernetes would be upgraded from there",
            "name it after a host of the control plane that is, or upgrade before it comes",
        )


def upgrade(  # noqa: PLR0913 - what an upgrade is made of, by keyword
    paths: SitePaths,
    request: Request,
    found: ClusterUpgrade,
    *,
    watch: Watch,
    progress: Advance,
    passphrase: Passphrase,
    enter: Sequence[str] = (),
) -> Installed:
    """Go to the release that ``may_upgrade`` ``found``. Running it again, with the same bundle, goes on where it ended.

    Raises as ``install`` does, and ``RefusedError`` where the bundle is another than ``found`` or the site's policy
    refuses a model of the new release; hosts are looked at before the site learns of it, too. What is refused so far
    touched no host, and the site has learnt of nothing.
    """
    known = standing(paths)
    site = site_of(known, request.config)
    with site_lock(paths), Acting(paths, site.described, site.source.parent, enter) as acting:
        state = standing(paths).state
        if state.release not in (found.found.before, found.found.after):
            raise UsageError("another release was put in force meanwhile", "upgrade again")

        def accept(release: VerifiedRelease) -> None:
            """Before the site learns that there is such a release: what it cannot put in force ends no older one."""
            if release.digest != found.found.digest:
                raise RefusedError(
                    f"{request.bundle} holds another release now", "look at the medium, and upgrade again"
                )
            refuse_turn(state, release.version)  # what another run began since it was asked
            refuse_third(state, release.version)
            if site.files is not None:
                judged(site.files, release)
            if release.version != state.release and state.way is None:
                look_ahead(paths, site, release, state, watch, enter)
            acting.begin("upgrade", in_force(paths), Release(release.version, str(release.digest)))

        release = admit(request.bundle, paths, None, progress, accept)
        done = put_in_force(paths, site.bringing(release), watch=watch, passphrase=passphrase, enter=enter)
    return replace(done, unlogged=acting.unlogged)
