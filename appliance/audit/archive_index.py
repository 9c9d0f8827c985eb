"""``archive.json``: which entries an archive says it holds, in which volumes. Pure, and unverified."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any, Self

from airgap_bundle import strict_json
from airgap_bundle.errors import FormatError
from appliance.audit.errors import ArchiveError
from appliance.audit.merkle import HASH_BYTES
from appliance.audit.tiles import WIDTH
from appliance.audit.volume import BUNDLES, MAX_VOLUME_BYTES

NAME = "archive.json"
INDEX = 8 << 20
"""Bytes that are read of it at most."""
MEDIA_TYPE = "application/vnd.sovereign.audit-archive.v1+json"
_VOLUME = re.compile(r"[0-9]{12}\.vol")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MAX_HASHES = 128


@dataclass(frozen=True)
class Volume:
    """A file of an archive."""

    name: str
    bundles: int
    size: int
    sha256: str

    @classmethod
    def parse(cls, value: dict[str, Any]) -> Self:
        """Read one. Raises ``ValueError``, ``KeyError``, ``TypeError``."""
        found = cls(value["name"], value["bundles"], value["size"], value["sha256"])
        if not (_VOLUME.fullmatch(found.name) and _DIGEST.fullmatch(found.sha256)):
            raise ValueError("a volume's name or digest is none")
        if not (type(found.bundles) is type(found.size) is int and 0 < found.bundles <= BUNDLES):
            raise ValueError("a volume's numbers are none")
        if not 0 < found.size <= MAX_VOLUME_BYTES:
            raise ValueError("a volume's size is none")
        return found


@dataclass(frozen=True)
class ArchiveIndex:
    """Entries ``first`` to ``end`` (excluded), their volumes in order, and the hashes that prove them."""

    first: int
    end: int
    volumes: tuple[Volume, ...]
    proof: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The file's bytes."""
        value = {
            "mediaType": MEDIA_TYPE,
            "schema": 1,
            "first": self.first,
            "end": self.end,
            "volumes": [vars(volume) for volume in self.volumes],
            "proof": [base64.b64encode(one).decode() for one in self.proof],
        }
        return json.dumps(value, indent=1).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> ArchiveIndex:
        """Read the file. Raises ``ArchiveError``."""
        try:
            value = strict_json.load_object(data, max_bytes=INDEX)
            volumes = tuple(map(Volume.parse, value["volumes"]))
            proof = tuple(base64.b64decode(one, validate=True) for one in value["proof"])
            first, end, schema = value["first"], value["end"], value["schema"]
        except (FormatError, ValueError, KeyError, TypeError, binascii.Error) as error:
            raise ArchiveError(f"{NAME} is malformed") from error
        held = sum(volume.bundles for volume in volumes) * WIDTH
        if schema != 1 or not (type(first) is type(end) is int and 0 <= first < end) or first % WIDTH:
            raise ArchiveError(f"{NAME} is malformed, or of a later version")
        if held != end - first or len(proof) > _MAX_HASHES or {len(one) for one in proof} - {HASH_BYTES}:
            raise ArchiveError(f"{NAME} says it holds entries {first} to {end - 1}, and its volumes hold {held}")
        return cls(first, end, volumes, proof)
