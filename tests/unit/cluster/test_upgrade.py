"""A cluster goes to a newer release and back: asked before, remembered before, and refused with nothing changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from airgap_bundle.digest import sha256
from airgap_bundle.errors import StoreError, VerificationError
from airgap_bundle.store import Store
from airgap_bundle.trust_state import TrustState, fingerprint
from appliance.cli import cluster_change
from appliance.cli.terminal import OutputFormat
from appliance.cluster import ahead, rollback, upgrade
from appliance.cluster import install as installing
from appliance.cluster.events import Reading
from appliance.cluster.playbook import HostsRefusedError
from appliance.cluster.renewal import renew
from appliance.cluster.standing import standing
from appliance.cluster.state import FORMER, KUBERNETES, RELEASE, ClusterState, read_state
from appliance.errors import DeploymentError, RefusedError, SovereignError, UsageError
from appliance.install.backup.last import note_backup
from appliance.install.host import Request
from appliance.install.judged import decided
from appliance.learning.errors import GateRefusedError
from appliance.site.paths import SitePaths
from tests.bundles import NOW, root_bytes, tree
from tests.unit.cluster.releases import IMAGES, PROGRAMS, bundle_of
from tests.unit.install.test_rollback import FIRST, Draft

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


HOSTS = [
    {"name": "node1", "address": "192.168.7.1", "role": "control-plane"},
    {"name": "node2", "address": "192.168.7.2"},
]
WAY = ("kubernetes.yml", "cluster.yml", "former.yml")
OF_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")


class Runs:
    """Stands in for Ansible: which playbooks ran with what, and what was remembered then. ``failing`` one
    fails, and in the ``refusing`` one no host passes the look before the first change.
    """

    def __init__(self, paths: SitePaths) -> None:
        self.paths = paths
        self.ran: list[str] = []
        self.told: list[Mapping[str, Any]] = []
        self.remembered: list[ClusterState] = []
        self.trusted: list[int] = []
        self.failing = self.refusing = ""

    def __call__(self, playbook: str, told: Mapping[str, Any], watch: Any, **_more: object) -> dict[str, int]:
        self.ran.append(playbook)
        self.told.append(told["all"])
        if playbook == "preflight.yml":
            self.trusted.append(TrustState.load(self.paths.trust).release_number)
        state = read_state(self.paths.cluster_state)
        assert state is not None
        self.remembered.append(state)
        if playbook == self.refusing:
            raise HostsRefusedError(())
        if playbook == self.failing:
            raise DeploymentError("node2: kubernetes: drain: it would not go")
        if playbook == "kubernetes.yml":
            watch(Reading("node1", {"kubernetes_plan": "COMPONENT  CURRENT  TARGET\n"}))
        return {"node1": 1}

    @property
    def last(self) -> Mapping[str, Any]:
        return self.told[-1]


class Ground:
    """A cluster that runs release 1.0.0 with Kubernetes v1.36.2."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.paths = folder, SitePaths(folder / "root")
        self.runs = Runs(self.paths)
        monkeypatch.setattr(installing, "run", self.runs)
        monkeypatch.setattr(ahead, "run", self.runs)
        ssh = {"key": "id", "known_hosts": "known"}
        cluster = {"hosts": HOSTS, "ssh": ssh, "administration": ["10.0.0.1/32"]}
        site = {"schema": 1, "name": "s", "profile": "cluster", "cluster": cluster}
        (folder / "site.yaml").write_text(yaml.safe_dump(site))
        self.install(self.bundle(1, "v1.36.2"))
        self.runs.__init__(self.paths)  # type: ignore[misc]  # what follows is counted from here

    def bundle(self, number: int, kubernetes: str, etcd: str = "v3.7.3", **draft: Any) -> Path:
        images = IMAGES | dict.fromkeys(OF_KUBERNETES, kubernetes) | {"etcd": etcd}
        folder = self.folder / f"brought-{number}-{kubernetes}-{etcd}"
        folder.mkdir()
        made = Draft(version=f"{number}.0.0", number=number, **draft)
        return bundle_of(folder, images, draft=made, versions=PROGRAMS["versions"] | {"kube": kubernetes})

    def install(self, bundle: Path) -> None:
        request = Request(bundle, self.folder / "site.yaml", str(fingerprint(root_bytes())))
        installing.install(self.paths, request, watch=_quiet, progress=_silent, passphrase=lambda: b"")

    def may(self, bundle: Path) -> upgrade.ClusterUpgrade:
        return upgrade.may_upgrade(self.paths, Request(bundle, None, None))

    def go(self, bundle: Path) -> None:
        request = Request(bundle, None, None)
        upgrade.upgrade(self.paths, request, self.may(bundle), watch=_quiet, progress=_silent, passphrase=lambda: b"")

    def back(self, version: str | None = None) -> None:
        rollback.roll_back(self.paths, version, watch=_quiet, progress=_silent, passphrase=lambda: b"")

    def state(self) -> ClusterState:
        found = read_state(self.paths.cluster_state)
        assert found is not None
        return found

    def heading(self) -> str:
        way = self.state().way
        assert way is not None
        return way.heading

    def backed_up(self) -> None:
        (self.paths.root / "state").mkdir(exist_ok=True)
        active = Store(self.paths.store).open_release(self.state().release).digest
        note_backup(self.paths, datetime.now(UTC) - timedelta(hours=1), sha256(b"statement"), active)

    def refuses(self, bundle: Path, match: str, kind: type[SovereignError] = RefusedError) -> SovereignError:
        """An upgrade is refused, and nothing of the site is another afterwards."""
        before = tree(self.paths.root)
        with pytest.raises(kind, match=match) as refused:
            self.go(bundle)
        assert tree(self.paths.root) == before
        assert self.runs.ran == []
        return refused.value


