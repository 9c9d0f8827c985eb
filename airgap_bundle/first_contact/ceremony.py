"""First contact in the signing ceremony: every signer makes the text from what was checked and signs nothing else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from airgap_bundle.blobs import blob_path
from airgap_bundle.errors import SigningError
from airgap_bundle.first_contact import program, record, signatures
from airgap_bundle.oci import check_small_blob

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from airgap_bundle.medium import Medium
    from airgap_bundle.oci import Contents

_AGAIN = f"remove metadata/, {record.FILE} and {signatures.FOLDER}/ and sign again"


def check_found(text: bytes | None, found: bytes | None, signers: Collection[str], *, begun: bool) -> None:
    """What lies in a bundle of first contact must be ``text``, which follows from the release; None: nothing may.

    ``found``: FIRST-CONTACT as it lies there; ``signers``: whose signatures do; ``begun``: whether the targets are
    fixed, before which nothing may lie there either. Raises ``SigningError``.
    """
    if text is None or not begun:
        if found is not None or signers:
            raise SigningError(f"{record.FILE} lies in a bundle that nobody has signed", _AGAIN)
    elif found is not None and found != text:
        raise SigningError(f"{record.FILE} is not of this release: {record.difference(found, text)}", _AGAIN)


def check_program(medium: Medium, contents: Contents) -> None:
    """Whoever signs beside the blobs says that `uv`'s digest is that of the program in its wheel.

    Raises ``SigningError`` when it is another, and ``FormatError`` when the wheel cannot be read.
    """
    house = record.wheelhouse(contents)
    if house is None:
        return
    layers = {str(layer.title): layer for layer in house.layers}
    name = program.wheel_name(layers)
    wheel = check_small_blob(layers[name], medium.read(blob_path(layers[name].digest), program.MAX_WHEEL_BYTES))
    if program.measure(io.BytesIO(wheel), name) != program.described(house.settings):
        raise SigningError(f"the wheelhouse describes another uv than {name} holds", "build the release again")


def require(signers: Iterable[str], persons: Iterable[str]) -> None:
    """Raise ``SigningError`` unless ``signers`` of FIRST-CONTACT are exactly ``persons``, who signed the targets."""
    signed, counted = set(signers), set(persons)
    if missing := sorted(counted - signed):
        raise SigningError(f"{missing[0]} signed the targets but not {record.FILE}", f"{missing[0]} signs again: both")
    if besides := sorted(signed - counted):
        raise SigningError(f"{besides[0]} signed {record.FILE} but not the targets", _AGAIN)
