"""What a release changes at a site: which artifacts, and whether the one before it could read the data afterwards.

Data do not go back: Keycloak migrates its database at its first start of a version, and the gateway's has its own
revisions. So a release may return only where it is of the same Keycloak and knows every revision. PostgreSQL of
another major version reads the data neither way.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from appliance.errors import RefusedError
from appliance.install.postgres_version import WHEEL as POSTGRES
from appliance.install.postgres_version import cannot_read, major_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airgap_bundle.digest import Digest
    from airgap_bundle.oci import Contents
    from airgap_bundle.store import VerifiedRelease

MAX_WHEEL_BYTES = 64 * 1024 * 1024
_REVISION = re.compile(r"appliance/gateway/migrations/versions/(r\d{4}_\w+)\.py")
_WHEEL = "sovereign_appliance-"


@dataclass(frozen=True)
class Part:
    """One artifact of a release."""

    kind: str
    version: str
    digest: Digest


@dataclass(frozen=True)
class Held:
    """A release, as far as a change of releases asks. ``revisions`` are those of the gateway's database it knows.

    ``postgres`` is the major version of its PostgreSQL.
    """

    version: str
    digest: Digest
    number: int
    min_release: int
    parts: Mapping[str, Part]
    keycloak: str
    postgres: str
    revisions: frozenset[str]


@dataclass(frozen=True)
class Change:
    """An artifact that differs; ``before`` or ``after`` is None where it is new, or gone."""

    name: str
    kind: str
    before: str | None
    after: str | None

    def data(self) -> dict[str, str | None]:
        """As JSON data."""
        return asdict(self)


def held(release: VerifiedRelease) -> Held:
    """A release of the store. Raises ``RefusedError`` where it holds no Keycloak or no wheel of the appliance."""
    parts = {name: Part(a.kind, a.version, a.digest) for name, a in release.artifacts.items()}
    keycloak = _only(release.version, parts, "keycloak")
    files = release.artifacts[_only(release.version, parts, "wheelhouse")].files
    with files[_wheel(release.version, files)].open() as stream:
        known = _revisions(stream.read())
    with files[_wheel(release.version, files, POSTGRES)].open() as stream:
        postgres = major_in(stream)
    numbers = (release.number, release.min_release)
    return Held(release.version, release.digest, *numbers, parts, parts[keycloak].version, postgres, known)


def announced(digest: Digest, contents: Contents, read: Callable[[Digest, int], bytes]) -> Held:
    """The release ``digest`` by its verified index. ``read`` gives a blob of at most so many bytes, hashed.

    Raises as ``held`` and ``read``.
    """
    info = contents.release.info
    parts = {
        m.name: Part(*contents.release.artifacts[m.name][:2], digest=m.descriptor.digest) for m in contents.artifacts
    }
    keycloak = _only(info.version, parts, "keycloak")
    runtime = _only(info.version, parts, "wheelhouse")
    (files,) = (m.files for m in contents.artifacts if m.name == runtime)
    known = _revisions(read(files[_wheel(info.version, files)].digest, MAX_WHEEL_BYTES))
    postgres = major_in(io.BytesIO(read(files[_wheel(info.version, files, POSTGRES)].digest, MAX_WHEEL_BYTES)))
    numbers = (info.number, info.min_release)
    return Held(info.version, digest, *numbers, parts, parts[keycloak].version, postgres, known)


def changes(before: Held, after: Held) -> tuple[Change, ...]:
    """What differs, by name. Pure."""
    found = []
    for name in sorted(before.parts.keys() | after.parts.keys()):
        old, new = before.parts.get(name), after.parts.get(name)
        if old != new:
            kind = (new or old).kind  # type: ignore[union-attr]  # one of them is there
            found.append(Change(name, kind, old.version if old else None, new.version if new else None))
    return tuple(found)


def unreadable(active: Held, wanted: Held) -> str | None:
    """Why ``wanted`` cannot read what ``active`` left; None: it can. Pure."""
    if active.postgres != wanted.postgres:
        return cannot_read(wanted.postgres, active.postgres)
    if active.keycloak != wanted.keycloak:
        return f"Keycloak {wanted.keycloak} cannot read the database of Keycloak {active.keycloak}"
    if missing := active.revisions - wanted.revisions:
        return f"it does not know the gateway's database since {min(missing)}"
    return None


def cannot_take_over(active: Held, new: Held) -> str | None:
    """Why ``new`` cannot go on with the data of ``active``; None: it can. Pure.

    A newer Keycloak migrates the database of an older one, and the gateway's migrations go forward only.
    """
    if active.keycloak != new.keycloak and _order(new.keycloak) <= _order(active.keycloak):
        return f"Keycloak {new.keycloak} cannot go on with the database of Keycloak {active.keycloak}"
    if missing := active.revisions - new.revisions:
        return f"it does not know the gateway's database since {min(missing)}"
    return None


def no_way_back(before: Held, after: Held) -> str | None:
    """Why `rollback` could not go from ``after`` to ``before`` again; None: it could. Pure."""
    if before.number < after.min_release:
        return f"release {after.version} is signed with {after.min_release} as the lowest number that may run after it"
    if (why := unreadable(after, before)) is not None:
        return f"release {before.version} could not return: {why}"
    return None


def _order(version: str) -> tuple[int, ...]:
    """A version in the order of its numbers; what is no number counts as none."""
    return tuple(int(part) if part.isdigit() else -1 for part in re.split(r"[.-]", version))


def _only(version: str, parts: Mapping[str, Part], kind: str) -> str:
    found = [name for name, part in parts.items() if part.kind == kind]
    if len(found) != 1:
        raise RefusedError(f"release {version} holds {len(found)} {kind} artifacts instead of one")
    return found[0]


def _wheel(version: str, files: Mapping[str, object], name: str = _WHEEL) -> str:
    for title in files:
        if title.startswith(name) and title.endswith(".whl"):
            return title
    raise RefusedError(f"release {version} holds no wheel {name.removesuffix('-')}", "build the release again")


def _revisions(wheel: bytes) -> frozenset[str]:
    with zipfile.ZipFile(io.BytesIO(wheel)) as members:
        return frozenset(m[1] for m in map(_REVISION.fullmatch, members.namelist()) if m is not None)
