"""Attacks 1 to 4 of docs on trust: bytes flipped, signatures dropped, halves stripped, one key counted twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.errors import (
    DigestMismatchError,
    DuplicateKeyError,
    ForeignRootError,
    HalfSignatureError,
    NotEnoughSignersError,
    RootPolicyError,
    SignatureError,
    UnsignedError,
    VerificationError,
)
from airgap_bundle.trust_state import TrustState, fingerprint
from airgap_bundle.verify import verify
from tests.bundles import (
    NOW,
    Draft,
    Site,
    foreign_root,
    make,
    people,
    reseal,
    rewrite,
    root_bytes,
    sign,
    sign_root,
    signer,
    unsigned_root,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def files_of(bundle: Path) -> list[Path]:
    return sorted(path for path in bundle.rglob("*") if path.is_file())


def test_1_a_flipped_byte_in_any_file_is_refused(site: Site, bundle: Path) -> None:
    for path in files_of(bundle):
        whole = path.read_bytes()
        for position in {0, len(whole) // 2, len(whole) - 1}:
            path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
            with site.unchanged(), pytest.raises(VerificationError):
                site.install(bundle)
        path.write_bytes(whole)
    assert site.install(bundle).version == "3.0.0"


@pytest.mark.parametrize(
    ("name", "error"),
    [("index.json", DigestMismatchError), ("release.json", DigestMismatchError), ("blobs", DigestMismatchError)],
)
def test_1_a_flipped_byte_is_named_by_its_file(
    site: Site, bundle: Path, name: str, error: type[VerificationError]
) -> None:
    path = (
        max((bundle / "blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
        if name == "blobs"
        else bundle / name
    )
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    refusal = site.refuses(bundle, error, match=path.name)
    assert refusal.report is not None
    assert not refusal.report.ok


def test_1_all_damaged_blobs_are_counted_in_one_refusal(fresh: Site, bundle: Path) -> None:
    for path in (bundle / "blobs/sha256").iterdir():
        if b'"schema' not in path.read_bytes():
            path.write_bytes(path.read_bytes()[:-1] + b"!")
    fresh.refuses(bundle, DigestMismatchError, match=r"\d more blobs are refused", pin=root_bytes())


def test_2_a_bundle_without_metadata_is_refused_as_unsigned(site: Site, tmp_path: Path) -> None:
    site.refuses(Draft(number=3, version="3.0.0").write(tmp_path / "plain"), UnsignedError)


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_2_an_empty_signature_list_is_refused_as_unsigned(site: Site, bundle: Path, role: str) -> None:
    path = bundle / f"metadata/{role}.json"
    value = json.loads(path.read_bytes())
    value["signatures"] = []
    path.write_bytes(json.dumps(value).encode())
    site.refuses(bundle, UnsignedError)


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_2_missing_role_metadata_is_refused_as_unsigned(site: Site, bundle: Path, role: str) -> None:
    (bundle / f"metadata/{role}.json").unlink()
    site.refuses(bundle, UnsignedError)


def test_2_one_of_two_persons_is_refused_and_the_report_names_who_is_awaited(fresh: Site, tmp_path: Path) -> None:
    bundle = sign(Draft().write(tmp_path / "partly"), "architect")
    refusal = fresh.refuses(
        bundle, NotEnoughSignersError, match=r"1 of 2 \(architect\), waiting for builder, custodian", pin=root_bytes()
    )
    assert refusal.report is not None
    assert refusal.report.signers == ("architect",)
    assert refusal.report.waiting_for == ("builder", "custodian")


def strip(path: Path, keep: Callable[[str], bool]) -> None:
    value = json.loads(path.read_bytes())
    value["signatures"] = [item for item in value["signatures"] if keep(item["keyid"])]
    path.write_bytes(json.dumps(value).encode())


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
@pytest.mark.parametrize("half", ["ed25519", "ml_dsa"])
def test_3_a_stripped_half_is_refused_for_every_role(fresh: Site, bundle: Path, role: str, half: str) -> None:
    names = ("architect", "builder", "release")
    dropped = {getattr(signer(name).public, half).keyid for name in names}
    strip(bundle / f"metadata/{role}.json", lambda keyid: keyid not in dropped)
    if role == "targets":
        reseal(bundle)
    fresh.refuses(bundle, HalfSignatureError, pin=root_bytes())


def test_3_halves_of_different_persons_do_not_add_up(fresh: Site, tmp_path: Path) -> None:
    bundle = sign(Draft().write(tmp_path / "halves"), "architect", "builder", "custodian", "release")
    dropped = {signer("builder").public.ml_dsa.keyid, signer("custodian").public.ed25519.keyid}
    strip(bundle / "metadata/targets.json", lambda keyid: keyid not in dropped)
    reseal(bundle)
    refusal = fresh.refuses(bundle, HalfSignatureError, pin=root_bytes())
    assert refusal.report is not None
    verdicts = {check.name: check.status for check in refusal.report.checks}
    assert verdicts["targets signatures, ed25519"] == "pass"
    assert verdicts["targets signatures, ml-dsa-65"] == "pass"
    assert verdicts["targets signers"] == "fail"


def test_3_a_root_that_one_algorithm_signed_is_refused(fresh: Site, bundle: Path) -> None:
    value = json.loads(root_bytes())
    dropped = {signer(name).public.ml_dsa.keyid for name in ("architect", "builder", "custodian")}
    value["signatures"] = [item for item in value["signatures"] if item["keyid"] not in dropped]
    root = json.dumps(value).encode()
    (bundle / "metadata/1.root.json").write_bytes(root)
    fresh.refuses(bundle, HalfSignatureError, pin=root)


def respelled(root: dict[str, Any]) -> None:
    """Add architect's ML-DSA key once more, its PEM wrapped differently: another text, another key id, the same key."""
    key = signer("architect").public.ml_dsa
    body = "".join(key.keyval["public"].splitlines()[1:-1])
    pem = "-----BEGIN PUBLIC KEY-----\n" + "\n".join(body[i : i + 60] for i in range(0, len(body), 60))
    root["keys"]["a" * 64] = {**key.to_dict(), "keyval": {"public": pem + "\n-----END PUBLIC KEY-----\n"}}
    for role in ("root", "targets"):
        root["roles"][role]["keyids"].append("a" * 64)


