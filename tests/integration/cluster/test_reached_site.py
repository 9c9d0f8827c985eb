"""Commands find a cluster's site as they find a host's: by its sockets, through its hosts; nobody else is asked."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from appliance.audit.checkpoint import read_vkeys
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.events_operation import admin_change
from appliance.audit.keys import CheckpointKeys
from appliance.audit.roles import OPERATOR
from appliance.audit.verify import verify_log
from appliance.cli import audit_names, reached
from appliance.cli.cluster_entry import enter_change, failing
from appliance.cli.main import app
from appliance.cluster.assistant_warnings import assistant_warnings
from appliance.cluster.backup.databases import PORT
from appliance.cluster.install import Installed
from appliance.cluster.memory_status import cluster_memory_status
from appliance.cluster.reached import reached_site
from appliance.errors import DeploymentError, LogInconsistentError, NotAllowedError, UsageError
from appliance.install.backup.mark import write_mark
from appliance.install.decisions import demand_log, installed
from appliance.install.release_description import active_version
from appliance.install.steps.secrets import VKEYS
from appliance.packs.record import write_record
from appliance.site.load import load_site
from appliance.site.paths import AUDIT, DATABASE, GATEWAY, SitePaths, engine_service
from tests.pretended_hosts import POD_UID
from tests.unit.cluster.test_packs import PODS, pod, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.cluster.desk import Desk

VOLUME = f"/var/lib/kubelet/pods/{POD_UID}/volumes/kubernetes.io~empty-dir/"


@pytest.fixture
def site(desk: Desk) -> Desk:
    """The desk of a cluster that serves, with a gateway's pod."""
    described = desk.known.described.pods
    desk.paths.pods_yaml.write_bytes(described.model_dump_json(by_alias=True, exclude_none=True).encode())
    desk.hosts.answers[PODS] = told(pod())
    desk.hosts.places[f"{VOLUME}engine-small"] = str(desk.folder / "engine-small")
    desk.hosts.places[f"{VOLUME}engine-other-v2"] = str(desk.folder / "engine-other-v2")
    return desk


@contextmanager
def answering(path: Path, said: bytes) -> Iterator[list[bytes]]:
    """A Unix socket that answers each connection with ``said``; what was asked."""
    path.parent.mkdir(exist_ok=True)
    listener, asked = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), list[bytes]()
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(said)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield asked
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def as_json(value: Any) -> bytes:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


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


def test_while_a_restore_is_under_way_nothing_is_within_reach(site: Desk) -> None:
    pair = site.back_up()
    write_mark(site.paths, pair.main.digest)
    with pytest.raises(UsageError), reached_site(site.paths, site.hosts.enter):
        pass


