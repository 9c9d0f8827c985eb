"""The site's databases as streams: dumped from the running server, and put into one that was made for it.

The server is reached through its Unix socket, by its superuser, whose password lies in a file (libpq's PGPASSFILE, 0600
on the runtime file system) for as long as that takes: neither argv nor the environment shows it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.errors import DeploymentError, UnavailableError
from appliance.install.database import DATABASES, EXTENSIONS, SUPERUSER, postgres_bin, restoring
from appliance.install.probe import answers
from appliance.install.process import drain, feed, run
from appliance.install.services import postgres_probe
from appliance.install.vault import SUPERUSER_PASSWORD
from appliance.site.paths import DATABASE
from appliance.site.secrets import write_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths
    from appliance.site.secrets import SecretStore

IDENTITY_DATABASE, GATEWAY_DATABASE = "keycloak", "sovereign"
PEOPLES_KEYS = "user_key"
WITHOUT_SESSIONS = ("--exclude-table-data=session", "--exclude-table-data=logout_replay")
"""Of the gateway's database: whoever was signed in signs in again."""
WITHOUT_SIGN_INS = ("--exclude-table-data=offline_user_session", "--exclude-table-data=offline_client_session")
"""Of Keycloak's database, likewise; both kinds of its sessions lie in these tables."""
_HOURS = 6 * 3600.0


@dataclass(frozen=True)
class Server:
    """The running server, its programs, and how the superuser gets in."""

    programs: Path
    arguments: tuple[str, ...]
    password_file: Path

    def dump(self, database: str, options: Sequence[str], sink: BinaryIO) -> None:
        """Write ``database`` in pg_dump's own format to ``sink``, one consistent state of it."""
        argv = [str(self.programs / "pg_dump"), *self.arguments, "--format=custom", *options, database]
        drain(argv, sink, env=self._environment(), timeout_s=_HOURS)

    def empty(self, database: str) -> None:
        """Make ``database`` anew, as the installation does: its owner's, closed to everybody else, with its extensions.

        Dumps have none of those: what the installation makes before a server runs, pg_dump takes for PostgreSQL's own.
        """
        owner = DATABASES[database]
        statements = (
            f"DROP DATABASE IF EXISTS {database} WITH (FORCE);",
            f"CREATE DATABASE {database} OWNER {owner};",
            f"REVOKE ALL ON DATABASE {database} FROM PUBLIC;",
        )
        argv = [str(self.programs / "psql"), *self.arguments, "--set=ON_ERROR_STOP=1", "--quiet", "--no-psqlrc"]
        for where, lines in (("postgres", statements), (database, EXTENSIONS.get(database, ()))):
            run([*argv, where], stdin="\n".join(lines).encode(), env=self._environment())

    def load(self, database: str, source: BinaryIO, options: Sequence[str] = ()) -> None:
        """Put what ``dump`` wrote into ``database``: all of it or nothing."""
        argv = [str(self.programs / "pg_restore"), *self.arguments, "--exit-on-error", "--single-transaction"]
        feed([*argv, *options, f"--dbname={restoring(database)}"], source, env=self._environment(), timeout_s=_HOURS)

    def _environment(self) -> dict[str, str]:
        return {"PGPASSFILE": str(self.password_file)}


@contextmanager
def server(config: SiteConfig, paths: SitePaths, store: SecretStore) -> Iterator[Server]:
    """The site's running server. Raises ``UnavailableError`` when it does not answer."""
    if not answers(postgres_probe(config, paths)):
        raise UnavailableError("the database does not answer", "run `sovereign up`")
    entry = paths.run / "backup.pgpass"
    try:
        write_private(entry, b"*:*:*:" + SUPERUSER.encode() + b":" + store.get(SUPERUSER_PASSWORD) + b"\n")
    except OSError as error:
        raise DeploymentError(f"{entry} cannot be written: {error.strerror}") from error
    try:
        where = ("--host", str(paths.run / DATABASE), "--port", str(config.listen.database_port))
        yield Server(postgres_bin(paths.env), (*where, "--username", SUPERUSER, "--no-password"), entry)
    finally:
        entry.unlink(missing_ok=True)
