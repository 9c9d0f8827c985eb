"""The way of a cluster from the release in force to another one, out of the store and of what was remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle import durable
from appliance.cluster.change import Change
from appliance.cluster.events import Reading
from appliance.cluster.state import FORMER, KUBERNETES, RELEASE
from appliance.cluster.versions import versions_of
from appliance.errors import RefusedError, UsageError
from appliance.install.release_change import held, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airgap_bundle.digest import Digest
    from airgap_bundle.store import Store
    from appliance.cluster.events import Event
    from appliance.cluster.parts import ReleaseParts
    from appliance.cluster.playbook import Watch
    from appliance.cluster.state import ClusterState, Way
    from appliance.cluster.versions import Versions
    from appliance.site.paths import SitePaths

PLAN = "kubernetes_plan"


def change_to(store: Store, version: str, known: ClusterState) -> Change | None:
    """The way to ``version`` as the roles go it; ``known`` is the state before, or once the way was begun.

    None: it is in force, or nothing is yet, and no way to another one was begun.
    """
    if not known.release or (version == known.release and known.way is None):
        return None
    running, wanted = versions_in(store, known.release), versions_in(store, version)
    ends = _ends(store, known.way) if known.way is not None else ()
    met = {running.kubernetes, wanted.kubernetes, *(versions_in(store, end).kubernetes for end in ends)}
    digests = known.digests or tuple(sorted(str(d) for d in _images(store, known.release)))
    returns = unreadable(held(store.open_release(version)), held(store.open_release(known.release))) is None
    mark = known.way.mark if known.way is not None else ""
    return Change(running.kubernetes, tuple(sorted(met)), wanted.kubernetes, digests, may_return=returns, mark=mark)


def _ends(store: Store, way: Way) -> tuple[str, ...]:
    """Releases whose Kubernetes hosts may run; of a way whose record has one end alone, any that is here."""
    if way.turning != way.heading:
        return (way.before, way.other)
    return tuple(record.version for record in store.survey()[0])


def refuse_turn(known: ClusterState, version: str) -> None:
    """Raise ``UsageError`` where a rollback from ``version`` was cut off: to bring it again would undo that unasked."""
    if known.way is not None and known.way.back and version == known.release != known.way.heading:
        raise UsageError(f"a rollback from {version} to {known.way.heading} was cut off", known.onward())


def refuse_third(known: ClusterState, version: str) -> None:
    """Raise ``RefusedError`` where hosts are between two releases and ``version`` is neither."""
    if known.way is not None and version not in (known.way.before, known.way.other):
        raise RefusedError(
            f"hosts are between release {known.way.before} and {known.way.other}, and {version} was compared with none",
            known.onward(),
        )


def refuse_another(known: ClusterState, version: str) -> None:
    """Raise ``UsageError`` where this cluster neither runs release ``version`` nor is on its way to it."""
    refuse_turn(known, version)
    ends = {known.way.before, known.way.other} if known.way is not None else {known.release}
    if known.release and version not in ends:
        raise UsageError(
            f"the cluster runs release {known.release}, and the bundle brings {version}",
            "`sovereign upgrade` goes to another release, and says before what it changes",
        )


def steps_of(change: Change | None, playbook: str) -> tuple[tuple[str, str], ...]:
    """Steps of a run with the playbook of each: the release's own, and what a way has before and after it."""
    first = ((KUBERNETES, "kubernetes.yml"),) if change is not None and change.of_kubernetes else ()
    last = ((FORMER, "former.yml"),) if change is not None else ()
    return (*first, (RELEASE, playbook), *last)


def versions_in(store: Store, version: str) -> Versions:
    """What a release of the store brings. Raises as ``versions_of``, and ``StoreError`` where it is not there."""
    return versions_of(version, store.contents(store.record(version)).artifacts)


def admitted(parts: ReleaseParts) -> tuple[str, ...]:
    """Digests of the images that a release's policy admits."""
    return tuple(sorted({reference.rpartition("@")[2] for reference in parts.images.values()}))


def keeping(paths: SitePaths, version: str, watch: Watch) -> Watch:
    """``watch``, which also keeps kubeadm's own plan of the way to ``version``, beside the cluster's state."""

    def heard(event: Event) -> None:
        if isinstance(event, Reading) and PLAN in event.value:
            folder = paths.cluster_state.with_name("plans")
            folder.mkdir(exist_ok=True)
            durable.replace(folder / f"{version}.txt", str(event.value[PLAN]).encode())
        watch(event)

    return heard


def _images(store: Store, version: str) -> Iterable[Digest]:
    artifacts = store.contents(store.record(version)).artifacts
    return (manifest.descriptor.digest for manifest in artifacts if manifest.kind == "image")
