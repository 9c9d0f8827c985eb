"""A bundle of models in the middle of its ceremony, as ``release_draft`` for a release. Pure.

The persons whom the root lets bring models sign one file, in any order; nobody seals it. The file counts under the root
that it was begun under, so that a later root begins the ceremony anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airgap_bundle import ceremony, metadata
from airgap_bundle.errors import SigningError
from airgap_bundle.metadata import MODELS
from airgap_bundle.model_bundle import KIND
from airgap_bundle.root_policy import charge, tally
from airgap_bundle.signing.described import Described, check_payload, names_in, read_described

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from tuf.api.metadata import Metadata, Targets

    from airgap_bundle.descriptor import Descriptor
    from airgap_bundle.keys import PublicSigner, Signer
    from airgap_bundle.root_policy import Tally

MODELS_FILE = f"metadata/{MODELS}.json"
_AGAIN = f"remove {MODELS_FILE} and sign again"


@dataclass(frozen=True)
class ModelsDraft(Described):
    """A bundle of models as far as it is signed: ``models`` with the signatures that it has, or None."""

    models: bytes | None

    def begun(self, now: datetime) -> Metadata[Targets]:
        """What everybody signs, with the signatures that it has, all of them valid.

        Raises ``SigningError`` when what lies there is not what these persons should sign, and a ``SignatureError``
        for a signature that is not valid.
        """
        under = (self.root.version, self.roots[self.root.version])
        expected = ceremony.build_models(self.index, self.release_data, self.contents.release, under, now=now)
        if self.models is None:
            return expected
        found = metadata.parse_models(self.models)
        named = metadata.signed_under(found.signed)
        if named != metadata.signed_under(expected.signed):
            raise SigningError(
                f"{MODELS}.json counts under root {named[0]} alone, and root {self.root.version} is here", _AGAIN
            )
        check_payload(found.signed, expected.signed, now, name=f"{MODELS}.json", again=_AGAIN)
        tally(self.root, MODELS, found)
        return found

    def counted(self, now: datetime) -> Tally:
        """Who has signed so far. Raises as ``begun``."""
        return tally(self.root, MODELS, self.begun(now))

    def check_person(self, signer: PublicSigner) -> None:
        """Raise ``SigningError`` unless the root lets ``signer`` bring models."""
        if signer.name not in names_in(self.root, MODELS, signer):
            raise SigningError(
                f"the root does not let {signer.name} bring models", "the root names who may: `sovereign trust show`"
            )

    def signed_by(self, signer: Signer, now: datetime) -> bytes:
        """``models.json`` with the signatures of ``signer`` besides. Raises as ``check_person`` and ``begun``."""
        self.check_person(signer.public)
        return ceremony.add_signatures(self.begun(now), signer).to_bytes()


def read_models_draft(
    roots: Mapping[int, bytes],
    index: bytes,
    release: bytes,
    fetch: Callable[[Descriptor], bytes],
    *,
    models: bytes | None,
) -> ModelsDraft:
    """The draft in these files, as ``read_described``.

    Raises ``NotGrantedError`` where the root lets nobody bring models, ``SigningError`` for anything but models.
    """
    found = read_described(roots, index, release, fetch)
    charge(found.root, MODELS)
    for name, (kind, _, _) in sorted(found.contents.release.artifacts.items()):
        if kind != KIND:
            raise SigningError(f"{name} is a {kind}, and a bundle of models holds models", "that comes with a release")
    return ModelsDraft(**vars(found), models=models)
