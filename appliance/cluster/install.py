"""A site on a cluster: what `sovereign install --profile cluster` does. Nothing here prints.

Order: the site file (every mistake at once) → the bundle (verified and imported, or refused) → every host (every
finding at once) → the roles. Until all hosts have passed, nothing on any of them has changed. Running it again goes on
where it ended, or changes nothing.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from airgap_bundle import durable
from airgap_bundle.store import Store
from appliance.cluster.acts import Acting, in_force
from appliance.cluster.events import Failure
from appliance.cluster.inventory import Site, inventory
from appliance.cluster.lasting import refuse_moved, to_be_seen, to_have_room_for, to_lie_apart
from appliance.cluster.packs import publish
from appliance.cluster.playbook import PLAYBOOK_SECONDS, HostsRefusedError, run
from appliance.cluster.reach import Reach
from appliance.cluster.settings import read_settings
from appliance.cluster.staging import NoClusterError, stage_release
from appliance.cluster.state import KUBERNETES, begin_state, read_state, write_state
from appliance.cluster.way import admitted, change_to, keeping, refuse_another, steps_of
from appliance.cluster.workloads import Content, prepare
from appliance.errors import UsageError
from appliance.install.act_record import Release
from appliance.install.admission import admit, announced_by, is_first_install
from appliance.install.backup.mark import refuse_half_restored
from appliance.install.judged import begin as begin_record
from appliance.install.judged import check as check_judged
from appliance.install.judged import note as note_in_force
from appliance.install.lock import site_lock
from appliance.install.model_check import POLICY, check_models, write_policies
from appliance.install.site_files import read_cluster_files
from appliance.install.vault import Vault
from appliance.site.load import load_cluster_site

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airgap_bundle.store import VerifiedRelease
    from appliance.cluster.events import Event
    from appliance.cluster.playbook import Watch
    from appliance.cluster.standing import Standing
    from appliance.cluster.state import ClusterState
    from appliance.install.host import Request
    from appliance.install.runner import Advance
    from appliance.install.site_files import SiteFiles
    from appliance.site.cluster import ClusterSite
    from appliance.site.paths import SitePaths
    from appliance.site.site_key import Passphrase

_LONG = 4 * 3600.0
"""Hosts follow each other, and each may take its quarter of an hour."""


@dataclass(frozen=True)
class Installed:
    """The outcome: the release, who signed it, and how many tasks changed something, by host (all 0: nothing to do).

    ``endpoint`` is that of the API, ``url`` where people reach the assistant, if the site has one. ``unlogged`` says
    why what was done is not in the audit log yet; None: it is, or there is no log. ``silent`` are hosts that left the
    cluster and could not be cleaned, because they did not answer; the next run tries again.
    """

    version: str
    signers: tuple[str, ...]
    changed: Mapping[str, int]
    endpoint: str
    url: str | None
    unlogged: str | None = None
    silent: tuple[str, ...] = ()


def install(  # noqa: PLR0913 - what an installation is given, by keyword
    paths: SitePaths,
    request: Request,
    *,
    watch: Watch,
    progress: Advance,
    passphrase: Passphrase,
    enter: Sequence[str] = (),
) -> Installed:
    """Verify, import, and bring the hosts to what the site file says.

    ``passphrase`` opens the site key where one protects it. ``enter`` goes before the command line that reaches the
    hosts. Raises ``SiteFileError``, ``UsageError``, ``VerificationError``, ``RefusedError`` for a model,
    ``HostsRefusedError`` with every finding, and ``DeploymentError`` with host, task and cause.
    """
    refuse_half_restored(paths)
    known = read_state(paths.cluster_state)
    site = read_site(_source(request.config, known))
    refuse_moved(known, site.described)
    if site.files is not None:
        check_judged(paths, site.files.config)
    if is_first_install(paths) and request.root_fingerprint is None:
        raise UsageError(
            "the first installation needs the fingerprint of the root to trust",
            "give --root sha256:…, read from a source that you trust and not from the bundle's medium",
        )
    if known is not None and known.release:
        brought = announced_by(request.bundle, paths, lambda _digest, contents, _read: contents.release.info.version)
        refuse_another(known, brought)
    with site_lock(paths), Acting(paths, site.described, site.source.parent, enter) as acting:

        def accept(release: VerifiedRelease) -> None:
            if (now := read_state(paths.cluster_state)) is not None:  # another run may have come between
                refuse_another(now, release.version)
            acting.begin("install", in_force(paths), Release(release.version, str(release.digest)))

        release = admit(request.bundle, paths, request.root_fingerprint, progress, accept)
        done = put_in_force(paths, site.bringing(release), watch=watch, passphrase=passphrase, enter=enter)
    return replace(done, unlogged=acting.unlogged)


@dataclass(frozen=True)
class SiteSource:
    """A site file, read, with the operator's files that it names where the site has an assistant."""

    described: ClusterSite
    source: Path
    files: SiteFiles | None

    def bringing(self, release: VerifiedRelease) -> Wanted:
        """The hosts with ``release``."""
        return Wanted(self.described, self.source, release, self.files)


