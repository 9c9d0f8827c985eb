"""What a site remembers between bundles: the trusted root, version floors, release floor, and the clock's lower bound.

Two files in the trust directory, ``state-a.json`` and ``state-b.json``, hold the same state under its own checksum.
They are written one after the other, each to ``.partial``, fsynced and renamed, after everything else about an import
is durable: a power cut leaves at least one whole copy, and the higher ``sequence`` counts. Losing both is not a first
use (``importer`` looks at the store): re-pinning asks for the root's fingerprint.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from airgap_bundle import durable, strict_json
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import ForeignRootError, FormatError, StoreError, TrustStateLostError
from airgap_bundle.metadata import MODELS, SNAPSHOT, TARGETS, TIMESTAMP, format_time, parse_root, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

COPIES = ("state-a.json", "state-b.json")
MAX_STATE_BYTES = 4 << 20
_LOST_HINT = "pin the root again: give its fingerprint, read from a source that you trust"


def fingerprint(root: bytes) -> Digest:
    """A root's fingerprint: the SHA-256 of its file, so that ``sha256sum`` shows it on any machine."""
    return sha256(root)


@dataclass(frozen=True)
class TrustState:
    """``pinned`` is the fingerprint that the operator gave; ``root`` the newest trusted root, None before an import.

    ``versions`` are floors of targets, snapshot, timestamp and models; ``release_number`` is the highest release
    imported and ``release_digest`` the digest of its ``release.json``; ``min_release`` the highest signed lower bound
    for rolling back; ``clock`` the latest instant that signed metadata has claimed.

    Of bundles of models: ``models_digest`` is the digest of the newest, whose number is the floor of models, and
    ``models_min`` the lowest number of one that may still be used; ``models_roots`` are fingerprints of the roots under
    which the present holders of that role brought theirs. A root that changes the role's keys empties
    that, and one that leaves too few of its persons starts the floors anew (``chain``). A state
    with any of them is of schema 2: a program that knows of none refuses it, and cannot forget them.
    """

    pinned: Digest | None
    root: bytes | None = None
    versions: Mapping[str, int] = field(default_factory=dict)
    release_number: int = 0
    release_digest: Digest | None = None
    min_release: int = 0
    clock: datetime | None = None
    sequence: int = 0
    models_digest: Digest | None = None
    models_min: int = 0
    models_roots: tuple[Digest, ...] = ()

    @classmethod
    def expecting(cls, root_fingerprint: str | None) -> Self:
        """The state before anything was imported, with the fingerprint that the first root must have."""
        return cls(None if root_fingerprint is None else Digest.parse(root_fingerprint))

    @classmethod
    def pin(cls, directory: Path, root: bytes, root_fingerprint: str) -> Self:
        """Write a first state that trusts ``root`` and nothing else. Raises ``ForeignRootError``, ``StoreError``.

        For a site that pins before it has a bundle; ``import_release`` pins by itself.
        """
        if fingerprint(root) != Digest.parse(root_fingerprint):
            raise ForeignRootError(f"root has fingerprint {fingerprint(root)}, not {root_fingerprint}")
        if cls.find(directory) is not None:
            raise StoreError(f"{directory} already holds a trust state")
        parse_root(root)
        cls(Digest.parse(root_fingerprint), root).save(directory)
        return cls.load(directory)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The newest whole copy in ``directory``. Raises ``TrustStateLostError`` when there is none."""
        found = cls.find(directory)
        if found is None:
            raise TrustStateLostError(f"{directory} holds no trust state", _LOST_HINT)
        return found

    @classmethod
    def find(cls, directory: Path) -> Self | None:
        """As ``load``; None where neither copy was ever written. Damage to both raises ``TrustStateLostError``."""
        present = [directory / name for name in COPIES if (directory / name).exists()]
        whole = [state for path in present if (state := cls._read(path)) is not None]
        if present and not whole:
            raise TrustStateLostError(f"both copies of the trust state in {directory} are damaged", _LOST_HINT)
        return max(whole, key=lambda state: state.sequence, default=None)

    def save(self, directory: Path) -> None:
        """Make this the state, one ``sequence`` on. Both copies are durable when this returns."""
        data = strict_json.dumps(self._to_json())
        framed = strict_json.dumps({"sha256": sha256(data).hex, "state": data.decode()})
        durable.replace_all({directory / name: framed for name in COPIES})

    def _to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "schema": 2 if self.models_roots or MODELS in self.versions else 1,
            "versions": dict(self.versions),
            "root": None if self.root is None else self.root.decode(),
            "clock": None if self.clock is None else format_time(self.clock),
            "sequence": self.sequence + 1,
        }

    @classmethod
    def _read(cls, path: Path) -> Self | None:
        """The state in ``path``, or None when a crash or a bad disk left it incomplete."""
        try:
            framed = strict_json.load_object(path.read_bytes(), max_bytes=MAX_STATE_BYTES)
            data = str(framed.get("state")).encode()
            if sha256(data).hex != framed.get("sha256"):
                return None
            return cls._from_json(strict_json.load_object(data, max_bytes=MAX_STATE_BYTES))
        except (OSError, FormatError):
            return None

    @classmethod
    def _from_json(cls, value: dict[str, Any]) -> Self:
        """Only whole copies of our own writing reach this (their checksum held); another schema is not ours."""
        if value["schema"] not in {1, 2}:
            raise FormatError(f"trust state of schema {value['schema']!r}")
        return cls(
            pinned=Digest.parse(value["pinned"]),
            root=None if value["root"] is None else value["root"].encode(),
            versions={**dict.fromkeys((TARGETS, SNAPSHOT, TIMESTAMP), 0), **_known_floors(value["versions"])},
            release_number=value["release_number"],
            release_digest=None if value["release_digest"] is None else Digest.parse(value["release_digest"]),
            min_release=value["min_release"],
            clock=None if value["clock"] is None else parse_time(value["clock"]),
            sequence=value["sequence"],
            models_digest=None if value.get("models_digest") is None else Digest.parse(value["models_digest"]),
            models_min=value.get("models_min", 0),
            models_roots=tuple(map(Digest.parse, value.get("models_roots", ()))),
        )


def _known_floors(found: Mapping[str, int]) -> dict[str, int]:
    return {role: floor for role, floor in found.items() if role in {TARGETS, SNAPSHOT, TIMESTAMP, MODELS}}
