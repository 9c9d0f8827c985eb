"""The way back from a cluster's backup, with everything real but Kubernetes: order, refusals, interruptions."""

from __future__ import annotations

import base64
import json
import shutil
from typing import TYPE_CHECKING

import pytest
import yaml

from appliance.audit.verify import verify_log
from appliance.cluster.backup import restoring
from appliance.cluster.backup.creating import create_backup
from appliance.cluster.backup.lost_host import lost_host
from appliance.cluster.backup.site_part import lay_out_given, lay_out_snapshot
from appliance.cluster.state import ClusterState, read_state, write_state
from appliance.errors import DeploymentError, RefusedError, UsageError
from appliance.install.backup import statement
from appliance.install.backup.restoring import restore as restore_on_a_host
from appliance.install.exchange_record import Sent, read_sent, write_sent
from appliance.install.pack_record import last_choices, note
from appliance.install.vault import Vault
from appliance.packs.record import write_record
from tests.audit.bench import Bench
from tests.audit.later import erasure
from tests.integration.cluster.desk import Desk, Return, quiet, tree

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.install.backup.restoring import Pair


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


def test_packs_come_back_with_what_was_decided_about_them_and_what_left_of_the_learning(
    desk: Desk, way_back: Return
) -> None:
    digest = f"sha256:{64 * 'a'}"
    write_record(desk.paths.packs, {"staff": digest})
    note(desk.paths, "use", "done", digest, {"group": "staff"})
    write_sent(desk.paths.exchange, Sent(3, digest))
    way_back.restore(desk.back_up())
    assert tree(way_back.paths.packs) == tree(desk.paths.packs)
    assert last_choices(way_back.paths) == {"staff": digest}
    assert read_sent(way_back.paths.exchange).number == 3


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


def test_whom_an_interrupted_run_has_entered_already_the_next_one_counts_as_logged(
    desk: Desk, way_back: Return
) -> None:
    """Else a colleague's run would enter the same under another name, and the log refuse that each time."""
    pair = desk.back_up()

    def enter_and_fail(*_: object) -> int:
        log = Bench(way_back.hosts.folder / "state/volumes/audit/log", desk.log.keys, desk.log.origin)
        log.open().append([erasure("erased-later")])
        log.close()
        raise DeploymentError("the machine went down")

    with pytest.raises(DeploymentError, match="went down"):
        way_back.restore(pair, erase=enter_and_fail)
    way_back.restore(pair)
    assert way_back.erased == [(frozenset({"erased-before"}), frozenset({"erased-before", "erased-later"}))]


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
            erase=lambda _context, _people, _later: 0,
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


@pytest.mark.parametrize(
    ("node1", "until"), [("10.77.0.11", "until this restore has ended"), ("10.77.0.21", "for good")]
)
def test_a_lost_host_of_the_state_that_is_left_out_is_to_be_kept_off(desk: Desk, node1: str, until: str) -> None:
    pair = desk.back_up()
    assert lost_host(pair, desk.opened(), desk.config) is None
    lost = lost_host(pair, desk.opened(), elsewhere(desk, [node1], "10.77.0.13"))
    assert lost is not None
    assert f"keep node2 (10.77.0.12) switched off {until}" in str(lost)


def test_with_a_control_plane_of_three_nothing_is_asked_of_a_lost_host(desk: Desk) -> None:
    members = ["10.77.0.11", "10.77.0.31", "10.77.0.32"]
    was = desk.config.read_bytes()
    desk.config.write_bytes(elsewhere(desk, members, "10.77.0.12").read_bytes())
    pair = desk.back_up()
    assert lost_host(pair, desk.opened(), elsewhere(desk, members, "10.77.0.13")) is None
    desk.config.write_bytes(was)


def elsewhere(desk: Desk, members: list[str], state: str) -> Path:
    """The site file with these addresses for the control plane, and that one for the host of the state."""
    site = yaml.safe_load(desk.config.read_text())
    names = ("node1", "node3", "node4")
    hosts = [{"name": n, "address": a, "role": "control-plane"} for n, a in zip(names, members, strict=False)]
    site["cluster"]["hosts"] = [*hosts, {"name": "node2", "address": state}]
    if len(members) > 1:
        site["cluster"]["endpoint"] = "10.77.0.9"
    made = desk.config.with_name("elsewhere.yaml")
    made.write_text(yaml.safe_dump(site))
    return made