def read_site(source: Path) -> SiteSource:
    """The site file ``source``, every mistake in it told at once. Raises ``SiteFileError``, ``UsageError``."""
    described = load_cluster_site(source)
    read_settings(described, source)  # a mistake there is told before the bundle is read
    files = read_cluster_files(source, described) if described.assistant is not None else None
    return SiteSource(described, source, files)


def site_of(known: Standing, config: Path | None) -> SiteSource:
    """The site file ``config`` of a cluster that was installed, or the one of its last run. Raises as ``read_site``.

    Raises ``UsageError`` for another name, which is in the log's origin and in the authority's certificate, and as
    ``refuse_moved``.
    """
    found = read_site(_source(config, known.state))
    if found.described.name != known.described.name:
        raise UsageError(
            f"this site is named {known.described.name}, the site file says {found.described.name}",
            "keep the name, or install another site with another --site",
        )
    refuse_moved(known.state, found.described)
    return found


@dataclass(frozen=True)
class Wanted:
    """What hosts are brought to: the site file ``source`` as ``described``, and a release that the store holds.

    ``files`` are the operator's, of a site with an assistant; ``options`` further ones of the roles, for one run;
    ``anew`` has the certificates of edge and links issued again. ``charts`` are those of the assistant that this run
    brings, all where None; a run that brings some is a part of what comes, and ``playbook`` is what it plays. ``back``:
    it is a rollback. ``restored``: it brings back what was, and no gate is asked.
    """

    described: ClusterSite
    source: Path
    release: VerifiedRelease
    files: SiteFiles | None
    options: Mapping[str, object] = field(default_factory=dict)
    anew: bool = False
    charts: tuple[str, ...] | None = None
    playbook: str = "cluster.yml"
    back: bool = False
    restored: bool = False


