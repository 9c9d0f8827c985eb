"""Keycloak's empty database as SQL: `python -m tests.integration.keycloak_schema` writes what the installer lays down.

What is written is PostgreSQL's own dump of what Keycloak's own migrations made, one statement to a line, without what
differs from run to run. `test_schema_real.py` compares it with the database of the running Keycloak.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from appliance.identity import schema
from tests.integration import processes
from tests.integration.keycloak_site import running_site

if TYPE_CHECKING:
    from tests.integration.keycloak_site import KeycloakSite

HISTORY = "databasechangelog"
_NOISE = ("--", "\\", "SET ", "SELECT pg_catalog.set_config")
_TIME = re.compile(r"'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?'")
_DEPLOYMENT = re.compile(r"'\d{10}'\);$")


def dump(site: KeycloakSite) -> str:
    """Every table, index and constraint, then Liquibase's record of the changes that are in them."""
    structure = _pg_dump(site, "--schema-only")
    history = _pg_dump(site, "--data-only", "--inserts", f"--table={HISTORY}", f"--table={HISTORY}lock")
    lines = (*_statements(structure), *sorted(map(_timeless, _statements(history)), key=_order))
    return "".join(f"{line}\n" for line in lines)


def _pg_dump(site: KeycloakSite, *options: str) -> str:
    environment = {"PGPASSWORD": processes.DATABASE_PASSWORD, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    where = ("-h", "127.0.0.1", "-p", str(site.config.listen.database_port), "-U", schema.ROLE, "-d", schema.DATABASE)
    argv = (str(processes.POSTGRESQL / "pg_dump"), "--no-owner", "--no-privileges", *options, *where)
    return subprocess.run(argv, env=environment, check=True, capture_output=True, text=True).stdout


def _statements(text: str) -> list[str]:
    """The statements of a dump, each on one line, without the session's settings."""
    kept = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(_NOISE)]
    joined = re.sub(r"(?<!;)\n", " ", "\n".join(kept))
    return joined.replace("( ", "(").replace(" );", ");").splitlines()


def _timeless(statement: str) -> str:
    return _DEPLOYMENT.sub("'0000000000');", _TIME.sub("now()", statement))


def _order(statement: str) -> tuple[int, str]:
    """Place of a change in Liquibase's order."""
    found = re.search(r"now\(\), (\d+),", statement)
    return (int(found.group(1)), statement) if found else (0, statement)


def main() -> None:
    """Make the database with Keycloak's migrations, and write its dump into the appliance."""
    shutil.rmtree(processes.keycloak_files().database, ignore_errors=True)
    with running_site() as site:
        path = schema.FOLDER / f"{processes.KEYCLOAK_VERSION}.sql"
        path.write_text(dump(site))
    sys.stdout.write(f"{os.path.relpath(path)}\n")


if __name__ == "__main__":
    main()
