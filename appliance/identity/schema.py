"""Keycloak's empty database, ready made: the schema that its migrations would make at the first start.

Applying 210 changes one by one costs Keycloak's first start some 15 s of one core; the result is always the same. So
the installer lays it down with the database. Keycloak checks it: its record of changes carries their checksums, and a
start compares each with its own changes, adds what is missing and refuses what differs. A Keycloak of another version
than those in `schemas/` finds an empty database, and makes its schema itself.
"""

from __future__ import annotations

from pathlib import Path

from appliance.identity.keycloak_server import DATABASE, ROLE

__all__ = ["DATABASE", "FOLDER", "ROLE", "initial_schema"]

FOLDER = Path(__file__).parent / "schemas"


def initial_schema(version: str) -> tuple[str, ...]:
    """SQL statements, each on one line, that make the database of Keycloak ``version``; none for an unknown one."""
    known = {path.stem: path for path in FOLDER.glob("*.sql")}
    return tuple(known[version].read_text().splitlines()) if version in known else ()
