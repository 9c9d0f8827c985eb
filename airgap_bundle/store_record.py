"""What a store keeps about a release or a bundle of models that passed: one small file, which names and vouches.

A record that cannot be read is said to be damaged, and vouches for nothing: whoever reads goes on with the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle import strict_json
from airgap_bundle.digest import Digest
from airgap_bundle.errors import FormatError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".json"
MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class Record:
    """``releases/<version>.json``."""

    version: str
    number: int
    index: Digest
    release: Digest
    root_fingerprint: str
    signers: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """The record's file."""
        return strict_json.dumps(
            {
                "schema": 1,
                "version": self.version,
                "number": self.number,
                "index": self.index,
                "release": self.release,
                "root_fingerprint": self.root_fingerprint,
                "signers": list(self.signers),
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Record:
        """Read a record. Raises ``FormatError``."""
        value = strict_json.load_object(data, max_bytes=MAX_BYTES)
        try:
            if value["schema"] != 1:
                raise FormatError(f"record of schema {value['schema']!r:.40}")
            if type(value["number"]) is not int or not isinstance(value["signers"], list):
                raise FormatError("a record's number or signers are misspelled")
            return cls(
                str(value["version"]),
                value["number"],
                Digest.parse(value["index"]),
                Digest.parse(value["release"]),
                Digest.parse(value["root_fingerprint"]),
                tuple(map(str, value["signers"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"a record lacks or misspells {error}") from error


@dataclass(frozen=True)
class DamagedRecord:
    """A record that cannot be read: nothing is known of what it vouched for, and it vouches for nothing."""

    path: Path
    cause: str

    @property
    def version(self) -> str:
        """The version that the file's name gives."""
        return self.path.name.removesuffix(SUFFIX)

    @property
    def refusal(self) -> StoreError:
        """What to raise where that very record is needed."""
        return StoreError(str(self), "import that bundle again, or restore the file from a backup")

    def __str__(self) -> str:
        return f"the record {self.path} cannot be read: {self.cause}"