def _quiet(_event: object) -> None: ...


def _silent(_done: int, _total: int) -> None: ...


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    class Clock:
        @staticmethod
        def now(_zone: object) -> object:
            return NOW

    monkeypatch.setattr("appliance.install.admission.datetime", Clock)
    return Ground(tmp_path, monkeypatch)


def test_versions_and_the_hosts_order_are_told_before_and_nothing_is_changed(ground: Ground) -> None:
    bundle, before = ground.bundle(2, "v1.36.3"), tree(ground.paths.root)
    plan = ground.may(bundle)
    assert (plan.found.before, plan.found.after, plan.found.final) == ("1.0.0", "2.0.0", None)
    assert [(each.name, each.before, each.after) for each in plan.versions] == [("kubernetes", "v1.36.2", "v1.36.3")]
    assert plan.order == ("node1", "node2")
    assert tree(ground.paths.root) == before
    assert ground.runs.ran == []


def test_hosts_go_through_kubernetes_own_order_before_the_rest(ground: Ground) -> None:
    ground.go(ground.bundle(2, "v1.36.3"))
    assert ground.runs.ran == ["preflight.yml", *WAY]
    given = ground.runs.last["vars"]
    assert (given["kubernetes_running"], given["kubernetes_version"]) == ("v1.36.2", "v1.36.3")
    assert given["kubernetes_met"] == ["v1.36.2", "v1.36.3"]
    assert list(ground.runs.last["children"]["changing"]["hosts"]) == ["node1", "node2"]
    first, *rest = ground.runs.remembered
    assert (first.release, first.way) == ("1.0.0", None)
    ways = [state.way for state in rest]
    assert {(way.before, way.other, way.heading, way.back, way.mark) for way in ways if way} == {
        ("1.0.0", "2.0.0", "2.0.0", False, given["release_way"])
    }
    assert [way.step for way in ways if way] == [KUBERNETES, RELEASE, FORMER]
    state = ground.state()
    assert (state.release, state.way, state.history) == ("2.0.0", None, ("1.0.0", "2.0.0"))
    assert "TARGET" in (ground.paths.cluster_state.with_name("plans") / "2.0.0.txt").read_text()


def test_a_release_with_the_same_kubernetes_touches_no_host_s_kubernetes(ground: Ground) -> None:
    bundle = ground.bundle(2, "v1.36.2")
    assert ground.may(bundle).order == ()
    ground.go(bundle)
    assert ground.runs.ran == ["preflight.yml", "cluster.yml", "former.yml"]
    assert ground.runs.last["vars"]["release_changing"] is True


def test_a_second_run_has_no_way_left(ground: Ground) -> None:
    bundle = ground.bundle(2, "v1.36.3")
    ground.go(bundle)
    ground.go(bundle)
    assert ground.runs.ran == ["preflight.yml", *WAY, "cluster.yml"]
    assert "release_changing" not in ground.runs.last["vars"]
    assert "changing" not in ground.runs.last["children"]


@pytest.mark.parametrize("by", ["upgrade", "install"])
def test_a_way_that_was_cut_off_is_gone_on_with(by: str, ground: Ground) -> None:
    bundle = ground.bundle(2, "v1.36.3")
    ground.runs.failing = "kubernetes.yml"
    with pytest.raises(DeploymentError):
        ground.go(bundle)
    assert (ground.state().release, ground.heading()) == ("1.0.0", "2.0.0")
    ground.runs.failing = ""
    ground.go(bundle) if by == "upgrade" else ground.install(bundle)
    assert ground.runs.ran[2:] == list(WAY)
    assert (ground.state().release, ground.state().way) == ("2.0.0", None)


