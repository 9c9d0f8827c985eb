"""Section 9: freshness, and what only an import asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.trust_state import fingerprint
from tests.bundles import NOW, SUPPORT_UNTIL, rewrite, root_bytes
from tests.vectors.cases.desk import YEAR, case, first_use, holding, knowing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.vectors.cases.desk import Json


@case(
    "another-3.0.0",
    "ReleaseConflictError",
    "import",
    operation="import",
    about="an import of a version that the store holds with other contents",
)
def version_taken(folder: Path) -> Json:
    held = {"version": "3.0.0", "number": 2, "release": "sha256:" + "0" * 64}
    return {**knowing(folder, release_digest=held["release"]), "releases": [held]}


@case("support-ended", None, "freshness", now=SUPPORT_UNTIL + YEAR, about="authentic, and too old", freshness="fail")
def support_ended(folder: Path) -> Json:
    return knowing(folder)


@case("clock-set-back", None, "freshness", now=NOW - YEAR, about="a clock that is wrong", freshness="not established")
def clock_set_back(folder: Path) -> Json:
    return knowing(folder)


@case(
    "last-second-of-support",
    None,
    "freshness",
    now=SUPPORT_UNTIL.replace(microsecond=0),
    about="at the very end",
    freshness="fail",
)
def last_second(folder: Path) -> Json:
    return knowing(folder)


@case(
    "import-after-support",
    "ExpiredError",
    "import",
    operation="import",
    check="freshness",
    now=SUPPORT_UNTIL + YEAR,
    about="an import of a release whose support has ended",
)
def import_expired(folder: Path) -> Json:
    return knowing(folder)


@case(
    "sealed-after-support",
    "ExpiredError",
    "freshness",
    operation="import",
    check="freshness",
    about="a stolen release key dates its seal far ahead, so that every clock looks wrong",
)
def sealed_ahead(folder: Path) -> Json:
    ahead = {"x-sovereign-issued": "2099-01-01T00:00:00Z", "expires": "2100-01-01T00:00:00Z"}
    rewrite(folder / "bundle/metadata/timestamp.json", lambda signed: signed.update(ahead), "release")
    return knowing(folder)


@case(
    "import-of-the-held-release-after-support",
    None,
    "import",
    operation="import",
    now=SUPPORT_UNTIL + YEAR,
    about="the release that the site holds may be imported again whatever the clock says",
)
def reinstall(folder: Path) -> Json:
    return holding(folder)


@case("trust-state-lost", "TrustStateLostError", "lost-state", operation="import", about="a store without trust state")
def lost(_folder: Path) -> Json:
    held = {"version": "2.0.0", "number": 2, "release": "sha256:" + "0" * 64}
    return {**first_use(None), "releases": [held]}


@case(
    "floor-that-the-store-proves",
    "RollbackError",
    "lost-state",
    operation="import",
    check="release number",
    about="trust state lost and pinned again: the store still proves release 4",
)
def proven_floor(_folder: Path) -> Json:
    held = {"version": "4.0.0", "number": 4, "release": "sha256:" + "0" * 64}
    return {**first_use(fingerprint(root_bytes())), "releases": [held]}
