"""The way of a cluster from the release in force to another one, out of the store and of what was remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle import durable
from appliance.cluster.change import Change
from appliance.cluster.events import Reading
from appliance.cluster.versions import versions_of
from appliance.install.release_change import held, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from airgap_bundle.digest import Digest
    from airgap_bundle.store import Store
    from appliance.cluster.events import Event
    from appliance.cluster.parts import ReleaseParts
    from appliance.cluster.playbook import Watch
    from appliance.cluster.state import ClusterState
    from appliance.cluster.versions import Versions
    from appliance.site.paths import SitePaths

PLAN = "kubernetes_plan"


def change_to(store: Store, version: str, known: ClusterState, layout: Path) -> Change | None:
    """The way to ``version``, whose images lie in ``layout``.

    None: it is in force, or nothing is yet, and no way to another one was begun.
    """
    if not known.release or (version == known.release and not known.changing):
        return None
    running, wanted = versions_in(store, known.release), versions_in(store, version)
    begun = (versions_in(store, known.changing).kubernetes,) if known.changing else ()
    met = tuple(sorted({running.kubernetes, wanted.kubernetes, *begun}))
    digests = known.digests or tuple(sorted(str(d) for d in _images(store, known.release)))
    more = _bytes(layout, without=_blobs(store, known.release))
    returns = unreadable(held(store.open_release(version)), held(store.open_release(known.release))) is None
    return Change(running.kubernetes, met, wanted.kubernetes, digests, more, may_return=returns)


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


def _blobs(store: Store, version: str) -> set[str]:
    """Blobs of a release's images, as files of a layout are named."""
    artifacts = store.contents(store.record(version)).artifacts
    return {part.digest.hex for m in artifacts if m.kind == "image" for part in (m.descriptor, m.config, *m.layers)}


def _bytes(layout: Path, *, without: set[str]) -> int:
    """What the images of ``layout``, the store's with its models among them, take beside those blobs.

    Twice: as they are sent, and unpacked.
    """
    blobs = (path for path in (layout / "blobs/sha256").iterdir() if path.name not in without)
    return 2 * sum(path.stat().st_size for path in blobs)