def test_between_two_releases_a_third_is_refused_and_so_is_a_renewal(ground: Ground) -> None:
    ground.runs.failing = "kubernetes.yml"
    with pytest.raises(DeploymentError):
        ground.go(ground.bundle(2, "v1.36.3"))
    third, before = ground.bundle(3, "v1.36.3"), tree(ground.paths.root)
    with pytest.raises(RefusedError, match=r"hosts are between release 1\.0\.0 and 2\.0\.0"):
        ground.go(third)
    with pytest.raises(UsageError, match=r"a way to release 2\.0\.0 was cut off"):
        renew(ground.paths, standing(ground.paths), watch=lambda _: None, passphrase=lambda: b"")
    assert tree(ground.paths.root) == before
    assert ground.runs.ran == ["preflight.yml", "kubernetes.yml"]


def test_hosts_that_are_refused_at_the_first_look_are_on_no_way(ground: Ground) -> None:
    before, ground.runs.refusing = ground.state(), "kubernetes.yml"
    with pytest.raises(HostsRefusedError):
        ground.go(ground.bundle(2, "v1.36.3"))
    assert ground.state() == before


def test_hosts_that_are_refused_half_way_stay_on_it(ground: Ground) -> None:
    ground.runs.refusing = "cluster.yml"
    with pytest.raises(HostsRefusedError):
        ground.go(ground.bundle(2, "v1.36.3"))
    assert (ground.state().release, ground.heading()) == ("1.0.0", "2.0.0")


def test_until_a_way_is_whole_images_of_both_are_remembered_and_then_those_of_one() -> None:
    first = ClusterState("a", "site.yaml", release="1.0.0", digests=("one", "two"))
    between = first.going_to("2.0.0", ("two", "three")).going_to("1.0.0", ("one",))
    assert between.digests == ("one", "three", "two")
    assert between.settled((), "1.0.0", ("one", "two")).digests == ("one", "two")


@pytest.mark.parametrize(("more", "may"), [((), True), (("r0002_second_tables",), False)])
def test_roles_are_told_whether_the_former_release_may_serve_again(
    more: tuple[str, ...],
    may: bool,  # noqa: FBT001 - a case's column
    ground: Ground,
) -> None:
    ground.backed_up()
    ground.go(ground.bundle(2, "v1.36.3", revisions=(*FIRST, *more)))
    assert ground.runs.last["vars"]["release_may_return"] is may


def test_a_way_that_was_cut_off_can_be_gone_back_with_the_workers_first(ground: Ground) -> None:
    ground.runs.failing = "cluster.yml"
    with pytest.raises(DeploymentError):
        ground.go(ground.bundle(2, "v1.36.3"))
    ground.runs.failing = ""
    ground.back()
    assert ground.runs.ran[3:] == list(WAY)
    assert ground.runs.last["vars"]["kubernetes_version"] == "v1.36.2"
    assert list(ground.runs.last["children"]["changing"]["hosts"]) == ["node2", "node1"]
    state = ground.state()
    assert (state.release, state.way, state.history) == ("1.0.0", None, ("1.0.0",))


def test_rollback_goes_to_the_release_before_and_the_newer_one_can_come_again(ground: Ground) -> None:
    newer = ground.bundle(2, "v1.36.3")
    ground.go(newer)
    assert [(each.version, each.active, each.refusal) for each in rollback.returns(ground.paths)] == [
        ("1.0.0", False, None),
        ("2.0.0", True, None),
    ]
    ground.back()
    assert (ground.state().release, ground.state().history) == ("1.0.0", ("2.0.0", "1.0.0"))
    assert list(ground.runs.last["children"]["changing"]["hosts"]) == ["node2", "node1"]
    ground.go(newer)
    assert ground.state().release == "2.0.0"


def test_there_is_nothing_to_go_back_to_at_first(ground: Ground) -> None:
    before = tree(ground.paths.root)
    with pytest.raises(UsageError, match="no release to go back to"):
        ground.back()
    with pytest.raises(StoreError):
        ground.back("2.0.0")
    assert tree(ground.paths.root) == before


@pytest.mark.parametrize(
    ("kubernetes", "etcd", "why"),
    [
        ("v1.38.0", "v3.7.3", "one minor version at a time"),
        ("v1.35.9", "v3.7.3", "does not go back from v1.36.2 to v1.35.9"),
        ("v1.36.3", "v3.6.9", "etcd v3.6.9 does not read"),
    ],
)
def test_what_kubernetes_does_not_support_is_refused(kubernetes: str, etcd: str, why: str, ground: Ground) -> None:
    ground.backed_up()
    ground.refuses(ground.bundle(2, kubernetes, etcd), f"cannot take over this site: .*{why}")