def test_4_one_key_under_two_key_ids_is_refused(fresh: Site, bundle: Path) -> None:
    path = bundle / "metadata/1.root.json"
    rewrite(path, respelled, "architect", "builder", "custodian")
    fresh.refuses(bundle, DuplicateKeyError, pin=path.read_bytes())


def test_4_one_person_under_two_names_is_refused(fresh: Site, bundle: Path) -> None:
    """Two names for one pair of keys: the key ids are equal, so the second name has no key of its own."""

    def rename(root: dict[str, Any]) -> None:
        root["keys"][signer("builder").public.ed25519.keyid]["x-sovereign-signer"] = "architect"

    path = bundle / "metadata/1.root.json"
    rewrite(path, rename, "architect", "builder", "custodian")
    fresh.refuses(bundle, RootPolicyError, pin=path.read_bytes())


def test_4_a_threshold_that_counts_key_ids_is_refused(fresh: Site, bundle: Path) -> None:
    def halve(root: dict[str, Any]) -> None:
        root["roles"]["targets"]["threshold"] = 1

    path = bundle / "metadata/1.root.json"
    rewrite(path, halve, "architect", "builder", "custodian")
    fresh.refuses(bundle, RootPolicyError, pin=path.read_bytes())


def test_a_signature_by_somebody_else_is_refused_even_beside_enough_good_ones(fresh: Site, bundle: Path) -> None:
    path = bundle / "metadata/targets.json"
    rewrite(path, lambda _signed: None, "architect", "builder", "intruder")
    reseal(bundle)
    fresh.refuses(bundle, SignatureError, pin=root_bytes())


def test_a_bundle_of_other_people_is_refused_as_foreign(site: Site, tmp_path: Path) -> None:
    bundle = Draft(number=3, version="3.0.0").write(tmp_path / "foreign")
    sign(bundle, "outsider", "stranger", "other", roots={1: foreign_root()})
    site.refuses(bundle, ForeignRootError)
    site.refuses(bundle, ForeignRootError, pin=foreign_root())


def test_a_root_of_the_right_people_that_is_not_the_pinned_one_is_foreign(fresh: Site, bundle: Path) -> None:
    other = sign_root(unsigned_root(threshold=1), people("architect", "builder", "custodian"))
    fresh.refuses(bundle, ForeignRootError, pin=other)


def test_verify_says_the_same_as_import_and_raises_nothing(tmp_path: Path) -> None:
    bundle = make(tmp_path / "whole")
    path = bundle / "index.json"
    path.write_bytes(path.read_bytes() + b" ")
    report = verify(bundle, TrustState.expecting(fingerprint(root_bytes())), now=NOW)
    assert report.failure is not None
    assert report.failure.name == "targets"
    assert {check.status for check in report.checks if check.name in {"contents", "blobs"}} == {"not established"}
