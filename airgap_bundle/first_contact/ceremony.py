"""First contact in the signing ceremony: every signer makes the text from what was checked and signs nothing else."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle.blobs import blob_path
from airgap_bundle.errors import SigningError
from airgap_bundle.first_contact import program, record, signatures
from airgap_bundle.oci import check_small_blob

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tuf.api.metadata import Root

    from airgap_bundle.chain import Chain
    from airgap_bundle.keys import Signer
    from airgap_bundle.medium import Medium
    from airgap_bundle.oci import Contents

_AGAIN = f"remove metadata/, {record.FILE} and {signatures.FOLDER}/ and sign again"


@dataclass(frozen=True)
class Contact:
    """FIRST-CONTACT as it follows from the bundle that is being signed, and what lies there of it already."""

    data: bytes
    lying: bytes | None
    given: Mapping[str, bytes]

    def check(self, root: Root) -> None:
        """Nobody signs beside what is wrong.

        Raises ``SigningError`` for a text that does not follow from the release, and ``SignatureError`` for a signature
        that is not valid.
        """
        if self.lying is not None and self.lying != self.data:
            cause = f"{record.FILE} is not of this release: {record.difference(self.lying, self.data)}"
            raise SigningError(cause, _AGAIN)
        signatures.check(root, self.data, self.given)

    def signed(self, signer: Signer) -> Mapping[str, bytes]:
        """What to write, by path in the bundle: the text, and ``signer``'s signature."""
        return {record.FILE: self.data, signatures.path(signer.name): signatures.sign(signer, self.data)}

    def require(self, persons: Iterable[str]) -> None:
        """Raise ``SigningError`` unless exactly ``persons``, who signed the targets, signed this too."""
        counted, signed = set(persons), set(self.given)
        if missing := sorted(counted - signed):
            raise SigningError(
                f"{missing[0]} signed the targets but not {record.FILE}",
                f"`sovereign bundle sign --key {missing[0]}.key` signs both",
            )
        if besides := sorted(signed - counted):
            raise SigningError(f"{besides[0]} signed {record.FILE} but not the targets", _AGAIN)


def read(
    medium: Medium, listed: Collection[str], release: record.Release, chain: Chain, *, begun: bool
) -> Contact | None:
    """What there is to sign on ``medium``, whose blobs were checked; None for a release without a wheelhouse.

    ``begun``: whether a person has signed the targets; before that nothing of first contact may lie there. Raises
    ``SigningError`` for that and for a wheelhouse that describes another `uv` than it holds, ``SignatureError`` for a
    signature by somebody whom the root does not name, and ``FormatError`` when the release allows no first contact.
    What is read is checked by ``Contact.check``.
    """
    data = record.write(release, chain)
    if data is None or not begun:
        if record.FILE in listed or signatures.names(listed):
            raise SigningError(f"{record.FILE} lies in a bundle that nobody has signed", _AGAIN)
        if data is None:
            return None
    _check_program(medium, release.contents)
    lying = medium.read(record.FILE, record.MAX_BYTES) if record.FILE in listed else None
    return Contact(data, lying, signatures.read(medium, chain.root, listed))


def _check_program(medium: Medium, contents: Contents) -> None:
    """Whoever signs says that `uv`'s digest is that of the program in its wheel, so it is taken from there."""
    house = record.wheelhouse(contents)
    assert house is not None
    layers = {str(layer.title): layer for layer in house.layers}
    name = program.wheel_name(layers)
    wheel = check_small_blob(layers[name], medium.read(blob_path(layers[name].digest), program.MAX_WHEEL_BYTES))
    if program.measure(io.BytesIO(wheel), name) != program.described(house.settings):
        raise SigningError(f"the wheelhouse describes another uv than {name} holds", "build the release again")
