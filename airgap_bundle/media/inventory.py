"""What a site's store holds, as a document that may cross the gap: digests, sizes, versions; no content, nobody's name.

An inventory is a wish, not evidence. It decides what a delta leaves out, and the site hashes what was left out before
it accepts anything; so an old, forged or mistaken inventory makes a delta too large, or one that the site refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.blobs import hash_blob, take_all
from airgap_bundle.digest import Digest
from airgap_bundle.errors import DigestMismatchError, FormatError, StoreError
from airgap_bundle.keys import check_signer_name
from airgap_bundle.medium import Medium
from airgap_bundle.metadata import format_time, parse_root, parse_time
from airgap_bundle.names import check_name
from airgap_bundle.store import Store
from airgap_bundle.supply import StoreSupply
from airgap_bundle.trust_state import TrustState, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path
    from typing import BinaryIO

    from airgap_bundle.blobs import Progress

INVENTORY_TYPE = "application/vnd.sovereign.inventory.v1+json"
MAX_INVENTORY_BYTES = 64 << 20
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True)
class Inventory:
    """``blobs`` are sizes by digest of what lies whole in the store; ``root`` is the newest trusted one's version.

    ``floor`` is the release number below which the site refuses every release; ``active`` the version that runs.
    """

    site: str
    made: datetime
    root: int
    root_fingerprint: Digest
    floor: int
    min_release: int
    active: str | None
    releases: tuple[str, ...]
    blobs: Mapping[Digest, int]

    def to_bytes(self) -> bytes:
        """The document."""
        return strict_json.dumps(
            {
                "schema": 1,
                "site": self.site,
                "made": format_time(self.made),
                "root": {"version": self.root, "fingerprint": self.root_fingerprint},
                "floor": self.floor,
                "min_release": self.min_release,
                "active": self.active,
                "releases": list(self.releases),
                "blobs": {digest.hex: size for digest, size in self.blobs.items()},
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Inventory:
        """Read an inventory; unknown keys are ignored on purpose. Raises ``FormatError``, ``UnsafeNameError``."""
        value = strict_json.load_object(data, max_bytes=MAX_INVENTORY_BYTES)
        root, blobs, releases = value.get("root"), value.get("blobs"), value.get("releases")
        if not (strict_json.is_integer(value.get("schema"), 1) and isinstance(root, dict) and isinstance(blobs, dict)):
            raise FormatError("inventory: schema 1 with root and blobs expected")
        if not isinstance(releases, list):
            raise FormatError("inventory: releases is no list")
        active = value.get("active")
        return cls(
            check_signer_name(value.get("site")),
            parse_time(value.get("made")),
            _count(root, "version"),
            Digest.parse(root.get("fingerprint")),
            _count(value, "floor"),
            _count(value, "min_release"),
            None if active is None else check_name(str(active)),
            tuple(check_name(str(version)) for version in releases),
            {Digest.from_hex(digest): _count(blobs, digest) for digest in blobs},
        )


@dataclass(frozen=True)
class Taken:
    """An inventory, and blobs that are damaged or have another name besides: left out, so that a delta brings them."""

    inventory: Inventory
    damaged: tuple[Digest, ...]


def take_inventory(  # noqa: PLR0913 - two folders, what to call the site, and when
    trust_dir: Path, store: Path, *, site: str, active: str | None, now: datetime, progress: Progress | None = None
) -> Taken:
    """Hash everything in ``store`` and write down what is whole. Raises ``TrustStateLostError`` and ``StoreError``."""
    trust = TrustState.load(trust_dir)
    if trust.root is None:
        raise StoreError("this site has imported nothing yet", "`sovereign install` brings the first release")
    with Medium(store) as medium:
        files = medium.list().files
        found = {Digest.from_hex(m[1]): size for path, size in files.items() if (m := _BLOB.fullmatch(path))}
        damaged: list[Digest] = []
        supply = StoreSupply(Store(store))

        def note(digest: Digest, size: int, source: BinaryIO, on_bytes: Callable[[int], None]) -> None:
            try:
                hash_blob(digest, size, source, on_bytes)
            except DigestMismatchError:
                damaged.append(digest)
            else:
                if not supply.holds(digest, size):
                    damaged.append(digest)

        take_all(medium, found, note, progress)
    releases = (path for path in files if path.startswith("releases/") and path.endswith(".json"))
    inventory = Inventory(
        site,
        now,
        parse_root(trust.root).signed.version,
        fingerprint(trust.root),
        trust.release_number,
        trust.min_release,
        active,
        tuple(sorted(path.removeprefix("releases/").removesuffix(".json") for path in releases)),
        {digest: size for digest, size in found.items() if digest not in damaged},
    )
    return Taken(inventory, tuple(sorted(damaged)))


def _count(value: dict[str, Any], key: str) -> int:
    found = value.get(key)
    if type(found) is not int or found < 0:
        raise FormatError(f"inventory: {key[:80]} is no count")
    return found
