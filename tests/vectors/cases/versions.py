"""Sections 8 and 9: chains of roots, floors, releases mixed, freshness, and what only an import asks."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from airgap_bundle import ceremony
from airgap_bundle.oci import parse_release
from tests.bundles import NOW, Draft, make, reseal, rewrite, root_bytes, second_root, sign
from tests.signers import signer
from tests.vectors.cases.desk import PLAIN, case, edit, holding, knowing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.vectors.cases.desk import Json

ROTATED = {1: root_bytes(), 2: second_root()}


def _rotated(folder: Path, number: int = 3) -> Path:
    """A release under root 2: the custodian left, the deputy came, the release key is new."""
    shutil.rmtree(folder / "bundle")
    draft = Draft(number=number, version=f"{number}.0.0", files=PLAIN).write(folder / "bundle")
    return sign(draft, "architect", "deputy", "release-2", roots=ROTATED)


def _set(version: int) -> Callable[[dict[str, Any]], None]:
    return lambda signed: signed.update(version=version)


@case("rotated", None, "chain", about="a site that trusts root 1 follows to root 2", freshness="pass")
def rotated(folder: Path) -> Json:
    _rotated(folder)
    return knowing(folder)


@case(
    "rotated-first-use",
    None,
    "chain",
    typed=second_root(),
    about="a first use by root 2's fingerprint",
    freshness="pass",
)
def rotated_first_use(folder: Path) -> None:
    _rotated(folder)


@case("fast-forward-recovered", None, "floors", about="a new root with a new release key voids that role's floor")
def recovered(folder: Path) -> Json:
    _rotated(folder)
    return knowing(folder, versions={"targets": 2, "snapshot": 2**63 - 1, "timestamp": 2**63 - 1})


@case("held-release-again", None, "release-floor", about="the release that the site holds, once more")
def again(folder: Path) -> Json:
    return holding(folder)


ROLLBACK = {
    "release-below-the-floor": ("release-floor", "release number", {"release_number": 4}),
    "targets-below-the-floor": ("floors", "versions", {"versions": {"targets": 4, "snapshot": 2, "timestamp": 2}}),
    "timestamp-below-the-floor": ("floors", "versions", {"versions": {"targets": 2, "snapshot": 2, "timestamp": 4}}),
    "snapshot-below-the-floor": ("floors", "versions", {"versions": {"targets": 2, "snapshot": 4, "timestamp": 2}}),
}


for _name, (_rule, _check, _known) in ROLLBACK.items():

    @case(
        _name, "RollbackError", _rule, check=_check, about=f"what the site has seen is newer: {_name.replace('-', ' ')}"
    )
    def rollback(folder: Path, known: Json = _known) -> Json:
        return knowing(folder, **known)


@case(
    "release-floor-under-a-new-root",
    "RollbackError",
    "release-floor",
    check="release number",
    about="a new root voids the floors of roles, never that of releases",
)
def floor_stays(folder: Path) -> Json:
    _rotated(folder)
    return knowing(folder, release_number=4)


@case("older-roots-only", "RollbackError", "pinned-root", check="pinned root", about="the site trusts root 2 already")
def older_roots(folder: Path) -> Json:
    return knowing(folder, second_root())


@case(
    "new-root-without-its-predecessors",
    "NotEnoughSignersError",
    "chain",
    check="root chain",
    about="root 2 signed by two of its own, of whom one is of root 1",
)
def usurped(folder: Path) -> Json:
    bundle = _rotated(folder)
    rewrite(bundle / "metadata/2.root.json", lambda _signed: None, "builder", "deputy")
    return knowing(folder)


@case(
    "revoked-person-signs",
    "SignatureError",
    "signed",
    check="targets signatures, ed25519",
    about="who left with root 2 signs, with an early date",
)
def revoked(folder: Path) -> Json:
    bundle = _rotated(folder)
    early = {"x-sovereign-issued": "2020-01-01T00:00:00Z"}
    rewrite(bundle / "metadata/targets.json", lambda signed: signed.update(early), "architect", "custodian")
    reseal(bundle, seal="release-2")
    return knowing(folder)


@case(
    "revoked-release-key-seals",
    "SignatureError",
    "signed",
    check="snapshot signatures, ed25519",
    about="the release key of root 1 seals under root 2",
)
def revoked_seal(folder: Path) -> Json:
    reseal(_rotated(folder), seal="release")
    return knowing(folder)


def _other(folder: Path) -> Path:
    return make(folder / "other", version="4.0.0", number=4, files=PLAIN)


for _role in ("targets", "snapshot"):

    @case(
        f"{_role}-of-another-release",
        "MixedMetadataError",
        "metadata-agrees",
        check="metadata agrees",
        about=f"{_role}.json of release 4 among the metadata of release 3",
    )
    def mixed(folder: Path, role: str = _role) -> None:
        shutil.copy(_other(folder) / f"metadata/{role}.json", folder / f"bundle/metadata/{role}.json")
        shutil.rmtree(folder / "other")


@case(
    "index-of-another-release",
    "DigestMismatchError",
    "reader-order",
    check="targets",
    about="index.json of release 4 among the files of release 3",
)
def other_index(folder: Path) -> None:
    shutil.copy(_other(folder) / "index.json", folder / "bundle/index.json")
    edit(folder / "bundle/index.json", lambda value: value["manifests"].pop())
    shutil.rmtree(folder / "other")


@case(
    "another-release-3",
    "ReleaseConflictError",
    "release-floor",
    check="release number",
    about="the site holds another release with number 3",
)
def conflict(folder: Path) -> Json:
    return knowing(folder, release_number=3, release_digest="sha256:" + "0" * 64)


@case(
    "version-at-the-top",
    None,
    "metadata",
    about="a timestamp of version 2^63 - 1 is one that a reader can count",
    freshness="pass",
)
def at_the_top(folder: Path) -> None:
    rewrite(folder / "bundle/metadata/timestamp.json", _set(2**63 - 1), "release")


@case(
    "lowered-timestamp",
    "RollbackError",
    "floors",
    check="versions",
    about="a timestamp of version 1 around a newer release",
)
def lowered(folder: Path) -> Json:
    rewrite(folder / "bundle/metadata/timestamp.json", _set(1), "release")
    return knowing(folder)


@case(
    "lowered-snapshot",
    "RollbackError",
    "floors",
    check="versions",
    about="a snapshot of version 1 around a newer release, bound by a new timestamp",
)
def lowered_snapshot(folder: Path) -> Json:
    metadata = folder / "bundle/metadata"
    rewrite(metadata / "snapshot.json", _set(1), "release")
    described = parse_release((folder / "bundle/release.json").read_bytes())
    stamp = ceremony.build_timestamp((metadata / "snapshot.json").read_bytes(), described, now=NOW)
    stamp.signed.snapshot_meta.version = 1
    (metadata / "timestamp.json").write_bytes(ceremony.add_signatures(stamp, signer("release")).to_bytes())
    return knowing(folder)


@case("root-3-signed-by-nobody", "UnsignedError", "chain", check="root chain", about="a third root as a hiding place")
def hidden_root(folder: Path) -> Json:
    bundle = _rotated(folder)
    value = json.loads(second_root())
    value["signed"]["version"] = 3
    value["signatures"] = []
    (bundle / "metadata/3.root.json").write_bytes(json.dumps(value).encode())
    return knowing(folder)