@pytest.mark.parametrize(("kubernetes", "etcd"), [("v1.37.0", "v3.7.3"), ("v1.36.3", "v3.7.4")])
def test_what_does_not_come_back_waits_for_a_backup_and_is_refused_afterwards(
    kubernetes: str, etcd: str, ground: Ground
) -> None:
    bundle = ground.bundle(2, kubernetes, etcd)
    hint = ground.refuses(bundle, "could not return|does not go back").hint
    assert "backup create" in str(hint)
    ground.backed_up()
    ground.go(bundle)
    before = tree(ground.paths.root)
    with pytest.raises(RefusedError, match="cannot be gone back to"):
        ground.back("1.0.0")
    assert tree(ground.paths.root) == before
    assert ground.runs.ran == ["preflight.yml", *WAY]


def test_a_release_that_cannot_read_the_data_is_not_gone_back_to(ground: Ground) -> None:
    ground.backed_up()
    ground.go(ground.bundle(2, "v1.36.3", revisions=(*FIRST, "r0002_second_tables")))
    assert rollback.returns(ground.paths)[0].refusal is not None
    with pytest.raises(UsageError, match="no release to go back to"):
        ground.back()


def test_install_with_another_bundle_says_upgrade_and_changes_nothing(ground: Ground) -> None:
    bundle, before = ground.bundle(2, "v1.36.3"), tree(ground.paths.root)
    with pytest.raises(UsageError, match=r"runs release 1\.0\.0, and the bundle brings 2\.0\.0") as refused:
        ground.install(bundle)
    assert "sovereign upgrade" in str(refused.value.hint)
    assert tree(ground.paths.root) == before
    assert ground.runs.ran == []


def test_a_bundle_that_was_changed_on_its_medium_touches_no_host(ground: Ground) -> None:
    bundle = ground.bundle(2, "v1.36.3")
    plan = ground.may(bundle)
    blob = max((bundle / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    before = tree(ground.paths.root)
    with pytest.raises(VerificationError):
        upgrade.upgrade(
            ground.paths,
            Request(bundle, None, None),
            plan,
            watch=_quiet,
            progress=_silent,
            passphrase=lambda: b"",
        )
    assert tree(ground.paths.root) == before
    assert ground.runs.ran == []


def test_another_site_s_file_is_refused(ground: Ground) -> None:
    site = yaml.safe_load((ground.folder / "site.yaml").read_text())
    (ground.folder / "other.yaml").write_text(yaml.safe_dump(site | {"name": "another"}))
    request = Request(ground.bundle(2, "v1.36.3"), ground.folder / "other.yaml", None)
    with pytest.raises(UsageError, match="this site is named s"):
        upgrade.may_upgrade(ground.paths, request)


@pytest.mark.parametrize(
    ("of_site", "of_assistant", "kind", "why"),
    [
        ({"name": "another"}, {}, UsageError, "this site is named s"),
        ({}, {"instructions": "Be strict."}, GateRefusedError, "staff: the site's instructions"),
    ],
)
def test_a_dry_run_asks_of_the_site_file_what_the_upgrade_asks_before_it_shows_what_would_change(  # noqa: PLR0913, PLR0917 - pytest gives them by name
    ground: Ground,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    of_site: dict[str, Any],
    of_assistant: dict[str, Any],
    kind: type[SovereignError],
    why: str,
) -> None:
    assistant = {"hostname": "assistant.example", "models": [{"name": "small"}], "groups": [{"name": "staff"}]}
    here, other = ground.folder / "site.yaml", ground.folder / "other.yaml"
    site = yaml.safe_load(here.read_text()) | {"assistant": assistant}
    here.write_text(yaml.safe_dump(site))
    other.write_text(yaml.safe_dump(site | of_site | {"assistant": assistant | of_assistant}))
    files = installing.read_site(here).files
    assert files is not None
    decided(ground.paths, files.config, ("staff",), None, passed=True)
    whole = SimpleNamespace(ok=True, failure=None, to_json=dict)
    monkeypatch.setattr(cluster_change, "inspect", lambda *_: whole)
    monkeypatch.setattr(cluster_change, "next_pod", lambda *_, **__: None)
    bundle, before = ground.bundle(2, "v1.36.3"), tree(ground.paths.root)

    def rehearse(file: Path) -> None:
        answers = cluster_change.Answers(None, yes=False, dry_run=True)
        cluster_change.upgrade_cluster(ground.paths, Request(bundle, file, None), OutputFormat.json, answers)

    rehearse(here)
    assert '"after": "v1.36.3"' in capsys.readouterr().out
    with pytest.raises(kind, match=why):
        rehearse(other)
    assert not capsys.readouterr().out
    with pytest.raises(kind, match=why):
        upgrade.may_upgrade(ground.paths, Request(bundle, other, None))
    assert tree(ground.paths.root) == before
