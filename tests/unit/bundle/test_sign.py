from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata

from airgap_bundle import ceremony
from airgap_bundle.errors import (
    DigestMismatchError,
    MissingFileError,
    RootPolicyError,
    SignatureError,
    SigningError,
    UnsignedError,
)
from airgap_bundle.metadata import parse_root
from airgap_bundle.root_policy import check_root, require, tally
from airgap_bundle.sign import sign_bundle, sign_root
from airgap_bundle.verify import verify
from tests.bundles import (
    NOW,
    Draft,
    foreign_root,
    people,
    root_bytes,
    second_root,
    sign,
    signer,
    tree,
    trust,
    unsigned_root,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    return Draft().write(tmp_path / "bundle")


def test_two_persons_on_two_days_then_the_release_key_make_a_whole_bundle(draft: Path) -> None:
    sign(draft, "custodian")
    sign(draft, "architect", now=NOW + timedelta(days=1))
    sign(draft, "release", now=NOW + timedelta(days=2))
    report = verify(draft, trust(), now=NOW + timedelta(days=3))
    assert report.ok
    assert report.signers == ("architect", "custodian")
    assert report.freshness is not None
    assert report.freshness.detail.startswith("metadata 1 days old; support until 2028")


def test_a_partly_signed_bundle_says_whom_it_waits_for(draft: Path) -> None:
    done = sign_bundle(draft, signer("builder"), now=NOW, roots={1: root_bytes()})
    assert (done.signer, done.targets, done.sealed) == (
        "builder",
        "1 of 2 (builder), waiting for architect, custodian",
        False,
    )
    report = verify(draft, trust(), now=NOW)
    assert (report.ok, report.signers, report.waiting_for) == (False, ("builder",), ("architect", "custodian"))


def test_signing_twice_counts_once(draft: Path) -> None:
    sign(draft, "architect", "architect")
    assert verify(draft, trust(), now=NOW).signers == ("architect",)


def test_all_persons_may_sign(draft: Path) -> None:
    assert verify(sign(draft, "architect", "builder", "custodian", "release"), trust(), now=NOW).signers == (
        "architect",
        "builder",
        "custodian",
    )


TOO_EARLY = [(["release"], "no person"), (["architect", "release"], "waiting for builder, custodian")]


@pytest.mark.parametrize(("names", "match"), TOO_EARLY)
def test_the_release_key_seals_only_what_enough_persons_signed(draft: Path, names: list[str], match: str) -> None:
    with pytest.raises(SigningError, match=match):
        sign(draft, *names)


@pytest.mark.parametrize("name", ["custodian", "release"])
def test_a_sealed_bundle_takes_no_further_signature(draft: Path, name: str) -> None:
    sign(draft, "architect", "builder", "release")
    before = tree(draft)
    with pytest.raises(SigningError, match="sealed"):
        sign(draft, name)
    assert tree(draft) == before


def test_a_stranger_cannot_sign(draft: Path) -> None:
    with pytest.raises(SigningError, match="does not know the keys of outsider"):
        sign(draft, "outsider")
    assert not (draft / "metadata").exists()


def test_the_first_signature_brings_the_root(draft: Path) -> None:
    with pytest.raises(SigningError, match="brings the root"):
        sign_bundle(draft, signer("architect"), now=NOW)
    with pytest.raises(SigningError, match="another root"):
        sign(sign(draft, "architect"), "builder", roots={1: foreign_root()})


def test_a_person_signs_only_what_the_index_describes(draft: Path) -> None:
    victim = max((draft / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    victim.write_bytes(bytes(victim.stat().st_size))
    with pytest.raises(DigestMismatchError):
        sign(draft, "architect")
    victim.unlink()
    with pytest.raises(MissingFileError):
        sign(draft, "architect")
    assert not (draft / "metadata").exists()


def test_a_second_person_does_not_sign_another_build(draft: Path) -> None:
    sign(draft, "architect")
    value = json.loads((draft / "release.json").read_bytes())
    (draft / "release.json").write_bytes(json.dumps({**value, "version": "9.9.9"}).encode())
    with pytest.raises(SigningError, match="another build"):
        sign(draft, "builder")


def test_a_second_person_does_not_sign_beside_a_forged_signature(draft: Path) -> None:
    sign(draft, "architect")
    path = draft / "metadata/targets.json"
    value = json.loads(path.read_bytes())
    value["signatures"][0]["sig"] = "00" * 64
    path.write_bytes(json.dumps(value).encode())
    with pytest.raises(SignatureError, match="architect is invalid"):
        sign(draft, "builder")


def test_nobody_signs_a_release_whose_support_has_ended(draft: Path) -> None:
    with pytest.raises(SigningError, match="has passed"):
        sign(draft, "architect", now=NOW + timedelta(days=1000))


def test_a_stock_tuf_client_accepts_the_metadata_and_refuses_it_stripped(draft: Path) -> None:
    sign(draft, "architect", "builder", "release")
    root = Metadata.from_bytes(root_bytes())
    root.verify_delegate("root", root)
    for role in ("targets", "snapshot", "timestamp"):
        metadata = Metadata.from_file(str(draft / f"metadata/{role}.json"))
        root.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        metadata.signatures.pop(next(iter(metadata.signatures)))
        with pytest.raises(UnsignedMetadataError):
            root.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)


IMPOSSIBLE = [(["architect"], 2), (["architect"], 0), (["architect", "architect"], 1), (["architect", "release"], 1)]


@pytest.mark.parametrize(("names", "threshold"), IMPOSSIBLE)
def test_a_root_that_cannot_work_is_not_made(names: list[str], threshold: int) -> None:
    with pytest.raises(SigningError):
        unsigned_root(names, threshold=threshold)


def test_a_root_is_signed_by_somebody() -> None:
    with pytest.raises(RootPolicyError):
        sign_root(unsigned_root(), [])


def test_a_root_counts_persons_not_key_ids() -> None:
    root = parse_root(root_bytes())
    check_root(root.signed)
    assert root.signed.roles["targets"].threshold == 4
    assert require(root.signed, "root", root).signed == ("architect", "builder", "custodian")


def test_a_new_root_is_signed_by_its_own_persons_and_by_its_predecessors() -> None:
    old, new = parse_root(root_bytes()), parse_root(second_root())
    theirs = frozenset(new.signed.roles["root"].keyids)
    assert require(old.signed, "root", new, others=theirs).signed == ("architect", "builder")


def test_a_tally_without_signatures_names_everybody() -> None:
    found = tally(unsigned_root().signed, "root", unsigned_root())
    assert str(found) == "0 of 2, waiting for architect, builder, custodian"
    with pytest.raises(UnsignedError):
        found.require()


def test_signatures_are_added_beside_others() -> None:
    root = unsigned_root()
    for person in people("architect", "builder"):
        ceremony.add_signatures(root, person)
    assert len(root.signatures) == 4