def put_in_force(
    paths: SitePaths, wanted: Wanted, *, watch: Watch, passphrase: Passphrase, enter: Sequence[str] = ()
) -> Installed:
    """Bring the hosts to ``wanted``. The caller holds the site's lock. Raises as ``install`` does.

    Where another release is in force, or a way to one was cut off, hosts go through Kubernetes' own order first if they
    may run another one, and images of both are admitted until all is done; letting go of the former's is the last step.
    """
    described, release, files = wanted.described, wanted.release, wanted.files
    if files is not None and not wanted.restored:
        begin_record(paths, paths.pods_yaml)
        check_judged(paths, files.config)
    known = read_state(paths.cluster_state)
    policies = judged(files, release) if files is not None else {}
    models = tuple(model.name for model in files.config.models) if files is not None else ()
    parts = stage_release(Store(paths.store), release.version, paths.root / "cluster" / "release", models)
    before = known or begin_state(wanted.source)
    state = before.touching(wanted.source, described.cluster.hosts)
    change = None
    if wanted.charts is None:  # a restore brings its parts to hosts that have nothing
        change = change_to(Store(paths.store), release.version, before)
    if change is not None:
        state = state.going_to(release.version, {*change.digests, *admitted(parts)}, back=wanted.back)
        change = change_to(Store(paths.store), release.version, state)
    workloads = None
    if files is not None:
        content = Content(release, parts, files.site_yaml, policies, change.digests if change is not None else ())
        workloads = prepare(paths, Vault(paths, passphrase), described, content, anew=wanted.anew)
        workloads = workloads if wanted.charts is None else workloads.only(wanted.charts)
        durable.replace(paths.pods_yaml, files.site_yaml)
    told = inventory(
        Site(described.name, state.identity, wanted.source.parent),
        described.cluster,
        parts,
        settings={
            **read_settings(described, wanted.source),
            **wanted.options,
            **to_be_seen(before),
            **to_have_room_for(described),
            **to_lie_apart(described),
        },
        leaving=before.leaving(described.cluster.hosts),
        workloads=workloads,
        change=change,
    )
    changed: Counter[str] = Counter()
    silent, hear = _silences(watch)
    stages = steps_of(change, wanted.playbook)
    try:
        for step, playbook in stages:
            write_state(paths.cluster_state, state := state.at(step))
            timeout_s = _LONG if change is not None else PLAYBOOK_SECONDS
            heard = keeping(paths, release.version, hear) if step == KUBERNETES else hear
            changed.update(run(playbook, told, heard, enter=enter, timeout_s=timeout_s))
    except HostsRefusedError:
        if (step, playbook) == stages[0]:  # no host was touched: no way was begun that was not before
            write_state(paths.cluster_state, replace(state, way=before.way, digests=before.digests))
        raise
    if wanted.charts is None:
        hosts = described.cluster.hosts
        if files is not None:
            write_policies(paths.policies, policies)  # by which commands here judge packs, and know auditors
            note_in_force(paths, files.config)
            _publish_packs(paths, Reach(described.cluster, wanted.source.parent, tuple(enter), state.identity))
        holds = described.state_host if files is not None else ""
        settled = state.settled(hosts, release.version, admitted(parts), silent=silent, state_host=holds)
        write_state(paths.cluster_state, settled)
    url = described.pods.gateway_url if described.assistant is not None else None
    return Installed(
        release.version, release.signers, changed, described.cluster.api_endpoint, url, silent=tuple(sorted(silent))
    )


def _publish_packs(paths: SitePaths, reach: Reach) -> None:
    """Hosts that are new, or come back, have none of them."""
    if paths.packs.is_dir():
        publish(reach, paths.packs)


def _silences(watch: Watch) -> tuple[set[str], Watch]:
    """Hosts that leave and do not answer, as they are told: they are out, and not clean; and who hears of them."""
    silent = set[str]()

    def hear(event: Event) -> None:
        if isinstance(event, Failure) and event.passed:
            silent.add(event.host)
        watch(event)

    return silent, hear


def judged(files: SiteFiles, release: VerifiedRelease) -> dict[str, bytes]:
    """The site's policies by path, after its models passed the gate with them, as they will at every start."""
    policies = {POLICY: _release_policy(release), **files.installed()}
    with tempfile.TemporaryDirectory(prefix="sovereign-") as folder:
        write_policies(Path(folder), policies)
        check_models(files.config, release, Path(folder))
    return policies


def _release_policy(release: VerifiedRelease) -> bytes:
    for artifact in release.artifacts.values():
        if artifact.kind == "policy" and POLICY in artifact.files:
            with artifact.files[POLICY].open() as stream:
                return stream.read()
    raise NoClusterError(f"policy {POLICY}")


def _source(config: Path | None, known: ClusterState | None) -> Path:
    """The site file: what is given, else that of the last run. Raises ``UsageError``."""
    if config is not None:
        return config.resolve()
    if known is None:
        raise UsageError("no cluster was installed from here yet", "name the site file with --config")
    return Path(known.site_file)