@pytest.fixture
def command(site: Desk, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command at the desk."""
    monkeypatch.setattr(reached, "reached_site", partial(reached_site, enter=site.hosts.enter))

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["--site", str(site.paths.root), *arguments], catch_exceptions=True)

    return run


def test_a_report_of_a_cluster_s_own_log_says_in_it_that_somebody_looked(
    site: Desk, command: Any, tmp_path: Path
) -> None:
    done = command("audit", "report", "--cache", str(tmp_path / "figures"), "--output", "json")
    assert done.exit_code == 0, done.exception
    with reached_site(site.paths, site.hosts.enter) as found:
        entries = b"".join(path.read_bytes() for path in found.copy_log().rglob("*") if path.is_file())
    assert b"audit_log" in entries


def test_names_are_asked_of_keycloak_once_the_log_has_it(
    site: Desk, command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[SitePaths] = []

    @contextmanager
    def keycloak(paths: SitePaths, _fd: int | None) -> Iterator[None]:
        asked.append(paths)
        yield None

    monkeypatch.setattr(audit_names, "keycloak", keycloak)
    monkeypatch.setattr(audit_names, "every_account", lambda _: iter(()))
    done = command("audit", "report", "--cache", str(tmp_path / "figures"), "--output", "json", "--names")
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout)["names"] == {}
    assert len(asked) == 1
    site.hosts.answers["python3 -c"], site.hosts.codes["python3 -c"] = "", 1  # no socket leads anywhere
    assert site.hosts.enter  # they are told
    refused = command("audit", "report", "--cache", str(tmp_path / "figures"), "--output", "json", "--names")
    assert isinstance(refused.exception, (AuditUnavailableError, DeploymentError, NotAllowedError))
    assert len(asked) == 1


def test_the_gateway_s_own_port_is_reached_at_its_pod_s_address(site: Desk) -> None:
    site.hosts.answers["10.88.0.7 9208"] = as_json({}).decode()
    with (
        reached_site(site.paths, site.hosts.enter) as found,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking,
    ):
        asking.connect(str(found.socket(GATEWAY)))
        assert asking.recv(15) == b"HTTP/1.1 200 OK"
    assert [address for address, line in site.hosts.calls if "9208" in line] == ["10.77.0.12"]


def test_status_warns_of_nights_that_never_were_and_of_groups_that_nobody_answers(site: Desk) -> None:
    now = datetime.now(UTC)
    assert assistant_warnings(site.paths, now, enter=site.hosts.enter) == ()
    config = load_site(site.paths.pods_yaml)
    group = config.groups[0].model_copy(update={"brief": True})
    told = config.model_copy(update={"groups": (group,)})
    site.paths.pods_yaml.write_bytes(told.model_dump_json(by_alias=True, exclude_none=True).encode())
    write_record(site.paths.packs, {"staff": "none"})
    refused = {"staff": {"pack": None, "refused": "the record says nothing and the database says none"}}
    site.hosts.answers["10.88.0.7 9208"] = as_json(refused).decode()
    never, unanswered = assistant_warnings(site.paths, now, enter=site.hosts.enter)
    assert "never compiled" in never
    assert unanswered.startswith("people of staff are not answered")


def entries(site: Desk) -> list[dict[str, Any]]:
    """The log's entries, from its writer."""
    seen: list[dict[str, Any]] = []
    with reached_site(site.paths, site.hosts.enter) as found:
        verify_log(
            found.copy_log(),
            vkeys=read_vkeys(site.paths.policies / VKEYS),
            visit=lambda _, raw: seen.extend(map(json.loads, raw)),
        )
    return seen


def steps(site: Desk) -> list[tuple[str, str]]:
    """Steps of changes of the cluster in the log, with what came of each."""
    found = [one for one in entries(site) if one["unmapped"]["sovereign"]["kind"] == "install_step"]
    return [(one["unmapped"]["sovereign"]["step"], one["status"]) for one in found]


def test_an_upgrade_is_an_entry_and_one_that_changed_nothing_is_none(site: Desk) -> None:
    done = Installed("1.1.0", ("builder",), {"node1": 4, "node2": 0}, "10.77.0.11:6443", "https://assistant.example")
    assert enter_change(site.paths, "upgrade", done, enter=site.hosts.enter) is None
    nothing = replace(done, changed={"node1": 0, "node2": 0})
    assert enter_change(site.paths, "install", nothing, enter=site.hosts.enter) is None
    assert steps(site) == [("cluster-upgrade", "Success")]


def test_what_the_log_could_not_be_told_is_entered_with_what_is_next(site: Desk) -> None:
    done = Installed("1.1.0", ("builder",), {"node1": 4}, "10.77.0.11:6443", "https://assistant.example")
    with (
        pytest.raises(DeploymentError, match="disk full"),
        failing(site.paths, "upgrade"),
    ):
        raise DeploymentError("node2: images: disk full")
    site.hosts.answers["get pod"], site.hosts.codes["get pod"] = "", 255
    assert enter_change(site.paths, "upgrade", done, enter=site.hosts.enter) is not None
    del site.hosts.answers["get pod"], site.hosts.codes["get pod"]
    assert enter_change(site.paths, "rollback", done, enter=site.hosts.enter) is None
    assert steps(site) == [
        ("cluster-upgrade", "Failure"),
        ("cluster-upgrade", "Success"),
        ("cluster-rollback", "Success"),
    ]
