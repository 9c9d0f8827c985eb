"""What verification asks about first contact: the text is the release's, and whoever signed the release signed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle.errors import MissingFileError, MixedMetadataError, SignatureError
from airgap_bundle.first_contact import record, signatures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airgap_bundle.chain import Chain
    from airgap_bundle.medium import BundleSource
    from airgap_bundle.oci import Contents


def files(contents: Contents, signers: Iterable[str]) -> frozenset[str]:
    """The files of first contact in a bundle of ``contents`` whose targets ``signers`` signed."""
    if record.wheelhouse(contents) is None:
        return frozenset()
    return frozenset({record.FILE, *(signatures.path(name) for name in signers)})


def check(
    medium: BundleSource, listed: Iterable[str], release: record.Release, chain: Chain, signers: tuple[str, ...]
) -> str:
    """A sentence when FIRST-CONTACT on ``medium`` holds. ``signers``: who signed the targets, at least the threshold.

    Every signature that lies there must be valid and by a person of the targets role; those who signed the targets,
    and nobody else, must have signed; and the text must be what the release says, byte for byte. Raises
    ``SignatureError``, ``MissingFileError``, ``MixedMetadataError``, ``FormatError`` and what reading a medium raises.
    """
    expected = record.write(release, chain.root.version, chain.data)
    if expected is None:
        return "the release has no wheelhouse and needs none"
    data = medium.read(record.FILE, record.MAX_BYTES)
    found = signatures.read(medium, chain.root, listed)
    signatures.check(chain.root, data, found)
    if missing := next((name for name in signers if name not in found), None):
        raise MissingFileError(f"{signatures.path(missing)} is missing", "copy the bundle again")
    if unexpected := next((name for name in found if name not in signers), None):
        raise SignatureError(f"{unexpected} signed {record.FILE} and not the targets", "every person signs both")
    if data != expected:
        raise MixedMetadataError(f"{record.FILE} is not of this release: {record.difference(data, expected)}")
    return f"as the release says, signed by {', '.join(signers)}"
