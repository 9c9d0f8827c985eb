"""Who signed a pack, and what a person's leaving means for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import (
    BundleError,
    DigestMismatchError,
    ExpiredError,
    HalfSignatureError,
    MalformedError,
    MixedMetadataError,
    NotEnoughSignersError,
    NotGrantedError,
    RollbackError,
    SignatureError,
    SigningError,
)
from airgap_bundle.metadata import parse_pack
from airgap_bundle.pack_signature import sign_pack, standing, verify_pack
from tests import bundles, model_bundles, packs

if TYPE_CHECKING:
    from appliance.packs.content import Pack

PACK = packs.pack()
DATA = PACK.to_bytes()
NOW = datetime.now(UTC)
ROOT = model_bundles.granting_root()


def refused(error: type[BundleError], signature: bytes, data: bytes = DATA, root: bytes = ROOT) -> None:
    with pytest.raises(error) as caught:
        verify_pack(signature, data, root, NOW)
    assert type(caught.value) is error


def test_enough_persons_of_the_role_let_it_in_and_are_named() -> None:
    said = verify_pack(packs.signed(PACK), DATA, ROOT, NOW)
    assert (said.name, said.number, said.signers, said.root) == ("trial", 1, ("custodian", "deputy"), 2)


def test_one_person_of_two_does_not() -> None:
    refused(NotEnoughSignersError, packs.signed(PACK, "custodian"))


def test_somebody_whom_the_root_does_not_name_cannot_sign() -> None:
    with pytest.raises(SigningError, match="does not let stranger"):
        packs.signed(PACK, "stranger")
    with pytest.raises(NotGrantedError):
        packs.signed(PACK, "architect", root=bundles.root_bytes())


def test_a_stranger_s_signature_is_refused() -> None:
    theirs = model_bundles.granting(2, ("outsider", "stranger"))
    refused(SignatureError, packs.signed(PACK, "outsider", "stranger", root=theirs))


def test_other_bytes_another_root_and_an_earlier_one_are_refused() -> None:
    good = packs.signed(PACK)
    refused(DigestMismatchError, good, packs.pack(tone="You are long.").to_bytes())
    later = model_bundles.granting(3)
    refused(RollbackError, good, root=later)
    refused(MixedMetadataError, packs.signed(PACK, root=later))


def test_the_post_quantum_half_cannot_be_left_out() -> None:
    found = parse_pack(packs.signed(PACK))
    halves = {bundles.signer(name).public.ml_dsa.keyid for name in model_bundles.OFFICERS}
    found.signatures = {keyid: one for keyid, one in found.signatures.items() if keyid not in halves}
    refused(HalfSignatureError, found.to_bytes())


def test_signatures_end_with_their_time() -> None:
    long_ago = NOW.replace(microsecond=0) - timedelta(days=30)
    old = packs.signed(PACK, now=long_ago, days=7)
    refused(ExpiredError, old)
    assert "ended on" in str(standing(old, ROOT, NOW))
    assert standing(old, ROOT, long_ago + timedelta(days=1)) is None


def test_a_bundle_of_models_own_file_passes_for_no_pack() -> None:
    refused(MalformedError, b"{}")
    refused(MalformedError, DATA)


def test_who_signs_second_signs_what_the_first_did_or_nothing() -> None:
    first = packs.signed(PACK, "custodian")
    with pytest.raises(SigningError, match="of another pack"):
        model_sign("deputy", packs.pack(tone="You are long."), first)
    with pytest.raises(SigningError, match="under another root"):
        model_sign("deputy", PACK, first, root=model_bundles.granting(3))


def model_sign(name: str, pack: Pack, former: bytes, root: bytes = ROOT) -> bytes:
    made, _ = sign_pack(
        pack.to_bytes(),
        name=pack.name,
        number=pack.number,
        signer=bundles.signer(name),
        root=root,
        now=NOW.replace(microsecond=0),
        expires=NOW.replace(microsecond=0) + timedelta(days=1),
        former=former,
    )
    return made


def test_who_left_the_root_counts_for_nothing_and_those_who_stayed_do() -> None:
    good = packs.signed(PACK)
    assert standing(good, ROOT, NOW) is None
    one_left = model_bundles.granting(3, ("custodian", "outsider"), threshold=1)
    assert standing(good, one_left, NOW) is None
    both_have_to = model_bundles.granting(3, ("custodian", "outsider"), threshold=2)
    assert "still names 1, and 2 have to sign" in str(standing(good, both_have_to, NOW))
    all_left = model_bundles.granting(3, ("outsider", "stranger"))
    assert "still names 0" in str(standing(good, all_left, NOW))
    assert standing(good, bundles.root_bytes(), NOW) is not None  # nobody may bring models any more
    assert standing(good, None, NOW) is not None
    assert standing(b"no", ROOT, NOW) is not None
