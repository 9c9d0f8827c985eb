"""The card ``site-start.txt``: all that a new site has to be told on a way that the medium does not take.

It names the script by its digest, the root by its fingerprint, and whose Ed25519 keys count; one digest read out to the
site therefore says everything. It follows from a root alone, so that every signer can make it and compare; it holds
for all releases under that root.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from securesystemslib.signer import SSlibKey

from airgap_bundle.digest import sha256
from airgap_bundle.keys import ED25519, key_material
from airgap_bundle.metadata import ROOT, TARGETS, parse_root
from airgap_bundle.root_policy import check_root, persons, require

FILE = "site-start.txt"
SCRIPT = "first-contact.sh"
GROUP = 4
# The spelling alphabet of ICAO Annex 10 for the letters, plain words for the digits.
_WORDS = {
    "0": "zero",
    "1": "one",
    "2": "two",
    "3": "three",
    "4": "four",
    "5": "five",
    "6": "six",
    "7": "seven",
    "8": "eight",
    "9": "nine",
    "a": "alfa",
    "b": "bravo",
    "c": "charlie",
    "d": "delta",
    "e": "echo",
    "f": "foxtrot",
}


@dataclass(frozen=True)
class Card:
    """``root`` and ``script`` are digests; ``keys`` are raw public keys in hex, by the person's name."""

    script: str
    root: str
    threshold: int
    keys: tuple[tuple[str, str], ...]

    def to_bytes(self) -> bytes:
        """The file. Its second line is one that ``sha256sum -c`` takes."""
        lines = [
            "sovereign site start v1",
            f"{self.script}  {SCRIPT}",
            f"root sha256:{self.root}",
            f"threshold {self.threshold}",
            *(f"key {name} {key}" for name, key in self.keys),
        ]
        return "".join(f"{line}\n" for line in lines).encode("ascii")


def script() -> bytes:
    """The script that a new site runs: the same bytes for every release of this version."""
    return resources.files(__package__).joinpath(SCRIPT).read_bytes()


def of_root(data: bytes) -> Card:
    """The card of the root file ``data``.

    Raises ``FormatError``, ``RootPolicyError`` for an unsound root, and a ``SignatureError`` for one that its own
    persons did not sign.
    """
    metadata = parse_root(data)
    root = metadata.signed
    check_root(root)
    require(root, ROOT, metadata, others=frozenset(metadata.signatures))
    held = persons(root, TARGETS)
    keys = tuple((name, _raw(root.keys[held[name][ED25519]])) for name in sorted(held))
    return Card(sha256(script()).hex, sha256(data).hex, root.roles[TARGETS].threshold // 2, keys)


def _raw(key: object) -> str:
    assert isinstance(key, SSlibKey)  # by check_root
    return key_material(key).hex()


def spoken(digest: str) -> list[tuple[str, str]]:
    """The hex ``digest`` in groups of four, each with the words to say: ("9f3a", "nine foxtrot three alfa")."""
    groups = [digest[start : start + GROUP] for start in range(0, len(digest), GROUP)]
    return [(group, " ".join(_WORDS[letter] for letter in group)) for group in groups]
