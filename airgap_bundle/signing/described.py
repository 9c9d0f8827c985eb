"""What every draft of a bundle holds: roots, index and release file, and the documents that these name. Pure.

Beside a bundle it is read from the medium, on a signer's machine elsewhere from a request; the checks are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airgap_bundle import metadata, oci
from airgap_bundle.chain import follow
from airgap_bundle.errors import MissingFileError, SigningError
from airgap_bundle.keys import SIGNER_FIELD
from airgap_bundle.root_policy import charge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from tuf.api.metadata import Root, Signed, Targets

    from airgap_bundle.descriptor import Descriptor
    from airgap_bundle.digest import Digest
    from airgap_bundle.keys import PublicSigner

CLOCK_TOLERANCE = timedelta(days=1)


@dataclass(frozen=True)
class Described:
    """What was read for signing; index, release file, manifests and configs agree.

    ``roots`` ascend, and every link of them was verified; ``root`` is the last; ``documents`` are the bytes of
    manifests and configs.
    """

    roots: Mapping[int, bytes]
    root: Root
    index: bytes
    release_data: bytes
    contents: oci.Contents
    documents: Mapping[Digest, bytes]


def read_described(
    roots: Mapping[int, bytes], index: bytes, release: bytes, fetch: Callable[[Descriptor], bytes]
) -> Described:
    """What these files describe; ``fetch`` gives the bytes of one manifest or config, which are checked.

    Raises what ``follow_roots`` and ``oci.read_contents`` raise.
    """
    root = follow_roots(roots)
    documents: dict[Digest, bytes] = {}

    def remember(descriptor: Descriptor) -> bytes:
        documents[descriptor.digest] = fetch(descriptor)
        return documents[descriptor.digest]

    contents = oci.read_contents(index, release, remember)
    return Described(dict(sorted(roots.items())), root, index, release, contents, documents)


def follow_roots(roots: Mapping[int, bytes]) -> Root:
    """The last of ``roots``, every link verified. Raises ``MissingFileError`` for a gap and as ``chain.follow``."""
    ordered = dict(sorted(roots.items()))
    first, last = min(ordered), max(ordered)
    if len(ordered) != last - first + 1:
        gap = next(version for version in range(first, last) if version not in ordered)
        raise MissingFileError(f"{gap}.root.json is missing between the roots given", "give every root, without gaps")
    return follow(ordered, first).root


def names_in(root: Root, role: str, signer: PublicSigner) -> set[str]:
    """Names under which ``role`` knows both keys of ``signer``."""
    held = {key.keyid for key in signer.keys}
    if not held <= set(charge(root, role).keyids):
        return set()
    return {str(root.keys[keyid].unrecognized_fields.get(SIGNER_FIELD)) for keyid in held}


def check_payload(found: Targets, expected: Targets, now: datetime, *, name: str, again: str) -> None:
    """Raise ``SigningError`` unless ``found`` is what ``expected`` is, but for the instant of its making.

    ``name`` is the file's, and ``again`` says how the ceremony begins anew.

    Whoever signs next answers for every field of what lies there, and nobody may have signed it yet.

    Only the instant of the first signature is not ours to say; it cannot lie ahead of our clock, but for clocks that
    differ: sites take it for a lower bound of theirs.
    """
    if found.targets != expected.targets or found.version != expected.version:
        raise SigningError(f"{name} is about another build of this bundle", again)
    if not is_as_made(found, expected):
        raise SigningError(f"{name} promises something else than this release's support", again)
    if metadata.issued(found) > now + CLOCK_TOLERANCE:
        raise SigningError(f"{name} says it was made at {metadata.issued(found)}, which lies ahead", again)


def is_as_made(found: Signed, expected: Signed) -> bool:
    """Whether ``found`` says what ``expected`` says, but for the instant of making and TUF's minor version."""
    ours, theirs = expected.to_dict(), found.to_dict()
    free: dict[str, Any] = {metadata.ISSUED: None, "spec_version": None}
    return {**ours, **free} == {**theirs, **free}
