"""Where vectors are drafted: the list of cases, the sites they meet, and what a holder of keys can sign anyhow."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airgap_bundle import ceremony
from airgap_bundle.digest import sha256
from airgap_bundle.metadata import format_time
from airgap_bundle.oci import Release
from airgap_bundle.report import ReleaseInfo
from airgap_bundle.trust_state import fingerprint
from tests.bundles import NOW, SUPPORT_UNTIL, Draft, make, reseal, root_bytes, sign
from tests.signers import signer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    Json = dict[str, Any]
    Change = Callable[[Json], object]
    # Makes a vector's files in the folder that it is given, and says what the site knows; None for a first use.
    Make = Callable[[Path], Json | None]

YEAR = timedelta(days=365)
# A release without a wheelhouse, which needs no FIRST-CONTACT: `contact.py` has the others.
PLAIN = {
    "policy": {"models.yaml": b"schema: 1\n"},
    "tiny-model": {"model.gguf": b"GGUF" + bytes(3000), "chat_template.jinja": b"{{ prompt }}"},
}
EVERYBODY = ("architect", "builder", "custodian")


@dataclass(frozen=True)
class Case:
    """A vector before it is written. ``error`` None: it must be accepted."""

    name: str
    error: str | None
    about: str
    rules: tuple[str, ...]
    given: Mapping[str, Any]
    expect: Mapping[str, Any]
    make: Make


CASES: list[Case] = []


def case(  # noqa: PLR0913 - the parts of an expect.json, named at the call
    name: str,
    error: str | None,
    *rules: str,
    about: str,
    check: str | None = None,
    operation: str = "verify",
    now: datetime = NOW,
    typed: bytes | None = None,
    **expect: Any,
) -> Callable[[Make], Make]:
    """Add a case; the function that is decorated changes ``folder/bundle``, a whole release 3, or makes other files.

    ``typed`` is the root whose fingerprint the operator gives at first use, root 1 unless named.
    """

    def add(make_files: Make) -> Make:
        given: Json = {"operation": operation}
        wanted: Json = dict(expect)
        if operation in {"verify", "verify-models", "import"}:
            typed_fingerprint = fingerprint(typed or root_bytes())
            given |= {"now": format_time(now), "site": first_use(typed_fingerprint)}
            if error is not None:
                wanted["check"] = check
        if operation == "import":
            wanted["changed"] = error is None
        CASES.append(Case(name, error, about, rules, given, wanted, make_files))
        return make_files

    return add


def first_use(root_fingerprint: str | None) -> Json:
    """A site that has imported nothing; the operator types a fingerprint, or nothing."""
    return {"root_fingerprint": root_fingerprint, "trust": None, "releases": []}


def knowing(folder: Path, root: bytes | None = None, **known: Any) -> Json:
    """A site that has imported release 2 under ``root`` (root 1 when None); ``known`` are other facts it keeps."""
    (folder / "trusted.root.json").write_bytes(root or root_bytes())
    trust = {
        "root": "trusted.root.json",
        "versions": {"targets": 2, "snapshot": 2, "timestamp": 2},
        "release_number": 2,
        "release_digest": None,
        "min_release": 1,
        "clock": format_time(NOW),
        **known,
    }
    return {"root_fingerprint": None, "trust": trust, "releases": []}


@cache
def _base() -> Path:
    return make(
        Path(tempfile.mkdtemp(prefix="vectors-")) / "bundle", version="3.0.0", number=3, min_release=2, files=PLAIN
    )


def copy_base(folder: Path) -> Path:
    """A whole, sealed bundle of release 3 at ``folder/bundle``."""
    return Path(shutil.copytree(_base(), folder / "bundle"))


def remove_base() -> None:
    """Remove what ``copy_base`` copies from."""
    shutil.rmtree(_base().parent)
    _base.cache_clear()


def holding(folder: Path) -> Json:
    """A site that has imported the very release that lies in ``folder``."""
    digest = str(sha256((folder / "bundle/release.json").read_bytes()))
    versions = dict.fromkeys(("targets", "snapshot", "timestamp"), 3)
    return knowing(folder, versions=versions, release_number=3, release_digest=digest)


def typed(folder: Path) -> Json:
    """A first use at which the operator types the fingerprint of the root that lies there."""
    return first_use(fingerprint((folder / "bundle/metadata/1.root.json").read_bytes()))


def release_under(folder: Path, root: bytes, *names: str) -> None:
    """Put release 3 under ``root``, signed by ``names``, in the place of the bundle."""
    shutil.rmtree(folder / "bundle")
    bundle = Draft(version="3.0.0", number=3, min_release=2, files=PLAIN).write(folder / "bundle")
    sign(bundle, *names, roots={1: root})


def strip(path: Path, half: str, *names: str) -> None:
    """Drop one half of the signatures of ``names``."""
    dropped = {getattr(signer(name).public, half).keyid for name in names}
    edit(path, lambda value: value.update(signatures=[s for s in value["signatures"] if s["keyid"] not in dropped]))


def edit(path: Path, change: Change) -> None:
    """Change a JSON file without signing it: what anybody can do who holds the medium."""
    value = json.loads(path.read_bytes())
    change(value)
    path.write_bytes(json.dumps(value).encode())


def sign_anyhow(bundle: Path, *people: str, number: int = 3, support_until: datetime = SUPPORT_UNTIL) -> Path:
    """Sign and seal ``index.json`` and ``release.json`` as they lie, without looking at them.

    What thieves of enough keys can do: only a reader's own checks are left to refuse. Roots stay where there are some.
    """
    folder = bundle / "metadata"
    folder.mkdir(exist_ok=True)
    if not list(folder.glob("*.root.json")):
        (folder / "1.root.json").write_bytes(root_bytes())
    described = Release(ReleaseInfo("sovereign", "any", number, 1), support_until, {}, None)
    index, release = ((bundle / name).read_bytes() for name in ("index.json", "release.json"))
    targets = ceremony.build_targets(index, release, described, now=NOW)
    for name in people or ("architect", "builder"):
        ceremony.add_signatures(targets, signer(name))
    (folder / "targets.json").write_bytes(targets.to_bytes())
    reseal(bundle)
    return bundle


def flip(path: Path, position: int = -1) -> None:
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def blob_with(bundle: Path, part: bytes) -> Path:
    """The blob that contains ``part``."""
    return next(path for path in sorted((bundle / "blobs/sha256").iterdir()) if part in path.read_bytes())
