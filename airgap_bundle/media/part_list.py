"""The list of a split set's parts, ``NAME.LST``: which bytes each part holds, signed by the key that sealed the bundle.

The list decides nothing about trust. It tells, while the media are still at hand, which part was copied badly and
where; the joined bundle is verified like any other afterwards. It is signed all the same, so that nobody on the way can
blame a good part or vouch for a changed one, and it carries the roots, so that it can be checked before any part is
read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airgap_bundle import strict_json
from airgap_bundle.chain import MAX_ROOTS, check_pinned, follow
from airgap_bundle.digest import Digest
from airgap_bundle.errors import FormatError, MalformedError
from airgap_bundle.keys import ALGORITHMS, PublicSigner
from airgap_bundle.media.part_folder import MAX_LIST_BYTES, MAX_PARTS, SET_NAME, part_name
from airgap_bundle.metadata import SNAPSHOT, parse_root
from airgap_bundle.names import check_name
from airgap_bundle.root_policy import persons
from airgap_bundle.statement import read_unverified, sign_statement, verify_statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tuf.api.metadata import Root

    from airgap_bundle.keys import Signer
    from airgap_bundle.trust_state import TrustState

PARTS_TYPE = "application/vnd.sovereign.parts.v1+json"
MIN_PIECE, MAX_PIECE = 1 << 16, 1 << 32
MAX_TOTAL = 2**53
FAT32_MAX = (1 << 32) - 1


@dataclass(frozen=True)
class Part:
    """One part: its file's name, bytes, digest, and the digest of each of its pieces."""

    name: str
    size: int
    sha256: Digest
    pieces: tuple[Digest, ...]


@dataclass(frozen=True)
class PartList:
    """All parts of one packed bundle in order; ``piece`` is the size of all pieces of a part but its last."""

    release: str
    version: str
    number: int
    piece: int
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Bytes of the packed bundle."""
        return sum(part.size for part in self.parts)

    def offset(self, number: int) -> int:
        """Where part ``number`` (the first is 1) begins in the packed bundle."""
        return sum(part.size for part in self.parts[: number - 1])

    def to_json(self) -> dict[str, Any]:
        """The statement's payload."""
        return {
            "schema": 1,
            "release": {"name": self.release, "version": self.version, "number": self.number},
            "piece": self.piece,
            "parts": [
                {
                    "name": part.name,
                    "size": part.size,
                    "sha256": part.sha256.hex,
                    "pieces": [digest.hex for digest in part.pieces],
                }
                for part in self.parts
            ],
        }


def seal_list(parts: PartList, roots: Iterable[bytes], signer: Signer) -> bytes:
    """The file ``NAME.LST``. Raises ``FormatError`` when it would be larger than a reader accepts."""
    statement = strict_json.loads(sign_statement(parts.to_json(), PARTS_TYPE, signer))
    data = strict_json.dumps({"schema": 1, "roots": [root.decode() for root in roots], "statement": statement})
    read_claims(data)
    return data


def verify_list(data: bytes, trust: TrustState) -> PartList:
    """The list in ``data``, signed by the release key of a root that ``trust`` leads to.

    Raises ``MalformedError`` and what following the roots and verifying the statement raise.
    """
    try:
        value = _outer(data)
        roots = _versions(value["roots"])
        newest = follow(roots, check_pinned(roots, trust)).root
        payload, _ = verify_statement(strict_json.dumps(value["statement"]), PARTS_TYPE, sealers(newest))
        return _parse(payload)
    except FormatError as error:
        raise MalformedError(f"part list: {error.cause}") from error


def read_claims(data: bytes) -> PartList:
    """What the list says, for finding parts only: nothing of it is verified. Raises ``FormatError``."""
    return _parse(read_unverified(strict_json.dumps(_outer(data)["statement"])))


def sealers(root: Root) -> list[PublicSigner]:
    """Who seals bundles under ``root``: the holders of its snapshot role."""
    found = []
    for name, halves in persons(root, SNAPSHOT).items():
        ed25519, ml_dsa = (root.keys[halves[algorithm]] for algorithm in ALGORITHMS)
        found.append(PublicSigner(name, ed25519, ml_dsa))  # type: ignore[arg-type]  # persons() refuses any other key
    return found


def _versions(data: list[bytes]) -> dict[int, bytes]:
    """The roots by version, ascending and without gaps. Raises ``FormatError``."""
    roots = {parse_root(root).signed.version: root for root in data}
    if len(data) > MAX_ROOTS or not len(data) == len(roots) == max(roots) - min(roots) + 1:
        raise FormatError("roots are not consecutive")
    return dict(sorted(roots.items()))


def _outer(data: bytes) -> dict[str, Any]:
    value = strict_json.load_object(data, max_bytes=MAX_LIST_BYTES)
    roots = value.get("roots")
    if (
        set(value) != {"schema", "roots", "statement"}
        or not strict_json.is_integer(value["schema"], 1)
        or not isinstance(roots, list)
        or not roots
    ):
        raise FormatError("schema 1 with roots and statement expected")
    if not all(isinstance(root, str) for root in roots):
        raise FormatError("a root is no text")
    return {**value, "roots": [root.encode() for root in roots]}


def _parse(payload: dict[str, Any]) -> PartList:
    release, entries, piece = payload.get("release"), payload.get("parts"), payload.get("piece")
    if not (
        strict_json.is_integer(payload.get("schema"), 1) and isinstance(release, dict) and isinstance(entries, list)
    ):
        raise FormatError("schema 1 with release and parts expected")
    if type(piece) is not int or not MIN_PIECE <= piece <= MAX_PIECE or piece & (piece - 1):
        raise FormatError(f"piece {piece!r:.40} is no power of two from 2^16 to 2^32")
    if not 1 <= len(entries) <= MAX_PARTS:
        raise FormatError(f"from 1 to {MAX_PARTS} parts expected, {len(entries)} found")
    parts = tuple(_parse_part(entry, piece) for entry in entries)
    name = parts[0].name.partition(".")[0]
    if not SET_NAME.fullmatch(name) or any(part.name != part_name(name, i) for i, part in enumerate(parts, 1)):
        raise FormatError("parts are not named NAME.001 onwards")
    if any(part.size != parts[0].size for part in parts[:-1]) or not parts[-1].size <= parts[0].size <= FAT32_MAX:
        raise FormatError("parts are not of one size that fits FAT32, with a rest")
    number = release.get("number")
    if type(number) is not int or sum(part.size for part in parts) > MAX_TOTAL:
        raise FormatError("release number or sizes are out of range")
    name_, version = (check_name(str(release.get(key, ""))) for key in ("name", "version"))
    return PartList(name_, version, number, piece, parts)


def _parse_part(entry: object, piece: int) -> Part:
    if not isinstance(entry, dict) or not isinstance(entry.get("pieces"), list):
        raise FormatError("a part is no object with pieces")
    size = entry.get("size")
    if type(size) is not int or not 1 <= size <= MAX_TOTAL:
        raise FormatError(f"part size {size!r:.40} is no byte count")
    pieces = tuple(Digest.from_hex(str(digest)) for digest in entry["pieces"])
    if len(pieces) != -(-size // piece):
        raise FormatError("a part has not one digest for each piece")
    return Part(str(entry.get("name")), size, Digest.from_hex(str(entry.get("sha256"))), pieces)
