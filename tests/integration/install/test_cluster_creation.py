"""A real PostgreSQL cluster: made without ever being open, kept when there is data in it."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from appliance.errors import DeploymentError
from appliance.identity.schema import initial_schema
from appliance.install.backup.dumps import Server
from appliance.install.database import cluster, create_cluster, postgres_bin
from appliance.install.probe import Probe, answers
from appliance.install.process import Account
from appliance.site.paths import SitePaths
from tests.integration.processes import KEYCLOAK_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

ENV = Path(sys.prefix)
PASSWORDS = {"postgres": b"su", "keycloak": b"kc", "gateway": b'it\'s \\ a "pass" word'}
PORT = 5432  # of the Unix socket's name: no TCP here


@pytest.fixture
def account() -> Account:
    entry = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    return Account(entry.pw_uid, entry.pw_gid)


@pytest.fixture
def paths(account: Account) -> Iterator[SitePaths]:
    """Below /tmp itself: pytest's folders are closed to the account."""
    with tempfile.TemporaryDirectory(prefix="site-") as folder:
        Path(folder).chmod(0o755)
        found = SitePaths(Path(folder))
        for path in (found.data("database"), Path(folder, "sock")):
            path.mkdir(parents=True)
            os.chown(path, account.uid, account.gid)
        yield found


@contextmanager
def running(paths: SitePaths, account: Account) -> Iterator[str]:
    """The cluster, served on a Unix socket only; its socket folder."""
    sockets = paths.root / "sock"
    argv = [postgres_bin(ENV) / "postgres", "-D", cluster(paths), "-k", sockets, "-c", "listen_addresses="]
    root = os.geteuid() == 0
    server = subprocess.Popen(
        argv,
        user=account.uid if root else None,
        group=account.gid if root else None,
        extra_groups=[] if root else None,
        cwd="/",
        stderr=subprocess.DEVNULL,
    )
    try:
        probe = Probe("postgres", str(sockets / f".s.PGSQL.{PORT}"))
        deadline = time.monotonic() + 60
        while not answers(probe):
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield str(sockets)
    finally:
        server.send_signal(2)
        server.wait(60)


def connect(host: str, user: str, database: str, password: bytes) -> psycopg.Connection:
    return psycopg.connect(host=host, port=PORT, user=user, dbname=database, password=password.decode())


def test_each_role_reaches_its_own_database_by_password_only(paths: SitePaths, account: Account) -> None:
    create_cluster(paths, ENV, account, PASSWORDS)
    with running(paths, account) as host:
        with connect(host, "gateway", "sovereign", PASSWORDS["gateway"]) as db:
            db.execute("create table t (x int)")
            db.execute("create table v (x vector)")  # the extension is there, which the gateway may not make
        for user, database, password in (
            ("gateway", "sovereign", b"wrong"),
            ("gateway", "keycloak", PASSWORDS["gateway"]),
            ("keycloak", "keycloak", PASSWORDS["keycloak"]),  # Keycloak comes by loopback, never by the socket
            ("postgres", "sovereign", b"wrong"),
        ):
            with pytest.raises(psycopg.OperationalError):
                connect(host, user, database, password)


def test_a_second_run_keeps_the_data_and_sets_the_passwords(paths: SitePaths, account: Account) -> None:
    create_cluster(paths, ENV, account, PASSWORDS)
    with running(paths, account) as host, connect(host, "gateway", "sovereign", PASSWORDS["gateway"]) as db:
        db.execute("create table kept (x int)")
    create_cluster(paths, ENV, account, {**PASSWORDS, "gateway": b"new"})
    with running(paths, account) as host, connect(host, "gateway", "sovereign", b"new") as db:
        db.execute("select * from kept")


def test_what_is_dumped_of_a_new_cluster_comes_back_into_a_database_made_anew(
    paths: SitePaths, account: Account, tmp_path: Path
) -> None:
    """Vectors too: their extension is in no dump, since it was made before a server ran."""
    create_cluster(paths, ENV, account, PASSWORDS)
    (tmp_path / "pgpass").touch(mode=0o600)
    (tmp_path / "pgpass").write_bytes(b"*:*:*:postgres:" + PASSWORDS["postgres"])
    with running(paths, account) as host:
        there = ("--host", host, "--port", str(PORT), "--username", "postgres", "--no-password")
        server = Server(postgres_bin(ENV), there, tmp_path / "pgpass")
        with connect(host, "gateway", "sovereign", PASSWORDS["gateway"]) as db:
            db.execute("create table kept (x int, v halfvec)")
            db.execute("insert into kept values (7, '[1,2]')")
        with (tmp_path / "dump").open("wb") as out:
            server.dump("sovereign", (), out)
        for _ in range(2):  # a restore that was broken off begins again
            server.empty("sovereign")
            with (tmp_path / "dump").open("rb") as dump:
                server.load("sovereign", dump)
        with connect(host, "gateway", "sovereign", PASSWORDS["gateway"]) as db:
            assert db.execute("select x, v::text from kept").fetchall() == [(7, "[1,2]")]
        with (tmp_path / "dump").open("wb") as out:
            server.dump("sovereign", (), out)  # of a database that a running server made: it names the extension
        server.empty("sovereign")
        with (tmp_path / "dump").open("rb") as dump:
            server.load("sovereign", dump)


def test_a_new_cluster_gets_keycloaks_schema_owned_by_its_role(paths: SitePaths, account: Account) -> None:
    statements = initial_schema(KEYCLOAK_VERSION)
    create_cluster(paths, ENV, account, PASSWORDS, {"keycloak": statements})
    count = "select tableowner, count(*) from pg_tables where schemaname = 'public' group by 1"
    with running(paths, account) as host, connect(host, "postgres", "postgres", PASSWORDS["postgres"]) as db:
        assert db.execute(count).fetchall() == []
    with running(paths, account) as host, connect(host, "postgres", "keycloak", PASSWORDS["postgres"]) as db:
        assert db.execute(count).fetchall() == [("keycloak", sum(s.startswith("CREATE TABLE") for s in statements))]


def test_a_schema_that_fails_leaves_no_cluster_at_all(paths: SitePaths, account: Account) -> None:
    with pytest.raises(DeploymentError, match="syntax error"):
        create_cluster(paths, ENV, account, PASSWORDS, {"keycloak": ("CREATE TABLE t (x int);", "CREATE TABLE t;")})
    assert not cluster(paths).exists()


def test_a_half_made_cluster_of_a_crashed_run_is_made_anew(paths: SitePaths, account: Account) -> None:
    half = cluster(paths).with_name("pg.partial")
    half.mkdir()
    (half / "PG_VERSION").write_text("junk")
    create_cluster(paths, ENV, account, PASSWORDS)
    assert not half.exists()
    assert (cluster(paths) / "pg_hba.conf").read_text().count("trust") == 0


def test_a_cluster_that_is_being_served_is_left_alone(paths: SitePaths, account: Account) -> None:
    create_cluster(paths, ENV, account, PASSWORDS)
    with running(paths, account), pytest.raises(DeploymentError, match="postgres failed"):
        create_cluster(paths, ENV, account, PASSWORDS)


def test_no_password_is_on_the_disk(paths: SitePaths, account: Account) -> None:
    secret = b"a-password-that-is-easy-to-find"
    create_cluster(paths, ENV, account, {**PASSWORDS, "gateway": secret})
    assert all(secret not in p.read_bytes() for p in cluster(paths).rglob("*") if p.is_file())
