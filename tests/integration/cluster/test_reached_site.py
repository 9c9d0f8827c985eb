"""Commands find a cluster's site as they find a host's: by its sockets, through its hosts; nobody else is asked."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.events_operation import admin_change
from appliance.audit.keys import CheckpointKeys
from appliance.audit.roles import OPERATOR
from appliance.cluster.backup.databases import PORT
from appliance.cluster.computing import Computing, computing
from appliance.cluster.memory_status import cluster_memory_status
from appliance.cluster.packs import publish
from appliance.cluster.reached import reached_site
from appliance.errors import DeploymentError, LogInconsistentError, UsageError
from appliance.install.backup.mark import write_mark
from appliance.install.decisions import demand_log, installed
from appliance.install.release_description import active_version
from appliance.install.steps.secrets import VKEYS
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, engine_service
from tests.integration.cluster.reaching import answering, as_json, site
from tests.unit.cluster.test_packs import PODS, told

if TYPE_CHECKING:
    from tests.integration.cluster.desk import Desk

__all__ = ["site"]


def test_a_site_within_reach_is_the_one_that_pods_read_in_the_release_in_force(site: Desk) -> None:
    with reached_site(site.paths, site.hosts.enter) as found:
        assert installed(found) == load_site(site.paths.pods_yaml)
        assert active_version(found) == "1.0.0"
        assert found.packs == site.paths.packs
        folder = found.here
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    assert site.hosts.calls == []  # nothing was asked for, so nobody was


def test_an_entry_goes_to_the_running_log_and_a_copy_of_it_is_judged(site: Desk) -> None:
    event = admin_change(actor="uid 0", action="create", kind="user", target="users")
    with reached_site(site.paths, site.hosts.enter) as found:
        demand_log(installed(found), found)
        with SyncAuditClient(found.socket(AUDIT)) as audit:
            audit.append(event, id=OPERATOR.id("user", "once more"))
        copied = found.copy_log()
        assert (copied / "checkpoint").read_text().startswith("sovereign/lab\n")
    assert not copied.exists()
    assert {address for address, _ in site.hosts.calls} == {"10.77.0.11", "10.77.0.12"}


def test_a_log_that_is_not_the_site_s_is_not_read(site: Desk) -> None:
    others = CheckpointKeys.generate().vkeys("sovereign/lab")
    (site.paths.policies / VKEYS).write_text("".join(f"{key.encode()}\n" for key in others))
    with reached_site(site.paths, site.hosts.enter) as found:
        with pytest.raises((LogInconsistentError, DeploymentError)):
            found.copy_log()
        assert not any(path.is_dir() for path in found.here.glob("log-*"))


def test_the_database_and_an_engine_are_where_a_host_has_them(site: Desk) -> None:
    name = f".s.PGSQL.{PORT}"
    assert load_site(site.paths.pods_yaml).listen.database_port == PORT
    with (
        answering(site.folder / name, b"database") as rows,
        answering(site.folder / "engine-other-v2/sock", b"engine") as prompts,
        reached_site(site.paths, site.hosts.enter) as found,
    ):
        for place, word in (
            (found.socket(DATABASE).with_name(name), b"database"),
            (found.socket(engine_service("other.v2")), b"engine"),
        ):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
                asking.connect(str(place))
                asking.sendall(b"asked")
                assert asking.recv(100) == word
    assert (rows, prompts) == ([b"asked"], [b"asked"])


def test_memory_status_tells_of_engines_that_answer_and_does_not_take_silence_for_nothing(site: Desk) -> None:
    held = {"nonsense": True}
    with (
        answering(site.folder / "engine-small/sock", as_json(held)),
        reached_site(site.paths, site.hosts.enter) as found,
    ):
        status = cluster_memory_status(found)
    shown = {engine.model: (engine.state, engine.reason) for engine in status.hierarchy.engines}
    assert shown["small"] == ("not_known", "what it says of its memory lacks a part")
    assert shown["other.v2"][0] == "not_known"
    assert (status.up, status.ok) == (True, False)


def test_status_says_with_what_each_engine_computes_and_believes_no_invention(site: Desk) -> None:
    with (
        answering(site.folder / "engine-small/sock", as_json({"variant": "haswell"})),
        answering(site.folder / "engine-other-v2/sock", as_json({"variant": "\x1b[31mfaster", "device": "a GPU"})),
    ):
        found = computing(site.paths, site.hosts.enter)
    assert found == (Computing("engine-small", "haswell", None), Computing("engine-other.v2", None, None))


def test_an_engine_that_is_silent_says_nothing_and_without_a_gateway_nobody_is_asked(site: Desk) -> None:
    silent = computing(site.paths, site.hosts.enter)
    assert [(one.engine, one.variant) for one in silent] == [("engine-small", None), ("engine-other.v2", None)]
    site.hosts.answers[PODS] = told()
    assert computing(site.paths, site.hosts.enter) == ()


def test_where_no_gateway_runs_nobody_is_asked_and_the_site_is_not_up(site: Desk) -> None:
    site.hosts.answers[PODS] = told()
    with reached_site(site.paths, site.hosts.enter) as found:
        status = cluster_memory_status(found)
    assert (status.up, [engine.state for engine in status.hierarchy.engines]) == (False, ["not_running"] * 2)


def test_a_host_that_cannot_be_entered_is_no_answer_and_no_hang(site: Desk) -> None:
    site.hosts.answers["get pod"], site.hosts.codes["get pod"] = "", 255
    with reached_site(site.paths, site.hosts.enter) as found, SyncAuditClient(found.socket(AUDIT)) as audit:
        with pytest.raises(AuditUnavailableError):
            audit.checkpoint()
        with pytest.raises(DeploymentError, match="what is not logged is not done"):
            demand_log(installed(found), found)


def test_hosts_that_were_installed_from_elsewhere_since_are_told_and_given_nothing(site: Desk) -> None:
    event = admin_change(actor="uid 0", action="create", kind="user", target="users")
    before = site.log.verify().head
    (site.hosts.folder / "site.json").write_text('{"id": "another site\'s", "name": "lab"}')
    site.hosts.answers["apply --server-side"] = "applied"
    with (
        answering(site.folder / f".s.PGSQL.{PORT}", b"database") as rows,
        reached_site(site.paths, site.hosts.enter) as found,
    ):
        with pytest.raises(AuditUnavailableError), SyncAuditClient(found.socket(AUDIT)) as audit:
            audit.append(event, id=OPERATOR.id("user", "of another site"))
        with pytest.raises(DeploymentError, match="does not bear the mark of this site"):
            publish(found.reach, found.packs)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.connect(str(found.socket(DATABASE).with_name(f".s.PGSQL.{PORT}")))
            assert asking.recv(100) == b""
    assert (rows, site.log.verify().head) == ([], before)


def test_while_a_restore_is_under_way_nothing_is_within_reach(site: Desk) -> None:
    pair = site.back_up()
    write_mark(site.paths, pair.main.digest)
    with pytest.raises(UsageError), reached_site(site.paths, site.hosts.enter):
        pass


def test_the_gateway_s_own_port_is_reached_at_its_pod_s_address(site: Desk) -> None:
    site.hosts.answers["10.88.0.7 9208"] = as_json({}).decode()
    with (
        reached_site(site.paths, site.hosts.enter) as found,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking,
    ):
        asking.connect(str(found.socket(GATEWAY)))
        assert asking.recv(15) == b"HTTP/1.1 200 OK"
    assert [address for address, line in site.hosts.calls if "9208" in line] == ["10.77.0.12"]
